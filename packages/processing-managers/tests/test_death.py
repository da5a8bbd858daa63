"""Clients that are killed: what they had comes back, and nobody else notices."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import warnings
from typing import Any

import pytest

import processing_core
from conftest import Starter
from manager_children import hold_and_wait, keep_and_wait, wait_in
from processing_core import OwnerDiedWarning
from processing_managers import SyncManager
from processing_testkit.waiting import wait_until

assert sys.platform != "win32"


def kill(process: Any) -> None:
    process.kill()
    process.join()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_locks_of_the_dead(manager: SyncManager, start: Starter, kind: str) -> None:
    lock = getattr(manager, kind)()
    reader, writer = processing_core.Pipe(duplex=False)
    process = start(hold_and_wait, lock, writer)
    assert reader.recv() == "held"
    assert not lock.acquire(False)
    kill(process)
    with pytest.warns(OwnerDiedWarning, match="half changed"):
        assert lock.acquire(timeout=10)
    lock.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lock.acquire()
    reader.close()
    writer.close()


def test_who_waits_gets_the_lock_of_the_dead(manager: SyncManager, start: Starter) -> None:
    lock = manager.Lock()
    reader, writer = processing_core.Pipe(duplex=False)
    process = start(hold_and_wait, lock, writer)
    assert reader.recv() == "held"
    got: list[object] = []

    def acquire() -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got.append(lock.acquire())
            got.append([one.category for one in caught])

    thread = threading.Thread(target=acquire)
    thread.start()
    wait_until(lambda: sum(client["links"] for client in manager.info()["clients"]) >= 3)
    kill(process)
    thread.join()
    assert got == [True, [OwnerDiedWarning]]
    reader.close()
    writer.close()


def test_references_of_the_dead(manager: SyncManager, start: Starter) -> None:
    numbers, others = manager.list([1]), manager.dict(a=1)
    reader, writer = processing_core.Pipe(duplex=False)
    process = start(keep_and_wait, (numbers, others), writer)
    assert reader.recv() == 1
    del others
    gc.collect()
    assert manager._number_of_objects() == 2
    kill(process)
    wait_until(lambda: manager._number_of_objects() == 1)
    assert manager.info()["types"]["list"][1] == 1
    assert len(manager.info()["clients"]) == 1
    assert numbers[0] == 1
    reader.close()
    writer.close()


@pytest.mark.parametrize(
    ("kind", "method"),
    [("Queue", "get"), ("Lock", "acquire"), ("Event", "wait"), ("Queue", "join")],
)
def test_dead_waiters_take_nothing(
    manager: SyncManager, start: Starter, kind: str, method: str
) -> None:
    obj = getattr(manager, kind)()
    if kind == "Lock":
        obj.acquire()
    if method == "join":
        obj.put("unfinished")
    reader, writer = processing_core.Pipe(duplex=False)
    process = start(wait_in, obj, method, writer)
    assert reader.recv() == "calling"
    wait_until(lambda: len(manager.info()["clients"]) == 2)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    kill(process)
    wait_until(lambda: len(manager.info()["clients"]) == 1)
    if kind == "Lock":
        obj.release()
        assert obj.acquire(False)
    elif method == "get":
        obj.put("item")
        assert obj.get(timeout=10) == "item"
    elif kind == "Event":
        obj.set()
        assert obj.wait(0)
    reader.close()
    writer.close()


def test_a_party_that_dies_breaks_the_barrier(manager: SyncManager, start: Starter) -> None:
    barrier = manager.Barrier(3)
    reader, writer = processing_core.Pipe(duplex=False)
    process = start(wait_in, barrier, "wait", writer)
    assert reader.recv() == "calling"
    wait_until(lambda: barrier.n_waiting == 1)
    broken: list[str] = []

    def wait() -> None:
        try:
            barrier.wait()
        except threading.BrokenBarrierError as error:
            broken.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: barrier.n_waiting == 2)
    kill(process)
    thread.join()
    assert broken == ["the barrier was broken"]
    assert barrier.broken
    reader.close()
    writer.close()


def test_tickets_of_the_dead_hold_for_a_while(manager: SyncManager, start: Starter) -> None:
    """A proxy is on its way; its sender is killed, and who receives it has it all the same."""
    ours, theirs = processing_core.Pipe()
    numbers = manager.list([1])
    process = start(send_and_wait, numbers, theirs)
    assert ours.poll(10)
    kill(process)
    wait_until(lambda: len(manager.info()["clients"]) == 1)
    del numbers
    gc.collect()
    assert ours.recv()[0] == 1
    ours.close()
    theirs.close()


def send_and_wait(proxy: Any, connection: Any) -> None:
    connection.send(proxy)
    signal.pause()


def test_forked_child_of_a_client_is_killed(manager: SyncManager) -> None:
    numbers = manager.list([1])
    pid = os.fork()
    if pid == 0:
        try:
            len(numbers)
            signal.pause()
        finally:
            os._exit(1)
    wait_until(lambda: len(manager.info()["clients"]) == 2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_until(lambda: len(manager.info()["clients"]) == 1)
    assert manager.info()["types"]["list"][1] == 1
    assert numbers[0] == 1
