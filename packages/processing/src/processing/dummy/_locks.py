"""Owns locks, semaphores and conditions of threads, with the methods of those of processes."""

from __future__ import annotations

import operator
import threading
from time import monotonic

import processing_core
from processing.dummy._errors import NotHeldError
from processing.dummy._process import current_process
from processing.dummy._timeouts import seconds
from processing_core import InvalidArgument, InvalidType, MisuseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    from processing_core.abc import StartsProcesses

    ResultT = TypeVar("ResultT")

__all__ = ["BoundedSemaphore", "Condition", "Lock", "RLock", "Semaphore"]


class _Acquired:
    """What is acquired and released, by ``with`` too."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; returns whether that was done.

        :param block: whether to wait until it can be done
        :param timeout: for how many seconds at most; None without limit, less than zero is zero
        """
        raise NotImplementedError

    def release(self) -> None:
        """Release it, once."""
        raise NotImplementedError

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None:
        self.release()


class _Held(_Acquired):
    """What knows the thread that holds it, and how often. Only who holds the lock changes that."""

    _for_owner = False

    def __init__(self, plain: Any, robust: Any) -> None:
        self._plain = plain
        self._robust = robust
        self._owner: object = None
        self._depth = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; returns whether that was done.

        :param block: whether to wait until it can be done
        :param timeout: for how many seconds at most; None without limit, less than zero is zero
        """
        if self._robust is not None:
            taken: bool = self._robust.acquire(block, timeout)
        elif not block:
            taken = self._plain.acquire(False)
        elif timeout is None:
            taken = self._plain.acquire()
        else:
            limit = seconds(timeout)
            taken = self._plain.acquire(True, -1 if limit is None else limit)
        if taken:
            owner = self._me()
            self._depth = self._depth + 1 if self._for_owner and self._owner == owner else 1
            self._owner = owner
        return taken

    def release(self) -> None:
        """Release it, once.

        :raises NotHeldError: (an AssertionError, ValueError and RuntimeError) when nobody holds it,
            or another thread does that is the only one to release it
        """
        if not self._depth or ((self._for_owner or self._robust is not None) and not self._mine()):
            raise NotHeldError("the lock is released by a thread that does not hold it")
        self._depth -= 1
        if not self._depth:
            self._owner = None
        try:
            (self._plain if self._robust is None else self._robust).release()
        except RuntimeError:
            raise NotHeldError("the lock is released more often than it was acquired") from None

    def _me(self) -> object:
        # The number of a thread is free when it has ended, and robust locks outlive who holds them.
        return threading.get_ident() if self._robust is None else threading.current_thread()

    def _mine(self) -> bool:
        return self._owner == self._me()

    def _owner_name(self) -> str:
        if self._owner is None:
            return "None"
        return current_process().name if self._mine() else "SomeOtherProcess"


class Lock(_Held):
    """A lock that one holds at a time, and that any thread may release.

    :param robust: whether others get the lock when a thread ends while it holds it; see
        ``processing_core.Lock``
    :param ctx: ignored
    """

    def __init__(self, *, robust: bool = False, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        super().__init__(threading.Lock(), processing_core.Lock(robust=True) if robust else None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(owner={self._owner_name()})>"


class RLock(_Held):
    """A lock that one thread holds at a time, and that this thread may acquire again.

    :param robust: whether others get the lock when a thread ends while it holds it; see
        ``processing_core.Lock``
    :param ctx: ignored
    """

    _for_owner = True

    def __init__(self, *, robust: bool = False, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        super().__init__(threading.RLock(), processing_core.RLock(robust=True) if robust else None)

    def __repr__(self) -> str:
        name = self._owner_name()
        depth = "nonzero" if name == "SomeOtherProcess" else self._depth
        return f"<{type(self).__name__}({name}, {depth})>"


class Semaphore(_Acquired):
    """A number that ``acquire`` counts down, once it is above zero, and ``release`` counts up.

    :param value: what it begins with
    :param ctx: ignored

    :raises InvalidType: (a TypeError) when ``value`` is not a whole number
    :raises InvalidArgument: (a ValueError) when it is negative
    """

    def __init__(self, value: int = 1, *, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        self._value = _whole(value, "value")
        self._changed = threading.Condition(threading.Lock())

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Count down by one; returns whether that was done.

        :param block: whether to wait until it can be done
        :param timeout: for how many seconds at most; None without limit, less than zero is zero
        """
        limit = seconds(timeout) if block else 0.0
        with self._changed:
            if not self._changed.wait_for(lambda: self._value > 0, limit):
                return False
            self._value -= 1
            return True

    def release(self) -> None:
        """Count up by one, and wake one who waits."""
        with self._changed:
            self._check_room()
            self._value += 1
            self._changed.notify()

    def _check_room(self) -> None:
        """A semaphore without a limit has room."""

    def get_value(self) -> int:
        """The value at this moment."""
        return self._value

    getValue = get_value

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self._value})>"


