"""Owns guards: short locks of a room, for what happens there under no lock of the user's.

The mutex is robust: the kernel gives it on when its holder is killed. What that may have left half
done is told by a word in the room, which whoever gets the guard looks at first. A signal handler
may use an object in the middle of an operation of its thread on the same object; it then finds the
guard taken by itself, and every operation allows for that.
"""

from __future__ import annotations

import errno
import os
import sys
from functools import partial
from time import monotonic

assert sys.platform != "win32"

from processing_core._platform.pthreads import Pthreads
from processing_core._sync.files import FileMutex
from processing_core._sync.waiters import NESTED, TooLateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Guard"]

# How often to try for a mutex that is taken before sleeping for it: operations take microseconds.
TRIALS = 40
# The longest sleep for a mutex before signal handlers may run: its holder may be stopped.
SLEEP_SECONDS = 0.05


class Guard:
    """The mutex at an address, used thus::

        code = -1
        try:
            code = guard.lock()
            ...
        finally:
            if code != NESTED:
                guard.unlock()

    so that a signal handler may raise anywhere: unlocking what one has not locked does no harm.
    """

    __slots__ = ("_address", "_functions", "_trylock", "unlock")

    def __init__(self, functions: Pthreads | FileMutex, address: int) -> None:
        self._functions = functions
        self._address = address
        self._trylock = functions.trylock
        # Gives it back; no effect when this thread does not have it. It is called in C: at the
        # beginning of a function in Python a signal handler might run, and raise.
        self.unlock: Callable[[], object] = partial(functions.unlock, address)

    def lock(self, end: float | None = None) -> int:
        """Take it; returns 0, or NESTED.

        :raises TooLateError: when it cannot be had before ``end`` (time.monotonic())
        """
        try:
            code = self._trylock(self._address)
            trials = TRIALS
            while code in (errno.EBUSY, errno.ETIMEDOUT):
                if trials:
                    trials -= 1
                    code = self._trylock(self._address)
                    continue
                pause = SLEEP_SECONDS if end is None else min(SLEEP_SECONDS, end - monotonic())
                if pause <= 0:
                    raise TooLateError
                code = self._functions.timedlock(self._address, pause)
            if code == errno.EOWNERDEAD:
                self._functions.consistent(self._address)
                code = 0
        except TooLateError:
            raise
        except BaseException:
            # It must not be unlocked before: nobody could lock it any more.
            self._functions.consistent(self._address)
            raise
        if code not in (0, NESTED):
            raise OSError(code, os.strerror(code))
        return code
