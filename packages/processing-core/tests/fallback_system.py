"""What makes Linux look like a system that has less, as macOS has. No pytest in here.

``sitecustomize`` of the programs that test_fallbacks runs calls ``take_away``, so that every
interpreter of such a program, its spawned children and its fork server too, is without these things
from its very start.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from typing import Any

assert sys.platform != "win32", "for what POSIX has"

SITECUSTOMIZE = "import fallback_system; fallback_system.take_away()"


def take_away() -> None:
    """Take away pidfd, memfd, signals on a hang-up, packet sockets, close-on-exec on receipt."""
    setattr(os, "pidfd_open", _missing)  # noqa: B010 - mypy forbids the plain assignment
    setattr(os, "memfd_create", _missing)  # noqa: B010
    setattr(fcntl, "fcntl", _fcntl_without_signal)  # noqa: B010
    from processing_core._connection import pipe, stream
    from processing_core._platform import rights
    from processing_core._start import forkserver, spawn

    setattr(pipe, "platform_pipe", stream.stream_pipe)  # noqa: B010
    setattr(rights, "CLOSES_ON_EXEC", False)  # noqa: B010
    setattr(forkserver, "SENT_IS_KEPT", False)  # noqa: B010
    setattr(spawn, "SELF_DUPLICATION", False)  # noqa: B010


def _missing(*_args: object, **_kwargs: object) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


_fcntl = fcntl.fcntl


def _fcntl_without_signal(descriptor: Any, command: int, argument: Any = 0) -> Any:
    if command == getattr(fcntl, "F_SETSIG", None):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return _fcntl(descriptor, command, argument)
