"""Owns waiting for one descriptor, by poll(2); on Windows for one handle."""

from __future__ import annotations

import select
import sys

from processing_core._clock import Deadline

__all__ = ["wait_for"]

if sys.platform == "win32":
    from processing_core._platform.windows_handles import wait_for
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
