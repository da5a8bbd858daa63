"""Proxies in several processes and threads: passed, pickled, forked, dropped."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import sys
import threading
from typing import Any

import pytest

import processing_core
from conftest import Starter
from manager_children import append_all, fork_and_use, increment, receive_and_use, relay_proxy
from processing_core.context import BaseContext
from processing_managers import ListProxy, ReferentGoneError, SyncManager
from processing_testkit.waiting import wait_until

assert sys.platform != "win32"


def references(manager: SyncManager, typeid: str) -> int:
    """How many references there are to all objects of a type."""
    count: int = manager.info()["types"].get(typeid, (0, 0, 0))[1]
    return count


def test_passed_to_a_child(manager: SyncManager, start: Starter) -> None:
    numbers = manager.list()
    process = start(append_all, numbers, [1, 2, 3])
    process.join()
    assert process.exitcode == 0
    assert list(numbers) == [1, 2, 3]


def test_counting_in_several_children(manager: SyncManager, start: Starter) -> None:
    counter, lock = manager.Value("i", 0), manager.Lock()
    processes = [start(increment, counter, lock, 100) for _ in range(4)]
    for process in processes:
        process.join()
    assert counter.value == 400


def test_manager_of_every_method(context: BaseContext) -> None:
    with SyncManager(ctx=context) as manager:
        numbers = manager.list()
        process = context.Process(target=append_all, args=(numbers, [1]))
        process.start()
        process.join()
        assert numbers[0] == 1


def test_passed_on_by_a_process_that_is_gone(manager: SyncManager, start: Starter) -> None:
    """In flight, a proxy holds its referent, whoever sent it."""
    ours, theirs = processing_core.Pipe()
    to_receiver, from_relay = processing_core.Pipe()
    receiver = start(receive_and_use, to_receiver)
    relay = start(relay_proxy, theirs, from_relay)
    numbers = manager.list(["begin"])
    ours.send(numbers)
    del numbers
    ours.send("end")
    relay.join()
    assert from_relay.recv() == 2
    receiver.join()
    # What was in the ring may be done a moment later; then nobody has it any more.
    wait_until(lambda: manager._number_of_objects() == 0)
    for end in (ours, theirs, to_receiver, from_relay):
        end.close()


def test_dropping_the_last_proxy_frees_the_referent(manager: SyncManager) -> None:
    first = manager.list([1])
    second = copy.copy(first)
    assert references(manager, "list") == 2
    del first
    assert second[0] == 1
    assert manager._number_of_objects() == 1
    del second
    assert manager._number_of_objects() == 0


def test_pickled(manager: SyncManager) -> None:
    numbers = manager.list([1])
    data = pickle.dumps(numbers)
    again: ListProxy[int] = pickle.loads(data)
    assert again == numbers
    assert type(again) is ListProxy
    again.append(2)
    assert numbers[1] == 2
    # A second time there is no ticket any more, but the referent is still there.
    pickle.loads(data).append(3)
    assert len(numbers) == 3
    del numbers, again
    gc.collect()
    with pytest.raises(ReferentGoneError):
        pickle.loads(data)


def test_pickled_and_kept_alive_by_the_pickle(manager: SyncManager) -> None:
    data = pickle.dumps(manager.list([1]))
    assert manager._number_of_objects() == 1
    assert pickle.loads(data)[0] == 1


def test_forked(manager: SyncManager) -> None:
    """A child has references of its own from the first moment."""
    reader, writer = processing_core.Pipe(duplex=False)
    numbers = manager.list()
    keeper = manager.list([numbers])
    process = processing_core.get_context("fork").Process(
        target=fork_and_use, args=(numbers, writer)
    )
    process.start()
    del numbers
    process.join()
    assert reader.recv() == 0
    assert str(keeper) == "[['child']]"
    reader.close()
    writer.close()


def test_forked_child_keeps_what_the_parent_drops(manager: SyncManager) -> None:
    numbers = manager.list([1])
    release_reader, release_writer = os.pipe()
    result_reader, result_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.read(release_reader, 1)
            os.write(result_writer, str(numbers[0]).encode())
        except BaseException as error:  # noqa: BLE001 - the parent judges
            os.write(result_writer, repr(error).encode())
        finally:
            os._exit(0)
    del numbers
    assert manager._number_of_objects() == 1
    os.write(release_writer, b"x")
    assert os.read(result_reader, 100) == b"1"
    os.waitpid(pid, 0)
    wait_until(lambda: manager._number_of_objects() == 0)
    for descriptor in (release_reader, release_writer, result_reader, result_writer):
        os.close(descriptor)


def test_fork_while_other_threads_call(manager: SyncManager) -> None:
    numbers = manager.list([0])
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            numbers[0] = numbers[0] + 0

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(20):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                numbers.append(number)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert sorted(numbers[1:]) == list(range(20))


def test_many_threads(manager: SyncManager) -> None:
    numbers = manager.list()

    def append(which: int) -> None:
        for number in range(50):
            numbers.append((which, number))

    threads = [threading.Thread(target=append, args=(which,)) for which in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = list(numbers)
    assert len(got) == 400
    for which in range(8):
        assert [number for one, number in got if one == which] == list(range(50))
    # The links of threads that have ended are gone; the server hears of it in order.
    assert manager.info()["clients"][0]["links"] == 1


def test_nested_in_itself_and_elsewhere(manager: SyncManager) -> None:
    inner, outer = manager.list(), manager.list()
    outer.append(inner)
    inner.append("hello")
    assert str(outer) == "[['hello']]"
    assert isinstance(outer[0], ListProxy)
    outer[0].append("world")
    assert list(inner) == ["hello", "world"]
    del inner
    assert list(outer[0]) == ["hello", "world"]
    assert copy.deepcopy(outer) == [["hello", "world"]]
    assert manager._number_of_objects() == 1


def test_a_proxy_of_another_manager(manager: SyncManager) -> None:
    with SyncManager() as other:
        foreign = other.list([1])
        mine = manager.list([foreign])
        del foreign
        gc.collect()
        got = mine[0]
        got.append(2)
        assert list(got) == [1, 2]
        assert other._number_of_objects() == 1
        del got, mine
        manager.info()
        wait_until(lambda: other._number_of_objects() == 0)


def test_two_managers_that_have_proxies_of_each_other(manager: SyncManager) -> None:
    with SyncManager() as other:
        here, there = manager.list(), other.list()

        def fill(target: Any, source: Any) -> None:
            for _ in range(20):
                target.append(source)

        threads = [
            threading.Thread(target=fill, args=pair) for pair in ((here, there), (there, here))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(here) == len(there) == 20


def test_signal_handler_that_calls_while_a_call_waits(manager: SyncManager) -> None:
    """The handler has a link of its own, and the same identity for locks."""
    import signal

    event, lock, numbers = manager.Event(), manager.RLock(), manager.list()
    lock.acquire()

    def handler(*_: object) -> None:
        with lock:
            numbers.append("handled")
        event.set()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        main = threading.main_thread().ident
        assert main is not None

        def interrupt() -> None:
            wait_until(lambda: manager.info()["clients"][0]["links"] >= 2)
            signal.pthread_kill(main, signal.SIGUSR1)

        thread = threading.Thread(target=interrupt)
        thread.start()
        assert event.wait(20)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    lock.release()
    assert list(numbers) == ["handled"]


def test_descriptors_in_arguments_and_results(manager: SyncManager) -> None:
    """What processes share travels to a manager and back."""
    queue: processing_core.SimpleQueue[str] = processing_core.SimpleQueue()
    holder: ListProxy[Any] = manager.list([queue])
    holder[0].put("through a copy")
    assert queue.get() == "through a copy"
    reader, writer = processing_core.Pipe(duplex=False)
    holder.append(writer)
    writer.close()
    holder.pop().send("sent by the copy")
    assert reader.recv() == "sent by the copy"
    reader.close()


@pytest.mark.parametrize("size", [10, 40_000, 3_000_000])
def test_sizes(manager: SyncManager, size: int) -> None:
    values = manager.list([b"x" * size, "y" * size])
    assert values[0] == b"x" * size
    assert values[1] == "y" * size
    big = bytearray(size)
    values.append(big)
    assert values[-1] == big
