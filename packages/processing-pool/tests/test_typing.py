"""What type checkers must see of pools that run: mypy reads it, and it also runs."""

from __future__ import annotations

import sys
from typing import assert_type

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pool_tasks as tasks
from processing_pool import AsyncResult, IMapIterator, MapResult, Pool, ThreadPool


def test_calls(pool: Pool) -> None:
    assert assert_type(pool.apply(tasks.square, (3,)), int) == 9
    assert assert_type(pool.apply(tasks.square, [3]), int) == 9
    assert assert_type(pool.apply(tasks.square, kwds={"number": 3}), int) == 9
    assert assert_type(pool.apply(tasks.square, (), {"number": 3}), int) == 9
    assert assert_type(pool.apply(tasks.pid_of_worker), int) in pool.dump_stacks()
    result = pool.apply_async(tasks.square, (3,))
    assert_type(result.get(), int)
    assert type(assert_type(result, AsyncResult[int])) is AsyncResult
    wrong = pool.apply_async(tasks.square, ("x",))  # type: ignore[arg-type]
    wrong.wait()
    assert not wrong.successful()


def test_results_that_nobody_wants(pool: Pool) -> None:
    """Results are awaitable, so mypy's optional check wants them to have a name."""
    pool.apply_async(tasks.nothing)  # type: ignore[unused-awaitable]
    pool.map_async(tasks.square, [1])  # type: ignore[unused-awaitable]
    _ = pool.apply_async(tasks.nothing)
    _ = pool.map_async(tasks.square, [1])


def test_many_tasks(pool: Pool) -> None:
    assert assert_type(pool.map(tasks.square, range(3)), list[int]) == [0, 1, 4]
    found = pool.map(tasks.fail_if_odd, range(2), return_exceptions=True)
    assert isinstance(assert_type(found, list[int | BaseException])[1], LookupError)
    result = pool.map_async(tasks.square, range(3))
    assert assert_type(result.get(), list[int]) == [0, 1, 4]
    assert type(assert_type(result, MapResult[int])) is MapResult
    assert assert_type(pool.starmap(tasks.square, [(3,)]), list[int]) == [9]
    iterator = pool.imap(tasks.square, range(3))
    assert type(assert_type(iterator, IMapIterator[int])) is IMapIterator
    assert assert_type(list(iterator), list[int]) == [0, 1, 4]
    assert assert_type(list(pool.stream(tasks.count_up, (2,))), list[int]) == [0, 1]
    assert assert_type(list(pool.stream(tasks.count_up, kwds={"limit": 2})), list[int]) == [0, 1]


def test_the_classes_of_results_take_parameters_when_they_run() -> None:
    for kind in (AsyncResult, MapResult, IMapIterator):
        assert str(kind[int]).endswith("[int]")


def test_threads() -> None:
    with ThreadPool(1) as pool:
        assert assert_type(pool.apply(tasks.square, (3,)), int) == 9
        assert assert_type(pool.apply_async(tasks.square, [3]).get(), int) == 9
        assert assert_type(list(pool.imap(tasks.square, range(3))), list[int]) == [0, 1, 4]
