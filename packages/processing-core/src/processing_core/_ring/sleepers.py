"""Owns who sleeps at a channel: a list in shared memory for each thing to wait for.

Callers hold the guard of those who wake: producers wake getters, consumers wake the others. Each
sleeper has a place on the list, and a semaphore of its own to sleep on. An entry is a ticket, which
tells whose turn it is, a mark once its sleeper was woken, and the sleeper's process: one that is
gone is passed over, so a process that is killed while it sleeps keeps nobody from being woken. The
place is the sleeper's until it leaves.
"""

from __future__ import annotations

import os
import sys

from processing_core._ring.layout import ATTENTION, LOW_32, SLEEPER_SLOTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

__all__ = ["Sleepers", "exists"]

WOKEN = 1 << 31
PID = WOKEN - 1
TICKET_SHIFT = 32


def exists(pid: int) -> bool:
    """Whether there is such a process; one that has ended counts until it is reaped."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Sleepers:
    """A list of SLEEPER_SLOTS words from ``start`` on.

    The number of those who were not woken yet is at ``counter``, the last ticket behind it.
    """

    __slots__ = ("_counter", "_exists", "_start", "_words")

    def __init__(
        self,
        words: MutableSequence[int] | memoryview,
        counter: int,
        start: int,
        exists: Callable[[int], bool] = exists,
    ) -> None:
        self._words = words
        self._counter = counter
        self._start = start
        self._exists = exists

    def register(self, pid: int) -> int | None:
        """Take a place, from 0 on; None when all are taken."""
        place = self._free_place()
        if place is not None:
            self._enter(place, pid)
        return place

    def _free_place(self) -> int | None:
        words, start = self._words, self._start
        for index in range(SLEEPER_SLOTS):
            if not words[start + index]:
                return index
        for index in range(SLEEPER_SLOTS):
            entry = words[start + index]
            if not self._exists(entry & PID):
                self.leave(index)
                return index
        return None

    def _enter(self, place: int, pid: int) -> None:
        words = self._words
        ticket = words[self._counter + 1] + 1 & LOW_32
        words[self._counter + 1] = ticket
        words[self._start + place] = ticket << TICKET_SHIFT | pid
        words[self._counter] += 1

    def sleep_again(self, place: int) -> None:
        """One who was woken in vain goes on sleeping, with its old ticket."""
        words = self._words
        entry = words[self._start + place]
        if entry & WOKEN:
            words[self._start + place] = entry & ~WOKEN
            words[self._counter] += 1

    def leave(self, place: int) -> bool:
        """Give the place up; whether its sleeper was woken."""
        words = self._words
        entry = words[self._start + place]
        words[self._start + place] = 0
        if entry and not entry & WOKEN:
            self._count_down()
        return bool(entry & WOKEN)

    def take(self) -> int | None:
        """The place of who has slept longest, marked as woken; None when nobody sleeps."""
        words, start = self._words, self._start
        while True:
            oldest, found = 0, None
            left = words[self._counter] & LOW_32
            for index in range(SLEEPER_SLOTS):
                if not left:
                    break
                entry = words[start + index]
                if entry and not entry & WOKEN:
                    left -= 1
                    age = (words[self._counter + 1] - (entry >> TICKET_SHIFT)) & LOW_32
                    if found is None or age > oldest:
                        oldest, found = age, index
            if found is None:
                return None
            entry = words[start + found]
            if self._exists(entry & PID):
                words[start + found] = entry | WOKEN
                self._count_down()
                return found
            self.leave(found)

    def _count_down(self) -> None:
        # Never below nothing: one who was killed in between may have left the number too low.
        if self._words[self._counter] & LOW_32:
            self._words[self._counter] -= 1

    def recover(self) -> None:
        """Count anew, after a process was killed that may have been about to."""
        words, start = self._words, self._start
        entries = [words[start + index] for index in range(SLEEPER_SLOTS)]
        words[self._counter] = words[self._counter] & ATTENTION | sum(
            bool(entry) and not entry & WOKEN for entry in entries
        )
