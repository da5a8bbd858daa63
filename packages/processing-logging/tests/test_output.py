"""What children write to stdout and stderr, shown by the process that wants to have it."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import io
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import output_children
import relay_children
from conftest import Kept
from processing_core import Pipe, Process
from processing_core.context import BaseContext
from processing_logging import disable_logging, enable_logging, flush_logging
from processing_testkit import run_script, wait_until

Run = Callable[..., Process]


@pytest.fixture
def run(context: BaseContext, capsys: pytest.CaptureFixture[str]) -> Run:
    """Capture output, run a function in a child, and wait for what it has written."""
    del capsys  # it must be there before
    enable_logging("WARNING", captureOutput=True)

    def run_it(target: Callable[..., object], *args: Any) -> Process:
        process: Process = context.Process(target=target, args=args)
        process.start()
        process.join()
        flush_logging()
        return process

    return run_it


def test_stdout_and_stderr_line_by_line(
    context: BaseContext, capsys: pytest.CaptureFixture[str]
) -> None:
    enable_logging("WARNING", captureOutput=True)
    processes = [
        context.Process(target=output_children.print_lines, args=(who, 200)) for who in "abc"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    flush_logging()
    captured = capsys.readouterr()
    for who in "abc":
        printed = [line for line in captured.out.splitlines() if line.startswith(who)]
        assert printed == [f"{who} {n} {'x' * (n * 37 % 400)} |" for n in range(200)]
        errors = [line for line in captured.err.splitlines() if line.startswith(who)]
        assert errors == [f"{who} {n} to stderr" for n in range(200)]
    assert len(captured.out.splitlines()) == len(captured.err.splitlines()) == 600


def test_what_is_written_to_descriptors_and_by_programs(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(output_children.write_everywhere)
    captured = capsys.readouterr()
    assert sorted(captured.out.splitlines()) == [
        *("by a program", "by the buffer", "by the descriptor", "printed")
    ]
    assert captured.err.splitlines() == ["by the descriptor of stderr", "its stderr"]


def test_more_bytes_than_a_pipe_takes(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(output_children.write_large_bytes, 1_000_000)
    assert capsys.readouterr().out == "y" * 1_000_000 + "\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_last_line_without_an_end(
    run: Run, capsys: pytest.CaptureFixture[str], stream: str
) -> None:
    run(output_children.write_text, "one\ntwo", stream)
    captured = capsys.readouterr()
    assert getattr(captured, stream[3:]) == "one\ntwo"


def test_bytes_without_an_end(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows whether more will come, so it is shown when one wants to have everything."""
    run(output_children.write_bytes, b"one\ntwo")
    assert capsys.readouterr().out == "one\ntwo"
    run(output_children.write_bytes, b" and its end\n")
    assert capsys.readouterr().out == " and its end\n"
    run(output_children.write_bytes, b"three")
    disable_logging()
    assert capsys.readouterr().out == "three"


