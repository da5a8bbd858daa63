"""Queues of a manager, used by threads and processes."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

from conftest import Starter
from manager_children import put_all, take_until_none
from processing_core import InvalidArgument, InvalidType, MisuseError
from processing_managers import SyncManager
from processing_testkit.waiting import wait_until

Elsewhere = Callable[..., "Future[Any]"]

# Ways not to wait, or not for long.
AT_ONCE: list[dict[str, Any]] = [
    {"block": False},
    {"timeout": 0},
    {"timeout": -1},
    {"timeout": 0.01},
]


@pytest.fixture
def others() -> Iterator[Elsewhere]:
    """Call a function in another thread; each call has one of its own."""
    with ThreadPoolExecutor(32) as executor:
        yield executor.submit


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue"])
def test_first_in_first_out(manager: SyncManager, name: str) -> None:
    items = getattr(manager, name)()
    assert items.empty()
    assert not items.full()
    assert items.qsize() == 0
    items.put(1)
    items.put(obj=2, block=False, timeout=None)
    items.put_nowait(obj=3)
    items.putNoWait(4)
    items.put_many(iterable=iter([5, 6]))
    items.putMany(())
    items.putmany([7])
    assert items.qsize() == 7
    assert not items.empty()
    assert [items.get(), items.get(True, 5), items.get(block=False)] == [1, 2, 3]
    assert [items.get_nowait(), items.getNoWait()] == [4, 5]
    assert items.get_many(5) == [6, 7]
    assert items.get_many(max_items=5, timeout=0.01) == items.get_many(5, 0) == []
    for limits in AT_ONCE:
        with pytest.raises(queue.Empty):
            items.get(**limits)
    with pytest.raises(queue.Empty):
        items.get(False, 5)
    with pytest.raises(queue.Empty):
        items.get_nowait()
    for wrong, error in [("x", InvalidType), (float("nan"), InvalidArgument)]:
        with pytest.raises(error, match="timeout"):
            items.get(timeout=wrong)
    with pytest.raises(InvalidArgument, match="max_items"):
        items.get_many(0)


def test_bounded(manager: SyncManager, others: Elsewhere) -> None:
    items: Any = manager.Queue(maxsize=2)
    items.put(1)
    with pytest.raises(queue.Full):
        items.put_many([2, 3])
    assert items.qsize() == 1
    items.put_many([2])
    assert items.full()
    for limits in AT_ONCE:
        with pytest.raises(queue.Full):
            items.put(3, **limits)
    with pytest.raises(queue.Full):
        items.put_nowait(3)
    waiting = [others(items.put, 3, timeout=60), others(items.put, 3)]
    taken = [items.get() for _ in range(4)]
    assert taken == [1, 2, 3, 3]
    assert [one.result() for one in waiting] == [None, None]
    for wrong, error in [("x", InvalidType), (1.5, InvalidType)]:
        with pytest.raises(error, match="maxsize"):
            manager.Queue(wrong)  # type: ignore[arg-type]
    unbounded = manager.Queue(-1)
    unbounded.put_many(range(100))
    assert not unbounded.full()


def test_what_somebody_waits_for_needs_no_room(manager: SyncManager, others: Elsewhere) -> None:
    items: Any = manager.Queue(1)
    waiting = [others(items.get) for _ in range(3)] + [others(items.get_many, 5)]
    # There is no way to see them wait; so it is tried until they do.
    wait_until(lambda: put_four(items))
    got = [one.result() for one in waiting]
    assert sorted(item[0] if isinstance(item, list) else item for item in got) == [1, 2, 3, 4]
    assert items.get() == 5


def put_four(items: Any) -> bool:
    try:
        items.put_many([1, 2, 3, 4, 5])
    except queue.Full:
        return False
    return True


def test_joining(manager: SyncManager, others: Elsewhere) -> None:
    items: Any = manager.JoinableQueue()
    items.join()
    items.put_many([1, 2])
    waiting = others(items.join)
    assert items.get() == 1
    items.task_done()
    items.get()
    assert not waiting.done()
    items.taskDone()
    assert waiting.result() is None
    for error in (MisuseError, AssertionError, ValueError):
        with pytest.raises(error, match="task_done"):
            items.task_done()


@pytest.mark.parametrize("maxsize", [0, 1, 3])
def test_producers_and_consumers(
    manager: SyncManager, start: Starter, others: Elsewhere, maxsize: int
) -> None:
    items: Any = manager.Queue(maxsize)
    results: Any = manager.Queue()
    producers = [start(put_all, items, [(number, n) for n in range(40)]) for number in range(2)]
    consumers = [others(take_until_none, items, results) for _ in range(3)]
    put_all(items, [(2, n) for n in range(40)])
    for producer in producers:
        producer.join()
        assert producer.exitcode == 0
    put_all(items, [None] * 3)
    for consumer in consumers:
        in_order(consumer.result())
    taken = results.get_many(1000)
    assert sorted(taken) == [(number, n) for number in range(3) for n in range(40)]
    assert items.empty()


def in_order(taken: list[tuple[int, int]]) -> None:
    """One consumer gets what one producer put in its order."""
    for number in range(3):
        mine = [n for producer, n in taken if producer == number]
        assert mine == sorted(mine)
