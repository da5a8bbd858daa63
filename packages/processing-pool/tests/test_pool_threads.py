"""Pools of threads: the same methods, and what is different."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

assert sys.platform != "win32"

import pool_tasks as tasks
from processing_core import ClosedError, MisuseError, RemoteError
from processing_pool import TaskCancelled, ThreadPool


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """A pool of two threads."""
    made = ThreadPool(2)
    yield made
    made.terminate()
    made.join()


def test_the_methods_do_what_those_of_processes_do(pool: ThreadPool) -> None:
    assert pool.apply(tasks.add, ("a", "b"), {"third": "c"}) == "abc"
    assert pool.apply(tasks.pid_of_worker) == os.getpid()
    assert pool.map(tasks.square, range(100)) == [n * n for n in range(100)]
    assert pool.starmap(tasks.add, [(1, 2), (3, 4)], 2) == [3, 7]
    assert list(pool.imap(tasks.square, range(100), 7)) == [n * n for n in range(100)]
    assert sorted(pool.imap_unordered(tasks.square, range(10))) == [n * n for n in range(10)]
    assert list(pool.stream(tasks.count_up, (3,), buffersize=1)) == [0, 1, 2]
    with pytest.raises(LookupError, match="no"):
        pool.apply(tasks.fail, ("no",))
    found = pool.map(tasks.fail_if_odd, range(2), return_exceptions=True)
    assert isinstance(found[1], LookupError)
    assert pool.stats().failed == 2


def test_nothing_is_pickled(pool: ThreadPool) -> None:
    thing = object()
    assert pool.apply(lambda: thing) is thing
    assert pool.map(lambda each: each, [thing])[0] is thing


def test_threads_are_prepared_and_named() -> None:
    names: list[str] = []
    with ThreadPool(1, lambda: names.append(threading.current_thread().name)) as pool:
        pool.apply(tasks.nothing)
    assert names == ["PoolWorker-1"]


def test_an_initializer_that_fails_is_told_to_everybody() -> None:
    errors: tuple[tuple[Any, Any], ...] = ((LookupError, LookupError), (SystemExit, RemoteError))
    for raised, told in errors:
        with ThreadPool(2, tasks.raise_it, (raised,)) as pool:
            for _ in range(2):
                with pytest.raises(told, match="why"):
                    pool.apply(tasks.nothing)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_tasks_cannot_end_their_thread_or_the_caller(pool: ThreadPool, error: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: pool.apply(tasks.raise_it, (error,)),
        lambda: pool.map(tasks.raise_it, [error]),
        lambda: list(pool.imap(tasks.raise_it, [error])),
        lambda: list(pool.stream(tasks.raise_it_later, (error,))),
    ]
    for call in calls:
        with pytest.raises(RemoteError, match=f"the task raised {error.__name__}") as caught:
            call()
        assert type(caught.value.__cause__) is error
    assert pool.map(tasks.square, range(10)) == [n * n for n in range(10)]


def test_a_result_that_nobody_wants_is_dropped(pool: ThreadPool) -> None:
    go = threading.Event()
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        go.wait()

    result = pool.apply_async(wait)
    begun.wait()
    assert result.pid == os.getpid()
    assert result.cancel()
    with pytest.raises(TaskCancelled):
        result.get(0)
    go.set()
    pool.close()
    with pytest.raises(ClosedError):
        pool.apply(tasks.nothing)
    pool.join()


def test_it_can_be_joined_only_after_close(pool: ThreadPool) -> None:
    with pytest.raises(MisuseError):
        pool.join()
