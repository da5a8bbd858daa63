"""Owns events: a flag that processes wait for."""

from __future__ import annotations

import sys
import threading
from time import monotonic

from processing_core._clock import checked_timeout
from processing_core._sync.shells import Shared
from processing_core._sync.waiters import NESTED, TooLateError, Visit
from processing_core.errors import MisuseError

if sys.platform == "win32":
    from processing_core._sync.windows import new_room
else:
    from processing_core._sync.seats import new_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_core._sync.waiters import RoomLike
    from processing_core.abc import StartsProcesses

__all__ = ["Event"]

# Words of the room: the flag; whether it is being set and those who wait are told.
FLAG, TELLING = 0, 1
# The first sleep of a wait is this long (seconds) at most, see set().
FIRST_SLEEP = 0.1

# Taking it is a memory barrier: what was written before is visible to all before what follows. A
# signal handler, or another thread, may find it taken and then takes one of its own.
_barrier = threading.Lock()
_cross, _uncross = _barrier.acquire, _barrier.release


class Event(Shared):
    """A flag that is not set at first.

    :param ctx: ignored; an event works with every start method

    :raises MemoryError: when there is no room for it

    Processes that are killed while they wait, or set or clear it, do not disturb the others. A
    signal handler may use an event whatever it interrupts, other than to wait.
    """

    __slots__ = ("__weakref__", "_flag", "_room", "_seats_used")

    _room: RoomLike

    def __init__(self, *, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        self._assemble(new_room())

    def _parts(self) -> tuple[Any, ...]:
        return (self._room,)

    def _assemble(self, *parts: Any) -> None:
        (self._room,) = parts
        self._flag = self._room.words
        # One word, zero as long as nobody has ever waited.
        self._seats_used = self._room.waiters.count

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._flag[FLAG] != 0

    isSet = is_set

    def set(self) -> None:
        """Set the flag, and wake all who wait for it."""
        room, used = self._room, self._seats_used
        if not (used[0] and room.waiters.are_there()):
            self._flag[FLAG] = 1
            if _cross(False):
                _uncross()
            else:
                threading.Lock().acquire()
            # Who begins to wait now sees the flag, or is seen here. Only if this process is killed
            # at this very point nobody is seen; therefore they look again once.
            if used[0] and room.waiters.are_there():
                room.waiters.hint_all()
            return
        code = -1
        try:
            code = room.guard.lock()
            # First they are woken: if this process is killed in between, they find the flag as it
            # is and go on waiting.
            room.waiters.hint_all()
            self._tell()
        finally:
            if code != NESTED:
                room.guard.unlock()

    def _tell(self) -> None:
        """Set the flag, and write for all who wait that it was, though it may be cleared before
        they look. If it is not finished here, the next one who has the guard does it.
        """
        flag = self._flag
        flag[TELLING] = 1
        flag[FLAG] = 1
        self._room.waiters.notify_hinted()
        flag[TELLING] = 0

    def clear(self) -> None:
        """Make the flag not set."""
        flag = self._flag
        if flag[TELLING]:
            self._finish()
        flag[FLAG] = 0
        if _cross(False):
            _uncross()
        else:
            threading.Lock().acquire()

    def _finish(self) -> None:
        """Let those finish who set the flag, or do it for one who was killed."""
        room = self._room
        code = -1
        try:
            code = room.guard.lock()
            if self._flag[TELLING]:
                self._tell()
        finally:
            if code != NESTED:
                room.guard.unlock()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set; whether it was.

        :param timeout: for how many seconds at most; None without limit

        :raises ProcessError: when hundreds of threads wait for the same event
        """
        if self._flag[FLAG]:
            return True
        timeout = checked_timeout(timeout)
        end = None if timeout is None else monotonic() + timeout
        waiters = self._room.waiters
        visit = Visit()
        try:
            if not self._enter(visit, end):
                return True
            # It may have been set a moment ago by somebody who did not see the ticket.
            pause: float | None = FIRST_SLEEP
            if timeout is not None:
                pause = min(timeout, FIRST_SLEEP)
            while not self._flag[FLAG]:
                waiters.sleep(visit, pause)
                pause = timeout
                if self._flag[FLAG] or self._was_told(visit, end):
                    return True
                if end is not None and (pause := end - monotonic()) <= 0:
                    return False
        except TooLateError:
            return self.is_set()
        else:
            return True
        finally:
            try:
                waiters.leave(visit)
            except BaseException:
                waiters.leave(visit)
                raise

    def _enter(self, visit: Visit, end: float | None) -> bool:
        """Begin to wait, unless the flag is set."""
        room = self._room
        code = -1
        try:
            code = room.guard.lock(end)
            if code == NESTED:
                raise MisuseError(
                    "a signal handler waits for an event in the middle of another operation on it"
                )
            if self._flag[TELLING]:
                self._tell()
            if self._flag[FLAG]:
                return False
            room.waiters.enter(visit)
            return True
        finally:
            if code != NESTED:
                room.guard.unlock()

    def _was_told(self, visit: Visit, end: float | None) -> bool:
        """Whether the flag was set since, once those who are about to do it have done so."""
        room = self._room
        code = -1
        try:
            code = room.guard.lock(end)
            if self._flag[TELLING]:
                self._tell()
            return bool(self._flag[FLAG]) or room.waiters.is_notified(visit)
        finally:
            if code != NESTED:
                room.guard.unlock()

    def __repr__(self) -> str:
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {state}>"
