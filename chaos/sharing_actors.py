"""Owns what the users of shared arrays do: make, fill, keep, drop, send and look at them."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import queue as exceptions
import random
from typing import Any

from lock_actors import Ending, Wrong
from processing_sharedctypes import Array, RawArray
from records import Kind, Post, Reporter

__all__ = ["is_whole", "mark", "share"]

SIZES = (8, 60, 500, 3_000, 40_000, 300_000, 1_200_000)
MOST_KEPT = 30
MOST_SENT = 40
# The distance of the places where an array says what it is.
STEP = 1024


def mark(array: Any, number: int) -> None:
    """Write the same number all over an array."""
    for place in range(0, len(array), STEP):
        array[place] = number
    array[len(array) - 1] = number


def is_whole(array: Any) -> bool:
    """Whether it is the same number wherever one was written."""
    places = [*range(0, len(array), STEP), len(array) - 1]
    return len({array[place] for place in places}) == 1


def share(post: Post, queue: Any) -> None:
    """Have arrays of all sizes come and go."""
    ending, reporter = Ending(), Reporter(post)
    chance = random.Random(post.number)
    reporter.tell(Kind.HELLO)
    kept: list[Any] = []
    rounds = 0
    while not ending:
        rounds += 1
        choice = chance.random()
        if choice < 0.5:
            make = Array if chance.random() < 0.3 else RawArray
            made: Any = make("q", chance.choice(SIZES) // 8)
            if any(made[place] for place in range(0, len(made), STEP)):
                reporter.tell(Kind.WRONG, Wrong.NOT_ZERO)
            mark(made, chance.randrange(1, 2**60))
            kept.append(made)
        elif choice < 0.7 and kept:
            if queue.qsize() < MOST_SENT:
                queue.put(chance.choice(kept))
        elif choice < 0.9:
            try:
                kept.append(queue.get(block=False))
            except exceptions.Empty:
                continue
        elif kept and not is_whole(chance.choice(kept)):
            reporter.tell(Kind.WRONG, Wrong.OVERWRITTEN)
        while len(kept) > MOST_KEPT:
            kept.pop(chance.randrange(len(kept)))
        if rounds % 20 == 0:
            reporter.tell(Kind.DID, 20)
    if not all(map(is_whole, kept)):
        reporter.tell(Kind.WRONG, Wrong.OVERWRITTEN)
    reporter.tell(Kind.BYE)
