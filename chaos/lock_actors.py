"""Owns what the users of locks, conditions, events and barriers do, and the board they write on.

The board is a file that everybody maps: a few words of 8 bytes. What a lock guards on it is written
in steps, so that somebody who comes in at the wrong time, or after a death, can see it.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import mmap
import os
import random
import signal
import threading
import time
import warnings
from enum import IntEnum
from pathlib import Path
from typing import Any

from records import Kind, Post, Reporter

__all__ = [
    "Board",
    "DeathNotes",
    "Ending",
    "Wrong",
    "exclude",
    "meet",
    "take_turns",
    "toggle",
    "wait_for_event",
]

FIRST, SECOND, HOLDER, TOKENS = range(4)
MOST_TOKENS = 8
MOMENT = 0.05


class Wrong(IntEnum):
    """What must not be."""

    UNWARNED = 1
    """Somebody else is inside, or died inside and nobody was warned of it."""

    TORN = 2
    """The pair does not match, and nobody was warned."""

    HOLDER_LIVES = 3
    """There was a warning, but who is inside lives."""

    INTRUDER = 4
    """Somebody came in."""

    NO_TOKENS = 5
    """There are too few or too many tokens."""

    NOT_ZERO = 6
    """New memory has something in it."""

    OVERWRITTEN = 7
    """Somebody has written into what is not theirs."""


class Board:
    """The words, mapped from a file."""

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.words = memoryview(self._map).cast("Q")

    @staticmethod
    def create(path: Path) -> Board:
        """A new board of zeros."""
        path.write_bytes(bytes(mmap.PAGESIZE))
        return Board(str(path))

    def close(self) -> None:
        """Unmap it."""
        self.words.release()
        self._map.close()


class DeathNotes:
    """Counts the warnings that an owner has died, from its making on."""

    def __init__(self) -> None:
        self.count = 0
        warnings.simplefilter("always")
        warnings.showwarning = self._note  # type: ignore[assignment]

    def _note(self, message: object, category: type[Warning], *_: object) -> None:
        if category.__name__ == "OwnerDiedWarning":
            self.count += 1
        else:
            raise AssertionError(f"unexpected warning: {message}")


class Ending:
    """Turns true when the supervisor says so."""

    def __init__(self) -> None:
        self._told = False
        signal.signal(signal.SIGUSR2, self._tell)

    def _tell(self, *_: object) -> None:
        self._told = True

    def __bool__(self) -> bool:
        return self._told


def really_dead(pid: int) -> bool:
    """Whether a process has ended. One that is being killed gets a moment for it."""
    for _ in range(200):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        if stat[stat.rindex(")") + 2] in "ZX":
            return True
        time.sleep(0.005)
    return False


def linger(chance: random.Random) -> None:
    """Stay inside for a moment now and then, so that killing strikes there and intruders meet."""
    if chance.random() < 0.1:
        time.sleep(chance.uniform(0, 0.001))


def exclude(post: Post, lock: Any, path: str, depth: int) -> None:
    """Change what the lock guards, acquiring it `depth` times each time."""
    ending, reporter, board, notes = Ending(), Reporter(post), Board(path), DeathNotes()
    words, pid, chance = board.words, os.getpid(), random.Random(post.number)
    reporter.tell(Kind.HELLO)
    while not ending:
        before, wrong = notes.count, None
        for _ in range(depth):
            lock.acquire()
        warned = notes.count > before
        if warned:
            if words[HOLDER] and not really_dead(words[HOLDER]):
                wrong = Wrong.HOLDER_LIVES
            words[FIRST] = words[SECOND] = max(words[FIRST], words[SECOND])
        elif words[HOLDER]:
            wrong = Wrong.UNWARNED
        elif words[FIRST] != words[SECOND]:
            wrong = Wrong.TORN
        words[HOLDER] = pid
        words[FIRST] += 1
        linger(chance)
        words[SECOND] += 1
        if words[HOLDER] != pid:
            wrong = Wrong.INTRUDER
        words[HOLDER] = 0
        for _ in range(depth):
            lock.release()
        if wrong is not None:
            reporter.tell(Kind.WRONG, wrong)
        reporter.tell(Kind.DID, 1, notes.count - before)
    reporter.tell(Kind.BYE)


def take_turns(
    post: Post,
    condition: Any,
    path: str,
    step: int,
) -> None:
    """Add tokens (a step of 1) or take them away (-1), waiting where that cannot be."""
    ending, reporter, board, notes = Ending(), Reporter(post), Board(path), DeathNotes()
    words, stop, chance = board.words, MOST_TOKENS if step > 0 else 0, random.Random(post.number)
    reporter.tell(Kind.HELLO)
    while not ending:
        before, wrong = notes.count, False
        with condition:
            while words[TOKENS] == stop and not ending:
                condition.wait()
            if words[TOKENS] != stop:
                linger(chance)
                words[TOKENS] += step
            wrong = words[TOKENS] > MOST_TOKENS
            condition.notify_all()
        if wrong:
            reporter.tell(Kind.WRONG, Wrong.NO_TOKENS)
        reporter.tell(Kind.DID, 1, notes.count - before)
    reporter.tell(Kind.BYE)


def toggle(post: Post, event: Any) -> None:
    """Set and clear an event."""
    ending, reporter = Ending(), Reporter(post)
    reporter.tell(Kind.HELLO)
    while not ending:
        event.set()
        reporter.tell(Kind.DID, 1)
        event.clear()
        event.is_set()
    reporter.tell(Kind.BYE)


def wait_for_event(post: Post, event: Any) -> None:
    """Wait for the event, again and again."""
    ending, reporter = Ending(), Reporter(post)
    reporter.tell(Kind.HELLO)
    while not ending:
        event.wait()
        reporter.tell(Kind.DID, 1)
    reporter.tell(Kind.BYE)


def meet(post: Post, barrier: Any) -> None:
    """Meet the others, again and again; put the barrier right when one of them does not come."""
    ending, reporter, chance = Ending(), Reporter(post), random.Random(post.number)
    reporter.tell(Kind.HELLO)
    while not ending:
        try:
            barrier.wait(MOMENT)
        except threading.BrokenBarrierError:
            reporter.tell(Kind.DID, 0)
            # Not all at the same moment, or they would break up each other's next meeting.
            time.sleep(chance.uniform(0, MOMENT / 5))
            if barrier.broken:
                barrier.reset()
        else:
            reporter.tell(Kind.DID, 1)
    reporter.tell(Kind.BYE)
