"""Owns anonymous files in memory: what the kernel frees with the last descriptor or mapping."""

from __future__ import annotations

import errno
import os
import sys

assert sys.platform != "win32"

__all__ = ["anonymous_file", "write_all"]

# writev(2) takes at most this many pieces a call (IOV_MAX on every system we know of).
MOST_PIECES = 1024

_UNSUPPORTED = (errno.ENOSYS, errno.EPERM, errno.EINVAL)
_NO_ROOM = (errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def anonymous_file(name: str) -> int:
    """A new, empty file without a name, in memory where the system can.

    :raises MemoryError: when there is no room for it
    """
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        try:
            return os.memfd_create(f"processing-{name}", os.MFD_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError("no room for an anonymous file") from error
            if error.errno not in _UNSUPPORTED:
                raise
    import tempfile  # dear to import, and hardly ever needed

    with tempfile.TemporaryFile(prefix=f"processing-{name}-") as file:
        return os.dup(file.fileno())


def write_all(descriptor: int, pieces: list[memoryview], offset: int) -> int:
    """Write the pieces one after the other from ``offset``; returns where they end.

    The kernel copies them straight into the file: too little room is an error here, never a
    SIGBUS later as with stores into a mapping of a file that has holes.

    :raises MemoryError: when there is no room for them
    """
    todo = [piece for piece in pieces if len(piece)]
    while todo:
        try:
            if hasattr(os, "pwritev"):
                done = os.pwritev(descriptor, todo[:MOST_PIECES], offset)
            else:
                done = os.pwrite(descriptor, todo[0], offset)  # macOS before 11
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise MemoryError(f"no room for a message: {error.strerror}") from error
            raise
        offset += done
        whole = 0
        while whole < len(todo) and done >= len(todo[whole]):
            done -= len(todo[whole])
            whole += 1
        del todo[:whole]
        if done:
            todo[0] = todo[0][done:]
    return offset
