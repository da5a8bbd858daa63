"""Owns waiting for one descriptor, by poll(2); on Windows for one handle, or one socket."""

from __future__ import annotations

import select
import sys

from processing_core._clock import Deadline

__all__ = ["wait_for", "wait_for_socket"]

# Ctrl-C does not end a select on Windows, so it is done in steps of so many seconds.
STEP_SECONDS = 0.1

if sys.platform == "win32":
    from processing_core._platform.windows_handles import wait_for

    def wait_for_socket(
        descriptor: int, timeout: float | None = None, *, writable: bool = False
    ) -> bool:
        """Wait until a socket is readable (or writable); False when ``timeout`` ran out."""
        deadline = Deadline(timeout)
        readers, writers = ([], [descriptor]) if writable else ([descriptor], [])
        while True:
            left = deadline.seconds()
            step = STEP_SECONDS if left is None else min(left, STEP_SECONDS)
            if any(select.select(readers, writers, writers, step)):
                return True
            if deadline.passed:
                return False

else:

    def wait_for(descriptor: int, timeout: float | None = None, *, writable: bool = False) -> bool:
        """Wait until a descriptor is readable (or writable) or hangs up.

        ``timeout`` in seconds, None without limit; False when it ran out. Signal handlers run
        meanwhile, and what they raise ends the wait.
        """
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT if writable else select.POLLIN)
        deadline = Deadline(timeout)
        while not poller.poll(deadline.poll_milliseconds()):
            if deadline.passed:
                return False
        return True

    wait_for_socket = wait_for
