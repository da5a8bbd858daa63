"""What runs in the processes that the tests of offers start."""

from __future__ import annotations

import pickle
from typing import Any

from processing_core.connection import Client, Offer

__all__ = ["take_and_answer", "use_from_client"]


def use_from_client(address: Any, key: bytes) -> None:
    """Receive an end of a pipe and a listening socket over TCP, and use both."""
    with Client(address, authkey=key) as connection:
        end, listening = connection.recv()
        with end, listening:
            connection.send(listening.getsockname())
            end.send("from the child")
            accepted, _ = listening.accept()
            with accepted:
                accepted.sendall(b"accepted by the child")


def take_and_answer(pickled: bytes, answer: Any) -> None:
    """Take an offer, if it can be taken, and say what has come of it."""
    one: Offer = pickle.loads(pickled)
    try:
        end = one.take()
    except Exception as error:  # noqa: BLE001 - the answer is what it was
        answer.send(f"{type(error).__name__}: {error}")
        return
    end.send("taken")
    end.close()
    answer.send("done")
