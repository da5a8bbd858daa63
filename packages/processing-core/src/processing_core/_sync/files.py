"""Owns the mutexes for where there are no robust ones: record locks, which end with their process.

A mutex is a small file without a name. Between processes it is a record lock on it; between the
threads of a process a lock of theirs. A word in shared memory says which process holds it: who gets
it and finds a number there takes over from one that died. The functions are those of ``Pthreads``.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time

assert sys.platform != "win32"

import fcntl

from processing_core._platform.anonymous import anonymous_file
from processing_core._serialize.packer import Packer, register_carrier
from processing_core._serialize.transfer import take_descriptor
from processing_core._sync.semaphores import one_for_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FileMutex", "PolledChange"]

LOOK_SECONDS = 0.002


class FileMutex:
    """A mutex on a file; ``word`` must be given before it is used."""

    __slots__ = ("__weakref__", "_holder", "_pid", "_spare", "_thread", "descriptor", "word")

    word: memoryview

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._spare: list[int] = []
        self._begin()

    @classmethod
    def create(cls) -> FileMutex:
        return cls(anonymous_file("lock"))

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._thread = threading.Lock()
        self._holder = 0

    def trylock(self, _address: int) -> int:
        """Take it if it is free; returns an error number as pthreads do."""
        if self._pid != os.getpid():
            self._begin()  # this is a fork: the parent's locks are not the child's
        if self._holder == threading.get_ident():
            return errno.EDEADLK
        if not self._thread.acquire(blocking=False):
            return errno.EBUSY
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except OSError as error:
            self._thread.release()
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return errno.EBUSY
            raise
        self._holder = threading.get_ident()
        before, self.word[0] = self.word[0], os.getpid()
        return errno.EOWNERDEAD if before else 0

    def timedlock(self, address: int, seconds: float) -> int:
        """Take it, waiting for so long at most."""
        end = time.monotonic() + seconds
        while (code := self.trylock(address)) == errno.EBUSY:
            if time.monotonic() >= end:
                return errno.ETIMEDOUT
            time.sleep(LOOK_SECONDS)
        return code

    def consistent(self, _address: int) -> int:
        return 0

    def unlock(self, _address: int) -> int:
        """Give it back; EPERM when this thread does not hold it."""
        if not self.is_mine():
            return errno.EPERM
        self.word[0] = 0
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1)
        while self._spare:
            os.close(self._spare.pop())
        self._holder = 0
        self._thread.release()
        return 0

    def is_mine(self) -> bool:
        """Whether this thread holds it."""
        return self._pid == os.getpid() and self._holder == threading.get_ident()

    def keep(self, descriptor: int) -> None:
        """Close another descriptor of the file when nobody here holds the mutex: closing any one
        of them ends the process's record locks.
        """
        self._spare.append(descriptor)

    def __del__(self) -> None:
        for descriptor in (self.descriptor, *self._spare):
            os.close(descriptor)


class PolledChange:
    """What stands for the semaphore of a robust lock: who waits looks by itself."""

    __slots__ = ()

    def acquire(self, _block: bool, timeout: float) -> bool:
        time.sleep(min(timeout, LOOK_SECONDS))
        return False

    def release(self) -> None:
        """No effect."""

    def _is_zero(self) -> bool:
        return False


def _key(descriptor: int) -> object:
    status = os.fstat(descriptor)
    return FileMutex, status.st_dev, status.st_ino


def _reduce(mutex: FileMutex, packer: Packer) -> tuple[Any, ...]:
    one_for_key(_key(mutex.descriptor), lambda: mutex)
    return _rebuild, (packer.attach(mutex.descriptor),)


def _rebuild(index: int) -> Any:
    descriptor = take_descriptor(index)
    mutex = one_for_key(_key(descriptor), lambda: FileMutex(descriptor))
    if mutex.descriptor != descriptor:
        mutex.keep(descriptor)
    return mutex


register_carrier(FileMutex, _reduce)
