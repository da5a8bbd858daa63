"""Locks and semaphores: what they do in one process and between processes, errors and reprs."""

from __future__ import annotations

import inspect
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import sync_children
from children import LONG, finished
from processing_core import (
    InvalidArgument,
    InvalidType,
    Pipe,
    ProcessError,
    SerializationError,
    SharingError,
)
from processing_core.context import BaseContext, get_context
from processing_core.synchronize import BoundedSemaphore, Lock, RLock, Semaphore
from processing_testkit import wait_until

Make = Callable[[], Any]
ALL: list[Make] = [Lock, RLock, Semaphore, lambda: BoundedSemaphore(1)]


def standard(make: str, *args: Any) -> Any:
    return getattr(multiprocessing.get_context("fork"), make)(*args)


def in_thread(function: Callable[[], Any], name: str = "Other") -> Any:
    """What a function returns or raises in another thread."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - handed to the test
            results.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()
    return results[0]


def is_free(lock: Any) -> bool:
    if not lock.acquire(False):
        return False
    lock.release()
    return True


@pytest.mark.parametrize("make", ALL)
def test_acquire_and_release(make: Make) -> None:
    lock = make()
    for _ in range(3):
        assert lock.acquire() is True
        assert in_thread(lambda: lock.acquire(False)) is False
        assert in_thread(lambda: lock.acquire(block=False, timeout=10.0)) is False
        lock.release()
        assert in_thread(lambda: is_free(lock))


@pytest.mark.parametrize("make", ALL)
def test_is_a_context_manager(make: Make) -> None:
    lock = make()
    with lock as entered:
        assert entered is True
        assert in_thread(lambda: lock.acquire(False)) is False
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    assert in_thread(lambda: is_free(lock))


@pytest.mark.parametrize("make", ALL)
def test_timeouts(make: Make) -> None:
    lock = make()
    lock.acquire()
    for timeout, least in ((0, 0.0), (-5, 0.0), (0.1, 0.1), (1e-9, 0.0)):
        start = time.monotonic()
        assert in_thread(lambda: lock.acquire(True, timeout)) is False  # noqa: B023
        assert least <= time.monotonic() - start < least + 2.0
    lock.release()
    assert lock.acquire(timeout=20.0) is True


@pytest.mark.parametrize("make", ALL)
def test_timeouts_that_are_none(make: Make) -> None:
    lock = make()
    for wrong, error in ((math.nan, OSError), (math.inf, OSError), ("1", TypeError)):
        lock.acquire()
        got = in_thread(lambda: lock.acquire(True, wrong))  # noqa: B023
        assert isinstance(got, error | ValueError | OverflowError)
        lock.release()


def test_a_lock_is_released_by_anyone() -> None:
    lock = Lock()
    lock.acquire()
    in_thread(lock.release)
    lock.acquire()
    lock.release()
    with pytest.raises(ValueError, match="released"):
        lock.release()


def test_a_recursive_lock_is_its_owners() -> None:
    lock = RLock()
    for depth in range(1, 4):
        lock.acquire()
        assert repr(lock) == f"<RLock(MainProcess, {depth})>"
    assert isinstance(in_thread(lock.release), AssertionError)
    for _ in range(3):
        assert in_thread(lambda: lock.acquire(False)) is False
        lock.release()
    with pytest.raises(AssertionError):
        lock.release()
    assert in_thread(lambda: is_free(lock))


def test_semaphores_count() -> None:
    semaphore = Semaphore(2)
    assert semaphore.get_value() == semaphore.getValue() == 2
    assert semaphore.acquire()
    assert semaphore.acquire()
    assert not semaphore.acquire(False)
    for value in (1, 2, 3):
        semaphore.release()
        assert semaphore.get_value() == value
    bounded = BoundedSemaphore(2)
    bounded.acquire()
    bounded.release()
    with pytest.raises(ValueError, match="released"):
        bounded.release()
    assert bounded.get_value() == 2


@pytest.mark.parametrize("cls", [Semaphore, BoundedSemaphore])
def test_values_that_are_none(cls: type[Semaphore]) -> None:
    for wrong in (-1, 2**31, 2**80):
        with pytest.raises(InvalidArgument):
            cls(wrong)
    for odd in (1.0, "1", None):
        with pytest.raises(InvalidType):
            cls(odd)  # type: ignore[arg-type]
    assert cls(0).get_value() == 0
    assert cls(2**31 - 1).get_value() == 2**31 - 1


def test_takes_a_context_as_the_standard_library_does(context: BaseContext) -> None:
    Lock(ctx=context)
    RLock(ctx=context)
    Semaphore(3, ctx=context)
    BoundedSemaphore(value=3, ctx=context)


def test_reprs_are_the_standard_librarys() -> None:
    ours = [Lock(), RLock(), Semaphore(), Semaphore(7), BoundedSemaphore(), BoundedSemaphore(3)]
    theirs = [
        standard("Lock"),
        standard("RLock"),
        standard("Semaphore"),
        standard("Semaphore", 7),
        standard("BoundedSemaphore"),
        standard("BoundedSemaphore", 3),
    ]
    for one, other in zip(ours, theirs, strict=True):
        assert repr(one) == repr(other)
        with one, other:
            assert repr(one) == repr(other)
            assert in_thread(lambda: repr(one)) == in_thread(lambda: repr(other))  # noqa: B023
        in_thread(one.acquire)
        in_thread(other.acquire)
        assert repr(one) == repr(other)
    lock, relock = Lock(), RLock()

    def within() -> list[str]:
        with lock, relock, relock:
            return [repr(lock), repr(relock)]

    assert in_thread(within, "Thread-1") == [
        "<Lock(owner=MainProcess|Thread-1)>",
        "<RLock(MainProcess|Thread-1, 2)>",
    ]


@pytest.mark.parametrize("make", ALL)
def test_is_not_pickled_by_others(make: Make) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(SharingError, match="passed to a child process"):
            pickle.dumps(make(), protocol)
    for error in (ProcessError, SerializationError, RuntimeError, pickle.PicklingError):
        with pytest.raises(error):
            pickle.dumps([make()])


class Named(Lock):
    """A subclass with an attribute and changed methods."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.log: list[str] = []

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        self.log.append("acquire")
        return super().acquire(block, timeout)


