"""Locks, semaphores, conditions, events and barriers of processes and of threads alike."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

assert sys.platform != "win32"

import pytest

import flavours
from processing import OwnerDiedWarning


def started(flavour: Any, target: Any, *args: Any) -> Any:
    process = flavour.Process(target=target, args=args)
    process.start()
    return process


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
@pytest.mark.parametrize("robust", [False, True])
def test_acquiring(flavour: Any, kind: str, robust: bool) -> None:
    lock = getattr(flavour, kind)(robust=robust)
    taken, go = flavour.Event(), flavour.Event()
    process = started(flavour, flavours.hold, lock, taken, go)
    assert taken.wait(30)
    assert lock.acquire(False) is False
    assert lock.acquire(False, 5) is False
    assert lock.acquire(block=True, timeout=0.01) is False
    assert lock.acquire(True, -1) is False
    assert lock.acquire(timeout=0) is False
    go.set()
    assert lock.acquire() is True
    lock.release()
    with lock as entered:
        assert entered is True
    process.join()
    assert lock.acquire(True, 5)
    lock.release()


def test_a_lock_is_released_by_anybody(flavour: Any) -> None:
    lock = flavour.Lock()
    process = started(flavour, flavours.take_and_end, lock)
    process.join()
    assert not lock.acquire(False)
    lock.release()
    assert lock.acquire(False)
    assert not lock.acquire(False)
    lock.release()


def test_releasing_what_is_free(flavour: Any) -> None:
    with pytest.raises(ValueError, match="released"):
        flavour.Lock().release()
    with pytest.raises(AssertionError):
        flavour.RLock().release()
    with pytest.raises(AssertionError):
        flavour.Lock(robust=True).release()
    bounded = flavour.BoundedSemaphore(1)
    with pytest.raises(ValueError, match="released"):
        bounded.release()


def test_a_recursive_lock(flavour: Any) -> None:
    lock = flavour.RLock()
    assert repr(lock) == "<RLock(None, 0)>"
    with lock:
        assert lock.acquire()
        assert repr(lock) == "<RLock(MainProcess, 2)>"
        lock.release()
        assert repr(lock) == "<RLock(MainProcess, 1)>"
    taken, go = flavour.Event(), flavour.Event()
    process = started(flavour, flavours.hold, lock, taken, go)
    assert taken.wait(30)
    assert repr(lock) == "<RLock(SomeOtherProcess, nonzero)>"
    with pytest.raises(AssertionError):
        lock.release()
    go.set()
    process.join()


def test_the_repr_of_a_lock(flavour: Any) -> None:
    lock = flavour.Lock()
    assert repr(lock) == "<Lock(owner=None)>"
    with lock:
        assert repr(lock) == "<Lock(owner=MainProcess)>"


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_robust_lock_outlives_who_holds_it(flavour: Any, kind: str) -> None:
    lock = getattr(flavour, kind)(robust=True)
    process = started(flavour, flavours.take_and_end, lock)
    process.join()
    with pytest.warns(OwnerDiedWarning):
        assert lock.acquire(True, 30)
    lock.release()
    assert lock.acquire(False)
    lock.release()
    with pytest.raises(AssertionError):
        lock.release()


def test_semaphores(flavour: Any) -> None:
    semaphore = flavour.Semaphore(2)
    assert repr(semaphore) == "<Semaphore(value=2)>"
    assert semaphore.acquire()
    with semaphore:
        assert semaphore.get_value() == semaphore.getValue() == 0
        assert not semaphore.acquire(False)
        assert not semaphore.acquire(False, 3)
        assert not semaphore.acquire(True, 0.01)
    semaphore.release()
    semaphore.release()
    assert semaphore.get_value() == 3
    process = started(flavour, flavours.take_and_end, semaphore)
    process.join()
    assert semaphore.get_value() == 2
    bounded = flavour.BoundedSemaphore(1)
    assert repr(bounded) == "<BoundedSemaphore(value=1, maxvalue=1)>"
    with bounded:
        assert not bounded.acquire(False)
    with pytest.raises(ValueError, match="value must"):
        flavour.Semaphore(-1)
    with pytest.raises(TypeError, match="whole number"):
        flavour.BoundedSemaphore("1")


def test_conditions(flavour: Any) -> None:
    condition, ready = flavour.Condition(), flavour.Event()
    assert repr(condition) == "<Condition(<RLock(None, 0)>, 0)>"
    process = started(flavour, flavours.notify, condition, ready)
    with condition:
        assert condition.wait(0.01) is False
        ready.set()
        with condition:  # held twice, and given back twice while it waits
            assert condition.wait(30) is True
        assert repr(condition) == "<Condition(<RLock(MainProcess, 1)>, 0)>"
        condition.notify()
        condition.notify(3)
        condition.notifyAll()
        assert condition.wait_for(lambda: "seen") == "seen"
        assert not condition.waitFor(lambda: 0, 0.01)
        with pytest.raises(ValueError, match="n must not be negative"):
            condition.notify(-1)
    process.join()


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_condition_with_a_lock(flavour: Any, kind: str, robust: bool) -> None:
    lock = getattr(flavour, kind)(robust=robust)
    condition, ready = flavour.Condition(lock), flavour.Event()
    for use in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(AssertionError, match="must be acquired before"):
            use()
    process = started(flavour, flavours.notify, condition, ready)
    with lock:
        ready.set()
        assert condition.wait(30)
        condition.notify_all()
    process.join()
    with pytest.raises(TypeError, match="must be a Lock or an RLock"):
        flavour.Condition("lock")


def test_events(flavour: Any) -> None:
    event = flavour.Event()
    assert repr(event) == f"<Event at {id(event):#x} unset>"
    assert event.wait(0) is event.wait(-1) is event.is_set() is False
    process = started(flavour, flavours.wait_for, event)
    event.set()
    assert event.wait() is event.wait(float("inf")) is event.isSet() is True
    process.join()
    assert process.exitcode == 0
    event.clear()
    assert not event.is_set()
    with pytest.raises(ValueError, match="NaN"):
        event.wait(float("nan"))


def test_barriers(flavour: Any) -> None:
    barrier, places = flavour.Barrier(3), flavour.Queue()
    assert (barrier.parties, barrier.n_waiting, barrier.nWaiting) == (3, 0, 0)
    processes = [started(flavour, flavours.meet, barrier, places) for _ in range(2)]
    mine = barrier.wait(30)
    assert sorted([mine, places.get(), places.get()]) == [0, 1, 2]
    for process in processes:
        process.join()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.01)
    assert barrier.broken
    barrier.reset()
    assert not barrier.broken
    barrier.abort()
    assert barrier.broken
    calls: list[int] = []
    assert flavour.Barrier(1, lambda: calls.append(1)).wait() == 0
    assert calls == [1]
    with pytest.raises(threading.BrokenBarrierError):
        flavour.Barrier(2, timeout=0.01).wait()
    with pytest.raises(ValueError, match="at least 1"):
        flavour.Barrier(0)
    with pytest.raises(TypeError, match="whole number"):
        flavour.Barrier("2")


class InterruptedWaitError(Exception):
    """Raised by the signal handler."""


@pytest.mark.parametrize("what", ["lock", "semaphore", "condition", "event", "get"])
def test_a_signal_ends_the_wait(flavour: Any, what: str) -> None:
    """Of the main thread, by a handler that raises."""
    lock, condition = flavour.Lock(), flavour.Condition()
    lock.acquire()
    queue = flavour.Queue()
    waits = {
        "lock": lambda: lock.acquire(True, 30),
        "semaphore": lambda: flavour.Semaphore(0).acquire(True, 30),
        "condition": lambda: condition.wait(30),
        "event": lambda: flavour.Event().wait(30),
        "get": lambda: queue.get(True, 30),
    }

    def interrupt(*_: object) -> None:
        raise InterruptedWaitError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with condition:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(InterruptedWaitError):
                waits[what]()
            assert repr(condition) == "<Condition(<RLock(MainProcess, 1)>, 0)>"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    lock.release()
    assert lock.acquire(False)
    lock.release()
