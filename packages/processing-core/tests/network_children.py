"""What runs in other processes for the tests of listeners and clients."""

from __future__ import annotations

import os
from typing import Any

from processing_core.connection import Client, Listener, wait

TIME = 30.0


def echo_until_end(address: Any, key: bytes | None) -> None:
    """Connect, and send back what comes."""
    with Client(address, authkey=key, timeout=TIME) as connection:
        while True:
            try:
                message = connection.recv()
            except EOFError:
                return
            connection.send(message)


def serve(listener: Listener, announce: Any) -> None:
    """Accept one client in a forked child, and answer with the process's id."""
    with listener.accept(TIME) as connection:
        connection.send(os.getpid())
        announce.send("served")


def answer_from(connection: Any) -> None:
    """Use a connection that was made elsewhere."""
    assert wait([connection], TIME) == [connection]
    connection.send(connection.recv() + 1)
    connection.close()


class Poison:
    """Unpickling it leaves a mark."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)