def test_subclasses() -> None:
    named = Named("x")
    assert named.acquire()
    assert not super(Named, named).acquire(False)
    named.release()
    assert named.log == ["acquire"]
    with named:
        assert repr(named) == "<Named(owner=MainProcess)>"
    receiver, sender = Pipe()
    with receiver, sender:
        named.acquire()
        sender.send(named)
        copy = receiver.recv()
        assert (type(copy), copy.name) == (Named, "x")
        copy.release()
        assert named.acquire(False)


def test_has_no_attributes_of_its_own() -> None:
    for make in ALL:
        lock = make()
        assert not hasattr(lock, "__dict__")
        assert "block" in str(inspect.getdoc(type(lock).acquire))
        assert inspect.getdoc(type(lock).release)


@pytest.mark.parametrize("make", [Lock, RLock])
def test_one_at_a_time(make: Make, start: Any, tmp_path: Path) -> None:
    lock, path = make(), tmp_path / "number"
    path.write_text("0", encoding="ascii")
    processes = [start(sync_children.count_up, lock, str(path), 60) for _ in range(3)]
    threads = [
        threading.Thread(target=sync_children.count_up, args=(lock, str(path), 30))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        assert finished(process) == 0
    assert path.read_text(encoding="ascii") == "240"


def test_passed_and_used_by_both(start: Any) -> None:
    lock, relock, semaphore, bounded = Lock(), RLock(), Semaphore(3), BoundedSemaphore(2)
    ours, theirs = Pipe()
    process = start(sync_children.serve_object, theirs, lock, relock, semaphore, bounded)
    theirs.close()

    def ask(target: int, method: str, *arguments: Any) -> Any:
        ours.send((target, method, arguments))
        return ours.recv()

    with ours:
        lock.acquire()
        assert ask(0, "acquire", False) is False
        assert ask(0, "__repr__") == "<Lock(owner=SomeOtherProcess)>"
        assert ask(0, "release") is None
        assert ask(0, "acquire", False) is True
        lock.release()
        with relock:
            assert ask(1, "acquire", False) is False
            assert ask(1, "__repr__") == "<RLock(SomeOtherProcess, nonzero)>"
            assert isinstance(ask(1, "release"), AssertionError)
        assert ask(1, "acquire", True) is True
        assert ask(1, "acquire", True) is True
        assert not relock.acquire(False)
        assert ask(1, "release") is None
        assert not relock.acquire(True, 0.01)
        assert ask(1, "release") is None
        with relock:
            assert ask(2, "acquire") is True
        assert semaphore.get_value() == 2
        semaphore.release()
        assert ask(2, "get_value") == 3
        assert isinstance(ask(3, "release"), ValueError)
        bounded.acquire()
        assert ask(3, "release") is None
        assert ask(3, "__repr__") == "<BoundedSemaphore(value=2, maxvalue=2)>"
        ours.send(None)
    assert finished(process) == 0


def test_sent_to_a_running_process(start: Any) -> None:
    ours, theirs = Pipe()
    process = start(sync_children.serve, theirs)
    theirs.close()
    with ours:
        lock = Lock()
        ours.send((lock, "acquire", ()))
        assert ours.recv() is True
        assert not lock.acquire(False)
        ours.send((0, "release", ()))
        assert ours.recv() is None
        assert lock.acquire(False)
        lock.release()
        relock = RLock()
        ours.send((relock, "acquire", ()))
        assert ours.recv() is True
        # What is sent again is the same for its owner.
        ours.send((relock, "acquire", (False,)))
        assert ours.recv() is True
        assert not relock.acquire(False)
        for target in (1, 2):
            ours.send((target, "release", ()))
            assert ours.recv() is None
        assert relock.acquire(False)
        ours.send(None)
    assert finished(process) == 0


def test_comes_back_as_what_it_was() -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        relock = RLock()
        with relock:
            ours.send([relock, relock])
            first, second = theirs.recv()
            assert first is second
            assert repr(first) == "<RLock(MainProcess, 1)>"
            assert first.acquire(False)
            first.release()


def test_a_forked_child_does_not_hold_what_its_parent_holds() -> None:
    relock, lock = RLock(), Lock()
    relock.acquire()
    lock.acquire()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            held = relock.acquire(False), lock.acquire(False), relock._semlock._is_mine()
            code = 0 if held == (False, False, False) and "SomeOther" in repr(relock) else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    relock.release()
    assert lock._semlock._is_mine()


@pytest.mark.parametrize("make", ALL)
def test_sigint_ends_a_wait_at_once(make: Make, start: Any) -> None:
    lock = make()
    ours, theirs = Pipe()
    with lock, ours:
        process = start(sync_children.acquire_interrupted, theirs, lock)
        theirs.close()
        assert ours.recv() == "begins"
        wait_until(lambda: is_asleep(process.pid))
        os.kill(process.pid, signal.SIGINT)
        assert ours.recv() == "interrupted"
        assert finished(process) == 0
    assert lock.acquire(False)


def is_asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] == "S"


