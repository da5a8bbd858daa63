"""imap's bounds, endless iterables, streams, and waiting with asyncio."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

assert sys.platform != "win32"

import pool_tasks as tasks
from processing_core import ProcessError, Queue, SerializationError, TimeoutError
from processing_pool import Pool, TaskCancelled, TaskTimeout, WorkerLost


class Counting:
    """An endless iterable that counts how much was taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.taken += 1
            yield self.taken


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_endless_iterables_are_taken_as_consumed(pool: Pool, method: str) -> None:
    source = Counting()
    found = getattr(pool, method)(tasks.square, source, buffersize=10)
    for consumed in range(1, 200):
        next(found)
        assert source.taken <= consumed + 10
    found.close()
    with pytest.raises((StopIteration, TaskCancelled)):
        list(found)


def test_without_buffersize_there_is_a_bound_as_well(pool: Pool) -> None:
    source = Counting()
    found = pool.imap(tasks.sleep, map(float, iter(range(0, 10**9, 10**9))), buffersize=None)
    assert next(found) is None
    found = pool.imap(tasks.same, source)
    assert [next(found) for _ in range(1000)] == list(range(1, 1001))
    assert source.taken < 30_000
    found.close()


def test_chunks_count_as_their_items(pool: Pool) -> None:
    source = Counting()
    found = pool.imap(tasks.same, source, 5, buffersize=20)
    for consumed in range(1, 100):
        assert next(found) == consumed
        assert source.taken <= consumed + 20 + 5
    found.close()


@pytest.mark.parametrize("size", [1, 3])
def test_errors_of_the_iterable_come_after_the_results_before(pool: Pool, size: int) -> None:
    def failing() -> Iterator[int]:
        yield from range(6)
        raise KeyError("source")

    found = pool.imap(tasks.square, failing(), size)
    assert [next(found) for _ in range(6)] == [0, 1, 4, 9, 16, 25]
    with pytest.raises(KeyError, match="source"):
        next(found)
    with pytest.raises(StopIteration):
        next(found)


def test_items_go_to_work_one_by_one(pool: Pool) -> None:
    """A source that waits holds up no item that it has given before."""
    gate = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        gate.wait()
        yield 2

    found = pool.imap(tasks.square, slow())
    assert next(found) == 1
    gate.set()
    assert next(found) == 4


def test_who_drops_the_iterator_drops_the_work(make_pool: Any) -> None:
    pool = make_pool(1)
    found = pool.imap(tasks.hang, range(10))
    del found
    assert pool.apply(tasks.square, (3,)) == 9


# Streams


def test_a_stream_gives_the_values_of_a_generator(pool: Pool) -> None:
    assert list(pool.stream(tasks.count_up, (5000,))) == list(range(5000))
    assert list(pool.stream(tasks.count_up, (0,))) == []
    assert list(pool.stream(tasks.count_up, kwds={"limit": 3})) == [0, 1, 2]
    assert list(pool.stream(tasks.large_values, (5,))) == [bytes([n]) * 100_000 for n in range(5)]
    assert list(pool.stream(tasks.same, ([1, (2,)],))) == [1, (2,)]


def test_a_stream_waits_for_its_consumer(pool: Pool) -> None:
    found = pool.stream(tasks.count_for_ever, buffersize=3)
    assert [next(found) for _ in range(100)] == list(range(100))
    found.close()
    assert pool.map(tasks.square, range(10)) == [n * n for n in range(10)]
    assert pool.stats().lost == 0


def test_a_stream_that_nobody_has_is_ended(make_pool: Any) -> None:
    pool = make_pool(1)
    assert next(pool.stream(tasks.count_for_ever)) == 0
    assert pool.apply(tasks.square, (3,)) == 9


