"""Records of children on their way to the handlers of the process that has enabled it."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import itertools
import logging
import os
import random
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import relay_children
from conftest import Kept
from processing_core import Pipe, Process, SerializationError, get_context
from processing_core.context import BaseContext
from processing_logging import (
    disable_logging,
    enable_logging,
    flush_logging,
    get_logger,
    getLogger,
)
from processing_testkit import run_script, wait_until


@pytest.fixture
def run(context: BaseContext, kept: Kept) -> Callable[..., Process]:
    """Relay the records of ``app``, run a function in a child, and wait for its records."""
    enable_logging("DEBUG", relay=True, logger="app")

    def run_it(target: Callable[..., object], *args: Any) -> Process:
        process: Process = context.Process(target=target, args=args)
        process.start()
        process.join()
        flush_logging()
        return process

    return run_it


def test_records_of_all_generations_arrive(run: Callable[..., Process], kept: Kept) -> None:
    process = run(relay_children.log_and_start, 2)
    assert kept.messages == ["depth 2", "depth 1", "depth 0"]
    name = process.name
    assert [one.processName for one in kept.records] == [name, f"{name}:1", f"{name}:1:1"]
    assert len({one.process for one in kept.records} - {os.getpid()}) == 3
    assert {one.name for one in kept.records} == {"app.part"}


def test_records_of_this_process_go_to_the_same_handlers(
    run: Callable[..., Process], kept: Kept
) -> None:
    relay_children.log("here")
    run(relay_children.log, "there")
    assert kept.messages == ["here", "there"]
    assert kept.records[0].processName == "MainProcess"


def test_what_was_emitted_arrives_if_the_process_is_killed(
    run: Callable[..., Process], kept: Kept
) -> None:
    process = run(relay_children.log_and_be_killed, 2_000)
    assert process.exitcode == -signal.SIGKILL
    assert kept.messages == [f"number {number}" for number in range(2_000)]


@pytest.mark.deadline(120)
def test_many_processes_some_of_them_killed(context: BaseContext, kept: Kept) -> None:
    """Whole records, in order per process, none lost; chaos/run.py does the same with more."""
    enable_logging("DEBUG", relay=True, logger="app")
    chance, count = random.Random(8), 3_000  # noqa: S311 - chance is enough
    ends = [chance.randrange(count) if who % 3 == 0 else None for who in range(8)]
    processes = [
        context.Process(target=relay_children.log_many, args=(who, count, end))
        for who, end in enumerate(ends)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    flush_logging()
    got: dict[int, list[int]] = {who: [] for who in range(8)}
    for message in kept.messages:
        sender, number, filling = message.split(" ")
        assert filling == "x" * (int(number) * 37 % 400)
        got[int(sender)].append(int(number))
    for who, end in enumerate(ends):
        assert got[who] == list(range(count if end is None else end))


def test_threads_of_one_process_keep_their_orders(run: Callable[..., Process], kept: Kept) -> None:
    run(relay_children.log_from_threads, 500)
    got: dict[str, list[int]] = {}
    for message in kept.messages:
        who, number = message.split()
        got.setdefault(who, []).append(int(number))
    assert got == {str(who): list(range(500)) for who in range(4)}


def test_an_exception_arrives_as_text(run: Callable[..., Process], kept: Kept) -> None:
    run(relay_children.log_an_exception)
    (record,) = kept.records
    assert record.getMessage() == "failed: <local>"
    assert record.__dict__["who"] == "<local>"
    text = logging.Formatter().format(record)
    assert "in log_an_exception" in text
    assert text.endswith("LookupError: what happened")


def test_levels_are_those_of_this_process(run: Callable[..., Process], kept: Kept) -> None:
    for name, level in (("app", 30), ("app.loud", 10), ("app.loud.not", 40), ("app.off", 10)):
        logging.getLogger(name).setLevel(level)
    logging.getLogger("app.off").disabled = True
    names = ["app", "app.unknown", "app.loud", "app.loud.not", "app.off"]
    try:
        run(relay_children.log_all_levels, names)
    finally:
        for name in names:
            logging.getLogger(name).setLevel(0)
            logging.getLogger(name).disabled = False
    assert kept.messages == [
        *("app 30", "app 40", "app.unknown 30", "app.unknown 40"),
        *("app.loud 10", "app.loud 20", "app.loud 30", "app.loud 40", "app.loud.not 40"),
    ]


def test_filters_of_loggers_are_asked_where_it_is_logged(
    run: Callable[..., Process], kept: Kept
) -> None:
    logger = logging.getLogger("app")
    logger.addFilter(relay_children.Even())
    process = run(relay_children.log_all_levels, ["app"])
    assert kept.messages == ["app 20", "app 40"]
    assert {one.__dict__["filtered_by"] for one in kept.records} == {process.pid}


def test_levels_and_filters_of_handlers_are_asked_here(
    run: Callable[..., Process], kept: Kept
) -> None:
    kept.setLevel(logging.WARNING)
    kept.addFilter(lambda record: record.levelno != logging.ERROR)
    run(relay_children.log_all_levels, ["app"])
    assert kept.messages == ["app 30"]


def test_a_filter_that_does_not_pickle_is_named(kept: Kept) -> None:
    del kept
    enable_logging("DEBUG", relay=True, logger="app")
    logging.getLogger("app").addFilter(lambda _: True)
    process = Process(target=int, context="spawn")
    with pytest.raises(SerializationError, match=r"'processing_logging'.*lambda"):
        process.start()


def test_handlers_between_are_used_as_if_it_were_logged_here(
    run: Callable[..., Process], kept: Kept
) -> None:
    """Those of a logger beneath, which keeps its records for itself, and that of the root."""
    part, root = Kept(), Kept()
    logging.getLogger("app.part").addHandler(part)
    logging.getLogger("app.part").propagate = False
    logging.getLogger("app").propagate = True
    logging.root.addHandler(root)
    try:
        run(relay_children.log, "for the part alone")
        run(relay_children.log_all_levels, ["app"])
    finally:
        logging.root.removeHandler(root)
        logging.getLogger("app.part").removeHandler(part)
        logging.getLogger("app.part").propagate = True
    assert part.messages == ["for the part alone"]
    assert kept.messages == root.messages == ["app 10", "app 20", "app 30", "app 40"]


def test_the_library_itself(context: BaseContext, capsys: pytest.CaptureFixture[str]) -> None:
    enable_logging("INFO", relay=True)
    process = context.Process(target=int, name="Worker")
    process.start()
    process.join()
    flush_logging()
    assert capsys.readouterr().err.splitlines() == [
        "[INFO/Worker] child process calling self.run()",
        "[INFO/Worker] process exiting with exitcode 0",
    ]


def test_the_root_and_what_is_enabled_apart(context: BaseContext, kept: Kept) -> None:
    root = Kept()
    logging.root.addHandler(root)
    logging.getLogger("app.part").handlers[:] = []
    try:
        enable_logging("WARNING", relay=True, logger="root")
        enable_logging("ERROR", relay=True, logger="app")
        process = context.Process(
            target=relay_children.log_all_levels, args=(["other", "app", "processing"],)
        )
        process.start()
        process.join()
        flush_logging()
    finally:
        logging.root.removeHandler(root)
    assert root.messages == ["other 30", "other 40", "processing 30", "processing 40"]
    assert kept.messages == ["app 40"]


def test_a_handler_that_raises_stops_nobody(
    run: Callable[..., Process], kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - of Handler
            raise ZeroDivisionError("the handler's")

    broken = Broken()
    logging.getLogger("app").addHandler(broken)
    run(relay_children.log, "one")
    logging.getLogger("app").removeHandler(broken)
    run(relay_children.log, "two")
    assert kept.messages == ["one", "two"]
    assert "ZeroDivisionError: the handler's" in capsys.readouterr().err


def test_a_handler_may_start_processes_and_flush(kept: Kept, context: BaseContext) -> None:
    started: list[Process] = []

    class Starter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "first":
                flush_logging()
                process = context.Process(target=relay_children.log, args=("second",))
                process.start()
                started.append(process)

    enable_logging("DEBUG", relay=True, logger="app")
    starter = Starter()
    logging.getLogger("app").addHandler(starter)
    with warnings.catch_warnings():
        # The thread that starts it cannot be stopped for that.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = context.Process(target=relay_children.log, args=("first",))
        process.start()
        process.join()
        wait_until(lambda: started)
        started[0].join()
        flush_logging()
    logging.getLogger("app").removeHandler(starter)
    assert kept.messages == ["first", "second"]


def test_a_child_of_os_fork_sends_its_records(kept: Kept) -> None:
    enable_logging("DEBUG", relay=True, logger="app")
    pid = os.fork()
    if pid == 0:
        try:
            relay_children.log("from a fork")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    flush_logging()
    assert kept.messages == ["from a fork"]
    assert kept.records[0].process == pid


def test_no_thread_is_there_while_this_process_forks(kept: Kept) -> None:
    """Warnings are errors here, and Python warns of forks of processes with threads."""
    enable_logging("DEBUG", relay=True, logger="app")
    for number in range(20):
        process = Process(target=relay_children.log, args=(f"{number}",), context="fork")
        process.start()
        process.join()
    flush_logging()
    assert kept.messages == [str(number) for number in range(20)]


def test_forks_in_several_threads_while_records_come(kept: Kept) -> None:
    enable_logging("DEBUG", relay=True, logger="app")

    def start_some() -> None:
        for _ in range(8):
            process = Process(target=relay_children.log_many, args=(0, 50, None), context="fork")
            process.start()
            process.join()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of this test
        threads = [threading.Thread(target=start_some) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                flush_logging()
                thread.join(0.001)
    flush_logging()
    assert len(kept.records) == 3 * 8 * 50


def test_disabling_ends_the_thread_and_children_notice(
    kept: Kept, context: BaseContext, capfd: pytest.CaptureFixture[str]
) -> None:
    if context.get_start_method() == "forkserver":
        pytest.skip("children of a fork server have the stderr that it was started with")
    enable_logging("DEBUG", relay=True, logger="app")
    ours, theirs = Pipe()
    process = context.Process(target=relay_children.log_when_told, args=(theirs,))
    process.start()
    theirs.close()
    ours.send("while somebody listens")
    assert ours.recv() == "while somebody listens"
    disable_logging()
    assert kept.messages == ["while somebody listens"]
    assert "processing-logging" not in [thread.name for thread in threading.enumerate()]
    wait_until(lambda: lost(ours, capfd))
    ours.send(None)
    process.join()


def lost(connection: Any, capfd: pytest.CaptureFixture[str]) -> bool:
    """Whether a record went to the child's own stderr."""
    connection.send("to nobody")
    connection.recv()
    return "to nobody" in capfd.readouterr().err


