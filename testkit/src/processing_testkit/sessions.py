"""Owns sessions at the prompt of an interpreter, which has a terminal of its own. POSIX only."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence

from processing_testkit.scripts import environment, kill_session, settled_survivors

__all__ = ["run_session"]

PROMPTS = (">>> ", "... ")
# Wide enough for any line, so that nothing is wrapped or scrolled.
ROWS, COLUMNS = 50, 500
END_OF_FILE = "\x04"


def run_session(
    lines: Sequence[str],
    *,
    method: str | None = None,
    timeout: float = 30.0,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> str:
    """Type lines at the prompt of a fresh interpreter; returns what its terminal shows.

    Each line is typed when the prompt is there. What comes back begins with the first prompt and
    ends before the last, behind which the session is ended. ``method`` becomes
    PROCESSING_START_METHOD, ``options`` are the interpreter's own.

    :raises AssertionError: when time is up, when the exit code is not 0, or when a process stays
    """
    end = time.monotonic() + timeout
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="session-"))
        ours, theirs = pty.openpty()
        stack.callback(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        # No colours, no editing of several lines at once, and no history in the user's own folder.
        plain = {"TERM": "dumb", "PYTHON_BASIC_REPL": "1", "NO_COLOR": "1", "HOME": home}
        process = subprocess.Popen(
            [sys.executable, "-q", *options],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(method, {**plain, **(env or {})}),
            start_new_session=True,
        )
        os.close(theirs)
        try:
            shown = ""
            for line in lines:
                shown = _read_to_prompt(ours, shown, end)
                os.write(ours, f"{line}\n".encode())
            shown = _read_to_prompt(ours, shown, end)
            os.write(ours, END_OF_FILE.encode())
            process.wait(max(0.0, end - time.monotonic()))
            survivors = settled_survivors(process.pid)
        finally:
            kill_session(process)
        assert process.returncode == 0, f"exit code {process.returncode} after\n{shown}"
        assert not survivors, f"{survivors} outlive\n{shown}"
        return shown.removesuffix(PROMPTS[0])


def _read_to_prompt(terminal: int, before: str, end: float) -> str:
    """Return what has been shown, when something new has been and the last of it is a prompt."""
    text = before
    while text == before or not text.endswith(tuple(f"\n{prompt}" for prompt in PROMPTS)):
        if text in PROMPTS and text != before:
            break
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"no prompt in time; the session so far:\n{text}"
        try:
            data = os.read(terminal, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # what Linux says when nobody has the other side
                raise
            data = b""
        assert data, f"the interpreter has ended:\n{text}"
        text += data.decode(errors="replace").replace("\r\n", "\n")
    return text
