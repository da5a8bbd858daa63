"""Frozen programs, whose executable is the program itself: here a script that runs the interpreter.

Programs that were really frozen are built and tested elsewhere.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the executable is a shell script", allow_module_level=True)

PROGRAM = """
import sys
sys.frozen = True
import processing_core

class Answer(str):
    pass

def work(connection):
    connection.send(Answer(sys.argv[1]))

if __name__ == "__main__":
    {support}
    processing_core.set_executable({executable!r})
    processing_core.set_start_method({method!r})
    ours, theirs = processing_core.Pipe()
    process = processing_core.Process(target=work, args=(theirs,))
    process.start()
    theirs.close()
    process.join()
    answer = ours.recv() if ours.poll() and process.exitcode == 0 else "nothing"
    print(process.exitcode, answer)
"""


def run_frozen(folder: Path, method: str, support: str) -> subprocess.CompletedProcess[str]:
    program, executable = folder / "program.py", folder / "program"
    text = PROGRAM.format(support=support, executable=str(executable), method=method)
    program.write_text(text, encoding="utf-8")
    executable.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n', encoding="utf-8"
    )
    executable.chmod(0o755)
    # In a session of its own, so that the leak check knows whose fork server it collects.
    return subprocess.run(
        [str(executable), "an argument"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        start_new_session=True,
    )


def test_a_frozen_program_starts_processes(tmp_path: Path, start_method: str) -> None:
    done = run_frozen(tmp_path, start_method, "processing_core.freeze_support()")
    assert done.stderr == ""
    assert done.stdout == "0 an argument\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_without_freeze_support_no_child_is_started(tmp_path: Path, method: str) -> None:
    """The program would run again from its beginning, and start a child, and so on."""
    done = run_frozen(tmp_path, method, "print('begins')")
    assert "StartError" in done.stderr
    assert "freeze_support()  # from processing" in done.stderr
    assert done.stderr.count("Traceback") == 1
    assert done.stdout == "begins\n"
    assert done.returncode == 1


def test_without_freeze_support_a_fork_works(tmp_path: Path) -> None:
    done = run_frozen(tmp_path, "fork", "pass")
    assert (done.stdout, done.stderr) == ("0 an argument\n", "")


def test_a_child_that_does_not_know_what_it_is_does_not_multiply(tmp_path: Path) -> None:
    """The call comes too late: the child starts a process before it."""
    support = "processing_core.Process().start() if len(sys.argv) > 2 else None\n    "
    done = run_frozen(tmp_path, "spawn", f"{support}processing_core.freeze_support()")
    assert "a process is started while this child still imports" in done.stderr
    assert done.stderr.count("Traceback") == 1
    assert done.stdout == "1 nothing\n"


def test_freeze_support_does_nothing_otherwise() -> None:
    code = "import processing_core; processing_core.freeze_support(); print('goes on')"
    command = [sys.executable, "-c", code, "--processing-fork", "spawn", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "goes on\n"