def test_enabling_again_after_disabling(run: Callable[..., Process], kept: Kept) -> None:
    run(relay_children.log, "one")
    disable_logging()
    enable_logging("DEBUG", relay=True, logger="app")
    run(relay_children.log, "two")
    assert kept.messages == ["one", "two"]


def test_a_child_may_receive_from_its_own_children(start_method: str) -> None:
    result = run_script(
        """
        import logging, sys
        import processing_core
        from processing_logging import enable_logging, get_logger

        def leaf():
            get_logger().warning("leaf")

        def between():
            enable_logging("WARNING", logging.StreamHandler, (sys.stdout,),
                           "here %(processName)s %(message)s", relay=True)
            get_logger().warning("between")
            child = processing_core.Process(target=leaf)
            child.start()
            child.join()

        if __name__ == "__main__":
            enable_logging("WARNING", relay=True)
            child = processing_core.Process(target=between)
            child.start()
            child.join()
        """,
        method=start_method,
        options=("-W", "error"),
    )
    assert result.check().stdout.splitlines() == [
        "here Process-1 between",
        "here Process-1:1 leaf",
    ]


PROGRAM = """
    import logging, os, signal, sys, threading, time
    import processing_core
    from processing_logging import enable_logging, get_logger

    {functions}

    if __name__ == "__main__":
        enable_logging("WARNING", logging.StreamHandler, (sys.stdout,), relay=True)
        {main}
"""


