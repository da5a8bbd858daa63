"""Conditions, events and barriers: in one process, between processes, and with killed ones."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import sync_children
from children import LONG, finished
from processing_core import InvalidArgument, InvalidType, MisuseError, Pipe, SharingError
from processing_core.context import BaseContext, get_context
from processing_core.synchronize import (
    Barrier,
    BrokenBarrierError,
    Condition,
    Event,
    Lock,
    RLock,
)
from processing_testkit import wait_until

# Chance decides when something is killed, and keeps no secret.
CHANCE = random.Random()  # noqa: S311

LOCKS: list[Callable[[], Any]] = [Lock, RLock]


class Run:
    """A function in a thread, and what became of it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.results: list[Any] = []

        def run() -> None:
            try:
                self.results.append(function(*arguments))
            except Exception as error:  # noqa: BLE001 - handed to the test
                self.results.append(error)

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def result(self) -> Any:
        self.thread.join(LONG)
        return self.results[0]


def sleepers(condition: Condition) -> int:
    return int(repr(condition).rpartition(", ")[2][:-2])


def waiting(condition: Condition, timeout: float | None = None) -> Run:
    def wait() -> bool:
        with condition:
            return condition.wait(timeout)

    before = sleepers(condition)
    run = Run(wait)
    wait_until(lambda: sleepers(condition) == before + 1)
    return run


# Conditions


@pytest.mark.parametrize("make", LOCKS)
def test_notify_wakes_the_oldest(make: Callable[[], Any]) -> None:
    condition = Condition(make())
    runs = [waiting(condition) for _ in range(5)]
    with condition:
        condition.notify()
        assert sleepers(condition) == 4
    assert runs[0].result() is True
    with condition:
        condition.notify(0)
        condition.notify(2)
    assert [run.result() for run in runs[1:3]] == [True, True]
    assert sleepers(condition) == 2
    with condition:
        condition.notify_all()
    assert [run.result() for run in runs] == [True] * 5
    with condition:
        condition.notify(3)
        condition.notifyAll()


def test_waits_may_end_without_a_notification() -> None:
    condition = Condition()
    with condition:
        for timeout in (0, -1, 0.05, 1e-9):
            start = time.monotonic()
            assert condition.wait(timeout) is False
            assert time.monotonic() - start >= max(0, timeout)
        assert repr(condition) == "<Condition(<RLock(MainProcess, 1)>, 0)>"
        assert condition.wait_for(lambda: 0, 0.02) == 0
        assert condition.waitFor(lambda: "yes") == "yes"
        with pytest.raises(InvalidArgument):
            condition.wait(math.nan)
        with pytest.raises(InvalidType):
            condition.wait("1")  # type: ignore[arg-type]
    assert repr(condition) == "<Condition(<RLock(None, 0)>, 0)>"
    assert repr(condition) == repr(multiprocessing.Condition())


def test_misuse_of_conditions() -> None:
    condition = Condition()
    for method in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(MisuseError, match="must be acquired"):
            method()
        with pytest.raises(AssertionError):
            method()
    with condition:
        for wrong in (-1, -(2**70)):
            with pytest.raises(InvalidArgument):
                condition.notify(wrong)
        with pytest.raises(InvalidType):
            condition.notify(1.5)  # type: ignore[arg-type]
        assert isinstance(Run(condition.notify).result(), MisuseError)
    with pytest.raises(InvalidType):
        Condition(threading.Lock())  # type: ignore[arg-type]
    with pytest.raises(SharingError):
        pickle.dumps(condition)


def test_a_recursive_lock_is_given_back_whole() -> None:
    condition = Condition()

    def wait() -> str:
        with condition, condition, condition:
            condition.wait()
            return repr(condition)

    run = Run(wait)
    wait_until(lambda: sleepers(condition) == 1)
    with condition:
        condition.notify()
    assert "MainProcess|Thread" in run.result()
    assert ", 3)>, 0)>" in run.result()
    assert condition.acquire(False)
    condition.release()


def test_wait_for() -> None:
    condition, state = Condition(), [0]

    def wait() -> bool:
        with condition:
            return condition.wait_for(lambda: state[0] == 3)

    run = Run(wait)
    for value in (1, 2, 3):
        wait_until(lambda: sleepers(condition) == 1)
        with condition:
            state[0] = value
            condition.notify_all()
    assert run.result() is True


def test_conditions_between_processes(start: Any) -> None:
    condition = Condition()
    ours, theirs = Pipe()
    with ours:
        processes = []
        for name in range(3):
            processes.append(start(sync_children.wait_and_report, condition, theirs, name))
            assert ours.recv() == "waits"
            wait_until(lambda: sleepers(condition) == len(processes))
        for name in range(3):
            with condition:
                condition.notify()
            assert ours.recv() == (name, True)
        nested = start(sync_children.hold_condition, condition, theirs)
        assert ours.recv() == "waits"
        wait_until(lambda: sleepers(condition) == 1)
        with condition:
            condition.notify_all()
        assert ours.recv().endswith(", 2)>, 0)>")
        for process in (*processes, nested):
            assert finished(process) == 0
        theirs.close()