class BoundedSemaphore(Semaphore):
    """A Semaphore that never has more than it began with: ``release`` then raises NotHeldError.

    That is a ValueError.
    """

    def __init__(self, value: int = 1, *, ctx: StartsProcesses | None = None) -> None:
        super().__init__(value, ctx=ctx)
        self._most = self._value

    def _check_room(self) -> None:
        if self._value >= self._most:
            raise NotHeldError("the semaphore is released more often than it was acquired")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self._value}, maxvalue={self._most})>"


class Condition(_Acquired):
    """A lock, and a way to wait until something has changed that it guards.

    :param lock: the Lock or RLock of this module; a new RLock without one
    :param ctx: ignored

    :raises InvalidType: (a TypeError) when ``lock`` is not a lock
    """

    def __init__(
        self,
        lock: Lock | RLock | None = None,
        *,
        ctx: StartsProcesses | None = None,  # noqa: ARG002
    ) -> None:
        if lock is None:
            lock = RLock()
        elif not isinstance(lock, (Lock, RLock)):
            raise InvalidType(f"lock must be a Lock or an RLock, not {lock!r}")
        self._lock = lock
        self._inner: Any = (
            threading.Condition(lock._plain)
            if lock._robust is None
            else processing_core.Condition(lock._robust)
        )
        self._sleepers = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire the lock. See Lock."""
        return self._lock.acquire(block, timeout)

    def release(self) -> None:
        """Release the lock. See Lock."""
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, wait until notified, and take the lock again; whether notified.

        :param timeout: for how many seconds at most; None without limit

        :raises MisuseError: (an AssertionError) when this thread does not hold the lock
        """
        limit, lock = seconds(timeout), self._lock
        self._check_held("wait")
        owner, depth = lock._owner, lock._depth
        lock._owner, lock._depth = None, 0
        self._sleepers += 1
        try:
            return bool(self._inner.wait(limit))
        finally:
            self._sleepers -= 1
            lock._owner, lock._depth = owner, depth

    def wait_for(self, predicate: Callable[[], ResultT], timeout: float | None = None) -> ResultT:
        """Wait until a predicate, called with the lock held, gives something true; returns that.

        What it gave last is returned when the ``timeout`` (seconds; None without limit) has passed.
        """
        left = seconds(timeout)
        end = None if left is None else monotonic() + left
        result = predicate()
        while not result:
            if end is not None and (left := end - monotonic()) <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    waitFor = wait_for

    def notify(self, n: int = 1) -> None:
        """Wake ``n`` of those who wait; less when there are not so many.

        :raises MisuseError: (an AssertionError) when this thread does not hold the lock
        :raises InvalidArgument: (a ValueError) when ``n`` is negative
        """
        self._check_held("notify")
        self._inner.notify(_whole(n, "n"))

    def notify_all(self) -> None:
        """Wake all who wait.

        :raises MisuseError: (an AssertionError) when this thread does not hold the lock
        """
        self._check_held("notify_all")
        self._inner.notify_all()

    notifyAll = notify_all

    def _check_held(self, what: str) -> None:
        if not self._lock._mine():
            raise MisuseError(f"the lock must be acquired before {what}() is called")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock!r}, {self._sleepers})>"


def _whole(value: int, what: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidType(f"{what} must be a whole number, not {value!r}") from None
    if number < 0:
        raise InvalidArgument(f"{what} must not be negative, not {number}")
    return number


for _public in (BoundedSemaphore, Condition, Lock, RLock, Semaphore):
    _public.__module__ = "processing.dummy"
del _public
