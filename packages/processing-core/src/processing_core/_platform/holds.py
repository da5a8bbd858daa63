"""Owns holds: how the kernel keeps account of who still uses a part of a shared file.

A hold is a read lock on a byte of the file, of the kind that belongs to an open file description
(fcntl(2), F_OFD_SETLK). It travels with a descriptor, through a fork and through sockets, and ends
with the last copy of that descriptor, however its process ends. So whoever owns a part need not be
told that its users are gone: it asks the kernel. The locks exclude nobody from anything.

Each process needs an open file description of its own, which Linux gives through /proc. Where that
is not to be had, ``reopen`` is None and nobody can tell: parts that others may use are then kept
until the file goes.
"""

from __future__ import annotations

import os
import struct
import sys

assert sys.platform != "win32"

import fcntl

__all__ = ["hold", "is_held_by_others", "let_go", "reopen"]

# struct flock of fcntl(2) on 64-bit and 32-bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi")
# Locks are about bytes of their own, so a length of 1 is enough for a part; 0 means to the end.
_SUPPORTED = sys.platform == "linux" and struct.calcsize("P") == 8


def reopen(descriptor: int) -> int | None:
    """A descriptor of the same file with locks of its own; None where that cannot be had."""
    if not _SUPPORTED:
        return None
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return None  # /proc is not there, or not ours to use


def hold(descriptor: int, start: int, length: int = 1) -> None:
    """Take a hold that lasts as long as a copy of this descriptor is open; 0: to the end."""
    _set(descriptor, fcntl.F_RDLCK, start, length)


def let_go(descriptor: int, start: int, length: int = 1) -> None:
    """End a hold before that."""
    _set(descriptor, fcntl.F_UNLCK, start, length)


def _set(descriptor: int, kind: int, start: int, length: int) -> None:
    if sys.platform == "linux":
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))


def is_held_by_others(descriptor: int, start: int, length: int = 1) -> bool:
    """Whether there is a hold that was not taken through this descriptor's description."""
    if sys.platform == "linux":
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    else:
        return True