def test_sent_to_a_running_process(start: Any) -> None:
    ours, theirs = Pipe()
    process = start(sync_children.serve, theirs)
    theirs.close()
    with ours:
        condition, event, barrier = Condition(Lock()), Event(), Barrier(2)
        ours.send((condition, "acquire", ()))
        assert ours.recv() is True
        ours.send((0, "wait", ()))
        wait_until(lambda: sleepers(condition) == 1)
        with condition:
            condition.notify()
        assert ours.recv() is True
        ours.send((event, "wait", ()))
        event.set()
        assert ours.recv() is True
        ours.send((1, "clear", ()))
        ours.recv()
        assert not event.is_set()
        ours.send((barrier, "wait", ()))
        assert sorted([barrier.wait(), ours.recv()]) == [0, 1]
        ours.send((2, "abort", ()))
        ours.recv()
        assert barrier.broken
        ours.send(None)
    assert finished(process) == 0


# Events


def test_events() -> None:
    event = Event()
    assert repr(event) == f"<Event at {id(event):#x} unset>"
    assert event.is_set() is event.isSet() is False
    for timeout in (0, -1, 0.05):
        assert event.wait(timeout) is False
    runs = [Run(event.wait) for _ in range(3)]
    event.set()
    assert event.is_set() is True
    assert event.wait() is event.wait(0) is True
    assert [run.result() for run in runs] == [True] * 3
    assert repr(event) == f"<Event at {id(event):#x} set>"
    event.set()
    event.clear()
    assert event.wait(0.01) is False
    with pytest.raises(InvalidType):
        event.wait("1")  # type: ignore[arg-type]
    with pytest.raises(SharingError):
        pickle.dumps(event)


def test_who_waits_is_told_even_if_the_event_is_cleared_at_once(start: Any) -> None:
    event = Event()
    ours, theirs = Pipe()
    with ours:
        processes = [start(sync_children.wait_for_event, event, theirs) for _ in range(2)]
        theirs.close()
        assert [ours.recv(), ours.recv()] == ["calls", "calls"]
        wait_until(lambda: event._room.sleepers() == 2)
        event.set()
        event.clear()
        assert [ours.recv(), ours.recv()] == [True, True]
        assert [finished(process) for process in processes] == [0, 0]


def test_no_wake_up_is_lost() -> None:
    """Ping-pong by two events, at the speed at which races are likely."""
    there, back = Event(), Event()

    def other() -> None:
        for _ in range(300):
            there.wait()
            there.clear()
            back.set()

    process = get_context("fork").Process(target=other)
    process.start()
    for _ in range(300):
        there.set()
        assert back.wait(LONG)
        back.clear()
    assert finished(process) == 0


def test_a_signal_handler_may_set_an_event() -> None:
    event = Event()
    before = signal.signal(signal.SIGALRM, lambda *_: event.set())
    try:
        for _ in range(30):
            signal.setitimer(signal.ITIMER_REAL, CHANCE.uniform(1e-5, 2e-3))
            assert event.wait(LONG)
            event.clear()
    finally:
        signal.signal(signal.SIGALRM, before)


# Barriers


def state(barrier: Barrier) -> tuple[int, int, bool]:
    return barrier.parties, barrier.n_waiting, barrier.broken


