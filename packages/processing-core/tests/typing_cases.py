"""What type checkers must see: mypy reads this file, nobody runs it.

A line with `type: ignore` is one on which mypy must find that error: in strict mode an unneeded
ignore is an error itself.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, assert_type

import processing_core
import processing_core.connection
import processing_core.process
from processing_core import (
    Connection,
    ParentProcess,
    Pipe,
    Process,
    active_children,
    cpu_count,
    current_process,
    get_context,
    parent_process,
    wait,
)
from processing_core.context import BaseContext


def no_arguments() -> None: ...


def text_and_number(text: str, number: int) -> float:
    return len(text) * float(number)


def optional(text: str, number: int = 0) -> None: ...


def anything(*args: object, **kwargs: object) -> None: ...


def targets_and_arguments() -> None:
    Process()
    Process(target=None)
    Process(target=no_arguments)
    Process(target=no_arguments, args=())
    Process(target=text_and_number, args=("x", 1))
    Process(None, text_and_number, "name", ("x", 1))
    Process(target=text_and_number, args=("x",), kwargs={"number": 1})
    Process(target=text_and_number, kwargs={"text": "x", "number": 1})
    Process(target=optional, args=("x", 1))
    Process(target=anything, args=(1, "x"), kwargs={"more": 2})
    Process(target=lambda: None, daemon=True, die_with_parent=False, context="spawn")
    Process(target=no_arguments, context=get_context("fork"))

    Process(target=text_and_number, args=(1, "x"))  # type: ignore[arg-type]
    Process(target=text_and_number, args=("x", 1, 2))  # type: ignore[arg-type]
    Process(target=text_and_number, args=("x", "1"))  # type: ignore[arg-type]
    Process(target=no_arguments, args=(1,))  # type: ignore[arg-type]
    Process(target=3)  # type: ignore[call-overload]
    Process(name=3)  # type: ignore[call-overload]
    Process("group")  # type: ignore[call-overload]
    Process(context=3)  # type: ignore[call-overload]
    Process(unknown=3)  # type: ignore[call-overload]


def in_contexts() -> None:
    context = get_context("spawn")
    assert_type(context.get_start_method(), str)
    assert_type(isinstance(context, BaseContext), bool)
    context.Process(target=text_and_number, args=("x", 1))
    context.Process(target=text_and_number, args=(1, "x"))  # type: ignore[arg-type]
    assert_type(context.Process(), Process)
    assert_type(context.cpu_count(), int)
    assert_type(context.active_children(), list[Process])
    assert_type(processing_core.get_all_start_methods(), list[str])


def processes(process: Process) -> None:
    assert_type(process.start(), None)
    assert_type(process.join(), None)
    assert_type(process.join(1.5), None)
    assert_type(process.is_alive(), bool)
    assert_type(process.isAlive(), bool)
    assert_type(process.pid, int | None)
    assert_type(process.ident, int | None)
    assert_type(process.getPid(), int | None)
    assert_type(process.exitcode, int | None)
    assert_type(process.getExitCode(), int | None)
    assert_type(process.name, str)
    assert_type(process.getName(), str)
    assert_type(process.daemon, bool)
    assert_type(process.authkey, bytes)
    assert_type(process.getAuthKey(), bytes)
    assert_type(process.sentinel, int)
    process.name = "new"
    process.daemon = True
    process.setAuthKey("text")
    process.setAuthKey(b"bytes")
    process.pid = 3  # type: ignore[misc]
    process.join("soon")  # type: ignore[arg-type]
    assert_type(current_process(), Process)
    assert_type(parent_process(), ParentProcess | None)
    assert_type(active_children(), list[Process])
    assert_type(cpu_count(), int)
    assert_type(cpu_count(logical=True), int)


class Worker(Process):
    """A subclass with typed state."""

    def __init__(self, number: int) -> None:
        super().__init__(target=text_and_number, args=("x", number))
        self.number = number

    def run(self) -> None:
        assert_type(self.number, int)


def pipes() -> None:
    first, second = Pipe()
    assert_type(first, Connection[Any, Any])
    assert_type(second.recv_bytes(), bytes)
    assert_type(second.recvBytes(10), bytes)
    assert_type(second.recv_bytes_into(bytearray(3)), int)
    assert_type(second.poll(), bool)
    assert_type(second.poll(None), bool)
    assert_type(second.fileno(), int)
    assert_type(second.closed, bool)
    first.send_bytes(b"x", 1, 2)
    first.send_bytes(memoryview(b"x"))
    first.send_bytes("text")  # type: ignore[arg-type]
    second.poll("soon")  # type: ignore[arg-type]
    with first as same:
        assert_type(same, Connection[Any, Any])


def typed_connections(
    numbers_to_texts: Connection[int, str], narrower: Connection[float, bool]
) -> None:
    numbers_to_texts.send(3)
    assert_type(numbers_to_texts.recv(), str)
    numbers_to_texts.send("text")  # type: ignore[arg-type]
    # Contravariant in what is sent, covariant in what is received.
    wider: Connection[int, int] = narrower
    wrong: Connection[float, str] = numbers_to_texts  # type: ignore[assignment]
    del wider, wrong


def waiting(connection: Connection[int, str], sock: socket.socket, process: Process) -> None:
    assert_type(wait([connection]), list[Connection[int, str]])
    assert_type(wait([process.sentinel], 1.0), list[int])
    assert_type(wait([sock], None), list[socket.socket])
    for ready in wait([connection, sock, process.sentinel], timeout=1):  # of several kinds
        del ready
    wait(["text"])  # type: ignore[type-var]
    wait([connection], "soon")  # type: ignore[call-overload]


def doors() -> None:
    assert_type(processing_core.connection.wait([1]), list[int])
    assert_type(processing_core.process.current_process(), Process)
    assert_type(processing_core.__version__, str)
    callback: Callable[[], int] = processing_core.cpuCount
    del callback
