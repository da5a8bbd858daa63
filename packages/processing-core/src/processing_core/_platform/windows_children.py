"""Owns the handles of started children on Windows: waiting, ending, exit codes; thread-safe."""

from __future__ import annotations

import sys
import threading

assert sys.platform == "win32"

from processing_core._platform import winapi
from processing_core._platform.windows_handles import is_signalled, wait_for
from processing_core.errors import ClosedError

__all__ = ["WindowsChild", "exit_code_of_signal"]

# Windows has no signals that end a process. Ending one with this plus a signal's number as its exit
# code stands for that; of SIGTERM the standard library's documents say that it reads as -SIGTERM.
ENDED_BY_SIGNAL = 0x10000
MOST_SIGNALS = 64


def exit_code_of_signal(signum: int) -> int:
    """The exit code that stands for the end by a signal."""
    return ENDED_BY_SIGNAL + signum


def _as_documented(code: int) -> int:
    """The exit code as ``Process.exitcode`` tells it."""
    if ENDED_BY_SIGNAL < code < ENDED_BY_SIGNAL + MOST_SIGNALS:
        return ENDED_BY_SIGNAL - code
    return code


class WindowsChild:
    """A child by its process handle, which keeps its pid from being given to another process.

    ``kept`` are handles that must stay open while the child may ask for them, and are closed with
    the child's end.
    """

    __slots__ = ("_code", "_handle", "_kept", "_lock", "pid")

    def __init__(self, pid: int, handle: int, *kept: int) -> None:
        self.pid = pid
        self._handle: int | None = handle
        self._kept = list(kept)
        self._code: int | None = None
        self._lock = threading.Lock()

    @property
    def handle(self) -> int:
        """The process handle. :raises ClosedError: when it was given back"""
        if self._handle is None:
            raise ClosedError(f"the handle of process {self.pid} is closed")
        return self._handle

    @property
    def sentinel(self) -> int:
        """Signalled when the child has ended."""
        return self.handle

    def poll(self) -> int | None:
        """The exit code, None while the child runs."""
        with self._lock:
            return self._look()

    def _look(self) -> int | None:
        """Ask the system, with the lock held."""
        # The code alone does not tell: 259 (STILL_ACTIVE) may be a process's own.
        if self._code is None and is_signalled(self.handle):
            self._code = _as_documented(winapi.GetExitCodeProcess(self.handle))
            self._close_kept()
        return self._code

    def wait(self, timeout: float | None) -> int | None:
        """As poll, after waiting for at most ``timeout`` seconds."""
        if self._code is None and not wait_for(self.handle, timeout):
            return None
        return self.poll()

    def send_signal(self, signum: int) -> None:
        """End the child at once, whatever the signal; it cannot handle it or clean up."""
        with self._lock:
            if self._look() is not None:
                return
            try:
                winapi.TerminateProcess(self.handle, exit_code_of_signal(signum))
            except PermissionError:
                # Refused also while the process is ending already.
                if not wait_for(self.handle, 1.0):
                    raise

    def close(self) -> None:
        """Give the handles back. An exit code that is known can still be told."""
        with self._lock:
            self._close_kept()
            handle, self._handle = self._handle, None
            if handle is not None:
                winapi.CloseHandle(handle)

    def _close_kept(self) -> None:
        while self._kept:
            winapi.CloseHandle(self._kept.pop())

    def __del__(self) -> None:
        # Nobody calls close() on a process that has simply ended; handles must not pile up.
        if self._code is not None:
            self.close()
