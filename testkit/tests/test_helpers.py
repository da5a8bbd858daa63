"""The helpers for tests do what their names say, and clean up when it goes wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from processing_testkit import (
    busy_cores,
    process_tree,
    run_python,
    run_script,
    start_methods,
    start_python,
    wait_until,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_run_script_gives_output_and_exit_code() -> None:
    result = run_script(
        """
        import sys
        print(sys.argv[1:], __name__, __file__.endswith("program.py"))
        print("trouble", file=sys.stderr)
        sys.exit(3)
        """,
        "one",
        "two",
    )
    assert result.returncode == 3
    assert result.stdout == "['one', 'two'] __main__ True\n"
    assert result.stderr == "trouble\n"
    assert result.survivors == ()
    with pytest.raises(AssertionError, match="exit code 3"):
        result.check()


def test_run_script_sets_the_start_method() -> None:
    program = "import os; print(os.environ.get('PROCESSING_START_METHOD'))"
    assert run_script(program).check().stdout == "None\n"
    assert run_script(program, method="spawn").check().stdout == "spawn\n"


def test_run_python_feeds_stdin(tmp_path: Path) -> None:
    result = run_python(["-"], stdin="import os; print(os.getcwd())", cwd=tmp_path).check()
    assert result.stdout == f"{tmp_path}\n"


@linux_only
def test_run_script_reports_and_kills_survivors() -> None:
    result = run_script("import os, time; os.fork() or time.sleep(1000)")
    (survivor,) = result.survivors
    assert not process_is_running(survivor.pid)
    with pytest.raises(AssertionError, match=str(survivor.pid)):
        result.check()


@linux_only
def test_run_script_in_vain_shows_where_it_hangs() -> None:
    program = """
        import os, time
        def hang_in_child():
            time.sleep(1000)
        if os.fork() == 0:
            hang_in_child()
        os.wait()
        """
    with pytest.raises(AssertionError, match="in hang_in_child") as info:
        run_script(program, timeout=1.0)
    assert "not done after 1.0 s" in str(info.value)


@linux_only
def test_start_python_talks_and_kills() -> None:
    with start_python(["-c", "print(input(), flush=True); input()"]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("hello\n")
        process.stdin.flush()
        assert process.stdout.readline() == "hello\n"
    assert process.returncode == -9


@linux_only
def test_busy_cores_burn_and_stop() -> None:
    def ticks(pid: int) -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])

    with busy_cores(1) as pids:
        wait_until(lambda: ticks(pids[0]) >= 5)
        assert [info.pid for info in process_tree(os.getpid()) if info.pid in pids] == pids
    assert not process_is_running(pids[0])


def test_wait_until_gives_up() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: never"):
        wait_until(lambda: False, 0.05, "never")


def test_start_methods_can_be_restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROCESSING_TEST_START_METHODS", raising=False)
    assert "spawn" in start_methods()
    monkeypatch.setenv("PROCESSING_TEST_START_METHODS", "spawn")
    assert start_methods() == ["spawn"]
    monkeypatch.setenv("PROCESSING_TEST_START_METHODS", "sprawn")
    with pytest.raises(ValueError, match="sprawn"):
        start_methods()


def test_the_load_of_a_run_is_no_leak(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest_subprocess("--busy-cores=1").assert_outcomes(passed=1)


def process_is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