def test_errors_of_a_stream_come_after_its_values(pool: Pool) -> None:
    found = pool.stream(tasks.count_and_fail, (3,))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="the end") as caught:
        next(found)
    assert "count_and_fail" in str(caught.value.__cause__)
    with pytest.raises(StopIteration):
        next(found)
    with pytest.raises(TypeError):
        next(pool.stream(tasks.same, (3,)))
    with pytest.raises(SerializationError, match="of type"):
        list(pool.stream(tasks.unpicklable_values))


def test_a_stream_whose_worker_dies_raises(pool: Pool) -> None:
    found = pool.stream(tasks.count_and_die, (3,))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(WorkerLost):
        next(found)
    assert pool.apply(tasks.square, (3,)) == 9


def test_a_stream_can_have_a_time_limit(pool: Pool) -> None:
    never: Any = tasks.hang
    found = pool.stream(never, timeout=0.2)
    with pytest.raises(TaskTimeout):
        next(found)


def test_several_streams_at_once(pool: Pool) -> None:
    streams = [pool.stream(tasks.count_up, (300,), buffersize=5) for _ in range(4)]
    # Two run; the others begin when these are done.
    assert list(streams[0]) == list(range(300))
    assert list(streams[1]) == list(range(300))
    assert [list(stream) for stream in streams[2:]] == [list(range(300))] * 2


# asyncio


def test_results_can_be_awaited(pool: Pool) -> None:
    async def main() -> None:
        assert await pool.apply_async(tasks.square, (3,)) == 9
        with pytest.raises(LookupError, match="no"):
            await pool.apply_async(tasks.fail, ("no",))
        found = await asyncio.gather(*(pool.apply_async(tasks.square, (n,)) for n in range(100)))
        assert found == [n * n for n in range(100)]
        assert await pool.map_async(tasks.square, range(5)) == [0, 1, 4, 9, 16]

    asyncio.run(main())


def test_iterators_can_be_awaited(pool: Pool) -> None:
    async def main() -> None:
        assert [each async for each in pool.imap(tasks.square, range(500))] == [
            n * n for n in range(500)
        ]
        lazily = pool.imap_unordered(tasks.square, iter(range(500)))
        assert sorted([each async for each in lazily]) == [n * n for n in range(500)]
        assert [each async for each in pool.stream(tasks.count_up, (50,))] == list(range(50))
        failing = pool.imap(tasks.raise_timeout_error, [1])
        with pytest.raises(TimeoutError):
            await anext(failing)
        with pytest.raises(StopAsyncIteration):
            await anext(failing)

    asyncio.run(main())


def test_the_loop_goes_on_while_somebody_waits(pool: Pool, tmp_path: Any) -> None:
    path = tmp_path / "go"

    async def main() -> None:
        waiting = asyncio.ensure_future(pool.apply_async(tasks.wait_for, (str(path),)))
        values = pool.imap(tasks.wait_for, [str(path)])
        first = asyncio.ensure_future(anext(values))
        await asyncio.sleep(0)
        assert not waiting.done()
        path.touch()
        assert await waiting == str(path)
        assert await first == str(path)

    asyncio.run(main())


def test_cancelling_who_awaits_cancels_the_work(pool: Pool) -> None:
    begun: Queue[int] = Queue()

    async def main() -> None:
        result = pool.apply_async(tasks.say_and_hang, (begun,))
        awaiting = asyncio.ensure_future(result)
        await asyncio.to_thread(begun.get)
        awaiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaiting
        with pytest.raises(TaskCancelled):
            result.get(0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.apply_async(tasks.hang), 0.05)

    asyncio.run(main())
    assert pool.map(tasks.square, range(10)) == [n * n for n in range(10)]


def test_a_pool_is_an_asynchronous_context_manager(start_method: str) -> None:
    async def main() -> None:
        async with Pool(2, context=start_method) as pool:
            result = pool.apply_async(tasks.square, (3,))
        assert result.get(0) == 9
        other = Pool(2, context=start_method)
        hanging = other.apply_async(tasks.hang)
        with pytest.raises(KeyError):
            async with other:
                raise KeyError
        with pytest.raises(ProcessError):
            hanging.get(0)

    asyncio.run(main())
