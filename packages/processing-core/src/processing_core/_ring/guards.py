"""Owns guards: the robust mutexes of a channel, and how one is taken.

A guard is taken within the try whose finally gives it back, since giving back what one does not
hold does no harm; so a signal handler may raise at any point in between.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import weakref
from operator import methodcaller

assert sys.platform != "win32"

from processing_core._platform.pthreads import HOLDER_MASK, Pthreads
from processing_core._platform.record_locks import RecordLock
from processing_core.errors import MisuseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable
    from typing import Any, TypeVar

    ResultT = TypeVar("ResultT")

__all__ = ["DEADLOCK", "Guard", "TooLateError", "soon"]

DEADLOCK = errno.EDEADLK
# How often to try for a mutex that is taken before sleeping for it, since operations take
# microseconds: first at once, then letting its holder run if that was waiting for a processor.
TRIALS = 10
YIELDS = 100
# The longest sleep for a mutex before signal handlers may run: its holder may be stopped.
SLEEP_SECONDS = 0.05
# How long who tidies up waits for a guard (seconds).
TIDY_SECONDS = 0.05


# What a guard does with a RecordLock, which is its own key.
_TRYLOCK, _UNLOCK = methodcaller("trylock", None), methodcaller("unlock", None)


class TooLateError(Exception):
    """A guard could not be had in time, because its holder is stopped."""


def soon() -> float:
    """Until when a guard is waited for in order to do what can also be done another time."""
    return time.monotonic() + TIDY_SECONDS


class Guard:
    """A mutex at ``address``; ``recover`` is called with it held when its holder was killed.

    It is a method of who has the guard, and refers to that weakly. ``key`` is what ``trylock`` and
    ``unlock`` take.

    The hot path calls ``trylock`` and ``unlock`` by itself, as ``run`` does it.
    """

    __slots__ = (
        "_functions",
        "_memory",
        "_offset",
        "_recover",
        "address",
        "key",
        "trylock",
        "unlock",
    )

    def __init__(
        self,
        functions: Pthreads | RecordLock,
        memory: mmap.mmap,
        address: int,
        offset: int,
        recover: Callable[[], None],
    ) -> None:
        self._functions = functions
        self._memory, self._offset = memory, offset
        self.address = address
        self.key: object
        self.trylock: Callable[[Any], int]
        self.unlock: Callable[[Any], int]
        if isinstance(functions, RecordLock):
            self.key, self.trylock, self.unlock = functions, _TRYLOCK, _UNLOCK
        else:
            self.key = functions.reference(memory, offset)
            self.trylock, self.unlock = functions.trylock_by, functions.unlock_by
        self._recover = weakref.WeakMethod(recover)

    @property
    def holder(self) -> int:
        """The thread that holds it, gettid(2); 0 without one, or where nobody can tell."""
        if isinstance(self._functions, RecordLock):
            return 0
        word = self._memory[self._offset : self._offset + 4]
        return int.from_bytes(word, sys.byteorder) & HOLDER_MASK

    def lock_after(self, code: int, limit: float | None = None) -> int:
        """Take the mutex after a first attempt has returned ``code``; returns 0.

        :raises MisuseError: when this very thread holds it: something interrupted an operation
        :raises TooLateError: when it cannot be had before ``limit`` (time.monotonic())
        """
        trials = TRIALS + YIELDS
        while code in (errno.EBUSY, errno.ETIMEDOUT):
            if trials:
                trials -= 1
                if trials < YIELDS:
                    os.sched_yield()
                code = self.trylock(self.key)
                continue
            wait = SLEEP_SECONDS
            if limit is not None:
                wait = min(wait, limit - time.monotonic())
                if wait <= 0:
                    raise TooLateError
            code = self._functions.timedlock(self.address, wait)
        if code == errno.EOWNERDEAD:
            self._functions.consistent(self.address)
            recover = self._recover()
            if recover is not None:
                recover()
        elif code == DEADLOCK:
            raise MisuseError(
                "a signal handler or a finalizer uses a queue while it interrupts an operation of "
                "the same thread on it"
            )
        elif code:
            raise OSError(code, os.strerror(code))
        return 0

    def run(self, function: Callable[[], ResultT], limit: float | None = None) -> ResultT:
        """Call a function with the mutex held. See lock_after."""
        code = 0
        try:
            code = self.trylock(self.key)
            if code:
                code = self.lock_after(code, limit)
            return function()
        finally:
            if code != DEADLOCK:
                self.unlock(self.key)
