"""Exit codes, what a dying process prints, the exit sequence."""

from __future__ import annotations

import signal
from typing import Any

import pytest

import children
from children import finished
from conftest import Starter
from processing_core.context import BaseContext
from processing_testkit import run_script


@pytest.mark.parametrize(
    ("target", "args", "code"),
    [
        (children.nothing, (), 0),
        (children.exit_bare, (), 0),
        (children.exit_with, (None,), 0),
        (children.exit_with, (0,), 0),
        (children.exit_with, (42,), 42),
        (children.exit_with, (True,), 1),
        (children.exit_with, (256 + 7,), 7),
        (children.exit_with, (-1,), 255),
        (children.exit_with, ("a text",), 1),
        (children.exit_with, ((1, 2),), 1),
        (children.exit_hard, (5,), 5),
        (children.fail, ("oh",), 1),
        (children.kill_self, (signal.SIGTERM,), -signal.SIGTERM),
        (children.kill_self, (9,), -9),
        (children.kill_self, (signal.SIGSEGV,), -signal.SIGSEGV),
    ],
)
def test_exit_codes(start: Starter, target: Any, args: tuple[Any, ...], code: int) -> None:
    assert finished(start(target, *args)) == code


def test_an_unpicklable_exception_does_no_harm(start: Starter) -> None:
    """The traceback is printed in the child; nothing of it must travel."""
    assert finished(start(children.fail, "x" * 100_000)) == 1


PRINTS = """
    import sys
    import processing_core

    def fail():
        raise LookupError("what was sought")

    def leave(what):
        sys.exit(what)

    def interrupted():
        raise KeyboardInterrupt

    def write(text):
        sys.stdout.write(text)
        sys.stderr.write(text.upper())

    if __name__ == "__main__":
        target = globals()[sys.argv[1]]
        sys.stdout.write("before ")
        process = processing_core.Process(target=target, args=sys.argv[2:], name="Named")
        process.start()
        process.join()
        print("code", process.exitcode)
"""


def test_an_uncaught_exception_is_printed(start_method: str) -> None:
    result = run_script(PRINTS, "fail", method=start_method)
    assert result.stdout == "before code 1\n"
    lines = result.stderr.splitlines()
    assert lines[0] == "Process Named:"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "LookupError: what was sought"
    assert any('raise LookupError("what was sought")' in line for line in lines)
    assert result.stderr.count("Traceback") == 1


def test_an_exit_text_goes_to_stderr(start_method: str) -> None:
    result = run_script(PRINTS, "leave", "last words", method=start_method)
    assert result.stdout == "before code 1\n"
    assert result.stderr == "last words\n"


def test_a_keyboard_interrupt_is_an_uncaught_exception(start_method: str) -> None:
    result = run_script(PRINTS, "interrupted", method=start_method)
    assert result.stdout == "before code 1\n"
    assert result.stderr.endswith("KeyboardInterrupt\n")


def test_output_is_flushed_into_files(start_method: str) -> None:
    """run_script's stdout is a file: what the parent had buffered must not come out twice."""
    result = run_script(PRINTS, "write", "child ", method=start_method)
    assert result.stdout == "before child code 0\n"
    assert result.stderr == "CHILD "


def test_output_is_flushed_into_pipes(start_method: str) -> None:
    program = f"""
        import subprocess, sys
        source = {PRINTS!r}
        import textwrap
        open(sys.argv[1], "w").write(textwrap.dedent(source))
        done = subprocess.run([sys.executable, sys.argv[1], "write", "child "],
                              capture_output=True, text=True)
        assert done.stdout == "before child code 0\\n", done
        assert done.stderr == "CHILD ", done
        """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run_script(program, f"{folder}/inner.py", method=start_method).check()


def test_atexit_functions_of_the_child_run_last_first(
    start: Starter, pipe: tuple[Any, Any]
) -> None:
    process = start(children.register_atexit, pipe[1])
    assert [pipe[0].recv() for _ in range(3)] == ["run", "last registered", "first registered"]
    assert finished(process) == 0


