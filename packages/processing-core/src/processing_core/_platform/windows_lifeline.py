"""Owns the lifeline on Windows: a handle of the parent process, which is signalled when it ends.

Windows can end a group of processes with their creator (job objects), but Python gives no access to
that. So a child that is to die with its parent has a thread that waits for the handle and then ends
the process. A child whose other threads never let go of the interpreter dies late.
"""

from __future__ import annotations

import signal
import sys
import threading

assert sys.platform == "win32"

from processing_core._platform import winapi
from processing_core._platform.windows_children import exit_code_of_signal
from processing_core._platform.windows_handles import is_signalled

__all__ = ["arm", "hung_up"]


def hung_up(lifeline: int) -> bool:
    """Whether the parent is gone."""
    return is_signalled(lifeline)


def arm(lifeline: int) -> None:
    """From now on this process is ended as soon as its parent is gone, or is already."""
    threading.Thread(
        target=_watch, args=(lifeline,), name="processing-lifeline", daemon=True
    ).start()


def _watch(lifeline: int) -> None:
    winapi.WaitForSingleObject(lifeline, winapi.INFINITE)
    # Not os._exit, which waits for what the process's libraries do at its end.
    winapi.TerminateProcess(winapi.GetCurrentProcess(), exit_code_of_signal(signal.SIGTERM))