def test_the_end_of_the_program_waits_for_the_last_record(start_method: str) -> None:
    """Also for those of a daemonic process, up to where it was ended."""
    functions = """
    def work(connection):
        for number in range(3000):
            get_logger().warning("%d", number)
        connection.send(None)
        time.sleep(60)
    """
    main = """
        receiver, sender = processing_core.Pipe()
        processing_core.Process(target=work, args=(sender,), daemon=True).start()
        receiver.recv()
    """
    result = run_script(PROGRAM.format(functions=functions, main=main), method=start_method)
    numbers = [line.rpartition(" ")[2] for line in result.check().stdout.splitlines()]
    assert numbers == [str(number) for number in range(3000)]


@pytest.mark.parametrize("stopped", [False, True])
def test_nobody_hangs_when_the_receiver_is_killed(start_method: str, stopped: bool) -> None:
    """A child goes on, whether it notices at once or is waiting for the receiver.

    What has not been handled is lost with the receiver; what is logged later goes to stderr.
    """
    result = run_script(RECEIVER_KILLED, *(["stopped"] if stopped else []), method=start_method)
    assert (result.returncode, result.survivors) == (0, ()), result.describe()
    # The receiver may have been killed in the middle of a line.
    handled = [line.rpartition(" ")[2] for line in result.stdout.split("\n")[:-1]]
    assert handled == [str(number) for number in range(len(handled))]
    *said, other, end, exitcode = result.stderr.splitlines()
    assert (other, end, exitcode) == ("as always", "the end", "-9")
    # Everything from the moment on when it is noticed, in order and without a gap.
    assert said == [str(number) for number in range(40_000 - len(said), 40_000)]
    lost = 40_000 - len(handled) - len(said)
    assert len(said) > 1_000
    # All that was waiting; and what the receiver had taken and not handled yet.
    assert lost >= 20_000 if stopped else lost >= 0


