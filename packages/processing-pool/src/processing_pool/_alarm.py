"""Owns how the thread of a pool is woken while it waits for descriptors: a pipe to itself."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

assert sys.platform != "win32"

__all__ = ["Alarm"]


class Alarm:
    """Rung by any thread, and silenced by the one that was woken."""

    def __init__(self) -> None:
        self.descriptor, self._writer = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._writer, False)
        # While it is held, the writer stays.
        self._ringing = threading.Lock()

    def ring(self) -> None:
        """Make the descriptor readable; after ``close`` nothing happens."""
        with self._ringing:
            if self._writer >= 0:
                with contextlib.suppress(BlockingIOError):  # there is enough in it
                    os.write(self._writer, b"!")

    def silence(self) -> None:
        """Make the descriptor unreadable."""
        os.read(self.descriptor, 4096)

    def close(self) -> None:
        """Give the descriptors up."""
        with self._ringing:
            writer, self._writer = self._writer, -1
            os.close(writer)
        os.close(self.descriptor)
