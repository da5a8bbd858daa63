"""A test that exceeds its deadline is shown and ended, whatever it is stuck in."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from processing_testkit import wait_until

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

STUCK = {
    "a lock": "import threading; threading.Lock().acquire() and threading.Event().wait()",
    "C code with the interpreter's lock": (
        "import ctypes; mutex = ctypes.create_string_buffer(64)\n"
        "    for _ in range(2): ctypes.PyDLL(None).pthread_mutex_lock(mutex)"
    ),
    "a signal-proof loop": (
        "import signal\n"
        "    for number in set(signal.valid_signals()) - {9, 19}:\n"
        "        signal.signal(number, signal.SIG_IGN) if number not in (50, 6) else None\n"
        "    while True: pass"
    ),
}


def ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


@pytest.mark.parametrize("stuck", STUCK)
def test_a_stuck_test_is_shown_and_killed(pytester: pytest.Pytester, stuck: str) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.deadline(0.5)
        def test_stuck_here():
            print("said before")
            {STUCK[stuck].replace(chr(10), chr(10) + "        ")}
        """
    )
    result = pytester.runpytest_subprocess(timeout=30)
    assert result.ret == -signal.SIGKILL
    result.stderr.fnmatch_lines(
        [
            "*DEADLINE: *test_stuck_here took longer than 0.5 s*",
            "*most recent call first*",
            "* in test_stuck_here",
            "*said before*",
            "*The run is killed because of *test_stuck_here*",
        ]
    )


@pytest.mark.orphans
def test_children_are_shown_and_killed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        helper="""
        import os, sys, time
        def stuck_grandchild():
            with open("grandchild", "w") as file:
                file.write(str(os.getpid()))
            time.sleep(1000)
        if __name__ == "__main__":
            if os.fork() == 0:
                stuck_grandchild()
            os.wait()
        """,
        test_it="""
        import os, pathlib, subprocess, sys, threading, time
        import pytest
        from processing_testkit import wait_until

        def stuck_fork():
            time.sleep(1000)

        @pytest.mark.deadline(3)
        def test_with_children():
            subprocess.Popen([sys.executable, "helper.py"])
            if os.fork() == 0:
                stuck_fork()
            # Killed in the middle: the grandchild is an orphan then, and must not get away.
            wait_until(lambda: pathlib.Path("grandchild").exists())
            threading.Event().wait()
        """,
    )
    result = pytester.runpytest_subprocess(timeout=30)
    assert result.ret == -signal.SIGKILL
    text = result.stderr.str()
    for name in ("in test_with_children", "in stuck_fork", "in stuck_grandchild"):
        assert name in text, text
    grandchild = int((pytester.path / "grandchild").read_text())
    wait_until(lambda: ended(grandchild))


def test_a_stuck_fixture_is_ended_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading, pytest
        @pytest.fixture
        def stuck():
            yield
            threading.Event().wait()
        def test_it(stuck):
            pass
        """
    )
    result = pytester.runpytest_subprocess("--deadline=0.5", timeout=30)
    assert result.ret == -signal.SIGKILL
    result.stderr.fnmatch_lines(["* in stuck"])


def test_tests_in_time_are_left_alone(pytester: pytest.Pytester) -> None:
    """Each test has the whole time; what one has used up is not taken from the next."""
    pytester.makepyfile(
        """
        import time, pytest
        @pytest.mark.parametrize("n", range(4))
        def test_it(n):
            time.sleep(0.4)
        """
    )
    pytester.runpytest_subprocess("--deadline=1", timeout=30).assert_outcomes(passed=4)


def test_the_watchdog_and_the_temp_folder_go_with_a_killed_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, tempfile
        def test_it(request):
            from processing_testkit.plugin import _run
            pathlib.Path("pid").write_text(str(request.config.stash[_run].deadline.pids[0]))
            pathlib.Path("folder").write_text(tempfile.gettempdir())
            os.kill(os.getpid(), 9)
        """
    )
    assert pytester.runpytest_subprocess(timeout=30).ret == -signal.SIGKILL
    watchdog = int((pytester.path / "pid").read_text())
    wait_until(lambda: ended(watchdog))
    folder = Path((pytester.path / "folder").read_text())
    wait_until(lambda: not folder.exists())
