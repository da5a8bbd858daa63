"""Ctrl-C ends the census at once, with one line, and leaves no process, whenever it comes.

The signal is sent as a terminal sends it: to all processes of the group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import processing

if sys.platform == "win32":
    pytest.skip("there are no process groups and terminals of this kind", allow_module_level=True)

CENSUS = Path(__file__).parents[1] / "census.py"

every_start_method = pytest.mark.parametrize("method", processing.get_all_start_methods())


def session_members(session: int) -> set[int]:
    """The living processes of a session; zombies have ended."""
    members = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it may end while we look
                state, _, _, its_session = (
                    (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                )
                if int(its_session) == session and state != "Z":
                    members.add(int(entry.name))
    return members


def wait_until(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextlib.contextmanager
def no_survivors(session: int) -> Iterator[None]:
    """Nothing of that session is left after the block; what is left is killed, and an error."""
    try:
        yield
        wait_until(lambda: not session_members(session), timeout=5.0)
    finally:
        for pid in session_members(session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


@needs_proc
@every_start_method
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1, 0.5])
def test_interrupt_ends_it_with_one_line_and_no_survivors(method: str, delay: float) -> None:
    """An interrupt of the whole process group, `delay` after the first worker was born."""
    program = subprocess.Popen(
        [sys.executable, str(CENSUS), "--start-method", method, "--processes", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with program, no_survivors(program.pid):
        wait_until(lambda: len(session_members(program.pid)) > 1)
        time.sleep(delay)
        os.killpg(program.pid, signal.SIGINT)
        begin = time.monotonic()
        output, errors = program.communicate(timeout=10)
        assert time.monotonic() - begin < 2
        assert (program.returncode, errors, output) == (130, "census: interrupted\n", "")


@needs_proc
@every_start_method
def test_ctrl_c_at_a_terminal(method: str) -> None:
    import pty

    arguments = [sys.executable, str(CENSUS), "--start-method", method]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(arguments[0], arguments, {**os.environ, "TERM": "xterm"})
    with no_survivors(pid):
        shown = b""
        while b"%" not in shown:  # until the bar is there
            shown += os.read(terminal, 1000)
        time.sleep(0.3)
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # EIO is how a terminal ends
            while more := os.read(terminal, 1000):
                shown += more
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
        assert b"Traceback" not in shown
        assert shown.count(b"census: interrupted\r\n") == 1
        assert shown.endswith(b"census: interrupted\r\n")
