"""Queues as one process sees them: every documented method, in both spellings, and every misuse."""

from __future__ import annotations

import asyncio
import gc
import math
import pickle
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import processing_core
from processing_core import (
    ClosedError,
    InvalidArgument,
    InvalidType,
    JoinableQueue,
    MisuseError,
    Pipe,
    ProcessError,
    Queue,
    SerializationError,
    SharingError,
    SimpleQueue,
    wait,
)
from processing_core.queues import Empty, Full
from processing_testkit import wait_until
from queue_children import Unreadable, Unwritable

assert sys.platform != "win32"

ITEMS: list[Any] = [
    None,
    0,
    -(2**80),
    1.5,
    "text",
    "ü" * 20_000,
    b"",
    bytes(range(256)),
    bytes(40_000),
    bytes(3_000_000),
    [1, [2, {"three": (4, 5)}]],
    list(range(50_000)),
    ProcessError("an error", 3),
]


@pytest.fixture(params=[Queue, JoinableQueue, SimpleQueue])
def any_queue(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield request.param()
    # pytest would keep it until after the leak check.
    request.node.funcargs.clear()


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> Iterator[Queue[Any]]:
    yield Queue()
    request.node.funcargs.clear()


def same(one: object, other: object) -> bool:
    return repr(one) == repr(other) if isinstance(one, Exception) else one == other


def test_what_is_put_is_got_in_order(any_queue: Any) -> None:
    for item in ITEMS:
        any_queue.put(item)
    for item in ITEMS:
        assert same(any_queue.get(), item)
    assert any_queue.empty()


def test_every_item_by_itself(any_queue: Any) -> None:
    for item in ITEMS:
        any_queue.put(item)
        assert not any_queue.empty()
        assert same(any_queue.get(), item)


def test_the_state_is_exact(queue: Queue[int]) -> None:
    assert queue.empty()
    assert queue.qsize() == 0
    for number in range(5000):
        queue.put(number)
        assert queue.qsize() == number + 1
    assert not queue.empty()
    assert not queue.full()
    for number in range(5000):
        assert queue.get() == number
        assert queue.qsize() == 4999 - number
    assert queue.empty()


def test_a_bounded_queue_is_full_at_its_size() -> None:
    queue: Queue[int] = Queue(3)
    for number in range(3):
        assert not queue.full()
        queue.put(number)
    assert queue.full()
    with pytest.raises(Full):
        queue.put(3, False)
    with pytest.raises(Full):
        queue.put_nowait(3)
    with pytest.raises(Full):
        queue.put(3, True, 0.01)
    with pytest.raises(Full):
        queue.put(3, timeout=-1)
    assert queue.get() == 0
    queue.put(3)
    assert [queue.get() for _ in range(3)] == [1, 2, 3]


def test_an_empty_queue_says_so(queue: Queue[int]) -> None:
    with pytest.raises(Empty):
        queue.get(False)
    with pytest.raises(Empty):
        queue.get_nowait()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    with pytest.raises(Empty):
        queue.get(True, -5)
    assert queue.get_many(3, 0.01) == []


@pytest.mark.parametrize("maxsize", [0, -1, -(10**30), 2**40])
def test_no_bound(maxsize: int) -> None:
    queue: Queue[int] = Queue(maxsize)
    for number in range(100):
        queue.put(number, False)
    assert not queue.full()


def test_both_spellings() -> None:
    for documented, pep8 in [
        ("putNoWait", "put_nowait"),
        ("getNoWait", "get_nowait"),
        ("putMany", "put_many"),
        ("putmany", "put_many"),
        ("joinThread", "join_thread"),
        ("jointhread", "join_thread"),
        ("cancelJoin", "cancel_join_thread"),
        ("canceljoin", "cancel_join_thread"),
    ]:
        assert getattr(Queue, documented) is getattr(Queue, pep8)
    assert getattr(JoinableQueue, "taskDone") is JoinableQueue.task_done  # noqa: B009


def test_many_at_once(queue: Queue[Any]) -> None:
    items = [(number, "x" * (number % 700)) for number in range(20_000)]
    queue.putMany(iter(items))
    assert queue.qsize() == len(items)
    found: list[Any] = []
    while len(found) < len(items):
        part = queue.get_many(777)
        assert 1 <= len(part) <= 777
        found += part
    assert found == items


def test_many_with_large_ones_among_them_keep_their_order(queue: Queue[Any]) -> None:
    items = [1, b"x" * 100_000, 2, 3, b"y" * 50_000, 4]
    queue.put_many(items)
    assert queue.get_many(100) == items


def test_many_are_put_all_or_not_at_all(queue: Queue[Any]) -> None:
    with pytest.raises(ZeroDivisionError, match="says the object"):
        queue.put_many([1, 2, Unwritable()])
    assert queue.empty()


def test_many_is_not_for_queues_with_a_limit() -> None:
    for queue in (Queue(5), Queue(max_bytes=1000)):
        with pytest.raises(MisuseError):
            queue.put_many([1])
        with pytest.raises(AssertionError):
            queue.putMany([1])


@pytest.mark.parametrize("most", [0, -1])
def test_nobody_gets_less_than_one(queue: Queue[Any], most: int) -> None:
    with pytest.raises(InvalidArgument, match=str(most)):
        queue.get_many(most)


def test_a_pickling_error_is_raised_by_put(any_queue: Any) -> None:
    any_queue.put("before")
    with pytest.raises(ZeroDivisionError, match="says the object"):
        any_queue.put(Unwritable())
    with pytest.raises((pickle.PicklingError, AttributeError)):
        any_queue.put(lambda: None)
    any_queue.put("after")
    assert [any_queue.get(), any_queue.get()] == ["before", "after"]


def test_an_unpickling_error_is_raised_by_get_and_the_queue_goes_on(any_queue: Any) -> None:
    for item in (1, Unreadable(), [Unreadable(), bytes(100_000)], 2):
        any_queue.put(item)
    assert any_queue.get() == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="no number"):
            any_queue.get()
    assert any_queue.get() == 2
    assert any_queue.empty()