def test_barriers(context: BaseContext) -> None:
    barrier = Barrier(3, ctx=context)
    assert state(barrier) == (3, 0, False)
    for _ in range(3):
        runs = [Run(barrier.wait) for _ in range(3)]
        assert sorted(run.result() for run in runs) == [0, 1, 2]
    run = Run(barrier.wait)
    wait_until(lambda: barrier.n_waiting == 1)
    assert repr(barrier).endswith(": waiters=1/3>")
    barrier.reset()
    assert isinstance(run.result(), BrokenBarrierError)
    assert state(barrier) == (3, 0, False)
    run = Run(barrier.wait)
    wait_until(lambda: barrier.nWaiting == 1)
    barrier.abort()
    assert isinstance(run.result(), threading.BrokenBarrierError)
    assert state(barrier) == (3, 0, True)
    assert repr(barrier).endswith(": broken>")
    with pytest.raises(BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    with pytest.raises(BrokenBarrierError):
        barrier.wait(0.01)
    assert state(barrier) == (3, 0, True)
    with pytest.raises(SharingError):
        pickle.dumps(barrier)


def test_arguments_of_barriers() -> None:
    calls: list[int] = []
    barrier = Barrier(1, lambda: calls.append(barrier.n_waiting))
    assert [barrier.wait() for _ in range(3)] == [0, 0, 0]
    assert calls == [0, 0, 0]
    failing = Barrier(2, lambda: 1 // 0)
    run = Run(failing.wait)
    wait_until(lambda: failing.n_waiting == 1)
    with pytest.raises(ZeroDivisionError):
        failing.wait()
    assert isinstance(run.result(), BrokenBarrierError)
    impatient = Barrier(2, timeout=0.01)
    with pytest.raises(BrokenBarrierError):
        impatient.wait()
    for wrong in (0, -1):
        with pytest.raises(InvalidArgument):
            Barrier(wrong)
    with pytest.raises(InvalidType):
        Barrier("2")  # type: ignore[arg-type]


def test_barriers_between_processes(start: Any) -> None:
    barrier = Barrier(3, sync_children.say_action)
    ours, theirs = Pipe()
    with ours:
        processes = [start(sync_children.wait_at_barrier, barrier, theirs) for _ in range(2)]
        theirs.close()
        places = [barrier.wait()]
        while len(places) < 3:
            message = ours.recv()
            if message != "calls":
                places.append(message)
        assert sorted(places) == [0, 1, 2]
        assert [finished(process) for process in processes] == [0, 0]


# Processes that are killed


def test_a_killed_waiter_takes_no_notification_with_it(start: Any) -> None:
    condition = Condition()
    ours, theirs = Pipe()
    with ours:
        killed = start(sync_children.wait_and_report, condition, theirs, "killed")
        assert ours.recv() == "waits"
        wait_until(lambda: sleepers(condition) == 1)
        other = start(sync_children.wait_and_report, condition, theirs, "other")
        assert ours.recv() == "waits"
        wait_until(lambda: sleepers(condition) == 2)
        killed.kill()
        killed.join()
        assert sleepers(condition) == 1
        with condition:
            condition.notify()
        assert ours.recv() == ("other", True)
        assert finished(other) == 0
        theirs.close()


def test_a_killed_waiter_has_not_come_to_the_barrier(start: Any) -> None:
    barrier = Barrier(2)
    ours, theirs = Pipe()
    with ours:
        killed = start(sync_children.wait_at_barrier, barrier, theirs)
        assert ours.recv() == "calls"
        wait_until(lambda: barrier.n_waiting == 1)
        killed.kill()
        killed.join()
        assert barrier.n_waiting == 0
        other = start(sync_children.wait_at_barrier, barrier, theirs)
        assert ours.recv() == "calls"
        assert sorted([barrier.wait(), ours.recv()]) == [0, 1]
        assert finished(other) == 0
        theirs.close()


@pytest.mark.deadline(90)
def test_events_outlive_whoever_is_killed() -> None:
    """Setters and waiters are killed at random moments; the event still works for the others."""
    event = Event()
    fork = get_context("fork")
    for round_number in range(60):
        setter = fork.Process(target=sync_children.set_and_clear, args=(event, 10**9))
        waiter = fork.Process(target=sync_children.wait_often, args=(event.wait, 0.01))
        for process in (setter, waiter):
            process.start()
        time.sleep(CHANCE.uniform(0.0, 0.004))  # when it is killed is left to chance
        for process in (setter, waiter):
            process.kill()
            process.join()
        event.clear()
        assert event.wait(0) is False, round_number
        run = Run(event.wait, LONG)
        event.set()
        assert run.result() is True, round_number


@pytest.mark.deadline(90)
def test_sigint_at_random_moments() -> None:
    """A wait was interrupted or it was not; no lock stays taken, no notification is lost."""
    lock, condition, event = Lock(), Condition(), Event()
    ours, theirs = Pipe()
    process = get_context("fork").Process(
        target=sync_children.be_interrupted, args=(theirs, 1500, lock, condition, event)
    )
    process.start()
    theirs.close()
    with ours:
        assert ours.recv() == "begins"
        time.sleep(0.05)
        while not ours.poll():
            process.interrupt()
            time.sleep(CHANCE.uniform(0.0, 0.0006))
        count, faults, text = ours.recv()
    assert finished(process) == 0
    assert faults == []
    assert count == 1500
    assert text == "<Condition(<RLock(None, 0)>, 0)>"
    run = waiting(condition)
    with condition:
        condition.notify()
    assert run.result() is True


def test_a_stopped_process_is_waited_for() -> None:
    event = Event()
    ours, theirs = Pipe()
    with ours:
        process = get_context("fork").Process(
            target=sync_children.wait_for_event, args=(event, theirs)
        )
        process.start()
        theirs.close()
        assert ours.recv() == "calls"
        wait_until(lambda: event._room.sleepers() == 1)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        event.set()
        assert event.is_set()
        event.clear()
        os.kill(process.pid, signal.SIGCONT)
        assert ours.recv() is True
        assert finished(process) == 0


def test_many_wait(start: Any) -> None:
    event, condition = Event(), Condition()
    runs = [Run(event.wait) for _ in range(60)]
    runs += [waiting(condition) for _ in range(60)]
    event.set()
    with condition:
        condition.notify_all()
    assert [run.result() for run in runs] == [True] * 120
