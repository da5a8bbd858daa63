"""Owns files in memory that several processes map, and that the kernel frees with the last of them.

A file may be far larger than the memory it takes: pages come when they are first written. Where a
file system limits its files, ``reserve`` makes sure of them before, because a store into a page
that cannot be had would kill the process (SIGBUS).
"""

from __future__ import annotations

import errno
import mmap
import os
import sys

assert sys.platform != "win32"

from processing_core._platform.anonymous import anonymous_file
from processing_core._platform.memory import available_bytes

__all__ = ["SharedFile"]

# Making sure that there is memory costs some system calls: for less it is taken for granted.
CHECKED_BYTES = 1 << 20
# What shall be left for everybody else.
SPARE_BYTES = 32 << 20

_NO_ROOM = (errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ZEROS = bytes(1 << 16)


class SharedFile:
    """A file and its mapping from the first byte to the last."""

    __slots__ = ("__weakref__", "_limited", "descriptor", "identity", "map", "size")

    def __init__(self, descriptor: int, size: int) -> None:
        """Map a file that others have made; owns the descriptor from then on.

        :raises MemoryError: when this process has no room for the mapping; the descriptor is closed
        """
        try:
            self.map: mmap.mmap = mmap.mmap(descriptor, size)
            status = os.fstat(descriptor)
            self._limited = os.fstatvfs(descriptor).f_blocks != 0
        except OSError as error:
            os.close(descriptor)
            if error.errno in _NO_ROOM:
                raise MemoryError(f"no room to map {size} bytes of shared memory") from error
            raise
        self.identity: tuple[int, int] = (status.st_dev, status.st_ino)
        self.descriptor: int = descriptor
        self.size: int = size

    @classmethod
    def create(cls, name: str, size: int, least: int) -> SharedFile:
        """A new file of ``size`` bytes; smaller, but not below ``least``, if that cannot be had.

        :raises MemoryError: when not even the least can be had
        """
        while True:
            descriptor = anonymous_file(name)
            try:
                os.ftruncate(descriptor, size)
            except OSError as error:
                os.close(descriptor)
                if error.errno not in _NO_ROOM:
                    raise
                failure: Exception = error
            else:
                try:
                    return cls(descriptor, size)
                except MemoryError as error:
                    failure = error
            if size <= least:
                raise MemoryError(f"no room for {size} bytes of shared memory") from failure
            size = max(least, size // 4)

    @property
    def used_bytes(self) -> int:
        """The memory that the file takes."""
        return os.fstat(self.descriptor).st_blocks * 512

    def reserve(self, offset: int, length: int) -> None:
        """Make sure that the pages can be written.

        :raises MemoryError: when there is no room for them
        """
        # A file system may grant more than there is memory.
        if length >= CHECKED_BYTES:
            available = available_bytes()
            if available is not None and length + SPARE_BYTES > available:
                raise MemoryError(
                    f"no room for {length} bytes more: {available} bytes are available"
                )
        if not self._limited:
            return
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.descriptor, offset, length)
            else:  # macOS: what is reserved is not in use yet
                for start in range(offset, offset + length, len(_ZEROS)):
                    part = min(len(_ZEROS), offset + length - start)
                    os.pwrite(self.descriptor, _ZEROS[:part], start)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise MemoryError(f"no room for {length} bytes more: {error.strerror}") from error
            raise

    def discard(self, offset: int, length: int) -> None:
        """Give pages back to the system, as far as it takes them; they read as zeros afterwards."""
        if sys.platform == "linux" and length > 0:
            try:
                self.map.madvise(mmap.MADV_REMOVE, offset, length)
            except OSError:
                return  # a file system that cannot have holes keeps them

    def close(self) -> None:
        """Close the descriptor; the mapping goes with the last view of it. May be called again."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            self.close()
