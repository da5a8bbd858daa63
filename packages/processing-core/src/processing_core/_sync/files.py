"""Owns the mutexes of robust locks and guards for where there are no robust ones: each is a small
file without a name, which is sent with what it belongs to.
"""

from __future__ import annotations

import os
import sys
import time

assert sys.platform != "win32"

from processing_core._platform.anonymous import anonymous_file
from processing_core._platform.record_locks import RecordLock
from processing_core._serialize.packer import Packer, register_carrier
from processing_core._serialize.transfer import take_descriptor
from processing_core._sync.semaphores import one_for_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FileMutex", "PolledChange"]

LOOK_SECONDS = 0.002


class FileMutex(RecordLock):
    """A mutex on a file of its own."""

    __slots__ = ("__weakref__", "_spare")

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._spare: list[int] = []

    @classmethod
    def create(cls) -> FileMutex:
        """A mutex that nobody holds."""
        return cls(anonymous_file("lock"))

    def unlock(self, address: object) -> int:
        if self.is_mine():
            while self._spare:
                os.close(self._spare.pop())
        return super().unlock(address)

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