def test_atexit_functions_of_the_parent_run_only_there(start_method: str) -> None:
    result = run_script(
        """
        import atexit, os
        import processing_core
        if __name__ == "__main__":
            atexit.register(print, "parent's")
            process = processing_core.Process()
            process.start()
            process.join()
        """,
        method=start_method,
    )
    assert result.check().stdout == "parent's\n"


def test_threads_of_the_child_are_waited_for(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.start_thread_and_return, pipe[1])
    assert pipe[0].recv() == "returned"
    assert pipe[0].recv() == "thread done"
    assert finished(process) == 0


EXIT_SEQUENCE = """
    import sys, time
    import processing_core

    def report(connection, text):
        connection.send("started")
        connection.recv()
        print(text, flush=True)

    def wait_for_ever(connection):
        connection.send("started")
        connection.recv()

    if __name__ == "__main__":
        daemon_end, daemon_other = processing_core.Pipe()
        daemon = processing_core.Process(target=wait_for_ever, args=(daemon_other,), daemon=True)
        daemon.start()
        end, other = processing_core.Pipe()
        process = processing_core.Process(target=report, args=(other, "other done"))
        process.start()
        assert daemon_end.recv() == end.recv() == "started"
        end.send(None)
        print("main done", flush=True)
        # Both run while the interpreter ends: one must be terminated, the other waited for.
"""


def test_daemonic_children_are_terminated_and_others_joined(start_method: str) -> None:
    result = run_script(EXIT_SEQUENCE, method=start_method).check()
    assert sorted(result.stdout.splitlines()) == ["main done", "other done"]


@pytest.mark.parametrize("ending", ["sys.exit(4)", "raise RuntimeError('main fails')"])
def test_the_exit_sequence_also_follows_an_exception(start_method: str, ending: str) -> None:
    program = EXIT_SEQUENCE + f"        {ending}\n"
    result = run_script(program, method=start_method)
    assert result.returncode == (4 if "exit" in ending else 1)
    assert sorted(result.stdout.splitlines()) == ["main done", "other done"]
    assert not result.survivors


def test_a_child_ends_its_own_children(start_method: str) -> None:
    """The exit sequence happens in every process of the tree."""
    result = run_script(
        """
        import os
        import processing_core

        def leaf(connection, block):
            connection.send(os.getpid())
            if block:
                connection.recv()

        kept = []

        def branch():
            receiver, sender = processing_core.Pipe()
            kept.append(receiver)  # the daemonic child must be ended, and not by the end of file
            daemon = processing_core.Process(target=leaf, args=(sender, True), daemon=True)
            daemon.start()
            receiver.recv()
            other = processing_core.Process(target=leaf, args=(sender, False))
            other.start()
            receiver.recv()
            processing_core.active_children()

        if __name__ == "__main__":
            process = processing_core.Process(target=branch)
            process.start()
            process.join()
            print(process.exitcode, processing_core.active_children())
        """,
        method=start_method,
    )
    assert result.check().stdout == "0 []\n"


def test_a_daemon_that_ignores_sigterm_is_killed() -> None:
    """After a time of grace of some seconds, so for the default method only."""
    result = run_script(
        """
        import signal
        import processing_core

        def stubborn(connection):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            connection.send("ready")
            connection.recv()

        if __name__ == "__main__":
            ours, theirs = processing_core.Pipe()
            processing_core.Process(target=stubborn, args=(theirs,), daemon=True).start()
            ours.recv()
        """
    )
    result.check()


def test_terminate_lets_the_child_decide(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.handle_sigterm_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    process.terminate()
    assert finished(process) == 7


def test_terminate_and_kill(context: BaseContext, pipe: tuple[Any, Any]) -> None:
    for stop, code in (("terminate", -signal.SIGTERM), ("kill", -9)):
        process = context.Process(target=children.say_ready_and_wait, args=(pipe[1],))
        process.start()
        assert pipe[0].recv() == "ready"
        getattr(process, stop)()
        assert finished(process) == code
        getattr(process, stop)()  # harmless once it has ended
        assert process.exitcode == code


def test_kill_ends_what_ignores_sigterm(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.ignore_sigterm_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    process.terminate()
    process.join(0.05)
    assert process.is_alive()
    process.kill()
    assert finished(process) == -9
