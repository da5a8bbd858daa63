"""Batches and calls that are not waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from manager_children import RegisteredManager
from processing_core import ClosedError, InvalidType, MisuseError, RemoteError
from processing_managers import ListProxy, ManagerLost, SyncManager
from processing_testkit.waiting import wait_until


@pytest.fixture
def counters() -> Iterator[Any]:
    with RegisteredManager() as manager:
        yield manager
    assert manager.process is not None
    manager.process.close()


def test_many_calls_in_one(manager: SyncManager) -> None:
    numbers, names = manager.list([1, 2, 3]), manager.dict(a=1)
    with manager.batch() as batch:
        results = [batch.call(numbers.__getitem__, index) for index in range(3)]
        appended = batch.call(numbers.append, 4)
        length = batch.call(numbers.__len__)
        batch.call(names.update, b=2)
        copied = batch.call(names.copy)
        whole = batch.call(numbers.copy)
        with pytest.raises(MisuseError, match="not been sent"):
            length.get()
        assert len(batch) == 8
    assert [one.get() for one in results] == [1, 2, 3]
    assert appended.get() is None
    assert length.get() == 4
    assert length.ready
    assert copied.get() == {"a": 1, "b": 2}
    assert whole.get() == [1, 2, 3, 4]
    with pytest.raises(ClosedError):
        batch.call(numbers.clear)


def test_errors_in_a_batch(manager: SyncManager) -> None:
    numbers = manager.list([1])
    batch = manager.batch()
    first = batch.call(numbers.__getitem__, 5)
    second = batch.call(numbers.__getitem__, 0)
    with pytest.raises(IndexError):
        batch.send()
    assert second.get() == 1
    with pytest.raises(IndexError):
        first.get()
    with manager.batch(raise_errors=False) as batch:
        first = batch.call(numbers.__getitem__, 5)
    with pytest.raises(IndexError) as caught:
        first.get()
    assert "Traceback" in str(caught.value.__cause__)


def test_a_block_that_raises_sends_nothing(manager: SyncManager) -> None:
    numbers = manager.list()
    batch = manager.batch()
    batch.call(numbers.append, 1)
    with pytest.raises(LookupError), batch:
        raise LookupError
    assert len(numbers) == 0


def test_only_methods_of_its_proxies(manager: SyncManager) -> None:
    with SyncManager() as other, manager.batch() as batch:
        with pytest.raises(InvalidType, match="methods of proxies"):
            batch.call(len, [])
        with pytest.raises(InvalidType, match="another manager"):
            batch.call(other.list().append, 1)


def test_calls_that_wait_in_a_batch(manager: SyncManager) -> None:
    """They are done in their order, so a call may wait for what another client does."""
    queue, numbers = manager.Queue(), manager.list()

    def put() -> None:
        wait_until(lambda: len(numbers) == 1)
        queue.put("late")

    thread = threading.Thread(target=put)
    thread.start()
    with manager.batch() as batch:
        batch.call(numbers.append, 1)
        item = batch.call(queue.get)
        batch.call(numbers.append, 2)
    thread.join()
    assert item.get() == "late"
    assert list(numbers) == [1, 2]


def test_calls_in_threads_in_a_batch(counters: Any) -> None:
    counter = counters.Counter()
    with counters.batch(raise_errors=False) as batch:
        results = [batch.call(counter.increment) for _ in range(20)]
        lost = batch.call(counter.unpicklable)
        failed = batch.call(counter.fail, "no")
        numbers = batch.call(counter.numbers, 3)
        last = batch.call(counter.get)
    assert [one.get() for one in results] == list(range(1, 21))
    with pytest.raises(RemoteError, match="cannot be sent"):
        lost.get()
    with pytest.raises(LookupError, match="no"):
        failed.get()
    assert list(numbers.get()) == [0, 1, 2]
    assert last.get() == 20


def test_proxies_in_batches(manager: SyncManager) -> None:
    inner, outer = manager.list([1]), manager.list()
    with manager.batch() as batch:
        batch.call(outer.append, inner)
        got = batch.call(outer.__getitem__, 0)
    nested = got.get()
    assert isinstance(nested, ListProxy)
    nested.append(2)
    assert list(inner) == [1, 2]


def test_large_batches(manager: SyncManager) -> None:
    numbers = manager.list()
    with manager.batch() as batch:
        for number in range(20_000):
            batch.call(numbers.append, number)
        blob = batch.call(numbers.__getitem__, slice(None))
    assert blob.get() == list(range(20_000))


def test_an_empty_batch(manager: SyncManager) -> None:
    with manager.batch():
        pass


def test_call_async(manager: SyncManager) -> None:
    numbers = manager.list()
    results = [numbers.call_async("append", number) for number in range(100)]
    # A call that is waited for comes after them.
    assert len(numbers) == 100
    assert list(numbers) == list(range(100))
    assert [one.get() for one in results] == [None] * 100
    failing = numbers.call_async("pop", 1000)
    with pytest.raises(IndexError):
        failing.get()
    with pytest.raises(IndexError):
        failing.get()


def test_call_async_keeps_the_order_of_slow_methods(counters: Any) -> None:
    counter = counters.Counter()
    results = [counter.call_async("increment") for _ in range(50)]
    assert counter.get() == 50
    assert [one.get() for one in results] == list(range(1, 51))


def test_call_async_that_nobody_waits_for(manager: SyncManager) -> None:
    numbers = manager.list()
    for number in range(10):
        numbers.call_async("append", number)
    assert len(numbers) == 10


def test_results_belong_to_their_thread(manager: SyncManager) -> None:
    queue = manager.Queue()
    result = queue.call_async("get")
    errors: list[str] = []

    def get() -> None:
        try:
            result.get()
        except MisuseError as error:
            errors.append(str(error))

    thread = threading.Thread(target=get)
    thread.start()
    thread.join()
    assert "only the thread" in errors[0]
    assert "pending" in repr(result)
    queue.put(1)
    assert result.get() == 1


def test_manager_that_ends(manager: SyncManager) -> None:
    queue = manager.Queue()
    result = queue.call_async("get")
    manager.shutdown()
    with pytest.raises(ManagerLost):
        result.get()
    with pytest.raises(ManagerLost), manager.batch() as batch:
        batch.call(queue.put, 1)
