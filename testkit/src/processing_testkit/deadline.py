"""Owns the hard deadline of tests, as the tests' process sees it: arming and disarming.

On Linux the watchdog process does the work (see watchdog.py). Elsewhere faulthandler's own timer
thread dumps the threads of this process and exits it. On Linux that thread would make every fork in
a test warn of threads.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from typing import Protocol

if sys.platform == "linux":
    from processing_testkit import watchdog

__all__ = ["Deadline", "make_deadline"]


class Deadline(Protocol):
    """One for a test run. The tests' process is killed unless disarm() follows arm() in time."""

    pids: list[int]

    def arm(self, seconds: float, name: str) -> None: ...

    def disarm(self) -> None: ...

    def close(self) -> None: ...


class TimerDeadline:
    """The deadline as a thread of this process."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        # A copy of the real stderr: pytest replaces descriptor 2 while it captures.
        self._stderr = os.fdopen(os.dup(2), "w")

    def arm(self, seconds: float, name: str) -> None:
        del name  # the traceback shows it
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._stderr)

    def disarm(self) -> None:
        faulthandler.cancel_dump_traceback_later()

    def close(self) -> None:
        self.disarm()
        self._stderr.close()


if sys.platform == "linux":

    class WatchdogDeadline:
        """The deadline as a process of its own."""

        def __init__(self, folder: str) -> None:
            self._stderr = os.fdopen(os.dup(2), "w")
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                bufsize=0,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the tests, not for the watchdog
            )
            self.pids = [self._process.pid]
            faulthandler.register(
                watchdog.DUMP_SIGNAL, file=self._stderr, all_threads=True, chain=False
            )

        def arm(self, seconds: float, name: str) -> None:
            self._command(f"arm {seconds} {name.encode('unicode_escape').decode('ascii')}\n")

        def disarm(self) -> None:
            self._command("disarm\n")

        def close(self) -> None:
            faulthandler.unregister(watchdog.DUMP_SIGNAL)
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._stderr.close()

        def _command(self, text: str) -> None:
            assert self._process.stdin is not None
            # Short enough for the pipe to take it in one piece; no watchdog: BrokenPipeError.
            self._process.stdin.write(text.encode("ascii"))


def make_deadline(folder: str) -> Deadline:
    """The best that the platform has. The folder is the run's own, removed when the run dies."""
    if sys.platform == "linux":
        return WatchdogDeadline(folder)
    else:
        return TimerDeadline()
