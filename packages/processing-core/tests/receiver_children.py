"""What the children of test_receiver.py do."""

from __future__ import annotations

from typing import Any

from processing_core import Pipe, SimpleQueue


def echo(requests: SimpleQueue[int], replies: SimpleQueue[Any], rounds: int) -> None:
    for _ in range(rounds):
        replies.put(requests.get())


def send_pipes(replies: SimpleQueue[Any], count: int) -> None:
    for number in range(count):
        ours, theirs = Pipe()
        replies.put((theirs, bytes([number]) * 100_000))
        theirs.close()
        ours.send(number)
        ours.close()
