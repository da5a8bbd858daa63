"""Owns making the tests' process the one that orphaned grandchildren are handed to (Linux).

Then they stay descendants, so that neither the leak check nor the watchdog loses sight of them.
"""

from __future__ import annotations

import ctypes
import os
import sys

from processing_testkit._procfs import ProcessInfo

__all__ = ["adopt_orphans", "reap"]

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans(adopt: bool) -> None:
    """Become the reaper of orphaned descendants, or stop being it."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap(process: ProcessInfo) -> None:
    """Collect a zombie that is a child of this process."""
    if sys.platform != "win32" and process.ppid == os.getpid():
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            return  # somebody else was faster