def test_an_unpickling_error_among_many_loses_only_its_item(queue: Queue[Any]) -> None:
    items = [1, bytes(100_000), Unreadable(), bytes(200_000), 3]
    queue.put_many(items)
    with pytest.raises(ValueError, match="no number"):
        queue.get_many(10)
    queue.put_many([b"x" * 100_000] * 3)  # in the blocks that are free again
    assert queue.get_many(4) == [1, bytes(100_000), bytes(200_000), 3]
    assert queue.get_many(9) == [b"x" * 100_000] * 3


def test_close(any_queue: Any) -> None:
    any_queue.put(1)
    any_queue.close()
    any_queue.close()
    for call in (lambda: any_queue.put(2), any_queue.get, any_queue.empty, any_queue.fileno):
        with pytest.raises(ClosedError, match="closed"):
            call()
        with pytest.raises(ValueError, match="closed"):
            call()
    assert "closed" in repr(any_queue)


def test_a_closed_queue_refuses_everything_else(queue: Queue[Any]) -> None:
    queue.close()
    for call in (
        queue.qsize,
        queue.full,
        lambda: queue.put_many([1]),
        lambda: queue.get_many(1),
        lambda: queue.put(1, False),
        lambda: queue.get(timeout=1),
        lambda: asyncio.run(queue.aget()),
    ):
        with pytest.raises(ClosedError):
            call()


def test_the_thread_that_does_not_exist(queue: Queue[Any]) -> None:
    with pytest.raises(MisuseError, match="close"):
        queue.join_thread()
    with pytest.raises(AssertionError):
        queue.joinThread()
    queue.cancel_join_thread()
    queue.close()
    queue.join_thread()