def test_bytes_that_are_no_text(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(output_children.write_bytes, b"\xff\x00 \xc3\xa4 \xc3\n")
    assert capsys.readouterr().out == "\\xff\x00 ä \\xc3\n"


def test_other_ends_of_lines(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(output_children.write_text, "10 %\r20 %\r30 %\r\nnext\r")
    assert capsys.readouterr().out == "10 %\r20 %\r30 %\r\nnext\r"


def test_pieces_are_shown_when_they_are_flushed(
    context: BaseContext, capsys: pytest.CaptureFixture[str]
) -> None:
    enable_logging("WARNING", captureOutput=True)
    ours, theirs = Pipe()
    process = context.Process(target=output_children.flush_pieces, args=(theirs,))
    process.start()
    theirs.close()
    for _ in range(3):
        piece = ours.recv()
        flush_logging()
        assert capsys.readouterr().out == piece
        ours.send(None)
    process.join()
    ours.close()


def test_a_killed_child_loses_only_what_has_no_end(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f"line {number}\n" for number in range(1_000))
    process = run(output_children.write_text_and_be_killed, lines + "begun")
    assert process.exitcode == -signal.SIGKILL
    captured = capsys.readouterr()
    assert captured.out == captured.err == lines


def test_all_generations(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(output_children.print_in_generations, 2)
    assert capsys.readouterr().out.splitlines() == ["depth 2", "depth 1", "depth 0"]


def test_threads_have_lines_of_their_own(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(output_children.print_from_threads, 200)
    lines = capsys.readouterr().out.splitlines()
    for who in range(4):
        mine = [line for line in lines if line.startswith(f"{who}:")]
        assert mine == [
            "".join(f"{who}:{number}:{piece} " for piece in range(output_children.PIECES))
            for number in range(200)
        ]
    assert len(lines) == 800


def test_a_later_thread_does_not_go_on_with_the_line_of_an_earlier_one(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Threads have the same numbers, one after the other; a line is sent when its thread ends."""
    run(output_children.leave_lines_unfinished, 5)
    captured = capsys.readouterr()
    assert captured.out == "".join(f"begun by {who}\n" for who in range(5))
    assert int(captured.err) < 5


def test_the_traceback_of_a_child(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    process = run(output_children.raise_an_error)
    assert process.exitcode == 1
    assert capsys.readouterr().err.splitlines()[-1] == "LookupError: what happened"


def test_the_streams_are_what_programs_expect(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(output_children.look_at_streams)
    assert capsys.readouterr().out.splitlines() == [
        "False 1 2 True",
        "utf-8 <stdout> <stderr>",
        "write() argument must be str, not bytes",
    ]


def test_records_and_output_keep_their_order(
    context: BaseContext, capsys: pytest.CaptureFixture[str]
) -> None:
    import logging

    enable_logging(
        "WARNING", logging.StreamHandler, (sys.stdout,), "%(message)s", relay=True,
        captureOutput=True, logger="app",
    )  # fmt: skip
    process = context.Process(target=log_and_print)
    process.start()
    process.join()
    flush_logging()
    expected = [f"{what} {number}" for number in range(100) for what in ("logged", "printed")]
    assert capsys.readouterr().out.splitlines() == expected


def log_and_print() -> None:
    for number in range(100):
        relay_children.log("logged %d", number)
        print("printed", number)


def test_output_alone(context: BaseContext, kept: Kept, capfd: pytest.CaptureFixture[str]) -> None:
    """Without ``relay`` records stay in the child, whose own handlers may print them."""
    enable_logging("WARNING", capture_output=True)
    process = context.Process(target=relay_children.log, args=("text",))
    process.start()
    process.join()
    flush_logging()
    # By fork it has the handler of this process, which keeps the record there.
    expected = "" if context.get_start_method() == "fork" else "text\n"
    assert capfd.readouterr().err == expected
    assert kept.messages == []


def test_who_wants_it_no_more(context: BaseContext, capfd: pytest.CaptureFixture[str]) -> None:
    """The child notices, and writes to what it was started with."""
    if context.get_start_method() == "forkserver":
        pytest.skip("children of a fork server have the stdout that it was started with")
    enable_logging("WARNING", captureOutput=True)
    ours, theirs = Pipe()
    process = context.Process(target=output_children.print_when_told, args=(theirs,))
    process.start()
    theirs.close()
    ours.send("relayed")
    ours.recv()
    disable_logging()
    assert capfd.readouterr().out == "relayed\n"
    wait_until(lambda: shown(ours, capfd))
    ours.send(None)
    process.join()
    ours.close()
    assert process.exitcode == 0


def shown(connection: Any, capfd: pytest.CaptureFixture[str]) -> bool:
    connection.send("to nobody")
    connection.recv()
    return "to nobody" in capfd.readouterr().out


def test_a_closed_stdout_here(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """As if the child had a closed one; nobody hangs, and later lines are shown."""
    closed = io.StringIO()
    closed.close()
    for stdout in (closed, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            assert run(output_children.write_text, "lost\n").exitcode == 0
    assert run(output_children.write_text, "shown\n").exitcode == 0
    assert capsys.readouterr().out == "shown\n"


def test_characters_that_this_process_cannot_print(start_method: str) -> None:
    result = run_script(
        r"""
        import os
        import processing_core
        from processing_logging import enable_logging

        def work():
            print("ä € \udc80")
            os.write(1, "ö\n".encode())

        if __name__ == "__main__":
            enable_logging("WARNING", captureOutput=True)
            child = processing_core.Process(target=work)
            child.start()
            child.join()
            print(child.exitcode)
        """,
        method=start_method,
        env={"PYTHONIOENCODING": "ascii"},
    )
    lines = result.check().stdout.splitlines()
    assert sorted(lines) == ["0", "\\xe4 \\u20ac \\udc80", "\\xf6"]


def test_the_end_of_the_program_shows_the_rest(start_method: str) -> None:
    result = run_script(
        """
        import os, sys
        import processing_core
        from processing_logging import enable_logging

        def work():
            for number in range(500):
                print(number)
            os.write(2, b"begun")
            sys.stdout.write("the end")

        if __name__ == "__main__":
            enable_logging("WARNING", captureOutput=True)
            processing_core.Process(target=work).start()
        """,
        method=start_method,
    )
    assert (result.returncode, result.survivors) == (0, ()), result.describe()
    assert result.stdout == "".join(f"{number}\n" for number in range(500)) + "the end"
    assert result.stderr == "begun"


def test_a_child_of_os_fork(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """In a child: it has the streams of its parent."""
    run(fork_and_print)
    assert sorted(capsys.readouterr().out.splitlines()) == ["forked", "parent"]


def fork_and_print() -> None:
    pid = os.fork()
    if pid == 0:
        try:
            print("forked")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    print("parent")


def test_many_threads_that_end_leave_nothing_behind() -> None:
    from processing_logging._source import LineWriter

    class Nobody:
        def send(self, data: bytes) -> bool:
            sent.append(data)
            return True

    sent: list[bytes] = []
    writer = LineWriter(1, "<stdout>", Nobody(), 1)  # type: ignore[arg-type]
    for number in range(50):
        thread = threading.Thread(target=writer.write, args=(f"{number}",))
        thread.start()
        thread.join()
    assert len(sent) == 50
    assert not writer._lines
