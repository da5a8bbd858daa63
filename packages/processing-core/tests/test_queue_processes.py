"""Queues between processes, by every start method."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import queue_children
from conftest import Starter
from processing_core import JoinableQueue, Pipe, Process, Queue, SimpleQueue, wait
from processing_testkit import wait_until

assert sys.platform != "win32"

np = pytest.importorskip("numpy")

SMALL = [0, 1, 10, 300, 7]
MIXED = [5, 40_000, 100, 1_200_000, 20_000]


@pytest.fixture
def queues(request: pytest.FixtureRequest) -> Iterator[tuple[Queue[Any], Queue[Any]]]:
    yield Queue(), Queue()
    request.node.funcargs.clear()


def finished(process: Process) -> int | None:
    process.join(30)
    return process.exitcode


@pytest.mark.parametrize("maxsize", [0, 3])
@pytest.mark.parametrize("sizes", [SMALL * 40, MIXED * 4], ids=["small", "mixed"])
def test_many_put_and_many_get(start: Starter, sizes: list[int], maxsize: int) -> None:
    queue: Queue[Any] = Queue(maxsize)
    results: Queue[Any] = Queue()
    consumers = [start(queue_children.consume, queue, results) for _ in range(3)]
    producers = [start(queue_children.produce, queue, name, sizes) for name in range(3)]
    expected = [
        (name, number, size, True) for name in range(3) for number, size in enumerate(sizes)
    ]
    seen = [results.get(timeout=30) for _ in expected]
    assert sorted(seen) == sorted(expected)
    for _ in consumers:
        queue.put(None)
    assert [finished(one) for one in producers + consumers] == [0] * 6
    assert queue.empty()
    assert results.empty()


def test_order_for_each_producer(start: Starter, queues: tuple[Any, Any]) -> None:
    queue, _ = queues
    producers = [start(queue_children.produce, queue, name, MIXED * 3) for name in range(3)]
    seen = [queue.get(timeout=30) for _ in range(3 * len(MIXED * 3))]
    for name in range(3):
        numbers = [number for one, number, _ in seen if one == name]
        assert numbers == list(range(len(MIXED * 3)))
    assert [finished(one) for one in producers] == [0] * 3


def test_a_process_ends_though_nobody_gets(start: Starter, queues: tuple[Any, Any]) -> None:
    queue, _ = queues
    items = [b"x" * 1000] * 500 + [b"y" * 300_000] * 5
    assert finished(start(queue_children.put_and_leave, queue, items)) == 0
    assert queue.qsize() == len(items)
    assert queue_children.take_what_is_there(queue) == items


def test_items_outlive_a_killed_producer(start: Starter, queues: tuple[Any, Any]) -> None:
    queue, _ = queues
    process = start(queue_children.put_for_ever, queue, 0, 200_000)
    first = queue.get(timeout=30)
    wait_until(lambda: queue.qsize() > 5)
    process.kill()
    process.join()
    rest = queue_children.take_what_is_there(queue)
    numbers = [number for _, number, _ in [first, *rest]]
    assert numbers == list(range(len(numbers)))
    assert all(data == bytes([number % 256]) * 200_000 for _, number, data in rest)


def test_a_sleeping_consumer_that_is_killed_keeps_nothing(
    start: Starter, queues: tuple[Any, Any]
) -> None:
    queue, results = queues
    sleepers = [start(queue_children.get_one, queue, results) for _ in range(2)]
    wait_until(lambda: queue._words[16] & 0xFFFFFFFF == 2)
    sleepers[0].kill()
    sleepers[0].join()
    queue.put("for the other")
    assert results.get(timeout=30) == "for the other"
    assert finished(sleepers[1]) == 0


def test_a_stopped_process_holds_nobody_up(start: Starter, queues: tuple[Any, Any]) -> None:
    queue, results = queues
    stopped = start(queue_children.get_for_ever, queue, results)
    other = start(queue_children.get_for_ever, queue, results)
    wait_until(lambda: queue._words[16] & 0xFFFFFFFF == 2)
    assert stopped.pid is not None
    os.kill(stopped.pid, signal.SIGSTOP)
    for number in range(100):
        queue.put((0, number, b""))
    # All but what the stopped one was woken for, which it takes only when it goes on.
    seen = [results.get(timeout=30) for _ in range(100)]
    assert sorted(number for _, number, _ in seen) == list(range(100))
    os.kill(stopped.pid, signal.SIGCONT)
    for process in (stopped, other):
        process.terminate()
        process.join()


def test_arrays(start: Starter, queues: tuple[Any, Any]) -> None:
    queue, results = queues
    process = start(queue_children.echo, queue, results)
    arrays = [np.arange(count, dtype=np.float64) for count in (0, 10, 5_000, 100_000, 1 << 20)]
    for array in arrays:
        queue.put({"array": array})
    for array in arrays:
        got = results.get(timeout=30)["array"]
        assert (got == array).all()
        assert got.dtype == array.dtype
        del got
    queue.put(None)
    assert finished(process) == 0


def test_an_array_is_its_receivers_own(start: Starter, queues: tuple[Any, Any]) -> None:
    queue, results = queues
    array = np.zeros(200_000)
    queue.put(array)
    queue.put(array)
    processes = [start(queue_children.touch_and_tell, queue, results) for _ in range(2)]
    assert [results.get(timeout=30) for _ in range(2)] == [(77.0, 0.0)] * 2
    assert array[0] == 0
    assert [finished(one) for one in processes] == [0, 0]


def test_an_array_stays_as_it_is_while_somebody_has_it(queues: tuple[Any, Any]) -> None:
    queue, _ = queues
    kept = []
    for number in range(20):
        queue.put(np.full(100_000, number))
        kept.append(queue.get())
    assert all((array == number).all() for number, array in enumerate(kept))
    with_arrays = queue._memory_in_use()
    assert with_arrays > 15 * 800_000
    kept.clear()
    gc.collect()
    assert queue._memory_in_use() < 1_000_000


def test_a_forked_child_keeps_the_arrays_it_inherits(queues: tuple[Any, Any]) -> None:
    queue, _ = queues
    queue.put(np.full(100_000, 5.0))
    array = queue.get()
    receiver, sender = Pipe(False)
    ready, go = Pipe(False)

    def child() -> None:
        ready.recv()
        sender.send(float(array.sum()))

    process = Process(target=child, context="fork")
    process.start()
    array = None
    for number in range(20):
        queue.put(np.full(100_000, float(number)))
        queue.get()
    go.send(None)
    assert receiver.recv() == 500_000.0
    process.join()
    for end in (receiver, sender, ready, go):
        end.close()


def test_what_travels_through_a_queue(start: Starter, queues: tuple[Any, Any]) -> None:
    """A connection and a queue, to a process that runs."""
    queue, results = queues
    process = start(queue_children.echo, queue, results)
    ours, theirs = Pipe()
    inner: SimpleQueue[Any] = SimpleQueue()
    queue.put([theirs, inner, b"x" * 100_000])
    connection, same, data = results.get(timeout=30)
    assert len(data) == 100_000
    with ours, theirs, connection:
        ours.send("hello")
        assert connection.recv() == "hello"
    same.put([1, 2])
    assert inner.get() == [1, 2]
    queue.put(None)
    assert finished(process) == 0


def test_a_queue_through_itself(queues: tuple[Any, Any]) -> None:
    queue, _ = queues
    queue.put(queue)
    again = queue.get()
    again.put("found")
    assert queue.get() == "found"


def test_descriptors_of_a_killed_sender_are_not_left(start: Starter) -> None:
    """Those that came with an item which was put stay, and the others are closed."""
    queue: Queue[Any] = Queue()
    receiver, sender = Pipe(False)
    with receiver, sender:
        queue._mailbox.put(b"\1\2\3\4", [sender.fileno()])  # killed before it could commit
        queue.put(sender)
        got = queue.get()
        got.send("through")
        assert receiver.recv() == "through"
        got.close()


def test_waiting_for_a_queue_and_a_process(start: Starter, queues: tuple[Any, Any]) -> None:
    queue, results = queues
    process = start(queue_children.get_one, queue, results)
    assert wait([results, process.sentinel], 0) == []
    queue.put("item")
    assert wait([results], 30) == [results]
    assert results.get() == "item"
    assert wait([results, process.sentinel], 30) == [process.sentinel]


def test_join_waits_for_the_last_report(start: Starter) -> None:
    queue: JoinableQueue[int] = JoinableQueue()
    queue.put_many(range(20))
    processes = [start(queue_children.report_done, queue, 10) for _ in range(2)]
    queue.join()
    assert queue.empty()
    assert [finished(one) for one in processes] == [0, 0]


def test_a_killed_reader_of_a_large_item_gives_its_memory_back(start: Starter) -> None:
    queue: Queue[Any] = Queue()
    results: Queue[Any] = Queue()
    process = start(queue_children.get_for_ever, queue, results)
    for number in range(20):
        queue.put((0, number, bytes([number]) * 2_000_000))
    results.get(timeout=30)
    process.kill()
    process.join()
    queue_children.take_what_is_there(queue)
    assert queue._memory_in_use() < 1_000_000
