"""Owns what producers and consumers do, and what their items look like.

An item is its producer's number, its own number, and a payload that follows from these, so that the
receiver can tell whether it is what was sent.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import random
import signal
import time
from typing import Any

from records import Kind, Post, Reporter

__all__ = ["consume", "intact", "payload", "produce"]

# Every process makes the same bytes of the seed.
_POOL = random.Random(2026).randbytes(1 << 19)
_STRIDE = 4099


def payload(producer: int, number: int, size: int) -> bytes:
    """The bytes of an item, which no other of the last few has."""
    start = (producer * 7919 + number * _STRIDE) % (len(_POOL) - size)
    return _POOL[start : start + size]


def intact(item: object, size: int) -> bool:
    """Whether an item is one that a producer has put."""
    match item:
        case (int(producer), int(number), bytes(data)):
            return data == payload(producer, number, size)
        case _:
            return False


def produce(post: Post, queue: Any, size: int, backlog: int | None) -> None:
    """Put items until told to end; with a `backlog`, hold back while the queue has more items."""
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True

    signal.signal(signal.SIGUSR2, end)
    me = post.number
    reporter = Reporter(post)
    reporter.tell(Kind.HELLO)
    number = 0
    while not ending:
        queue.put((me, number, payload(me, number, size)))
        reporter.tell(Kind.PUT, me, number)
        number += 1
        while backlog is not None and number % 8 == 0 and queue.qsize() > backlog and not ending:
            time.sleep(0.001)
    reporter.tell(Kind.BYE)


def consume(post: Post, queue: Any, size: int) -> None:
    """Get items and pass on at once what was got, until there is a None."""
    reporter = Reporter(post)
    reporter.tell(Kind.HELLO)
    while (item := queue.get()) is not None:
        if intact(item, size):
            reporter.tell(Kind.GOT, item[0], item[1])
        else:
            reporter.tell(Kind.DAMAGED)
    reporter.tell(Kind.BYE)
