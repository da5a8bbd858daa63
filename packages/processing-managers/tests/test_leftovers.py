"""Nothing is left of clients that end in the middle of something, and others lose nothing."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import processing_core
from conftest import Starter
from manager_children import GatedManager, hold_and_wait, make_behind_gate
from processing_core.connection import Client
from processing_managers import SyncManager
from processing_managers._registry import Registration
from processing_managers._server.calls import Call, Waiter
from processing_managers._server.objects import Objects
from processing_managers._server.sessions import FEW_TIMERS, Session, Timers
from processing_managers._server.threads import end_idle_threads, run_aside
from processing_testkit.waiting import wait_until

assert sys.platform != "win32"


def number_of_clients(manager: SyncManager) -> int:
    return len(manager.info()["clients"])


def test_an_end_is_noticed_between_requests_that_come_regularly(
    manager: SyncManager, start: Starter
) -> None:
    """They come too often for a pause, and too seldom to be counted."""
    lock = manager.Lock()
    reader, writer = processing_core.Pipe(duplex=False)
    process = start(hold_and_wait, lock, writer)
    assert reader.recv() == "held"
    process.kill()
    process.join()
    begin, calls = time.monotonic(), 0
    while number_of_clients(manager) > 1:
        calls += 1
        assert time.monotonic() - begin < 10
        time.sleep(0.005)
    assert calls < 100
    reader.close()
    writer.close()


def test_a_fork_before_the_end_of_its_parent(manager: SyncManager, start: Starter) -> None:
    """A client forks and is killed before the manager has heard of either."""
    numbers = manager.list([1])
    reader, writer = processing_core.Pipe(duplex=False)
    assert manager.process is not None
    assert manager.process.pid is not None
    process = start(call_fork_and_die, numbers, manager.process.pid, writer)
    assert reader.poll(20)
    heir, seen = reader.recv()
    assert seen == [1, "heir"]
    process.join()
    with suppress(ChildProcessError):  # unless orphans come to us here
        os.waitpid(heir, 0)
    wait_until(lambda: number_of_clients(manager) == 1)
    assert numbers[:] == [1, "heir"]
    reader.close()
    writer.close()


def call_fork_and_die(numbers: Any, server: int, writer: Any) -> None:
    """Have the manager find a line of calls, the news of the fork, and the end, all at once."""
    len(numbers)
    os.kill(server, signal.SIGSTOP)
    for _ in range(20):
        numbers.call_async("count", 1)
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            time.sleep(0.001)
        os.kill(server, signal.SIGCONT)
        try:
            numbers.append("heir")
            writer.send((os.getpid(), numbers[:]))
        except BaseException as error:  # noqa: BLE001 - the test judges
            writer.send((os.getpid(), repr(error)))
        finally:
            os._exit(0)
    os.kill(parent, signal.SIGKILL)


@pytest.mark.parametrize("address", [None, ("127.0.0.1", 0)])
def test_what_was_made_for_the_dead_is_given_up(address: Any, start: Starter) -> None:
    """A client ends while the manager makes an object for it in another thread."""
    with GatedManager(address) as manager:
        gate = manager.Gate()
        reader, writer = processing_core.Pipe(duplex=False)
        process = start(make_behind_gate, manager.address, gate, writer)
        assert reader.recv() == "calling"
        wait_until(lambda: gate.waiting() == 1)
        process.kill()
        process.join()
        wait_until(lambda: number_of_clients(manager) == 1)
        gate.open()
        wait_until(lambda: manager.info()["threads"] == 0)
        assert manager._number_of_objects() == 1
        reader.close()
        writer.close()
    assert manager.process is not None
    manager.process.close()


@pytest.mark.parametrize("address", [None, ("127.0.0.1", 0)])
def test_a_lock_is_not_given_to_the_dead(address: Any, start: Starter) -> None:
    """A client ends while the manager runs its batch, in which it would acquire a lock."""
    with GatedManager(address) as manager:
        gate, lock = manager.Gate(), manager.Lock()
        reader, writer = processing_core.Pipe(duplex=False)
        process = start(acquire_behind_gate, manager.address, gate, lock, writer)
        assert reader.recv() == "calling"
        wait_until(lambda: gate.waiting() == 1)
        process.kill()
        process.join()
        wait_until(lambda: number_of_clients(manager) == 1)
        gate.open()
        wait_until(lambda: manager.info()["threads"] == 0)
        assert lock.acquire(False)
        reader.close()
        writer.close()
    assert manager.process is not None
    manager.process.close()


def acquire_behind_gate(address: Any, gate: Any, lock: Any, writer: Any) -> None:
    manager = GatedManager.from_address(address, bytes(processing_core.current_process().authkey))
    with manager.batch() as batch:
        batch.call(gate.pass_through)
        batch.call(lock.acquire)
        writer.send("calling")


@pytest.mark.parametrize("ring", [True, False])
def test_a_client_that_ends_while_it_is_greeted(ring: bool) -> None:
    """It says what it wants and does not stay for the answer."""
    with SyncManager() as manager:
        hello = {
            "session": 5,
            "link": 6,
            "owner": 7,
            "ring": ring,
            "ticket": None,
            "description": {"pid": os.getpid(), "name": "hasty"},
        }
        key = bytes(processing_core.current_process().authkey)
        for number in range(20):
            with Client(manager.address, authkey=key) as connection:
                connection.send({**hello, "session": 5 + number})
        with Client(manager.address, authkey=key) as connection:
            connection.send({"session": 99, "description": {}, "ring": ring})
        wait_until(lambda: manager.info()["threads"] == 0 and number_of_clients(manager) == 1)
    assert manager.process is not None
    manager.process.close()


def test_threads_of_a_remote_client_come_and_go() -> None:
    """What a thread had stays its process's when it ends, even if no other has called yet."""
    with SyncManager(("127.0.0.1", 0), b"key") as manager:
        reader, writer = processing_core.Pipe(duplex=False)
        process = processing_core.get_context("spawn").Process(
            target=use_in_threads, args=(manager.address, writer)
        )
        process.start()
        writer.close()
        assert reader.recv() == [[1], [1], [1], [1], [1]]
        process.join()
        wait_until(lambda: number_of_clients(manager) == 1)
        assert manager._number_of_objects() == 0
        reader.close()
        process.close()
    assert manager.process is not None
    manager.process.close()


