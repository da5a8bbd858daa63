"""Synchronization where there are no pthreads to be had: the same tests, by fork."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import sync_children
import test_sync_conditions as conditions
import test_sync_locks as locks
import test_sync_robust as robust
from children import LONG, finished
from processing_core import OwnerDiedWarning, Pipe
from processing_core._memory import arena
from processing_core._platform import pthreads
from processing_core.context import get_context
from processing_core.synchronize import Barrier, Event, Lock, RLock, Semaphore
from processing_testkit import wait_until

Make = Callable[[], Any]


@pytest.fixture(autouse=True)
def no_pthreads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system that lacks them; the forked children have the same."""
    monkeypatch.setattr(pthreads._Loaded, "tried", True)
    monkeypatch.setattr(pthreads._Loaded, "pthreads", None)
    # An arena does not know its address then, so the others must not use it.
    monkeypatch.setattr(arena._Own, "arenas", [])


@pytest.fixture(params=["eventfd", "pipe"])
def counter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What semaphores are counted with."""
    if request.param == "pipe":
        monkeypatch.delattr("os.eventfd", raising=False)


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Any] = []

    def start_it(target: Callable[..., object], *args: Any) -> Any:
        process = get_context("fork").Process(target=target, args=args)
        process.start()
        started.append(process)
        return process

    yield start_it
    while started:
        process = started.pop()
        process.kill()
        process.join()


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize("make", locks.ALL)
@pytest.mark.parametrize(
    "test",
    [locks.test_acquire_and_release, locks.test_is_a_context_manager, locks.test_timeouts],
)
def test_locks(test: Callable[[Make], None], make: Make) -> None:
    test(make)


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize(
    "test",
    [
        locks.test_a_lock_is_released_by_anyone,
        locks.test_a_recursive_lock_is_its_owners,
        locks.test_semaphores_count,
        locks.test_reprs_are_the_standard_librarys,
        locks.test_subclasses,
        locks.test_comes_back_as_what_it_was,
        locks.test_a_forked_child_does_not_hold_what_its_parent_holds,
    ],
)
def test_more_of_locks(test: Callable[[], None]) -> None:
    test()


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize(
    "test",
    [
        locks.test_passed_and_used_by_both,
        locks.test_sent_to_a_running_process,
        locks.test_a_killed_holder_keeps_it,
        conditions.test_conditions_between_processes,
        conditions.test_sent_to_a_running_process,
        conditions.test_barriers_between_processes,
        conditions.test_a_killed_waiter_takes_no_notification_with_it,
        conditions.test_a_killed_waiter_has_not_come_to_the_barrier,
        robust.test_sent_and_used_by_both,
        robust.test_a_condition_outlives_who_is_killed_with_its_lock,
    ],
)
def test_between_processes(test: Callable[[Any], None], start: Any) -> None:
    test(start)


@pytest.mark.parametrize(
    "test",
    [
        conditions.test_waits_may_end_without_a_notification,
        conditions.test_misuse_of_conditions,
        conditions.test_a_recursive_lock_is_given_back_whole,
        conditions.test_wait_for,
        conditions.test_events,
        conditions.test_no_wake_up_is_lost,
        conditions.test_arguments_of_barriers,
        robust.test_recursion,
    ],
)
def test_conditions(test: Callable[[], None]) -> None:
    test()


def test_notification_order() -> None:
    for make in (Lock, RLock):
        conditions.test_notify_wakes_the_oldest(make)


def test_barriers() -> None:
    conditions.test_barriers(get_context("fork"))


@pytest.mark.parametrize("cls", [Lock, RLock])
def test_robust_locks(cls: Any, start: Any) -> None:
    robust.test_is_a_lock(cls(robust=True))
    robust.test_belongs_to_its_thread(cls(robust=True))
    robust.test_a_forked_child_does_not_hold_it(cls(robust=True))
    lock = cls(robust=True)
    ours, theirs = Pipe()
    with ours:
        process = start(sync_children.hold_and_be_killed, lock, theirs)
        theirs.close()
        assert ours.recv() == "taken"
        assert lock.acquire(False) is False
        process.kill()
        with pytest.warns(OwnerDiedWarning):
            assert lock.acquire(timeout=LONG)
        lock.release()


@pytest.mark.usefixtures("counter")
def test_sigint_ends_a_wait(start: Any) -> None:
    semaphore = Semaphore(0)
    ours, theirs = Pipe()
    with ours:
        process = start(sync_children.acquire_interrupted, theirs, semaphore)
        theirs.close()
        assert ours.recv() == "begins"
        wait_until(lambda: locks.is_asleep(process.pid))
        process.interrupt()
        assert ours.recv() == "interrupted"
        assert finished(process) == 0


def test_a_killed_setter(start: Any) -> None:
    event, barrier = Event(), Barrier(2)
    for _ in range(10):
        setter = start(sync_children.set_and_clear, event, 10**9)
        waiter = start(sync_children.wait_often, event.wait, 0.01)
        setter.kill()
        waiter.kill()
        setter.join()
        assert setter.exitcode == -signal.SIGKILL
        event.clear()
        thread = threading.Thread(target=event.wait, args=(LONG,))
        thread.start()
        event.set()
        thread.join()
    assert barrier.n_waiting == 0
