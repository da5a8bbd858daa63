"""Owns ``Pipe``: two connected ends of the kind that the platform does best."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_core._connection.base import Connection

if sys.platform == "linux":
    from processing_core._connection.packet import packet_pipe as platform_pipe
elif sys.platform == "win32":
    from processing_core._connection.windows import windows_pipe as platform_pipe
else:
    from processing_core._connection.stream import stream_pipe as platform_pipe

__all__ = ["Pipe"]


def Pipe(duplex: bool = True) -> tuple[Connection[Any, Any], Connection[Any, Any]]:  # noqa: N802
    """A pair of connected connections ``(conn1, conn2)``.

    With ``duplex`` both ends send and receive; without, ``conn1`` only receives and ``conn2`` only
    sends. Both can be passed to children and, on POSIX, sent through connections.

    :raises OSError: when the process or the system has no descriptors left
    """
    return platform_pipe(bool(duplex))