RECEIVER_KILLED = """
    import logging, os, signal, sys, threading
    import processing_core
    from processing_logging import enable_logging, get_logger

    def work(receiver, end):
        if "stopped" in sys.argv:
            # Nobody takes anything any more, so this waits when 20,000 records are waiting.
            os.kill(receiver, signal.SIGSTOP)
            threading.Timer(1.0, os.kill, (receiver, signal.SIGKILL)).start()
        for number in range(40_000):
            if number == 1_000 and "stopped" not in sys.argv:
                os.kill(receiver, signal.SIGKILL)
            get_logger().warning("%d", number)
        get_logger().info("below the level")
        logging.getLogger("other").warning("as always")
        print("the end", file=sys.stderr, flush=True)

    def receive(end):
        enable_logging("WARNING", logging.StreamHandler, (sys.stdout,), relay=True)
        child = processing_core.Process(
            target=work, args=(os.getpid(), end), die_with_parent=False
        )
        child.start()
        child.join()

    if __name__ == "__main__":
        receiver, end = processing_core.Pipe(duplex=False)
        child = processing_core.Process(target=receive, args=(end,))
        child.start()
        end.close()
        child.join()
        try:
            receiver.recv()
        except EOFError:
            print(child.exitcode, file=sys.stderr)
"""


def test_records_wait_for_a_receiver_that_is_stopped(start_method: str) -> None:
    """Nothing is lost if it only takes its time."""
    functions = """
    def work(receiver):
        os.kill(receiver, signal.SIGSTOP)
        threading.Timer(0.5, os.kill, (receiver, signal.SIGCONT)).start()
        for number in range(25_000):
            get_logger().warning("%d", number)
    """
    main = """
        child = processing_core.Process(target=work, args=(os.getpid(),))
        child.start()
        child.join()
    """
    program = PROGRAM.format(functions=functions, main=main)
    result = run_script(program, method=start_method)
    numbers = [line.rpartition(" ")[2] for line in result.check().stdout.splitlines()]
    assert numbers == [str(number) for number in range(25_000)]


