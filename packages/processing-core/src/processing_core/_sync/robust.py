"""Owns robust locks: the kernel gives them on when the thread or process that holds one dies.

Such a lock is a robust mutex and, beside it, a semaphore by which one who gives the lock back ends
the sleep of one who waits for it. A death ends no sleep, so those who wait look by themselves now
and then. A sleep on the mutex itself could not be ended by signals.
"""

from __future__ import annotations

import errno
import os
import sys
from threading import get_native_id
from time import monotonic
from types import MethodType

assert sys.platform != "win32"

from processing_core._clock import checked_timeout
from processing_core._memory.arena import Block, allocate
from processing_core._platform.pthreads import (
    HOLDER_MASK,
    MUTEX_BYTES,
    SEMAPHORE_BYTES,
    pthreads,
)
from processing_core._platform.semlocks import (
    AVAILABLE,
    RECURSIVE,
    SEM_VALUE_MAX,
    SEMAPHORE,
    SemLock,
)
from processing_core._serialize.packer import register_reducer
from processing_core._sync.files import FileMutex, PolledChange
from processing_core._sync.semaphores import one_for
from processing_core.errors import MisuseError, OwnerDiedWarning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_core._platform.semlocks import SemaphoreLike

__all__ = ["RobustLock", "new_robust"]

# How long one who waits sleeps at most (seconds) before it looks whether the holder has died.
SLEEP_SECONDS = 0.05