def test_a_killed_holder_keeps_it(start: Any) -> None:
    lock = Lock()
    process = start(sync_children.acquire_and_be_killed, lock)
    assert finished(process) == -signal.SIGKILL
    assert not lock.acquire(False)
    assert repr(lock) == "<Lock(owner=SomeOtherProcess)>"
    lock.release()
    assert lock.acquire(False)


def _hold_then_look(lock: Any, connection: Any) -> None:
    """Hold a lock that was inherited and receive it again: it is the same one."""
    with lock:
        received = connection.recv()
        connection.send((received._semlock is lock._semlock, received._semlock._is_mine()))


@pytest.mark.parametrize("make", [Lock, RLock])
def test_what_a_fork_has_copied_is_the_same_when_it_is_sent(make: Make) -> None:
    fork = get_context("fork")
    lock = make()
    ours, theirs = Pipe()
    with ours, theirs:
        child = fork.Process(target=_hold_then_look, args=(lock, theirs))
        child.start()
        ours.send(lock)
        assert ours.recv() == (True, True)
        assert finished(child) == 0

        child = fork.Process(target=theirs.send, args=(lock,))
        child.start()
        received = ours.recv()
        assert finished(child) == 0
        assert received._semlock is lock._semlock
        # The memory has one owner: it is given back once, and only when both are gone.
        address = lock._semlock.block.address
        del received
        assert make()._semlock.handle != address
        assert lock.acquire(timeout=LONG)
        lock.release()


def test_memory_that_is_being_given_back_is_not_taken() -> None:
    semlock: Any = Lock()._semlock
    epoch = semlock._take_epoch()
    with pytest.raises(LookupError):
        _ = semlock.block
    semlock._epoch = epoch
    assert semlock.block is semlock.block
    assert semlock._take_epoch() is None
