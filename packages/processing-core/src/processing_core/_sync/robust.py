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

assert sys.platform != "win32"

from processing_core import _lifecycle
from processing_core._clock import checked_timeout
from processing_core._memory.arena import Block, allocate
from processing_core._platform.pthreads import (
    MUTEX_BYTES,
    SEMAPHORE_BYTES,
    Pthreads,
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
    from typing import Any

    from processing_core._sync.shells import SemaphoreLike

__all__ = ["RobustMutex", "new_robust"]

# How long one who waits sleeps at most (seconds) before it looks whether the holder has died.
SLEEP_SECONDS = 0.05
# The word of the process that holds it, behind what the mutex needs.
HOLDER = 7


class RobustMutex:
    """A robust lock, with the interface of SemLock.

    Whether this thread has the mutex, the mutex itself knows. What is noted here of the thread and
    its count is about the thread that has it, if it is one of this process.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_changed",
        "_depth",
        "_functions",
        "_holder",
        "_owner",
        "block",
        "kind",
        "maxvalue",
    )

    def __init__(self, functions: Pthreads | FileMutex, block: Block, kind: int) -> None:
        self.block = block
        self.kind = kind
        self.maxvalue = 1
        self._functions = functions
        self._address = block.address
        self._holder = block.words(HOLDER, 1)
        self._changed: SemLock | PolledChange
        if isinstance(functions, FileMutex):
            functions.word = block.words(HOLDER - 1, 1)
            self._changed = PolledChange()
        else:
            address = block.address + MUTEX_BYTES
            self._changed = SemLock._rebuild(address, SEMAPHORE, SEM_VALUE_MAX, None)
        self._owner = 0
        self._depth = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; returns whether that was done.

        :raises MisuseError: (an AssertionError) when it would wait for its own thread for ever
        """
        # If a signal handler raises, it stays with a thread that had it before.
        was_mine = self._owner == get_native_id()
        code: int | None = None
        try:
            code = self._functions.trylock(self._address)
            if code == errno.EBUSY and block:
                end = None
                if timeout is not None and (timeout := checked_timeout(timeout)) is not None:
                    end = monotonic() + timeout
                code = errno.EBUSY
                while code == errno.EBUSY and self._sleep(end):
                    code = None
                    code = self._functions.trylock(self._address)
            if code == errno.EBUSY:
                return False
            if code == errno.EDEADLK:
                return self._acquire_again(block, timeout)
            if code == errno.EOWNERDEAD:
                self._functions.consistent(self._address)
            elif code:
                raise OSError(code, os.strerror(code))
            _held.add(self)
            self._owner = get_native_id()
            self._depth = 1
            self._holder[0] = os.getpid()
            if code == errno.EOWNERDEAD:
                _warn()
        except BaseException:
            if not was_mine:
                if code in (None, errno.EOWNERDEAD):
                    self._functions.consistent(self._address)
                self._give_back()
            raise
        return True

    def _sleep(self, end: float | None) -> bool:
        """Wait for a while, or until somebody gives it back; False when the time has passed."""
        pause = SLEEP_SECONDS if end is None else min(SLEEP_SECONDS, end - monotonic())
        if pause <= 0:
            return False
        self._changed.acquire(True, pause)
        return True

    def _acquire_again(self, block: bool, timeout: float | None) -> bool:
        if self.kind == RECURSIVE:
            self._depth += 1
            return True
        if not block:
            return False
        timeout = checked_timeout(timeout)
        if timeout is None:
            raise MisuseError("the lock is held by the very thread that would wait for it")
        end = monotonic() + timeout
        while self._sleep(end):
            pass
        return False

    def release(self) -> None:
        """Release it, once.

        :raises MisuseError: (an AssertionError) when this thread does not hold it
        """
        if self._owner != get_native_id():
            raise MisuseError("a robust lock is released only by the thread that holds it")
        if self._depth > 1:
            self._depth -= 1
        elif self._give_back():
            raise MisuseError("a robust lock is released only by the thread that holds it")

    def _give_back(self) -> int:
        """Unlock the mutex if this thread has it; otherwise an error number, and no effect."""
        if self._owner == get_native_id():
            self._owner = 0
            self._depth = 0
            self._holder[0] = 0
        code = self._functions.unlock(self._address)
        if not code:
            _held.discard(self)
            if self._changed._is_zero():
                self._changed.release()
        return code

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._depth

    def _is_mine(self) -> bool:
        return self._depth > 0 and self._owner == get_native_id()

    def _get_value(self) -> int:
        return int(not self._holder[0])

    def _is_zero(self) -> bool:
        return self._holder[0] != 0


# Those that threads of this process hold: a mutex that is locked must stay where it is.
_held: set[RobustMutex] = set()


def _after_fork_in_child() -> None:
    for mutex in _held:
        mutex._owner = mutex._depth = 0
    _held.clear()


class _Hook:
    installed = False


def new_robust(kind: int) -> SemaphoreLike:
    """A robust lock that nobody holds; RECURSIVE or not.

    :raises MemoryError: when there is no room for it
    """
    functions = pthreads()
    block = allocate(MUTEX_BYTES + SEMAPHORE_BYTES)
    if functions is None or not AVAILABLE:
        return _at(block, kind, FileMutex.create())
    functions.init_mutex(block.address)
    functions.init_semaphore(block.address + MUTEX_BYTES, 0)
    return _at(block, kind, None)


def _at(block: Block, kind: int, file: FileMutex | None) -> RobustMutex:
    if not _Hook.installed:
        _lifecycle.on_fork_in_child(_after_fork_in_child)
        _Hook.installed = True
    functions = file or pthreads()
    assert functions is not None
    return RobustMutex(functions, block, kind)


def _reduce(mutex: RobustMutex) -> tuple[Any, ...]:
    one_for(mutex.block, lambda: mutex)
    functions = mutex._functions
    file = functions if isinstance(functions, FileMutex) else None
    return _attach, (mutex.block, mutex.kind, file)


def _attach(block: Block, kind: int, file: FileMutex | None) -> Any:
    return one_for(block, lambda: _at(block, kind, file))


def _warn() -> None:
    import warnings

    warnings.warn(
        OwnerDiedWarning(
            "a lock was taken over from a process or thread that ended while it held it; what it "
            "guards may be half changed"
        ),
        stacklevel=3,
    )


register_reducer(RobustMutex, _reduce)
