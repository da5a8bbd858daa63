"""What type checkers must see of ``processing.dummy``; mypy reads it, and it also runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, assert_type

assert sys.platform != "win32"

import pytest

import processing.dummy
from processing.dummy import (
    Array,
    Condition,
    JoinableQueue,
    LocalManager,
    LocalNamespace,
    LocalValue,
    Lock,
    Manager,
    Namespace,
    Pipe,
    Pool,
    Process,
    Queue,
    RLock,
    Semaphore,
    SimpleQueue,
    ThreadContext,
    Value,
    active_children,
    current_process,
    get_context,
    parent_process,
    wait,
)
from processing.dummy.connection import Connection


def repeat(text: str, times: int) -> str:
    return text * times


def test_processes() -> None:
    process = Process(target=repeat, args=("x", 2))
    Process(None, repeat, "name", ("x", 2), daemon=True)
    Process(target=repeat, args=["x"], name="y")
    Process(target=repeat, args=("x",), kwargs={"times": 2})
    Process(target=repeat, args=(2, "x"))  # type: ignore[arg-type]
    Process(target=repeat)  # type: ignore[arg-type]
    assert_type(process.pid, int | None)
    assert_type(process.ident, int | None)
    assert_type(process.exitcode, int | None)
    assert_type(process.name, str)
    assert_type(process.daemon, bool)
    assert_type(process.authkey, bytes)
    assert_type(process.isAlive(), bool)
    assert_type(active_children(), list[Process])
    assert_type(current_process(), Process)
    assert_type(parent_process(), Process | None)
    process.start()
    process.join(timeout=30)


def test_queues() -> None:
    numbers: Queue[int] = Queue(2)
    numbers.put(1)
    assert_type(numbers.get(), int)
    numbers.put("one")  # type: ignore[arg-type]
    joinable: JoinableQueue[str] = JoinableQueue()
    joinable.put_many(["a", "b"])
    assert_type(joinable.get_many(2), list[str])
    simple: SimpleQueue[bytes] = SimpleQueue()
    simple.put(b"")
    assert_type(wait([simple]), list[SimpleQueue[bytes]])
    assert_type(simple.get(), bytes)
    plain: Queue = Queue()
    assert_type(plain, Queue[Any])


def test_locks() -> None:
    lock, recursive = Lock(), RLock(robust=True)
    Condition(lock)
    Condition(recursive)
    with pytest.raises(TypeError):
        Condition(Semaphore())  # type: ignore[arg-type]
    with lock as taken, Semaphore(1) as counted:
        assert_type(taken, bool)
        assert_type(counted, bool)
    condition = Condition()
    with condition:
        assert_type(condition.wait(0), bool)
        assert_type(condition.wait_for(lambda: "text"), str)


def test_connections() -> None:
    ends = Pipe()
    assert_type(ends, tuple[Connection, Connection])
    assert_type(wait(ends, 0), list[Connection])


def test_values() -> None:
    assert_type(Value("i", 1).value, int)
    assert_type(Value("d", 1).value, float)
    assert_type(Array("i", 2)[0], int)
    Value("i", lock=Lock())


def test_managers() -> None:
    with Manager() as manager:
        assert_type(manager, LocalManager)
        assert_type(manager.list([1]), list[int])
        assert_type(manager.dict(a=1), dict[str, int])
        assert_type(manager.dict({1: "a"}), dict[int, str])
        assert_type(manager.set([1]), set[int])
        assert_type(manager.Value("i", 1), LocalValue[int])
        assert_type(manager.Namespace(x=1), LocalNamespace)
        assert_type(manager.Queue(), Queue[Any])
        assert_type(manager.Lock(), Lock)
    assert_type(Namespace(x=1), LocalNamespace)


def test_pools() -> None:
    with Pool(1) as pool:
        assert_type(pool, Pool)
        assert_type(pool.apply(repeat, ("x", 2)), str)
    assert_type(lambda: Pool(1, repeat, ("x", 2)), Callable[[], Pool])
    lambda: Pool(1, repeat, (1,))  # type: ignore[arg-type]


def test_contexts() -> None:
    context = get_context("spawn")
    assert_type(context, ThreadContext)
    assert_type(context.Lock(), Lock)
    assert_type(context.Queue(), Queue[Any])
    assert_type(context.Process(target=repeat, args=("x", 1)), Process)
    assert_type(context.current_process(), Process)
    assert_type(context.cpu_count(), int)
    assert_type(processing.dummy.cpu_count(), int)
