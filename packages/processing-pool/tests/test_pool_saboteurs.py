"""The table of saboteurs: what is done, and where. Never a hang, and the pool goes on."""

from __future__ import annotations

import sys
from typing import Any

import pytest

assert sys.platform != "win32"

import pool_tasks as tasks
from processing_core import RemoteError, SerializationError
from processing_pool import Pool, TaskTimeout, WorkerLost

LOST = (WorkerLost,)
# What is done, and what comes of it when a worker does it in a task, and while it unpickles a task.
ACTS: dict[str, tuple[Any, Any, Any]] = {
    "raise": (tasks.do_raise, LookupError, SerializationError),
    "exit": (tasks.do_exit, RemoteError, SerializationError),
    "leave": (tasks.do_leave, WorkerLost, WorkerLost),
    "crash": (tasks.do_crash, WorkerLost, WorkerLost),
    "kill": (tasks.do_kill, WorkerLost, WorkerLost),
    "exhaust": (tasks.do_exhaust, MemoryError, SerializationError),
    "stop": (tasks.do_stop, TaskTimeout, TaskTimeout),
}
ACT = pytest.mark.parametrize("act", ACTS)


def limit(act: str) -> float | None:
    return 0.5 if act == "stop" else None


def check(pool: Pool) -> None:
    assert pool.map(tasks.square, range(50), 1) == [n * n for n in range(50)]


@ACT
def test_in_the_function(pool: Pool, act: str) -> None:
    function, error, _ = ACTS[act]
    with pytest.raises(error):
        pool.apply(function, timeout=limit(act))
    found = pool.map(function, [1], 1, return_exceptions=True, timeout=limit(act))
    assert isinstance(found[0], error)
    iterator = pool.imap(function, [1], timeout=limit(act))
    with pytest.raises(error):
        next(iterator)
    check(pool)


@ACT
def test_when_the_argument_is_unpickled(pool: Pool, act: str) -> None:
    function, _, error = ACTS[act]
    bad = tasks.Local(function, when="unpickling")
    with pytest.raises(error):
        pool.apply(tasks.same, (bad,), timeout=limit(act))
    # Those beside it may be the first of a new worker, whose imports count.
    seconds = limit(act)
    longer = None if seconds is None else 6 * seconds
    found = pool.map(tasks.pid_of_worker, [1, bad, 3], 1, return_exceptions=True, timeout=longer)
    assert [type(each) for each in (found[0], found[2])] == [int, int]
    assert isinstance(found[1], error)
    check(pool)


@ACT
def test_when_the_function_is_unpickled(pool: Pool, act: str) -> None:
    function, _, error = ACTS[act]
    bad = tasks.Local(function, when="unpickling")
    with pytest.raises(error):
        pool.apply(bad, timeout=limit(act))
    check(pool)


@ACT
def test_when_the_result_is_pickled(pool: Pool, act: str) -> None:
    function, _, error = ACTS[act]
    with pytest.raises(error):
        pool.apply(tasks.give, (function, "pickling"), timeout=limit(act))
    check(pool)


@ACT
def test_when_the_exception_is_pickled(pool: Pool, act: str) -> None:
    function, _, error = ACTS[act]
    error = error if error in (WorkerLost, TaskTimeout) else RemoteError
    with pytest.raises(error):
        pool.apply(tasks.raise_bad, (function, "pickling"), timeout=limit(act))
    check(pool)


@pytest.mark.parametrize("act", ["raise", "exit"])
def test_when_it_is_pickled_or_unpickled_here(pool: Pool, act: str) -> None:
    """What would end this process is not tried."""
    function = ACTS[act][0]
    bad = tasks.Local(function, when="pickling")
    with pytest.raises((SerializationError, SystemExit)):
        pool.apply(tasks.same, (bad,))
    found: list[Any] = pool.map(tasks.pid_of_worker, [1, bad, 3], 1, return_exceptions=True)
    assert isinstance(found[1], SerializationError)
    with pytest.raises(SerializationError):
        pool.apply(tasks.give, (function, "unpickling"))
    with pytest.raises(RemoteError):
        pool.apply(tasks.raise_bad, (function, "unpickling"))
    check(pool)
