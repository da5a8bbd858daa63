"""``processing.Pool`` and ``processing.pool``: all documented names, in both spellings, at work."""

from __future__ import annotations

import inspect
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import processing
import processing.pool
from processing_testkit import wait_until

if sys.platform == "win32":
    pytest.skip("there are no pools on Windows yet", allow_module_level=True)

POOLS: dict[str, Callable[..., Any]] = {
    "processing.Pool": processing.Pool,
    "processing.pool.Pool": processing.pool.Pool,
    "processing.pool.ThreadPool": processing.pool.ThreadPool,
}
BOTH = pytest.mark.parametrize("spelling", ["documented", "pep8"])
TWINS = {
    "applyAsync": "apply_async",
    "imapUnordered": "imap_unordered",
    "mapAsync": "map_async",
    "starmapAsync": "starmap_async",
}
METHODS = [*TWINS, *TWINS.values(), "apply", "close", "imap", "join", "map", "starmap", "terminate"]


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A pool of two workers, by each of the documented names."""
    made = POOLS[request.param](2)
    yield made
    made.terminate()
    made.join()


def method(pool: Any, documented: str, spelling: str) -> Any:
    """A method, by one of its two names."""
    return getattr(pool, documented if spelling == "documented" else TWINS[documented])


def square(number: int) -> int:
    return number * number


def add(first: int, second: int = 0) -> int:
    return first + second


def fail(*_: object) -> None:
    raise LookupError("no")


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.002)


def name_of_worker() -> str:
    return processing.currentProcess().name


state: list[object] = []


def prepare(thing: object) -> None:
    state.append(thing)


def prepared(_: object) -> object:
    return state[-1]


def pid_of_worker() -> int:
    return os.getpid()


@pytest.mark.parametrize("kind", ["Pool", "ThreadPool"])
def test_every_documented_name_is_there(kind: str) -> None:
    cls = getattr(processing.pool, kind)
    assert [name for name in METHODS if not callable(getattr(cls, name))] == []
    for documented, pep8 in TWINS.items():
        assert getattr(cls, documented) is getattr(cls, pep8)
    for name in ("get", "wait", "ready", "successful"):
        assert callable(getattr(processing.pool.AsyncResult, name))
    assert callable(processing.pool.IMapIterator.next)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("apply", ["func", "args", "kwds"]),
        ("applyAsync", ["func", "args", "kwds", "callback", "error_callback"]),
        ("map", ["func", "iterable", "chunksize"]),
        ("mapAsync", ["func", "iterable", "chunksize", "callback", "error_callback"]),
        ("starmap", ["func", "iterable", "chunksize"]),
        ("starmapAsync", ["func", "iterable", "chunksize", "callback", "error_callback"]),
        ("imap", ["func", "iterable", "chunksize"]),
        ("imapUnordered", ["func", "iterable", "chunksize"]),
        ("__init__", ["processes", "initializer", "initargs", "maxtasksperchild", "context"]),
    ],
)
def test_documented_parameters_come_first_and_in_their_order(
    name: str, parameters: list[str]
) -> None:
    found = list(inspect.signature(getattr(processing.Pool, name)).parameters)
    assert found[1 : len(parameters) + 1] == parameters


def test_calls(pool: Any) -> None:
    assert pool.apply(add, (1, 2)) == 3
    assert pool.apply(add, (1,), {"second": 5}) == 6
    assert pool.apply(add, args=(1,), kwds={"second": 5}) == 6
    assert pool.map(square, range(10)) == [n * n for n in range(10)]
    assert pool.map(square, iter(range(10)), chunksize=3) == [n * n for n in range(10)]
    assert pool.starmap(add, [(1, 2), (3,)]) == [3, 3]
    assert pool.map(square, []) == pool.starmap(add, iter(())) == []
    with pytest.raises(LookupError, match="no"):
        pool.apply(fail)
    with pytest.raises(LookupError, match="no"):
        pool.map(fail, [1])


@BOTH
def test_asynchronous_calls(pool: Any, spelling: str) -> None:
    values: list[Any] = []
    errors: list[Any] = []
    one = method(pool, "applyAsync", spelling)(add, (1,), {"second": 5}, callback=values.append)
    assert one.get() == 6
    assert one.get(timeout=1) == 6
    many = method(pool, "mapAsync", spelling)(square, range(3), 2, callback=values.append)
    assert many.get() == [0, 1, 4]
    pairs = method(pool, "starmapAsync", spelling)(add, [(1, 2)], callback=values.append)
    assert pairs.get() == [3]
    empty = method(pool, "mapAsync", spelling)(square, [], callback=values.append)
    assert empty.get() == []
    bad = method(pool, "applyAsync", spelling)(
        fail, callback=values.append, error_callback=errors.append
    )
    bad.wait()
    assert bad.ready()
    assert not bad.successful()
    with pytest.raises(LookupError):
        bad.get()
    assert one.successful()
    pool.close()
    pool.join()
    assert sorted(values, key=repr) == sorted([6, [0, 1, 4], [3], []], key=repr)
    assert [type(each) for each in errors] == [LookupError]


@BOTH
def test_a_result_that_is_not_there(pool: Any, spelling: str, tmp_path: Path) -> None:
    result = method(pool, "applyAsync", spelling)(wait_for, (tmp_path / "go",))
    assert not result.ready()
    result.wait(0.01)
    for late in (processing.TimeoutError, TimeoutError):
        with pytest.raises(late):
            result.get(0.01)
    for misuse in (AssertionError, ValueError, processing.ProcessError):
        with pytest.raises(misuse):
            result.successful()
    (tmp_path / "go").touch()
    assert result.get() is None


@BOTH
def test_iterators(pool: Any, spelling: str, tmp_path: Path) -> None:
    found = pool.imap(square, range(4), chunksize=2)
    assert iter(found) is found
    assert [next(found), found.next(), found.next(20), found.next(timeout=20)] == [0, 1, 4, 9]
    for _ in range(2):
        with pytest.raises(StopIteration):
            found.next()
    unordered = method(pool, "imapUnordered", spelling)
    assert sorted(unordered(square, range(10))) == [n * n for n in range(10)]
    assert list(unordered(square, [], 1)) == []
    slow = pool.imap(wait_for, [tmp_path / "go"])
    with pytest.raises(processing.TimeoutError):
        slow.next(0.01)
    (tmp_path / "go").touch()
    assert slow.next() is None


def test_the_remote_traceback_is_attached() -> None:
    with processing.Pool(1) as pool, pytest.raises(LookupError) as caught:
        pool.apply(fail)
    assert "in fail" in str(caught.value.__cause__)


def test_workers_are_named() -> None:
    with processing.Pool(1) as pool:
        assert pool.apply(name_of_worker) == "PoolWorker-1"


def test_none_means_as_many_as_there_are_processors() -> None:
    with processing.Pool() as pool:
        assert len(pool.stats().workers) == processing.cpuCount()
    with processing.Pool(processes=None) as pool:
        assert len(pool.stats().workers) == processing.cpu_count()


@pytest.mark.parametrize("kind", POOLS)
def test_initializers(kind: str) -> None:
    with POOLS[kind](processes=2, initializer=prepare, initargs=("ready",)) as pool:
        assert pool.map(prepared, range(10), 1) == ["ready"] * 10


def test_workers_are_replaced() -> None:
    with processing.Pool(1, maxtasksperchild=1) as pool:
        assert pool.apply(pid_of_worker) != pool.apply(pid_of_worker)


def test_the_end(pool: Any) -> None:
    for kind in (AssertionError, ValueError):
        with pytest.raises(kind):
            pool.join()
    result = pool.map_async(square, range(100))
    pool.close()
    pool.close()
    with pytest.raises(ValueError, match="closed"):
        pool.apply(square, (1,))
    pool.join()
    assert result.get(0) == [n * n for n in range(100)]


def test_terminating() -> None:
    pool = processing.Pool(2)
    result = pool.map_async(time.sleep, [60] * 10)
    pool.terminate()
    pool.join()
    with pytest.raises(processing.ProcessError):
        result.get()


def test_a_pool_that_is_collected_ends() -> None:
    pools = [processing.Pool(1)]
    pid = pools[0].apply(pid_of_worker)
    with pytest.warns(ResourceWarning):
        pools.clear()
    wait_until(lambda: pid not in [process.pid for process in processing.activeChildren()])


def test_it_belongs_to_its_process(pool: Any) -> None:
    with pytest.raises(NotImplementedError):
        pickle.dumps(pool)


def test_names_that_programs_take_from_the_standard_library() -> None:
    assert processing.pool.ApplyResult is processing.pool.AsyncResult
    assert processing.pool.IMapUnorderedIterator is processing.pool.IMapIterator
    assert issubclass(processing.pool.TimeoutError, processing.TimeoutError)