@pytest.mark.parametrize("call", ["get", "put"])
def test_a_timeout_that_is_no_number(call: str) -> None:
    queue: Queue[Any] = Queue(1)
    arguments = () if call == "get" else (1,)
    with pytest.raises(InvalidArgument, match="NaN"):
        getattr(queue, call)(*arguments, timeout=math.nan)
    with pytest.raises(InvalidType, match="soon"):
        getattr(queue, call)(*arguments, timeout="soon")
    queue.put(1)
    # No limit at all, however it is spelt; it is there at once.
    assert queue.get(timeout=math.inf) == 1
    queue.put(2, timeout=1e300)
    assert queue.get(timeout=10**400) == 2


def test_limits_that_are_no_numbers() -> None:
    with pytest.raises(InvalidType, match="three"):
        Queue("three")  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match=r"2\.5"):
        Queue(max_bytes=2.5)  # type: ignore[arg-type]
    for wrong in (0, -7):
        with pytest.raises(InvalidArgument, match=str(wrong)):
            Queue(max_bytes=wrong)


def test_a_ceiling_in_bytes() -> None:
    queue: Queue[bytes] = Queue(max_bytes=10_000)
    for _ in range(10):
        queue.put(bytes(1000), False)
    with pytest.raises(Full):
        queue.put(bytes(1000), False)
    with pytest.raises(InvalidArgument, match="can never be put"):
        queue.put(bytes(20_000))
    with pytest.raises(InvalidArgument, match="can never be put"):
        queue.put(bytes(200_000), False)
    assert len(queue.get()) == 1000
    queue.put(bytes(1000))
    assert queue.qsize() == 10


def test_a_ceiling_counts_large_items() -> None:
    queue: Queue[bytes] = Queue(max_bytes=1_000_000)
    for _ in range(3):
        queue.put(bytes(300_000), False)
    with pytest.raises(Full):
        queue.put(bytes(300_000), False)
    queue.get()
    queue.put(bytes(300_000), False)


def test_more_than_there_is_memory_for(queue: Queue[Any]) -> None:
    """Nothing of this size is allocated: the buffer is a mapping of nothing."""
    mmap = pytest.importorskip("mmap")
    try:
        huge = mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | 0x4000, prot=mmap.PROT_READ)
    except OSError:
        pytest.skip("no address space for the buffer")
    with pytest.raises(MemoryError):
        queue.put(pickle.PickleBuffer(memoryview(huge)))
    assert queue.empty()
    queue.put(1)
    assert queue.get() == 1


def test_a_queue_takes_little_memory() -> None:
    queue: Queue[int] = Queue()
    queue.put(1)
    queue.get()
    assert queue._memory_in_use() < 100 * 1024


def test_memory_comes_back_when_a_queue_is_drained(queue: Queue[Any]) -> None:
    queue.put(b"x")
    queue.get()
    for _ in range(3):
        for _ in range(20_000):
            queue.put(bytes(500))
        queue.put_many([bytes(500)] * 20_000)
        queue.put(bytes(5_000_000))
        assert queue._memory_in_use() > 20_000_000
        for _ in range(40_001):
            queue.get()
        assert queue._memory_in_use() < 1_000_000


def test_descriptors_that_are_ready_together(queue: Queue[int]) -> None:
    receiver, sender = Pipe(False)
    other: Queue[int] = Queue()
    with receiver, sender:
        assert wait([queue, other, receiver], 0) == []
        queue.put(1)
        assert wait([queue, other, receiver], 5) == [queue]
        sender.send(1)
        other.put_many([1, 2])
        assert wait([queue, other, receiver], 5) == [queue, other, receiver]
        queue.get()
        assert wait([queue, other], 5) == [other]
        other.get()
        assert wait([queue, other], 5) == [other]
        other.get()
        assert wait([queue, other], 0) == []


def test_a_descriptor_is_ready_for_what_was_there_before(queue: Queue[int]) -> None:
    queue.put(1)
    assert wait([queue], 5) == [queue]
    queue.get()
    assert wait([queue], 0) == []


