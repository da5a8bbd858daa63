"""Owns judging what became of a pool's tasks: each has one outcome, and ran as often as it may.

It does no I/O. Threads that submit tasks write into it, each about its own tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from enum import IntEnum

__all__ = ["End", "Tally"]


class End(IntEnum):
    """What may become of a task."""

    VALUE = 1
    LOST = 2
    """WorkerLost."""

    LATE = 3
    """TaskTimeout."""

    CANCELLED = 4
    DROPPED = 5
    """Its iterator was closed before it came."""


class Tally:
    """Tasks by number, how each has ended, and what was seen that must not be."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        self._ends = bytearray()
        self._retries = bytearray()

    def __len__(self) -> int:
        return len(self._ends)

    def issue(self, count: int, retries: int) -> int:
        """Numbers for so many tasks that are about to be submitted: the first."""
        with self._lock:
            first = len(self._ends)
            self._ends.extend(bytes(count))
            self._retries.extend(bytes([retries]) * count)
        return first

    def end(self, number: int, how: End, where: str) -> None:
        """A task has ended, as somebody was told ``where``."""
        with self._lock:
            before, self._ends[number] = self._ends[number], how
        if before:
            self.say(f"{where}: task {number} ended twice: {End(before).name}, then {how.name}")
        if how == End.LOST and self._retries[number]:
            self.say(f"{where}: task {number} was lost in spite of its retries")

    def end_all(self, numbers: Iterable[int], how: End, where: str) -> None:
        """The same for several tasks."""
        for number in numbers:
            self.end(number, how, where)

    def say(self, what: str) -> None:
        """Something was seen that must not be."""
        with self._lock:
            self.wrong.append(what)

    def count(self, how: End) -> int:
        """How many tasks have ended like this."""
        return self._ends.count(how)

    def violations(self, runs: Iterable[int]) -> list[str]:
        """What is wrong, given the number of the task for every time that one was begun."""
        found = list(self.wrong)
        times = [0] * len(self._ends)
        for number in runs:
            if number < len(times):
                times[number] += 1
            else:
                found.append(f"task {number} was run, which nobody has submitted")
        found += _named(
            "without an outcome", (number for number, end in enumerate(self._ends) if not end)
        )
        found += _named(
            "with a value though they were never run",
            (n for n, end in enumerate(self._ends) if end == End.VALUE and not times[n]),
        )
        found += _named(
            "run more often than they may",
            (n for n, runs in enumerate(times) if runs > 1 + self._retries[n]),
        )
        return found


def _named(what: str, numbers: Iterable[int]) -> list[str]:
    some = list(numbers)
    if not some:
        return []
    shown = ", ".join(map(str, some[:5]))
    return [f"{len(some)} tasks {what}: {shown}{' and more' if len(some) > 5 else ''}"]
