"""What runs in the children of the tests. No pytest in here: spawned children import it."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import processing_core
from processing_core import Connection, Process, current_process, parent_process

AnyConnection = Connection[Any, Any]

# How long a test waits for what should take milliseconds.
LONG = 20.0


def finished(process: Process) -> int:
    """Join a process that should end by itself; its exit code."""
    process.join(LONG)
    code = process.exitcode
    assert code is not None, f"{process!r} has not ended"
    return code


def nothing(*_args: object, **_kwargs: object) -> None:
    """End at once."""


def facts() -> dict[str, Any]:
    """What a process knows of itself."""
    current, parent = current_process(), parent_process()
    return {
        "name": current.name,
        "daemon": current.daemon,
        "pid": current.pid,
        "os_pid": os.getpid(),
        "authkey": bytes(current.authkey),
        "repr": repr(current),
        "alive": current.is_alive(),
        "exitcode": current.exitcode,
        "type": type(current).__name__,
        "die_with_parent": current.die_with_parent,
        "parent": None if parent is None else (parent.name, parent.pid, parent.is_alive()),
        "method": processing_core.get_start_method(),
        "path": sys.path[:],
        "argv": sys.argv[:],
        "cwd": str(Path.cwd()),
        "environment": os.environ.get("PROCESSING_TEST_VARIABLE"),
        "threads": threading.active_count(),
        "children": processing_core.active_children(),
    }


def send_facts(connection: AnyConnection) -> None:
    connection.send(facts())


def send_arguments(connection: AnyConnection, *args: object, **kwargs: object) -> None:
    connection.send((args, kwargs))


def exit_with(value: Any) -> NoReturn:
    sys.exit(value)


def exit_bare() -> NoReturn:
    sys.exit()


def exit_hard(code: int) -> NoReturn:
    os._exit(code)


def fail(text: str) -> NoReturn:
    raise ValueError(text)


def kill_self(signum: int) -> None:
    if signum != 9:  # nobody can say how SIGKILL is handled
        signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


def say_ready_and_wait(connection: AnyConnection) -> None:
    """Report, then run until told to stop."""
    connection.send("ready")
    connection.recv()


def ignore_sigterm_and_wait(connection: AnyConnection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say_ready_and_wait(connection)


def handle_sigterm_and_wait(connection: AnyConnection) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    say_ready_and_wait(connection)


def wait_for_interrupt(connection: AnyConnection) -> None:
    try:
        say_ready_and_wait(connection)
    except KeyboardInterrupt:
        connection.send("interrupted")


def write_and_exit(text: str, code: int = 0) -> NoReturn:
    """Leave without a line end, so that only flushing brings the text out."""
    sys.stdout.write(text)
    sys.stderr.write(text.upper())
    sys.exit(code)


def register_atexit(connection: AnyConnection) -> None:
    atexit.register(connection.send, "first registered")
    atexit.register(connection.send, "last registered")
    connection.send("run")


def start_thread_and_return(connection: AnyConnection) -> None:
    """Leave a thread that is not daemonic; the process must wait for it."""
    done = threading.Event()

    def work() -> None:
        done.wait(LONG)
        connection.send("thread done")

    threading.Thread(target=work).start()
    connection.send("returned")
    done.set()


def children_of_child(connection: AnyConnection, method: str, names: int) -> None:
    """Start children and grandchildren; report the names that they get."""
    context = processing_core.get_context(method)
    for _ in range(names):
        receiver, sender = processing_core.Pipe(duplex=False)
        child = context.Process(target=send_name_and_grandchild, args=(sender, method))
        child.start()
        sender.close()
        connection.send((child.name, receiver.recv()))
        finished(child)


def send_name_and_grandchild(connection: AnyConnection, method: str) -> None:
    grandchild = processing_core.get_context(method).Process(target=nothing)
    connection.send((current_process().name, grandchild.name))


def misuse_from_child(connection: AnyConnection, process: Process) -> None:
    """What another process may do with a process object that is not its own."""
    answers: list[object] = [repr(process), process.name, process.daemon]
    for method in (process.start, process.join, process.is_alive, process.terminate):
        try:
            answers.append(method())
        except AssertionError as error:
            answers.append(error)
    connection.send(answers)


def join_self(connection: AnyConnection) -> None:
    try:
        current_process().join()
    except AssertionError as error:
        connection.send(error)


def start_daemonic_child(connection: AnyConnection, method: str) -> None:
    """A daemonic process may have children; they inherit being daemonic."""
    receiver, sender = processing_core.Pipe(duplex=False)
    child = processing_core.get_context(method).Process(target=send_facts, args=(sender,))
    child.start()
    sender.close()
    connection.send(receiver.recv())
    finished(child)


class Sum(Process):
    """A subclass with a run() and state of its own."""

    def __init__(self, connection: AnyConnection, *numbers: int) -> None:
        super().__init__(name="adder")
        self.connection = connection
        self.numbers = numbers

    def run(self) -> None:
        self.connection.send((sum(self.numbers), self.name, current_process() is self))


class Silent(Process):
    """A subclass that changes nothing."""


def echo(connection: AnyConnection) -> None:
    """Return what comes, with the name of its class, until None comes."""
    while (received := connection.recv()) is not None:
        connection.send((type(received).__qualname__, received))


def say_ran(connection: Connection[str, Any]) -> None:
    connection.send("ran")


def start_and_exit(method: str, connection: Connection[str, Any]) -> NoReturn:
    """Start a process and be gone before it can begin."""
    context = processing_core.get_context(method)
    context.Process(target=say_ran, args=(connection,), daemon=False).start()
    os._exit(3)
