"""Owns barriers: points that a number of threads, of any processes, pass only together."""

from __future__ import annotations

import operator
import sys
import threading
from time import monotonic

from processing_core._clock import checked_timeout
from processing_core._sync.shells import Shared
from processing_core._sync.waiters import NESTED, Visit
from processing_core.errors import InvalidArgument, InvalidType, MisuseError

if sys.platform == "win32":
    from processing_core._sync.windows import new_room
else:
    from processing_core._sync.seats import new_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_core._sync.waiters import RoomLike
    from processing_core.abc import StartsProcesses

__all__ = ["Barrier"]

# Words of the room: whether the barrier is broken, and what is being told to those who wait.
BROKEN, TELLING = 0, 1
NOTHING, ALL_CAME, IT_BROKE, IT_WAS_RESET = 0, 1, 2, 3
# What a waiter is told, beside its place: that the barrier broke.
BROKE = 1 << 32


class Barrier(Shared):
    """A point that ``parties`` threads pass only when all of them have come to it.

    :param parties: how many
    :param action: what one of them calls when all have come, before they go on
    :param timeout: for how many seconds ``wait`` waits at most, unless it is told otherwise
    :param ctx: ignored; a barrier works with every start method

    :raises InvalidType: (a TypeError) when ``parties`` is not a whole number
    :raises InvalidArgument: (a ValueError) when it is less than 1
    :raises MemoryError: when there is no room for it

    A process that was killed while it waited has not come. To be sent, or passed to a spawned
    child, the action must be one that can be pickled.
    """

    __slots__ = ("__weakref__", "_action", "_parties", "_room", "_timeout")

    _room: RoomLike

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: StartsProcesses | None = None,  # noqa: ARG002 - as in the standard library
    ) -> None:
        self._assemble(_number(parties), action, checked_timeout(timeout), new_room())

    def _parts(self) -> tuple[Any, ...]:
        return self._parties, self._action, self._timeout, self._room

    def _assemble(self, *parts: Any) -> None:
        self._parties, self._action, self._timeout, self._room = parts

    @property
    def parties(self) -> int:
        """How many must come."""
        return int(self._parties)

    @property
    def n_waiting(self) -> int:
        """How many have come and wait for the others."""
        code = -1
        try:
            code = self._lock()
            self._room.waiters.forget_dead()
            return len(self._room.waiters.waiting())
        finally:
            if code != NESTED:
                self._room.guard.unlock()

    nWaiting = n_waiting

    @property
    def broken(self) -> bool:
        """Whether it is broken, so that nobody can wait for it."""
        return bool(self._room.words[BROKEN]) or self._room.words[TELLING] == IT_BROKE

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all have come; returns a different number for each, from 0 on.

        :param timeout: for how many seconds at most; when they have passed, the barrier breaks

        :raises threading.BrokenBarrierError: (a RuntimeError) when it is or gets broken or reset
        :raises ProcessError: when hundreds of threads wait for the same barrier
        """
        timeout = self._timeout if timeout is None else checked_timeout(timeout)
        end = None if timeout is None else monotonic() + timeout
        waiters = self._room.waiters
        visit = Visit()
        try:
            place = self._come(visit)
            while place is None:
                waiters.sleep(visit, timeout)
                # What is told is written before a waiter is woken.
                told = waiters.is_notified(visit)
                place = self._told(visit) if told else self._answer(visit)
                if place is None and end is not None and (timeout := end - monotonic()) <= 0:
                    place = self._give_up(visit)
        finally:
            try:
                self._leave(visit)
            except BaseException:
                self._leave(visit)
                raise
        if place == BROKE:
            raise threading.BrokenBarrierError
        return place

    def _come(self, visit: Visit) -> int | None:
        """Begin to wait; if all others wait already, let them go on and say which place this is."""
        waiters = self._room.waiters
        code = -1
        try:
            code = self._lock()
            if code == NESTED:
                raise MisuseError(
                    "a signal handler waits at a barrier in the middle of an operation on it"
                )
            if self._room.words[BROKEN]:
                return BROKE
            if len(waiters.waiting()) >= self._parties - 1:
                waiters.forget_dead()
                if len(waiters.waiting()) >= self._parties - 1:
                    self._call_action()
                    self._tell(ALL_CAME)
                    return int(self._parties) - 1
            waiters.enter(visit)
            return None
        finally:
            if code != NESTED:
                self._room.guard.unlock()

    def _call_action(self) -> None:
        if self._action is not None:
            try:
                self._action()
            except BaseException:
                self._tell(IT_BROKE)
                raise

    def _answer(self, visit: Visit) -> int | None:
        """What this waiter was told, if anything."""
        code = -1
        try:
            code = self._lock()
            if self._room.waiters.is_notified(visit):
                return self._told(visit)
            return None
        finally:
            if code != NESTED:
                self._room.guard.unlock()

    def _told(self, visit: Visit) -> int:
        assert visit.seat is not None
        return self._room.answers[visit.seat]

    def _give_up(self, visit: Visit) -> int:
        """The time has passed: break the barrier, unless all have come a moment ago."""
        code = -1
        try:
            code = self._lock()
            if self._room.waiters.is_notified(visit):
                return self._told(visit)
            self._tell(IT_BROKE)
            return BROKE
        finally:
            if code != NESTED:
                self._room.guard.unlock()

    def _leave(self, visit: Visit) -> None:
        """Stop waiting. Those who were told count no more, so that only others need the guard."""
        code = NESTED
        try:
            waiters = self._room.waiters
            if visit.entered and not waiters.is_notified(visit):
                code = self._lock()
            waiters.leave(visit)
        finally:
            if code != NESTED:
                self._room.guard.unlock()

    def reset(self) -> None:
        """Make it as new; those who wait get BrokenBarrierError."""
        code = -1
        try:
            code = self._lock()
            self._tell(IT_WAS_RESET)
        finally:
            if code != NESTED:
                self._room.guard.unlock()

    def abort(self) -> None:
        """Break it: those who wait, and who come, get BrokenBarrierError until it is reset."""
        code = -1
        try:
            code = self._lock()
            self._tell(IT_BROKE)
        finally:
            if code != NESTED:
                self._room.guard.unlock()

    def _lock(self) -> int:
        """Take the guard, and finish what one who was killed has begun to tell."""
        code = self._room.guard.lock()
        if code != NESTED and self._room.words[TELLING]:
            self._finish()
        return code

    def _tell(self, what: int) -> None:
        """Tell all who wait. It is done from the moment that TELLING is written."""
        room = self._room
        for place, seat in enumerate(room.waiters.waiting()):
            room.answers[seat] = place if what == ALL_CAME else BROKE
        room.waiters.hint_all()
        room.words[TELLING] = what
        self._finish()

    def _finish(self) -> None:
        words = self._room.words
        if words[TELLING] != ALL_CAME:
            words[BROKEN] = words[TELLING] == IT_BROKE
        self._room.waiters.notify_hinted()
        words[TELLING] = NOTHING

    def __repr__(self) -> str:
        state = "broken" if self.broken else f"waiters={self.n_waiting}/{self._parties}"
        cls = type(self)
        return f"<{cls.__module__}.{cls.__qualname__} at {id(self):#x}: {state}>"


def _number(parties: int) -> int:
    try:
        parties = operator.index(parties)
    except TypeError:
        raise InvalidType(f"parties must be a whole number, not {parties!r}") from None
    if parties < 1:
        raise InvalidArgument(f"parties must be at least 1, not {parties}")
    return parties