def test_a_signal_handler_that_logs(run: Callable[..., Process], kept: Kept) -> None:
    """It interrupts its own thread, also while that is sending a record."""
    run(relay_children.log_from_a_signal_handler, 3_000, None)
    main = [record.args for record in kept.records if record.msg == "main %d"]
    interrupting = [record.args or () for record in kept.records if record.msg == "signal %d"]
    assert main == [(number,) for number in range(len(main))]
    assert set(interrupting) == {(number,) for number in range(3_000)}
    assert len(interrupting) == 3_000
    assert len(main) + len(interrupting) == len(kept.records)


def test_a_signal_handler_that_logs_and_ends_the_process(context: BaseContext, kept: Kept) -> None:
    enable_logging("DEBUG", relay=True, logger="app")
    for _ in range(20):
        process = context.Process(target=relay_children.log_from_a_signal_handler, args=(1, "exit"))
        process.start()
        process.join()
        assert process.exitcode == 3
    flush_logging()
    assert [record.msg for record in kept.records].count("signal %d") == 20


def test_names_may_be_switched_off(run: Callable[..., Process], kept: Kept) -> None:
    logging.logProcesses = False
    try:
        relay_children.log("text")
        enable_logging("DEBUG", relay=True, logger="app")
        relay_children.log("text")
    finally:
        logging.logProcesses = True
    run(relay_children.log, "text")
    assert [record.process is None for record in kept.records] == [True, True, False]


def test_getLogger_is_known_in_children(context: BaseContext) -> None:  # noqa: N802
    assert getLogger() is None
    enable_logging("WARNING", relay=True)
    kept = Kept()
    get_logger().handlers[:] = [kept]
    process = context.Process(target=tell_logger)
    process.start()
    process.join()
    flush_logging()
    assert kept.messages == ["True"]
    get_logger().handlers[:] = []


def tell_logger() -> None:
    get_logger().warning("%s", getLogger() is get_logger())


def test_a_slow_handler_makes_producers_wait(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue does not grow without end."""
    from processing_logging import _route, _setup

    monkeypatch.setattr(_route, "MOST_WAITING", 100)
    monkeypatch.setattr(_route, "LOOK_SECONDS", 0.0)
    enable_logging("DEBUG", relay=True, logger="app")
    relaying = _setup._state.relaying
    assert relaying is not None
    assert relaying.listener is not None
    queue = relaying.listener.route.queue
    sizes = itertools.count()

    class Watching(logging.Handler):
        most = 0

        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - of Handler
            next(sizes)
            self.most = max(self.most, queue.qsize())

    watching = Watching()
    logging.getLogger("app").addHandler(watching)
    process = Process(target=relay_children.log_many, args=(0, 3_000, None), context="fork")
    process.start()
    process.join()
    flush_logging()
    logging.getLogger("app").removeHandler(watching)
    assert len(kept.records) == 3_000
    assert watching.most <= 102


def test_a_handler_that_is_busy_during_a_fork_stops_nothing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread is told to go on when it has not even noticed that it should have paused."""
    monkeypatch.setattr("processing_logging._listener.FORK_PATIENCE_SECONDS", 0.01)
    begun, go_on = threading.Event(), threading.Event()

    class Busy(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "slow":
                begun.set()
                go_on.wait()

    logging.getLogger("app").addHandler(Busy())
    enable_logging("DEBUG", relay=True, logger="app")
    process = get_context("fork").Process(target=relay_children.log, args=("slow",))
    process.start()
    assert begun.wait(20)
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    go_on.set()
    process.join()
    later = get_context("fork").Process(target=relay_children.log, args=("later",))
    later.start()
    later.join()
    wait_until(lambda: kept.messages == ["slow", "later"])
