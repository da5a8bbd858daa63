"""Owns running programs in fresh interpreters, with their output and their survivors."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processing_testkit._procfs import ProcessInfo, descendants, session_members
from processing_testkit.waiting import wait_until

__all__ = ["ScriptResult", "run_python", "run_script", "start_python"]

# What would change how the interpreter under test behaves, buffering above all.
_NOT_INHERITED = {
    "PROCESSING_START_METHOD",
    "PYTHONDEVMODE",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUNBUFFERED",
    "PYTHONWARNINGS",
}

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class ScriptResult:
    """How a program ended. ``survivors`` are processes of its session that outlived it."""

    returncode: int
    stdout: str
    stderr: str
    survivors: tuple[ProcessInfo, ...]

    def check(self) -> ScriptResult:
        """Fail unless the program ended with 0, wrote nothing to stderr and left no process."""
        clean = self.returncode == 0 and not self.stderr and not self.survivors
        assert clean, self.describe()
        return self

    def describe(self) -> str:
        survivors = "\n".join(info.describe() for info in self.survivors)
        return (
            f"exit code {self.returncode}\n--- stdout ---\n{self.stdout}\n"
            f"--- stderr ---\n{self.stderr}\n--- survivors ---\n{survivors}"
        )


def environment(method: str | None = None, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the tests, with the start method and the given variables in it."""
    result = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    if method is not None:
        result["PROCESSING_START_METHOD"] = method
    result.update(env or {})
    return result


def run_script(
    text: str,
    *args: str,
    method: str | None = None,
    python: str = sys.executable,
    timeout: float = 30.0,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> ScriptResult:
    """Run a program text as the script ``program.py`` of a fresh interpreter.

    Its folder exists as long as it runs, so that spawned children can import it. ``method`` becomes
    PROCESSING_START_METHOD, ``options`` are the interpreter's own.
    """
    with tempfile.TemporaryDirectory(prefix="script-") as folder:
        script = Path(folder, "program.py")
        script.write_text(textwrap.dedent(text), encoding="utf-8")
        return run_python(
            [*options, str(script), *args], method=method, python=python, timeout=timeout, env=env
        )


def run_python(
    argv: Sequence[str],
    *,
    method: str | None = None,
    python: str = sys.executable,
    timeout: float = 30.0,
    env: Mapping[str, str] | None = None,
    cwd: PathLike | None = None,
    stdin: str | None = None,
) -> ScriptResult:
    """Run an interpreter with these arguments to its end.

    The output goes through files, so that a surviving process that holds it delays nothing. When
    the time is up all its processes are killed, with tracebacks, and an AssertionError is raised.
    """
    with contextlib.ExitStack() as stack:
        output, errors, source = (
            stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))
            for _ in range(3)
        )
        if stdin is not None:
            source.write(stdin)
            source.seek(0)
        process = subprocess.Popen(
            [python, *argv],
            stdin=source,
            stdout=output,
            stderr=errors,
            env=environment(method, env),
            cwd=cwd,
            start_new_session=True,
        )
        try:
            in_time = _wait(process, timeout)
            survivors = settled_survivors(process.pid)
        finally:
            kill_session(process)
        output.seek(0)
        errors.seek(0)
        result = ScriptResult(process.returncode, output.read(), errors.read(), tuple(survivors))
        if not in_time:
            raise AssertionError(f"program not done after {timeout} s\n{result.describe()}")
        return result


@contextlib.contextmanager
def start_python(
    argv: Sequence[str],
    *,
    method: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: PathLike | None = None,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A running interpreter to talk to through pipes; its whole session is killed afterwards."""
    process = subprocess.Popen(
        [sys.executable, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=environment(method, env),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill_session(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # unread input of a killed program
                    stream.close()


def _wait(process: subprocess.Popen[str] | subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait for the end without polling; at the time limit have tracebacks dumped instead."""
    if sys.platform == "linux":
        end = os.pidfd_open(process.pid)
        try:
            if select.select([end], [], [], timeout)[0]:
                process.wait()
                return True
        finally:
            os.close(end)
        for info in reversed([*session_members(process.pid), *descendants(process.pid)]):
            with contextlib.suppress(ProcessLookupError):
                _abort(info.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
        return False
    else:
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True


def _abort(pid: int) -> None:
    """Have a process dump its tracebacks, and wait for that: those of two would mix."""
    if sys.platform == "linux":
        end = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGABRT)
            select.select([end], [], [], 1.0)
        finally:
            os.close(end)


def settled_survivors(session: int, patience: float = 1.0) -> list[ProcessInfo]:
    """Who is left of a session once those that are about to end have had time to."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not session_members(session), patience)
    return session_members(session)


def kill_session(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:

        def nobody_left() -> bool:
            members = session_members(process.pid)
            for info in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(info.pid, signal.SIGKILL)
            return not members

        wait_until(nobody_left, 10.0)
        if process.poll() is None:
            process.kill()
    process.wait()
