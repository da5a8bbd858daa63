"""What type checkers must see: mypy reads this file, nobody runs it.

A line with `type: ignore` is one on which mypy must find that error: in strict mode an unneeded
ignore is an error itself.
"""

# What assert_type returns is awaitable here, and not to be awaited; test_typing.py has that check.
# mypy: disable-error-code="unused-awaitable"

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, assert_type

assert sys.platform != "win32"

from processing_core import get_context
from processing_pool import (
    AsyncResult,
    IMapIterator,
    MapResult,
    Pool,
    PoolExecutor,
    PoolStats,
    TaskCancelled,
    TaskTimeout,
    ThreadPool,
    WorkerLost,
    WorkerStats,
    worker_state,
)


def no_arguments() -> bytes:
    return b""


def text_and_number(text: str, number: int) -> float:
    return len(text) * float(number)


def optional(text: str, number: int = 0, *, more: bytes = b"") -> complex:
    return len(text) + number + len(more)


def anything(*args: object, **kwds: object) -> str:
    return f"{args}{kwds}"


def count(limit: int) -> Iterator[int]:
    yield from range(limit)


def see_float(value: float) -> None: ...


def see_text(value: str) -> None: ...


def see_floats(values: list[float]) -> None: ...


def see_error(error: BaseException) -> None: ...


class Thing:
    """Something with a method."""

    def __init__(self, size: int) -> None:
        self.size = size

    def method(self, text: str, times: int = 1) -> bytes:
        return text.encode() * times


def calls(pool: Pool, one: tuple[Any, ...], thing: Any) -> None:
    assert_type(pool.apply(no_arguments), bytes)
    assert_type(pool.apply(no_arguments, ()), bytes)
    assert_type(pool.apply(text_and_number, ("x", 1)), float)
    assert_type(pool.apply(text_and_number, args=("x", 1), timeout=2.5, retries=1), float)
    assert_type(pool.apply(text_and_number, ["x", 1]), float)
    assert_type(pool.apply(text_and_number, ("x",), {"number": 1}), float)
    assert_type(pool.apply(text_and_number, kwds={"text": "x", "number": 1}), float)
    assert_type(pool.apply(text_and_number, args=(), kwds={"text": "x", "number": 1}), float)
    assert_type(pool.apply(text_and_number, one), float)
    assert_type(pool.apply(optional, ("x",)), complex)
    assert_type(pool.apply(optional, ("x", 1)), complex)
    assert_type(pool.apply(optional, ("x",), {"more": b""}, timeout=1), complex)
    assert_type(pool.apply(anything), str)
    assert_type(pool.apply(anything, (1, "x", None)), str)
    assert_type(pool.apply(Thing, (1,)), Thing)
    assert_type(pool.apply(Thing(1).method, ("x",)), bytes)
    assert_type(pool.apply(partial(text_and_number, "x"), (1,)), float)
    assert_type(pool.apply(lambda: 3), int)
    assert_type(pool.apply(divmod, (7, 3)), tuple[int, int])
    assert_type(pool.apply(len, ([1],)), int)
    assert_type(pool.apply(thing), Any)
    assert_type(pool.apply(thing, (1, 2)), Any)

    pool.apply(text_and_number)  # type: ignore[arg-type]
    pool.apply(text_and_number, (1, "x"))  # type: ignore[arg-type]
    pool.apply(text_and_number, ("x",))  # type: ignore[arg-type]
    pool.apply(text_and_number, ("x", 1, 2))  # type: ignore[arg-type]
    pool.apply(optional, (1,))  # type: ignore[arg-type]
    pool.apply(no_arguments, (1,))  # type: ignore[arg-type]
    pool.apply(3)  # type: ignore[call-overload]
    pool.apply(no_arguments, 3)  # type: ignore[call-overload]
    pool.apply(no_arguments, timeout="soon")  # type: ignore[call-overload]
    pool.apply(no_arguments, unknown=3)  # type: ignore[call-overload]
    wrong: str = pool.apply(no_arguments)  # type: ignore[assignment]
    del wrong


