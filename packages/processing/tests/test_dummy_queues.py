"""Queues of processes and of threads alike."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from typing import Any

assert sys.platform != "win32"

import pytest

import flavours
from processing.dummy import Process, Queue


def test_first_in_first_out(flavour: Any) -> None:
    numbers = flavour.Queue()
    assert (numbers.empty(), numbers.full(), numbers.qsize()) == (True, False, 0)
    numbers.put(1)
    numbers.put(obj=2, block=True, timeout=None)
    numbers.put_nowait(3)
    numbers.putNoWait(4)
    numbers.put_many(iter([5, 6]))
    numbers.putMany([7])
    numbers.putmany([8])
    assert repr(numbers) == "<Queue qsize=8 maxsize=0>"
    assert [numbers.get(), numbers.get(timeout=1), numbers.get_nowait()] == [1, 2, 3]
    assert numbers.getNoWait() == 4
    assert numbers.get_many(3) == [5, 6, 7]
    assert numbers.get_many(3, 0.01) == [8]
    assert numbers.get_many(3, 0.01) == []
    with pytest.raises(ValueError, match="max_items must be positive"):
        numbers.get_many(0)


def test_nothing_to_get(flavour: Any) -> None:
    for made in (flavour.Queue(), flavour.JoinableQueue(), flavour.SimpleQueue()):
        for args in [(False,), (False, 9), (True, 0.01), (True, 0), (True, -1)]:
            with pytest.raises(queue.Empty):
                made.get(*args)
        with pytest.raises(ValueError, match="NaN"):
            made.get(True, float("nan"))


def test_no_room(flavour: Any) -> None:
    numbers = flavour.Queue(2)
    numbers.put(1)
    numbers.put(2, timeout=5)
    assert numbers.full()
    for args in [(False,), (False, 9), (True, 0.01), (True, -1)]:
        with pytest.raises(queue.Full):
            numbers.put(3, *args)
    with pytest.raises(queue.Full):
        numbers.put_nowait(3)
    with pytest.raises(AssertionError, match="without maxsize"):
        numbers.put_many([])
    assert numbers.qsize() == 2
    with pytest.raises(TypeError, match="whole number"):
        flavour.Queue("2")
    assert not flavour.Queue(-1).full()


def test_nothing_is_put_when_the_iterable_raises(flavour: Any) -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise LookupError

    made = flavour.Queue()
    with pytest.raises(LookupError):
        made.put_many(numbers())
    assert made.empty()


def test_a_queue_is_closed_for_the_process_that_closes_it(flavour: Any) -> None:
    numbers = flavour.Queue()
    with pytest.raises(AssertionError, match="only after close"):
        numbers.join_thread()
    process = flavour.Process(target=flavours.put_and_close, args=(numbers, [1, 2, 3]))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert [numbers.get() for _ in range(3)] == [1, 2, 3]
    numbers.put(4)
    numbers.close()
    numbers.close()
    for name in ("join_thread", "joinThread", "jointhread"):
        getattr(numbers, name)()
    for name in ("cancel_join_thread", "cancelJoin", "canceljoin", "cancelJoinThread"):
        getattr(numbers, name)()
    assert repr(numbers) == "<Queue closed maxsize=0>"
    uses = [numbers.get, numbers.get_nowait, numbers.qsize, numbers.empty, numbers.full]
    for use in [*uses, lambda: numbers.put(1), lambda: numbers.put_many([1])]:
        with pytest.raises(ValueError, match="is closed"):
            use()


def test_a_simple_queue(flavour: Any) -> None:
    numbers, results = flavour.SimpleQueue(), flavour.SimpleQueue()
    assert numbers.empty()
    assert repr(numbers) == "<SimpleQueue>"
    numbers.put(1)
    numbers.put(2, True, 3)
    assert not numbers.empty()
    assert numbers.get() + numbers.get(True, 3) == 3
    process = flavour.Process(target=results.put, args=("done",))
    process.start()
    assert results.get() == "done"
    process.join()
    numbers.close()
    assert repr(numbers) == "<SimpleQueue closed>"
    for use in (numbers.get, numbers.empty, lambda: numbers.put(1)):
        with pytest.raises(ValueError, match="is closed"):
            use()


def test_work_that_is_reported_done(flavour: Any) -> None:
    numbers, results = flavour.JoinableQueue(), flavour.Queue()
    workers = [flavour.Process(target=flavours.work_off, args=(numbers, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for number in [*range(10), None, None]:
        numbers.put(number)
    numbers.join()
    assert sorted(results.get() for _ in range(10)) == list(range(0, 20, 2))
    for worker in workers:
        worker.join()
    with pytest.raises(ValueError, match="task_done"):
        numbers.task_done()
    with pytest.raises(ValueError, match="task_done"):
        numbers.taskDone()


def test_items_of_threads_are_not_copied() -> None:
    things: Queue[list[int]] = Queue()
    thing = [1]
    process = Process(target=things.put, args=(thing,))
    process.start()
    assert things.get() is thing
    process.join()