def test_threads(any_queue: Any) -> None:
    count, each = 4, 300
    results: list[int] = []

    def put(first: int) -> None:
        for number in range(first, first + each):
            any_queue.put(number)

    def get() -> None:
        results.extend(any_queue.get() for _ in range(each))

    threads = [threading.Thread(target=put, args=(index * each,)) for index in range(count)]
    threads += [threading.Thread(target=get) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(count * each))
    assert any_queue.empty()


def test_a_waiting_thread_is_woken_for_room() -> None:
    queue: Queue[int] = Queue(1)
    queue.put(0)
    thread = threading.Thread(target=queue.put, args=(1,))
    thread.start()
    wait_until(lambda: queue._words[24] & 0xFFFFFFFF)
    assert queue.get() == 0
    assert queue.get() == 1
    thread.join()


def test_reports() -> None:
    queue: JoinableQueue[int] = JoinableQueue()
    queue.join()
    queue.put_many(range(3))
    for _ in range(2):
        queue.get()
        queue.task_done()
    thread = threading.Thread(target=queue.join)
    thread.start()
    wait_until(lambda: queue._words[32])
    queue.taskDone()
    thread.join()
    with pytest.raises(ValueError, match="more often"):
        queue.task_done()


def test_coroutines(queue: Queue[int]) -> None:
    async def main() -> list[int]:
        getters = [asyncio.create_task(queue.aget()) for _ in range(5)]
        await asyncio.sleep(0)
        for number in range(5):
            queue.put(number)
        return await asyncio.gather(*getters)

    threads = threading.active_count()
    assert sorted(asyncio.run(main())) == list(range(5))
    assert threading.active_count() == threads


def test_coroutines_wait_for_room() -> None:
    queue: Queue[int] = Queue(2)

    async def main() -> list[int]:
        putters = [asyncio.create_task(queue.aput(number)) for number in range(6)]
        found = [await queue.aget() for _ in range(6)]
        await asyncio.gather(*putters)
        return found

    assert sorted(asyncio.run(main())) == list(range(6))


def test_a_cancelled_coroutine_loses_nothing(queue: Queue[int]) -> None:
    async def main() -> int:
        waiting = asyncio.create_task(queue.aget())
        other = asyncio.create_task(queue.aget())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        queue.put(7)
        return await other

    assert asyncio.run(main()) == 7
    assert queue.empty()


def test_pickling_a_queue_by_mistake(any_queue: Any) -> None:
    with pytest.raises(RuntimeError, match="not pickled otherwise"):
        pickle.dumps(any_queue)
    with pytest.raises(SharingError):
        pickle.dumps(any_queue)
    with pytest.raises(SerializationError):
        pickle.dumps(any_queue)


def test_a_signal_handler_that_uses_an_interrupted_queue_is_told(queue: Queue[int]) -> None:
    """Instead of waiting for ever for the operation that it interrupts."""
    guard = queue._putting

    def nested() -> None:
        with pytest.raises(MisuseError, match="interrupts"):
            queue.put(1)

    guard.run(nested)
    queue.put(2)
    assert queue.get() == 2


def test_contexts_have_queues() -> None:
    for method in processing_core.get_all_start_methods():
        context = processing_core.get_context(method)
        assert isinstance(context.Queue(3), Queue)
        assert isinstance(context.JoinableQueue(), JoinableQueue)
        assert isinstance(context.SimpleQueue(), SimpleQueue)


def test_a_queue_is_generic() -> None:
    assert Queue[int].__origin__ is Queue  # type: ignore[attr-defined]


def test_queues_leave_nothing(queue: Queue[Any]) -> None:
    """The leak check behind every test does the rest."""
    for _ in range(100):
        one: Queue[Any] = Queue(5)
        one.put(bytes(100_000))
        one.get()
    gc.collect()
