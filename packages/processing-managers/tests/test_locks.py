"""Locks, semaphores, conditions, events and barriers of a manager, used by threads."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

from conftest import Starter
from manager_children import increment
from processing_core import InvalidArgument, InvalidType, MisuseError, RemoteError
from processing_managers import BarrierProxy, SyncManager
from processing_testkit.waiting import wait_until

# Ways not to wait, or not for long.
AT_ONCE: list[dict[str, Any]] = [
    {"block": False},
    {"block": False, "timeout": 5},
    {"timeout": 0},
    {"timeout": -1},
    {"block": True, "timeout": 0.01},
    {"timeout": 0.01},
]


@pytest.fixture
def others() -> Iterator[Callable[..., Future[Any]]]:
    """Call a function in another thread; each call has one of its own."""
    with ThreadPoolExecutor(32) as executor:
        yield executor.submit


Elsewhere = Callable[..., "Future[Any]"]


@pytest.mark.parametrize("name", ["Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"])
def test_acquiring(manager: SyncManager, others: Elsewhere, name: str) -> None:
    lock = getattr(manager, name)()
    assert lock.acquire() is True
    for limits in AT_ONCE:
        assert others(lock.acquire, **limits).result() is False
    assert others(lock.acquire, False, 5.0).result() is False
    waiting = others(lambda: (lock.acquire(True, 60), lock.release()))
    lock.release()
    assert waiting.result() == (True, None)
    with lock as had:
        assert had is True
        assert others(lock.acquire, False).result() is False
    assert lock.acquire(timeout=float("inf"))
    lock.release()
    for wrong, error in [("x", InvalidType), (float("nan"), InvalidArgument)]:
        with pytest.raises(error, match="timeout"):
            lock.acquire(timeout=wrong)
    with pytest.raises(ZeroDivisionError), lock:
        1 / 0  # noqa: B018 - raises
    assert lock.acquire(False)


def test_lock(manager: SyncManager, others: Elsewhere) -> None:
    lock = manager.Lock()
    assert not lock.locked()
    lock.acquire()
    assert lock.locked()
    assert not lock.acquire(False)
    others(lock.release).result()  # anybody may
    assert not lock.locked()
    for error in (MisuseError, AssertionError, ValueError, RuntimeError):
        with pytest.raises(error, match="not locked"):
            lock.release()
    assert str(lock) == "<Lock(unlocked)>"
    with pytest.raises(TypeError):
        hash(lock)
    assert lock != manager.Lock()


def test_rlock(manager: SyncManager, others: Elsewhere) -> None:
    lock = manager.RLock()
    for _ in range(3):
        assert lock.acquire()
    with pytest.raises(AssertionError, match="does not hold"):
        others(lock.release).result()
    assert str(lock) == "<RLock(locked, 3)>"
    for _ in range(3):
        assert not others(lock.acquire, False).result()
        lock.release()
    for error in (MisuseError, AssertionError, ValueError, RuntimeError):
        with pytest.raises(error, match="does not hold"):
            lock.release()
    assert not lock.locked()


def test_semaphores(manager: SyncManager, others: Elsewhere) -> None:
    semaphore = manager.Semaphore(2)
    assert semaphore.acquire()
    assert semaphore.acquire()
    assert not semaphore.acquire(False)
    waiting = [others(semaphore.acquire) for _ in range(3)]
    semaphore.release(n=4)
    assert all(one.result() for one in waiting)
    assert semaphore.get_value() == semaphore.getValue() == 1
    assert str(semaphore) == "<Semaphore(1)>"
    bounded = manager.BoundedSemaphore(1)
    for n in (1, 2):
        with pytest.raises(ValueError, match="too many"):
            bounded.release(n)
    with pytest.raises(ValueError, match="at least 1"):
        semaphore.release(0)
    for wrong, error in [(-1, ValueError), ("x", TypeError), (1.5, TypeError)]:
        with pytest.raises(error, match=str(wrong)):
            manager.Semaphore(wrong)  # type: ignore[arg-type]


def sleepers(condition: Any) -> int:
    return int(str(condition).rpartition(", ")[2].rstrip(")>"))


@pytest.mark.parametrize("lock", ["Lock", "RLock", None])
def test_conditions(manager: SyncManager, others: Elsewhere, lock: str | None) -> None:
    given = None if lock is None else getattr(manager, lock)()
    condition = manager.Condition(lock=given)
    woken = manager.list()

    def sleep(number: int) -> bool:
        with condition:
            answer = condition.wait(timeout=60)
            woken.append(number)
            return answer

    waiting = []
    for number in range(5):
        waiting.append(others(sleep, number))
        wait_until(lambda: sleepers(condition) == len(waiting))
    with condition:
        condition.notify()
        condition.notify(n=2)
    wait_until(lambda: len(woken) == 3)
    assert set(woken) == {0, 1, 2}
    with condition:
        condition.notifyAll()
    assert all(one.result() for one in waiting)
    if given is not None:
        assert given.acquire(False)
        assert not others(condition.acquire, False).result()
        given.release()
    with condition:
        assert condition.wait(0.01) is False
        assert condition.wait(-1) is False
        assert not others(condition.acquire, False).result()  # it has its lock again
        condition.notify(0)
        with pytest.raises(ValueError, match="-1"):
            condition.notify(-1)
    for method in (condition.wait, condition.notify, condition.notify_all):
        for error in (MisuseError, AssertionError, RuntimeError):
            with pytest.raises(error, match="must be held"):
                method()


def test_the_lock_of_a_condition_is_taken_as_often_as_it_was(
    manager: SyncManager, others: Elsewhere
) -> None:
    lock = manager.RLock()
    condition = manager.Condition(lock)
    lock.acquire()
    with condition:
        assert not condition.wait(0.01)
        assert str(lock) == "<RLock(locked, 2)>"
    assert not others(lock.acquire, False).result()
    lock.release()
    assert others(lock.acquire, False).result()


def test_wait_for(manager: SyncManager, others: Elsewhere) -> None:
    condition, value = manager.Condition(), manager.Value("i", 0)

    def wait() -> int:
        with condition:
            return condition.wait_for(lambda: value.value if value.value > 2 else 0, timeout=60)

    waiting = others(wait)
    for number in range(1, 4):
        with condition:
            value.value = number
            condition.notify_all()
    assert waiting.result() == 3
    with condition:
        assert condition.waitFor(lambda: 0, 0.01) == 0
        assert condition.wait_for(lambda: "", -1) == ""
        assert condition.wait_for(lambda: "yes") == "yes"


def test_conditions_want_a_lock_of_their_manager(manager: SyncManager) -> None:
    with SyncManager() as other:
        for wrong in (5, other.Lock(), manager.Semaphore()):
            with pytest.raises(InvalidType, match="of the same manager"):
                manager.Condition(wrong)  # type: ignore[arg-type]
    assert other.process is not None
    other.process.close()


def test_events(manager: SyncManager, others: Elsewhere) -> None:
    event = manager.Event()
    assert not event.is_set()
    assert not event.isSet()
    assert event.wait(0) is event.wait(timeout=0.01) is event.wait(-1) is False
    waiting = [others(event.wait, 60), others(event.wait)]
    event.set()
    assert [one.result() for one in waiting] == [True, True]
    assert event.wait() is event.is_set() is True
    assert str(event) == "<Event(set)>"
    event.clear()
    assert not event.is_set()


def broken(barrier: BarrierProxy) -> bool:
    return barrier.broken  # mypy takes a property to stay what it was


def test_barriers(manager: SyncManager, others: Elsewhere) -> None:
    barrier = manager.Barrier(parties=3)
    for _ in range(3):
        waiting = [others(barrier.wait) for _ in range(2)]
        wait_until(lambda: barrier.n_waiting == 2)
        assert barrier.wait() == 2
        assert sorted(one.result() for one in waiting) == [0, 1]
    assert (barrier.parties, barrier.n_waiting, barrier.nWaiting, barrier.broken) == (
        3,
        0,
        0,
        False,
    )
    waiting = [others(barrier.wait)]
    wait_until(lambda: barrier.n_waiting == 1)
    barrier.reset()
    with pytest.raises(threading.BrokenBarrierError):
        waiting[0].result()
    assert not broken(barrier)
    waiting = [others(barrier.wait)]
    wait_until(lambda: barrier.n_waiting == 1)
    barrier.abort()
    parties: list[Callable[[], object]] = [waiting[0].result, barrier.wait]
    for party in parties:
        with pytest.raises(threading.BrokenBarrierError):
            party()
    assert broken(barrier)
    barrier.reset()
    waiting = [others(barrier.wait)]
    wait_until(lambda: barrier.n_waiting == 1)
    parties = [lambda: barrier.wait(timeout=0.01), waiting[0].result]
    for party in parties:
        with pytest.raises(threading.BrokenBarrierError):
            party()
    with pytest.raises(threading.BrokenBarrierError):
        manager.Barrier(2, timeout=0.01).wait()
    assert manager.Barrier(1, timeout=0).wait() == 0
    with pytest.raises(ValueError, match="parties"):
        manager.Barrier(0)
    with pytest.raises(TypeError, match="callable"):
        manager.Barrier(1, action=5)  # type: ignore[arg-type]


def test_the_action_of_a_barrier(manager: SyncManager, others: Elsewhere) -> None:
    done = manager.list()
    barrier = manager.Barrier(2, action=done.reverse)
    done.extend([1, 2])
    waiting = others(barrier.wait)
    assert {barrier.wait(), waiting.result()} == {0, 1}
    assert done == [2, 1]
    done.clear()
    failing = manager.Barrier(2, action=done.pop)  # from an empty list
    waiting = others(failing.wait)
    wait_until(lambda: failing.n_waiting == 1)
    with pytest.raises(IndexError):
        failing.wait()
    with pytest.raises(threading.BrokenBarrierError, match="action"):
        waiting.result()
    assert failing.broken


@pytest.mark.parametrize("name", ["Lock", "RLock", "Condition", "Semaphore"])
def test_exclusion_among_processes_and_threads(
    manager: SyncManager, start: Starter, others: Elsewhere, name: str
) -> None:
    counter, lock = manager.Value("i", 0), getattr(manager, name)()
    processes = [start(increment, counter, lock, 30) for _ in range(2)]
    threads = [others(increment, counter, lock, 30) for _ in range(2)]
    for thread in threads:
        thread.result()
    for process in processes:
        process.join()
    assert counter.value == 120


def test_locks_have_no_value(manager: SyncManager) -> None:
    with pytest.raises(RemoteError, match="cannot be sent") as caught:
        copy.deepcopy(manager.Lock())
    assert "cannot be copied" in str(caught.value.__cause__)
