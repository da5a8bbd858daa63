"""Owns conditions: waiting, with a lock given back, until somebody who has the lock notifies."""

from __future__ import annotations

import operator
import sys
from time import monotonic

from processing_core._clock import checked_timeout
from processing_core._platform.patience import Patience
from processing_core._sync.locks import Lock, RLock
from processing_core._sync.shells import Shell, fit
from processing_core._sync.waiters import Visit
from processing_core.errors import InvalidArgument, InvalidType, MisuseError

if sys.platform == "win32":
    from processing_core._sync.windows import new_room
else:
    from processing_core._sync.seats import new_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from processing_core._platform.semlocks import SemaphoreLike
    from processing_core._sync.waiters import RoomLike
    from processing_core.abc import StartsProcesses

    ResultT = TypeVar("ResultT")

__all__ = ["Condition"]


class Condition(Shell):
    """A lock, and a way to wait until something has changed that it guards.

    :param lock: the Lock or RLock to use; a new RLock without one
    :param ctx: ignored; a condition works with every start method

    :raises InvalidType: (a TypeError) when ``lock`` is not a lock
    :raises MemoryError: when there is no room for it

    ``acquire`` and ``release``, and ``with``, are those of the lock. Those who wait longest are
    notified first; one that was killed while it waited is passed over, so that no notification is
    lost. A lock made with ``robust=True`` also survives those who are killed while they hold it.
    """

    __slots__ = ("_lock", "_patience", "_room")

    _room: RoomLike

    def __init__(
        self,
        lock: Lock | RLock | None = None,
        *,
        ctx: StartsProcesses | None = None,  # noqa: ARG002 - as in the standard library
    ) -> None:
        if lock is None:
            lock = RLock()
        elif not isinstance(lock, Shell):
            raise InvalidType(f"lock must be a Lock or an RLock, not {lock!r}")
        self._assemble(lock, new_room())

    def _parts(self) -> tuple[Any, ...]:
        return self._lock, self._room

    def _assemble(self, *parts: Any) -> None:
        self._lock, self._room = parts
        self._patience = Patience()
        fit(self, self._lock._semlock)

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, wait until notified, and take the lock again; whether notified.

        :param timeout: for how many seconds at most; None without limit

        :raises MisuseError: (an AssertionError) when this thread does not hold the lock
        :raises ProcessError: when hundreds of threads wait for the same condition
        """
        semlock = self._semlock
        if not semlock._is_mine():
            raise MisuseError("the lock must be acquired before wait() is called")
        end = None
        if timeout is not None and (timeout := checked_timeout(timeout)) is not None:
            end = monotonic() + timeout
        waiters = self._room.waiters
        depth = semlock._count()
        visit = Visit()
        try:
            waiters.enter(visit)
            while True:
                try:
                    for _ in range(depth):
                        semlock.release()
                    waiters.sleep(visit, timeout)
                finally:
                    # A signal handler may raise here as well, but not before the lock is taken.
                    try:
                        _take_back(semlock, depth, self._patience)
                    except BaseException:
                        _take_back(semlock, depth, self._patience)
                        raise
                if waiters.is_notified(visit):
                    break
                if end is not None and (timeout := end - monotonic()) <= 0:
                    break
            return waiters.leave(visit)
        except BaseException:
            # Whoever was notified and cannot act on it leaves that to the next.
            if waiters.leave(visit) and semlock._is_mine():
                waiters.notify(1)
            raise

    def wait_for(self, predicate: Callable[[], ResultT], timeout: float | None = None) -> ResultT:
        """Wait until a predicate, called with the lock held, gives something true; returns that.

        What it gave last is returned when the ``timeout`` (seconds; None without limit) has passed.
        """
        timeout = checked_timeout(timeout)
        end = None if timeout is None else monotonic() + timeout
        result = predicate()
        while not result:
            if end is not None and (timeout := end - monotonic()) <= 0:
                break
            self.wait(timeout)
            result = predicate()
        return result

    waitFor = wait_for

    def notify(self, n: int = 1) -> None:
        """Wake ``n`` of those who wait; less when there are not so many.

        :raises MisuseError: (an AssertionError) when this thread does not hold the lock
        :raises InvalidArgument: (a ValueError) when ``n`` is negative
        """
        if not self._semlock._is_mine():
            raise MisuseError("the lock must be acquired before notify() is called")
        if n != 1:
            n = _number(n)
        self._room.waiters.notify(n)

    def notify_all(self) -> None:
        """Wake all who wait.

        :raises MisuseError: (an AssertionError) when this thread does not hold the lock
        """
        if not self._semlock._is_mine():
            raise MisuseError("the lock must be acquired before notify_all() is called")
        self._room.waiters.notify()

    notifyAll = notify_all

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock!r}, {self._room.sleepers()})>"


def _take_back(semlock: SemaphoreLike, depth: int, patience: Patience) -> None:
    """Hold a lock as often as before, whatever signal handlers raise in the meantime."""
    failure: BaseException | None = None
    while not semlock._is_mine() or semlock._count() < depth:
        try:
            # The one who notified gives the lock back in a moment.
            patience.acquire(semlock.acquire, None)
        except BaseException as error:  # noqa: BLE001 - raised when the lock is held
            failure = error
    if failure is not None:
        raise failure


def _number(n: int) -> int:
    try:
        n = operator.index(n)
    except TypeError:
        raise InvalidType(f"n must be a whole number, not {n!r}") from None
    if n < 0:
        raise InvalidArgument(f"n must not be negative, not {n}")
    return n
