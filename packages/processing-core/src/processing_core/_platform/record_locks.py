"""Owns mutexes for where there are no robust ones: record locks, which end with their process.

Between processes such a mutex is a record lock on a byte of a file (fcntl(2)), and between the
threads of a process a lock of theirs. A word in shared memory says which process holds it: whoever
gets it and finds a number there takes over from one that died.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time

assert sys.platform != "win32"

import fcntl

__all__ = ["RecordLock"]

# How often one who waits looks (seconds): nothing tells when a record lock has become free in time.
LOOK_SECONDS = 0.0005


class RecordLock:
    """A mutex on a byte of a file; ``word`` must be given before it is used.

    The functions are those of ``Pthreads``, and ignore the address.
    """

    __slots__ = ("_byte", "_holder", "_pid", "_thread", "descriptor", "word")

    word: memoryview

    def __init__(self, descriptor: int, byte: int = 0) -> None:
        self.descriptor = descriptor
        self._byte = byte
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._thread = threading.Lock()
        self._holder = 0

    def trylock(self, _address: object) -> int:
        """Take it if it is free; returns an error number as pthreads do."""
        if self._pid != os.getpid():
            self._begin()  # this is a fork: the parent's locks are not the child's
        if self._holder == threading.get_ident():
            return errno.EDEADLK
        if not self._thread.acquire(blocking=False):
            return errno.EBUSY
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._byte)
        except OSError as error:
            self._thread.release()
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return errno.EBUSY
            raise
        self._holder = threading.get_ident()
        before, self.word[0] = self.word[0], os.getpid()
        return errno.EOWNERDEAD if before else 0

    def timedlock(self, address: object, seconds: float) -> int:
        """Take it, waiting for so long at most."""
        end = time.monotonic() + seconds
        while (code := self.trylock(address)) == errno.EBUSY:
            if time.monotonic() >= end:
                return errno.ETIMEDOUT
            time.sleep(LOOK_SECONDS)
        return code

    def consistent(self, _address: object) -> int:
        """What a killed process left was put right."""
        return 0

    def unlock(self, _address: object) -> int:
        """Give it back; EPERM when this thread does not hold it."""
        if not self.is_mine():
            return errno.EPERM
        self.word[0] = 0
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, self._byte)
        self._holder = 0
        self._thread.release()
        return 0

    def is_mine(self) -> bool:
        """Whether this thread holds it."""
        return self._pid == os.getpid() and self._holder == threading.get_ident()