class RobustLock:
    """A robust lock, with the interface of SemLock. Each kind of mutex has a subclass."""

    __slots__ = ("__weakref__", "_changed", "block", "kind")

    maxvalue = 1
    _changed: SemLock | PolledChange

    def __init__(self, block: Block, kind: int) -> None:
        self.block = block
        self.kind = kind

    def _try(self) -> int:
        """Take it, if that can be done at once; returns an error number as pthreads do."""
        raise NotImplementedError

    def _depth(self) -> int:
        """How often this thread has taken it."""
        raise NotImplementedError

    def _make_consistent(self) -> None:
        """It may be given on although it was taken over."""
        raise NotImplementedError

    @property
    def release(self) -> Callable[[], None]:
        """Release it, once.

        :raises MisuseError: (an AssertionError) when this thread does not hold it
        """
        raise NotImplementedError

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; returns whether that was done.

        :raises MisuseError: (an AssertionError) when it would wait for its own thread for ever
        """
        before = self._depth()
        try:
            code = self._try()
            if code == errno.EBUSY and block:
                end = None
                if timeout is not None and (timeout := checked_timeout(timeout)) is not None:
                    end = monotonic() + timeout
                while code == errno.EBUSY and self._sleep(end):
                    code = self._try()
            if code == errno.EBUSY:
                return False
            if code == errno.EDEADLK:
                return self._wait_for_itself(block, timeout)
            if code == errno.EOWNERDEAD:
                self._make_consistent()
                _warn()
            elif code:
                raise OSError(code, os.strerror(code))
        except BaseException:
            # If a signal handler raises, this thread has it as often as it had before.
            while self._depth() > before:
                self._make_consistent()
                self.release()
            raise
        return True

    def _sleep(self, end: float | None) -> bool:
        """Wait for a while, or until somebody gives it back; False when the time has passed."""
        pause = SLEEP_SECONDS if end is None else min(SLEEP_SECONDS, end - monotonic())
        if pause <= 0:
            return False
        self._changed.acquire(True, pause)
        return True

    def _wait_for_itself(self, block: bool, timeout: float | None) -> bool:
        if not block:
            return False
        timeout = checked_timeout(timeout)
        if timeout is None:
            raise MisuseError("the lock is held by the very thread that would wait for it")
        end = monotonic() + timeout
        while self._sleep(end):
            pass
        return False

    __enter__ = acquire

    def _count(self) -> int:
        return self._depth() or int(self._is_held_here())

    def _is_mine(self) -> bool:
        return self._depth() > 0

    def _get_value(self) -> int:
        return int(not self._is_zero())

    def _is_zero(self) -> bool:
        raise NotImplementedError

    def _is_held_here(self) -> bool:
        """Whether a thread of this process has it."""
        raise NotImplementedError


class NativeLock(RobustLock):
    """One with a mutex of glibc. The mutex itself knows who holds it and how often, so there is
    nothing that could differ from it.
    """

    __slots__ = ("_as_parameter_", "_state", "_trylock")

    def __init__(self, block: Block, kind: int) -> None:
        super().__init__(block, kind)
        functions = pthreads()
        assert functions is not None
        self._as_parameter_ = block.address
        self._trylock = functions.trylock
        # The holder and how often it holds it.
        self._state = block.view()[:8].cast("I")
        address = block.address + MUTEX_BYTES
        self._changed = SemLock._rebuild(address, SEMAPHORE, SEM_VALUE_MAX, None)

    def _try(self) -> int:
        return self._trylock(self._as_parameter_)

    def _depth(self) -> int:
        state = self._state
        if state[0] & HOLDER_MASK != get_native_id():
            return 0
        return state[1] if self.kind == RECURSIVE else 1

    def _make_consistent(self) -> None:
        functions = pthreads()
        assert functions is not None
        functions.consistent(self._as_parameter_)

    @property
    def release(self) -> Callable[[], None]:
        return MethodType(_unlocking(0), self)

    def _leave(self) -> Callable[..., None]:
        return MethodType(_unlocking(3), self)

    __exit__ = property(_leave)

    def _is_zero(self) -> bool:
        return self._state[0] & HOLDER_MASK != 0

    def _is_held_here(self) -> bool:
        return _is_held_here(self.block)

    def __del__(self) -> None:
        # The mutexes that a thread holds are a list whose links are in them (get_robust_list(2)).
        if _is_held_here(self.block):
            _abandoned.append(self.block)


def _is_held_here(block: Block) -> bool:
    holder = block.view()[:4].cast("I")[0] & HOLDER_MASK
    return holder != 0 and os.path.exists(f"/proc/self/task/{holder}")


# What was dropped while a thread of this process held it stays where it is until that has ended.
_abandoned: list[Block] = []

# The functions by which a mutex is unlocked, by the number of arguments that do not matter.
_functions: dict[int, Callable[..., None]] = {}


def _unlocking(ignored: int) -> Callable[..., None]:
    function = _functions.get(ignored)
    if function is None:
        functions = pthreads()
        assert functions is not None
        function = _functions[ignored] = functions.unlocking(_after_unlock, ignored)
    return function


def _after_unlock(code: int, _function: object, arguments: tuple[Any, ...]) -> None:
    """The end of release(). One who waits looks by itself if a signal handler raises here."""
    if code:
        raise MisuseError("a robust lock is released only by the thread that holds it")
    changed = arguments[0]._changed
    if changed._is_zero():
        changed.release()


class FileLock(RobustLock):
    """One with a mutex that is a file, which knows of threads, but not how often one holds it."""

    __slots__ = ("_nested", "file")

    def __init__(self, block: Block, kind: int, file: FileMutex) -> None:
        super().__init__(block, kind)
        self.file = file
        file.word = block.words(0, 1)
        self._changed = PolledChange()
        # How often its holder has it beyond the first time.
        self._nested = 0

    def _try(self) -> int:
        code = self.file.trylock(0)
        if code == errno.EDEADLK and self.kind == RECURSIVE:
            self._nested += 1
            return 0
        if code in (0, errno.EOWNERDEAD):
            self._nested = 0
        return code

    def _depth(self) -> int:
        return 1 + self._nested if self.file.is_mine() else 0

    def _make_consistent(self) -> None:
        """Nothing is to be done."""

    @property
    def release(self) -> Callable[[], None]:
        return self._release

    def _release(self) -> None:
        if not self.file.is_mine():
            raise MisuseError("a robust lock is released only by the thread that holds it")
        if self._nested:
            self._nested -= 1
        else:
            self.file.unlock(0)

    def __exit__(self, *_: object) -> None:
        self._release()

    def _is_zero(self) -> bool:
        return self.file.word[0] != 0

    def _is_held_here(self) -> bool:
        return self.file.word[0] == os.getpid()


def new_robust(kind: int) -> SemaphoreLike:
    """A robust lock that nobody holds; RECURSIVE or not.

    :raises MemoryError: when there is no room for it
    """
    _abandoned[:] = [block for block in _abandoned if _is_held_here(block)]
    functions = pthreads()
    block = allocate(MUTEX_BYTES + SEMAPHORE_BYTES)
    if functions is None or not AVAILABLE:
        return FileLock(block, kind, FileMutex.create())
    functions.init_mutex(block.address, kind == RECURSIVE)
    functions.init_semaphore(block.address + MUTEX_BYTES, 0)
    return NativeLock(block, kind)


def _reduce_native(lock: NativeLock) -> tuple[Any, ...]:
    one_for(lock.block, lambda: lock)
    return _attach_native, (lock.block, lock.kind)


def _attach_native(block: Block, kind: int) -> Any:
    return one_for(block, lambda: NativeLock(block, kind))


def _reduce_file(lock: FileLock) -> tuple[Any, ...]:
    one_for(lock.block, lambda: lock)
    return _attach_file, (lock.block, lock.kind, lock.file)


def _attach_file(block: Block, kind: int, file: FileMutex) -> Any:
    return one_for(block, lambda: FileLock(block, kind, file))


def _warn() -> None:
    import warnings

    warnings.warn(
        OwnerDiedWarning(
            "a lock was taken over from a process or thread that ended while it held it; what it "
            "guards may be half changed"
        ),
        stacklevel=3,
    )


register_reducer(NativeLock, _reduce_native)
register_reducer(FileLock, _reduce_file)
