"""Robust locks: what becomes of them when those who hold them die."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import sync_children
from children import LONG, finished
from processing_core import MisuseError, OwnerDiedWarning, Pipe
from processing_core.context import get_context
from processing_core.synchronize import Condition, Lock, RLock
from processing_testkit import wait_until

CHANCE = random.Random()  # noqa: S311


@pytest.fixture(params=[Lock, RLock])
def lock(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield request.param(robust=True)
    # pytest would keep it until after the leak check.
    request.node.funcargs.clear()


def in_thread(function: Any, *arguments: Any) -> Any:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(function(*arguments))
        except Exception as error:  # noqa: BLE001 - handed to the test
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_is_a_lock(lock: Any) -> None:
    for _ in range(3):
        assert lock.acquire() is True
        assert "MainProcess" in repr(lock)
        assert in_thread(lock.acquire, False) is False
        start = time.monotonic()
        assert in_thread(lock.acquire, True, 0.12) is False
        assert 0.12 <= time.monotonic() - start < 2.0
        lock.release()
        assert "None" in repr(lock)
    with lock as entered:
        assert entered is True


def test_belongs_to_its_thread(lock: Any) -> None:
    with lock:
        assert isinstance(in_thread(lock.release), MisuseError)
        assert in_thread(lock.acquire, False) is False
    with pytest.raises(MisuseError):
        lock.release()
    with pytest.raises(AssertionError):
        lock.release()


def test_recursion() -> None:
    lock = RLock(robust=True)
    for _ in range(3):
        assert lock.acquire()
    assert repr(lock) == "<RLock(MainProcess, 3)>"
    for _ in range(3):
        assert in_thread(lock.acquire, False) is False
        lock.release()
    assert repr(lock) == "<RLock(None, 0)>"
    plain = Lock(robust=True)
    with plain:
        assert plain.acquire(False) is False
        assert plain.acquire(timeout=0.02) is False
        with pytest.raises(MisuseError, match="very thread"):
            plain.acquire()


def test_a_killed_holder_is_relieved(lock: Any, start: Any) -> None:
    ours, theirs = Pipe()
    with ours:
        process = start(sync_children.hold_and_be_killed, lock, theirs)
        theirs.close()
        assert ours.recv() == "taken"
        assert lock.acquire(False) is False
        process.kill()
        with pytest.warns(OwnerDiedWarning, match="half changed"):
            assert lock.acquire(timeout=LONG)
        process.join()
        lock.release()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with lock:
                pass


def test_a_thread_that_ends_is_relieved(lock: Any) -> None:
    in_thread(lock.acquire)
    with pytest.warns(OwnerDiedWarning):
        assert lock.acquire(timeout=LONG)
    lock.release()


def test_where_warnings_are_errors_it_is_free(lock: Any) -> None:
    in_thread(lock.acquire)
    with pytest.raises(OwnerDiedWarning):  # noqa: SIM117
        with lock:
            pytest.fail("entered")
    with lock:
        pass


def test_a_forked_child_does_not_hold_it(lock: Any) -> None:
    lock.acquire()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if not lock.acquire(False) and not lock._semlock._is_mine() else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    lock.release()


def test_sent_and_used_by_both(start: Any) -> None:
    ours, theirs = Pipe()
    process = start(sync_children.serve, theirs)
    theirs.close()
    with ours:
        lock = RLock(robust=True)
        for _ in range(2):
            ours.send((lock, "acquire", ()))
            assert ours.recv() is True
        assert lock.acquire(False) is False
        for _ in range(2):
            ours.send((0, "release", ()))
            assert ours.recv() is None
        assert lock.acquire(timeout=LONG)
        lock.release()
        ours.send(None)
    assert finished(process) == 0


def test_it_goes_from_hand_to_hand_at_once(lock: Any) -> None:
    """One who waits is woken by the release, not by looking now and then."""
    taken = threading.Event()
    done: list[float] = []

    def wait() -> None:
        taken.wait()
        with lock:
            done.append(time.monotonic())

    best = 1.0
    for _ in range(10):
        taken.clear()
        thread = threading.Thread(target=wait)
        with lock:
            thread.start()
            taken.set()
            time.sleep(0.012)
            released = time.monotonic()
        thread.join()
        best = min(best, done.pop() - released)
    assert best < 0.02


def test_a_condition_outlives_who_is_killed_with_its_lock(start: Any) -> None:
    condition = Condition(RLock(robust=True))
    ours, theirs = Pipe()
    with ours:
        waiter = start(sync_children.wait_and_report, condition, theirs, "waiter")
        assert ours.recv() == "waits"
        wait_until(lambda: repr(condition).endswith(", 1)>"))
        killed = start(sync_children.hold_and_be_killed, condition, theirs)
        assert ours.recv() == "taken"
        killed.kill()
        killed.join()
        with pytest.warns(OwnerDiedWarning), condition:
            condition.notify()
        assert ours.recv() == ("waiter", True)
        assert finished(waiter) == 0
        theirs.close()


@pytest.mark.deadline(90)
@pytest.mark.filterwarnings("ignore::processing_core.OwnerDiedWarning")
def test_random_kills() -> None:
    lock, condition = Lock(robust=True), Condition(RLock(robust=True))
    fork = get_context("fork")
    for _ in range(60):
        processes = [
            fork.Process(target=sync_children.take_often, args=(lock,)),
            fork.Process(target=sync_children.wait_with_lock_often, args=(condition, 0.01)),
            fork.Process(target=sync_children.notify_often, args=(condition,)),
        ]
        for process in processes:
            process.start()
        time.sleep(CHANCE.uniform(0.0, 0.005))  # when they are killed is left to chance
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        assert lock.acquire(timeout=LONG)
        lock.release()
        results: list[bool] = []

        def wait(into: list[bool]) -> None:
            with condition:
                into.append(condition.wait(LONG))

        thread = threading.Thread(target=wait, args=(results,))
        thread.start()
        wait_until(lambda: repr(condition).endswith(", 1)>"))
        with condition:
            condition.notify()
        thread.join()
        assert results == [True]


def test_sigint_ends_a_wait(lock: Any, start: Any) -> None:
    ours, theirs = Pipe()
    with lock, ours:
        process = start(sync_children.acquire_interrupted, theirs, lock)
        theirs.close()
        assert ours.recv() == "begins"
        time.sleep(0.05)
        start_time = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        assert ours.recv() == "interrupted"
        assert time.monotonic() - start_time < 2.0
        assert finished(process) == 0


def test_sigint_at_random_moments() -> None:
    lock = RLock(robust=True)
    armed = [False]

    def interrupt(*_: object) -> None:
        if armed[0]:
            armed[0] = False
            raise KeyboardInterrupt

    def take_and_release() -> bool:
        return lock.acquire(timeout=1.0) and lock.release() is None  # type: ignore[func-returns-value]

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(600):
            try:
                armed[0] = True
                signal.setitimer(signal.ITIMER_REAL, CHANCE.uniform(1e-5, 4e-4))
                while True:
                    lock.acquire(True, 0.001)
                    lock.release()
            except KeyboardInterrupt:
                armed[0] = False
            # Whether it is this thread's is known, whenever the signal came.
            while lock._semlock._is_mine():
                lock.release()
            assert in_thread(take_and_release) is True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class HandlerError(Exception):
    """What the handler of a signal raises."""


def test_an_interrupt_anywhere_in_a_with_block_leaves_it_free(lock: Any) -> None:
    """A handler may run where a function begins and where one written in C returns."""
    places = 0

    def interrupt_at(number: int) -> None:
        seen = 0

        def look(_frame: object, event: str, _argument: object) -> None:
            nonlocal seen
            if event in ("call", "c_return"):
                seen += 1
                if seen == number:
                    sys.setprofile(None)
                    raise HandlerError

        try:
            sys.setprofile(look)
            with lock:
                pass
        finally:
            sys.setprofile(None)

    while True:
        try:
            interrupt_at(places + 1)
        except HandlerError:
            places += 1
        else:
            break
        assert not lock._semlock._is_mine()
        assert in_thread(lock.acquire, False) is True  # and the thread's end gives it back
        with pytest.warns(OwnerDiedWarning), lock:
            pass
    assert places >= 3


def test_dropped_while_it_is_held() -> None:
    """The list of a thread's mutexes is in the mutexes; the memory of such a one is not reused."""
    threads: list[int] = []

    def hold_and_drop() -> bool:
        threads.append(threading.get_native_id())
        dropped, other = RLock(robust=True), Lock(robust=True)
        address = dropped._semlock.block.address  # type: ignore[attr-defined]
        dropped.acquire()
        other.acquire()
        del dropped
        others = [Lock(robust=True) for _ in range(200)]
        other.release()
        return address not in [one._semlock.block.address for one in others]  # type: ignore[attr-defined]

    assert in_thread(hold_and_drop) is True
    # Python is done with a thread a moment before the system is.
    wait_until(lambda: not Path(f"/proc/self/task/{threads[0]}").exists())
    Lock(robust=True)  # the thread has ended, so its memory is free again