def asynchronous_calls(pool: Pool) -> None:
    assert_type(pool.apply_async(no_arguments), AsyncResult[bytes])
    result = pool.apply_async(text_and_number, ("x", 1))
    assert_type(result, AsyncResult[float])
    assert_type(result.get(), float)
    assert_type(result.get(timeout=1), float)
    assert_type(result.wait(1.5), None)
    assert_type(result.ready(), bool)
    assert_type(result.successful(), bool)
    assert_type(result.cancel(), bool)
    assert_type(result.pid, int | None)
    assert_type(result.started, bool)
    assert_type(result.elapsed, float | None)
    assert_type(pool.apply_async(optional, ("x",)), AsyncResult[complex])
    assert_type(pool.apply_async(text_and_number, ["x", 1]), AsyncResult[float])
    assert_type(pool.apply_async(text_and_number, ("x",), {"number": 1}), AsyncResult[float])
    assert_type(
        pool.apply_async(text_and_number, ("x", 1), {}, see_float, see_error), AsyncResult[float]
    )
    assert_type(
        pool.apply_async(
            text_and_number, ("x", 1), callback=see_float, error_callback=see_error, retries=2
        ),
        AsyncResult[float],
    )
    assert_type(
        pool.apply_async(text_and_number, kwds={"text": "x", "number": 1}, callback=see_float),
        AsyncResult[float],
    )
    assert_type(pool.applyAsync(text_and_number, ("x", 1)), AsyncResult[float])

    pool.apply_async(text_and_number)  # type: ignore[arg-type]
    pool.apply_async(text_and_number, (1, "x"))  # type: ignore[arg-type]
    pool.apply_async(text_and_number, ("x",))  # type: ignore[arg-type]
    pool.applyAsync(text_and_number, (1, "x"))  # type: ignore[arg-type]
    pool.apply_async(no_arguments, (1,))  # type: ignore[arg-type]
    pool.apply_async(no_arguments, callback=see_text)  # type: ignore[misc]
    pool.apply_async(no_arguments, callback=3)  # type: ignore[call-overload]
    result.pid = 3  # type: ignore[misc]
    result.get("soon")  # type: ignore[arg-type]


def maps(pool: Pool, maybe: bool) -> None:
    assert_type(pool.map(len, ["x"]), list[int])
    assert_type(pool.map(str, range(3), 2), list[str])
    assert_type(pool.map(optional, ["x"], chunksize=None, timeout=1, retries=0), list[complex])
    assert_type(pool.map(lambda number: number + 1, [1]), list[int])
    assert_type(pool.map(len, ["x"], return_exceptions=False), list[int])
    assert_type(pool.map(len, ["x"], return_exceptions=True), list[int | BaseException])
    assert_type(pool.map(len, ["x"], return_exceptions=maybe), list[int | BaseException])
    result = pool.map_async(len, ["x"], 1, print, see_error)
    assert_type(result, MapResult[int])
    assert_type(result.get(), list[int])
    assert_type(pool.map_async(float, ["1"], callback=see_floats), MapResult[float])
    assert_type(pool.mapAsync(float, ["1"]).get(), list[float])
    assert_type(
        pool.map_async(float, ["1"], return_exceptions=True).get(), list[float | BaseException]
    )
    assert_type(pool.starmap(text_and_number, [("x", 1)]), list[float])
    assert_type(pool.starmap(text_and_number, zip("ab", range(2), strict=True)), list[float])
    assert_type(
        pool.starmap(text_and_number, [("x", 1)], return_exceptions=True),
        list[float | BaseException],
    )
    assert_type(pool.starmap_async(text_and_number, [("x", 1)], 2), MapResult[float])
    assert_type(pool.starmapAsync(text_and_number, [("x", 1)]).get(), list[float])
    assert_type(
        pool.starmap_async(text_and_number, [("x", 1)], return_exceptions=True),
        MapResult[float | BaseException],
    )

    pool.map(optional, [1])  # type: ignore[arg-type]
    pool.map(no_arguments, [1])  # type: ignore[arg-type]
    pool.map(len, 3)  # type: ignore[call-overload]
    pool.map(len, ["x"], "many")  # type: ignore[call-overload]
    pool.starmap(text_and_number, [1])  # type: ignore[list-item]
    pool.map_async(len, ["x"], callback=see_text)  # type: ignore[arg-type]


def iterators(pool: Pool) -> None:
    found = pool.imap(len, ["x"])
    assert_type(found, IMapIterator[int])
    assert_type(next(found), int)
    assert_type(found.next(timeout=1), int)
    assert_type(found.close(), None)
    for value in found:
        assert_type(value, int)
    assert_type(pool.imap(str, range(3), 2, buffersize=10, timeout=1), IMapIterator[str])
    assert_type(pool.imap_unordered(str, range(3)), IMapIterator[str])
    assert_type(pool.imapUnordered(str, range(3), chunksize=2), IMapIterator[str])
    assert_type(list(pool.stream(count, (3,))), list[int])
    assert_type(pool.stream(count, kwds={"limit": 3}, buffersize=10), IMapIterator[int])
    as_iterator: Iterator[float] = pool.imap(float, ["1"])
    del as_iterator

    pool.imap(optional, [1])  # type: ignore[arg-type]
    pool.imap_unordered(len, [1])  # type: ignore[arg-type]
    pool.imap(len, ["x"], None)  # type: ignore[arg-type]
    pool.stream(count, ("many",))  # type: ignore[arg-type]
    pool.stream(count)  # type: ignore[arg-type]
    pool.stream(text_and_number, ("x", 1))  # type: ignore[arg-type]


