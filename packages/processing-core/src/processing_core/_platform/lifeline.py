"""Owns the lifeline: how a child learns, and may be made to die with it, that its parent is gone.

The parent holds the only write end of a pipe, the child the read end. However the parent dies, the
kernel closes its end and the read end hangs up. On Linux the child asks the kernel (fcntl(2):
O_ASYNC, F_SETSIG) to be sent SIGKILL at that moment: no thread, no polling, and unlike
PR_SET_PDEATHSIG (prctl(2)) it does not matter whether the thread that started the child lives on.
Other POSIX systems have no such signal: there a thread of the child waits for the hang-up.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from processing_core._platform.polling import wait_for

__all__ = ["GIVEN_UP", "arm", "given_up", "hung_up"]

# What a starter writes whose start() fails when there may be a child already: it shall not run.
GIVEN_UP = b"0"

if sys.platform == "win32":
    from processing_core._platform.windows_lifeline import arm, hung_up

    def given_up(lifeline: int) -> bool:  # noqa: ARG001 - only fork servers' children can be
        """Whether the start of this process has failed."""
        return False
else:
    import fcntl
    import select

    def hung_up(lifeline: int) -> bool:
        """Whether the parent is gone."""
        # Nothing is written to the lifeline of a process that runs: it is readable when hung up.
        poller = select.poll()
        poller.register(lifeline, select.POLLIN)
        return bool(poller.poll(0))

    def given_up(lifeline: int) -> bool:
        """Whether the start of this process has failed, in the eyes of who started it.

        That one being gone is something else: what it has started goes on.
        """
        return wait_for(lifeline, 0) and os.read(lifeline, 1) == GIVEN_UP

    def arm(lifeline: int) -> None:
        """From now on this process is killed as soon as its parent is gone, or is already."""
        if not _signal_on_hang_up(lifeline):
            threading.Thread(
                target=_watch, args=(lifeline,), name="processing-lifeline", daemon=True
            ).start()
        elif hung_up(lifeline):
            # It was gone before the signal was asked for.
            os.kill(os.getpid(), signal.SIGKILL)

    def _signal_on_hang_up(lifeline: int) -> bool:
        """Have the kernel send the signal; False where it cannot."""
        if sys.platform == "linux":
            try:
                fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
                fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
                flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
                fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
            except OSError:
                return False  # a kernel that only resembles Linux (a sandbox)
            return True
        else:
            return False

    def _watch(lifeline: int) -> None:
        wait_for(lifeline)
        os.kill(os.getpid(), signal.SIGKILL)