def use_in_threads(address: Any, writer: Any) -> None:
    manager = SyncManager.from_address(address, b"key")
    made: list[Any] = []
    in_thread(lambda: made.append(manager.list([1])))
    seen: list[Any] = []
    try:
        for _ in range(5):
            time.sleep(0.05)  # the manager may notice that there is no thread
            in_thread(lambda: seen.append(made[0][:]))
    finally:
        writer.send(seen)


def in_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_a_child_of_a_remote_client_keeps_no_connection_of_its_parent() -> None:
    """Not of its other threads either: the manager notices the parent's end while it lives."""
    with SyncManager(("127.0.0.1", 0), b"key") as manager:
        reader, writer = processing_core.Pipe(duplex=False)
        process = processing_core.get_context("spawn").Process(
            target=fork_beside_a_thread, args=(manager.address, writer)
        )
        process.start()
        writer.close()
        child = reader.recv()
        assert manager._number_of_objects() == 1
        process.kill()
        process.join()
        try:
            wait_until(lambda: number_of_clients(manager) == 1)
        finally:
            os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):  # unless orphans come to us here
                os.waitpid(child, 0)
        reader.close()
        process.close()
    assert manager.process is not None
    manager.process.close()


def fork_beside_a_thread(address: Any, writer: Any) -> None:
    manager = SyncManager.from_address(address, b"key")
    numbers = manager.list([1])
    called = threading.Event()

    def call() -> None:
        len(numbers)
        called.set()
        time.sleep(600)

    threading.Thread(target=call, daemon=True).start()
    called.wait()
    child = os.fork()
    if child == 0:
        time.sleep(600)
    writer.send(child)
    time.sleep(600)


# What the server's parts keep


def test_a_reference_to_what_was_just_given_up() -> None:
    """The last proxy goes in one thread while another makes a reply that refers to the object."""
    registration = Registration("Something", exposed=())
    objects = Objects({"Something": registration})
    first, second, something = Session(1, {}), Session(2, {}), Something()
    entry = objects.add(something, registration)
    objects.refer(entry, first)
    met = objects.known(something)
    assert met is entry
    objects.release(entry.ident, first)
    objects.refer(met, second)
    assert objects.get(entry.ident) is entry
    assert objects.known(something) is entry
    assert entry.references == 1
    second.ended = True
    objects.refer(entry, second)
    assert entry.references == 1
    objects.release(entry.ident, second)
    assert objects.entries() == []


class Something:
    """Can be referred to weakly."""

    def method(self) -> None:
        """Nothing."""


def test_threads_keep_nothing_of_their_jobs() -> None:
    for _ in range(3):
        something, done = Something(), threading.Event()
        reference = weakref.ref(something)

        def job(something: Something = something, done: threading.Event = done) -> None:
            something.method()
            done.set()

        run_aside(job)
        done.wait()
        del something, job
        wait_until(lambda reference=reference: reference() is None)  # type: ignore[misc]  # mypy wants no default
    end_idle_threads()
    wait_until(lambda: not any(one.name == "ManagerCall" for one in threading.enumerate()))


class TimedCall(Call):
    """A call that only waits."""

    def __init__(self, timers: Timers) -> None:
        super().__init__()
        self.timers = timers

    def expire_at(self, moment: float, waiter: Waiter) -> None:
        self.timers.add(moment, waiter)


def test_timers_keep_nothing_of_those_who_wait_no_longer() -> None:
    timers = Timers(lambda: None)
    expired: list[object] = []
    line: dict[Waiter, None] = {}
    for _ in range(10 * FEW_TIMERS):
        call, something = TimedCall(timers), Something()
        call.park(line, 3600, expired.append)
        assert call.waiter is not None
        call.waiter.item = something
        call.waiter.leave()
        reference = weakref.ref(something)
        del call, something
        gc.collect(0)
        assert reference() is None
    assert len(timers) <= FEW_TIMERS
    waiting = [TimedCall(timers) for _ in range(3 * FEW_TIMERS)]
    for call in waiting:
        call.park(line, 0, expired.append)
    while timers.seconds() is not None and timers.seconds() == 0:
        timers.expire()
    assert len(expired) == len(waiting)
    assert not line