async def coroutines(pool: Pool) -> None:
    async with pool as entered:
        assert_type(entered, Pool)
    assert_type(await pool.apply_async(text_and_number, ("x", 1)), float)
    assert_type(await pool.map_async(len, ["x"]), list[int])
    assert_type(await asyncio.wait_for(waited_for(pool.apply_async(len, ("x",))), 1), int)
    first, second = await asyncio.gather(pool.apply_async(len, ("x",)), pool.map_async(str, [1]))
    assert_type(first, int)
    assert_type(second, list[str])
    async for value in pool.imap(len, ["x"]):
        assert_type(value, int)
    async for each in pool.stream(count, (3,)):
        assert_type(each, int)


async def waited_for(result: AsyncResult[int]) -> int:
    return await result


def executors(pool: Pool) -> None:
    executor = pool.as_executor()
    assert_type(executor, PoolExecutor)
    with executor as entered:
        assert_type(entered, PoolExecutor)
    assert_type(executor.submit(text_and_number, "x", 1), Future[float])
    assert_type(executor.submit(text_and_number, "x", number=1).result(1), float)
    assert_type(executor.map(len, ["x"]), Iterator[int])
    as_executor: Executor = executor
    del as_executor

    executor.submit(text_and_number, 1, "x")  # type: ignore[arg-type]
    executor.submit(text_and_number, "x")  # type: ignore[call-arg]


def prepare(text: str, number: int) -> None:
    assert_type(worker_state(), dict[str, Any])


def makings() -> None:
    Pool()
    Pool(2, prepare, ("x", 1))
    Pool(initializer=prepare, initargs=("x", 1), finalizer=no_arguments)
    Pool(initializer=no_arguments, maxtasksperchild=3)
    Pool(initializer=no_arguments, initargs=(), max_tasks_per_child=3)
    Pool(2, None, (), 3, "spawn")
    Pool(context=get_context("fork"), timeout=1.5, retries=2, serializer="cloudpickle")
    Pool(max_memory_per_worker=1 << 30, max_age_per_worker=3.5, propagate_context=True)

    Pool("2")  # type: ignore[arg-type]
    Pool(2, prepare, (1, "x"))  # type: ignore[arg-type]
    Pool(2, prepare, ("x",))  # type: ignore[arg-type]
    Pool(initializer=no_arguments, initargs=(1,))  # type: ignore[arg-type]
    Pool(initializer=3)  # type: ignore[arg-type]
    Pool(serializer="magic")  # type: ignore[arg-type]
    Pool(finalizer=text_and_number)  # type: ignore[arg-type]
    Pool(context=3)  # type: ignore[arg-type]


def pools_as_a_whole(pool: Pool) -> None:
    with pool as entered:
        assert_type(entered, Pool)
    assert_type(pool.close(), None)
    assert_type(pool.terminate(), None)
    assert_type(pool.join(), None)
    assert_type(pool.resize(3), None)
    assert_type(pool.dump_stacks(), dict[int, str])
    found = pool.stats()
    assert_type(found, PoolStats)
    assert_type(found.done, int)
    assert_type(found.workers, tuple[WorkerStats, ...])
    assert_type(found.workers[0].busy, float)
    pool.resize("3")  # type: ignore[arg-type]
    found.done = 3  # type: ignore[misc]


def threads() -> None:
    with ThreadPool(2, prepare, ("x", 1), propagate_context=True) as pool:
        assert_type(pool, ThreadPool)
        assert_type(pool.apply(lambda: 3), int)
        assert_type(pool.apply_async(text_and_number, ("x", 1)), AsyncResult[float])
        assert_type(pool.map(len, ["x"]), list[int])
        assert_type(pool.imap(len, ["x"]), IMapIterator[int])
        pool.apply(text_and_number, (1, "x"))  # type: ignore[arg-type]
    ThreadPool(2, prepare, ("x",))  # type: ignore[arg-type]
    ThreadPool(2, timeout=3)  # type: ignore[call-arg]


def errors(result: AsyncResult[int]) -> None:
    try:
        result.get()
    except WorkerLost as error:
        assert_type(error.pid, int | None)
        assert_type(error.cause, str)
        assert_type(error.task, str)
    except TaskTimeout as late:
        as_builtin: TimeoutError = late
        del as_builtin
    except TaskCancelled:
        pass


def doors() -> None:
    callback: Callable[[], dict[str, Any]] = worker_state
    del callback
