"""Managers over TCP and TLS, as from other machines."""

from __future__ import annotations

import os
import pickle
import signal
import ssl
import sys
import threading
from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest
import trustme

import processing_core
from conftest import Starter
from manager_children import QueueManager, RegisteredManager, connect_and_put
from processing_core import AuthenticationError, InvalidArgument, OwnerDiedWarning
from processing_managers import ManagerLost, SyncManager
from processing_testkit.waiting import wait_until

assert sys.platform != "win32"

KEY = b"key"


@pytest.fixture
def server() -> Iterator[RegisteredManager]:
    """A manager that listens at a port."""
    with RegisteredManager(("127.0.0.1", 0), KEY) as manager:
        yield manager
    assert manager.process is not None
    manager.process.close()


def in_child(function: Any, *args: Any) -> Any:
    """What a function returns in another process, or the exception it raises."""
    reader, writer = processing_core.Pipe(duplex=False)
    process = processing_core.get_context("spawn").Process(
        target=send_result, args=(function, args, writer)
    )
    process.start()
    writer.close()
    try:
        kind, value = reader.recv()
    finally:
        reader.close()
        process.join()
    if kind == "error":
        raise value
    return value


def send_result(function: Any, args: tuple[Any, ...], connection: Any) -> None:
    try:
        connection.send(("value", function(*args)))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        connection.send(("error", error))


def connected(address: Any) -> Any:
    manager = RegisteredManager(address, KEY)
    manager.connect()
    return manager


def use_everything(address: Any) -> list[Any]:
    manager = connected(address)
    numbers, names = manager.list([1, 2]), manager.dict(a=1)
    lock, queue = manager.Lock(), manager.Queue()
    counter = manager.Counter(1)
    with lock:
        numbers.append(3)
    queue.put("item")
    big = manager.list([b"x" * 3_000_000])
    seen: list[Any] = []

    def in_a_thread() -> None:
        numbers.append(4)
        seen.append(lock.acquire(timeout=5))
        lock.release()

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    numbers.append(numbers)
    nested = numbers[-1]
    with manager.batch() as batch:
        length = batch.call(numbers.__len__)
    result = numbers.call_async("count", 4)
    try:
        numbers[99]
    except IndexError as error:
        seen.append("Traceback" in str(error.__cause__))
    return [
        list(numbers)[:4],
        nested == numbers,
        names["a"],
        queue.get(),
        len(big[0]),
        counter.increment(),
        list(counter.numbers(3)),
        length.get(),
        result.get(),
        *seen,
    ]


def test_everything_over_tcp(server: RegisteredManager) -> None:
    assert in_child(use_everything, server.address) == [
        [1, 2, 3, 4],
        True,
        1,
        "item",
        3_000_000,
        2,
        [0, 1, 2],
        5,
        1,
        True,
        True,
    ]
    wait_until(lambda: server._number_of_objects() == 0)


def time_out(address: Any) -> list[Any]:
    manager = connected(address)
    lock, queue = manager.Lock(), manager.Queue()
    lock.acquire()
    answers = [lock.acquire(timeout=0.05), manager.Event().wait(0.05)]
    try:
        queue.get(timeout=0.05)
    except Empty:
        answers.append("empty")
    return answers


def test_time_limits_over_tcp(server: RegisteredManager) -> None:
    """The loop learns of them although it sleeps."""
    assert in_child(time_out, server.address) == [False, False, "empty"]


def test_clients_share_one_referent() -> None:
    with QueueManager(("127.0.0.1", 0), KEY) as manager:
        processes = [
            processing_core.get_context("spawn").Process(
                target=connect_and_put, args=(manager.address, KEY, [which] * 10)
            )
            for which in range(2)
        ]
        for process in processes:
            process.start()
        queue = manager.get_queue()
        assert sorted(queue.get() for _ in range(20)) == [0] * 10 + [1] * 10
        for process in processes:
            process.join()


def hold_remotely(address: Any, lock: Any, ready: Any) -> None:
    manager = connected(address)
    mine = manager.list([1, 2, 3])
    lock.acquire()
    ready.send(len(mine))
    signal.pause()


def test_a_remote_client_that_is_killed(server: RegisteredManager, start: Starter) -> None:
    lock = server.Lock()
    reader, writer = processing_core.Pipe(duplex=False)
    process = start(hold_remotely, server.address, lock, writer)
    assert reader.recv() == 3
    process.kill()
    process.join()
    with pytest.warns(OwnerDiedWarning):
        assert lock.acquire(timeout=10)
    wait_until(lambda: server._number_of_objects() == 1)
    reader.close()
    writer.close()


def fork_remotely(address: Any) -> list[Any]:
    manager = connected(address)
    numbers = manager.list()
    numbers.append("before")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.read(reader, 1)
            numbers.append("child")
            code = len(numbers)
        finally:
            os._exit(code)
    keeper = manager.list([numbers])
    del numbers
    os.write(writer, b"x")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return [code, list(keeper[0])]


def test_fork_with_a_remote_manager(server: RegisteredManager) -> None:
    assert in_child(fork_remotely, server.address) == [2, ["before", "child"]]


def wait_for_the_end(address: Any, ready: Any) -> str:
    manager = connected(address)
    event = manager.Event()
    ready.send("waiting")
    try:
        event.wait()
    except ManagerLost as error:
        return type(error).__name__
    return "nothing"


def test_remote_calls_that_wait_when_the_manager_is_killed(server: RegisteredManager) -> None:
    reader, writer = processing_core.Pipe(duplex=False)
    result: list[Any] = []
    thread = threading.Thread(
        target=lambda: result.append(in_child(wait_for_the_end, server.address, writer))
    )
    thread.start()
    assert reader.recv() == "waiting"
    wait_until(lambda: len(server.info()["clients"]) == 2)
    assert server.process is not None
    server.process.kill()
    thread.join()
    assert result == ["ManagerLost"]
    reader.close()
    writer.close()


def wrong_key(address: Any) -> None:
    SyncManager(address, b"wrong").connect()


def test_wrong_key(server: RegisteredManager) -> None:
    with pytest.raises(AuthenticationError):
        in_child(wrong_key, server.address)
    assert server.list([1])[0] == 1


def pass_on(address: Any, connection: Any) -> None:
    numbers = connected(address).list(["passed"])
    connection.send(numbers)
    connection.recv()


def test_a_proxy_of_a_remote_client_is_passed_on(server: RegisteredManager, start: Starter) -> None:
    ours, theirs = processing_core.Pipe()
    start(pass_on, server.address, theirs)
    processing_core.current_process().authkey = KEY
    numbers = ours.recv()
    ours.send("have it")
    assert list(numbers) == ["passed"]
    ours.close()
    theirs.close()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def client_context(pem: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pem.decode())


def use_tls(address: Any, pem: bytes) -> list[Any]:
    manager = RegisteredManager(address, KEY, ssl_context=client_context(pem))
    manager.connect()
    numbers = manager.list([1, 2])
    numbers.append(3)
    copy = pickle.loads(pickle.dumps(numbers))
    return [list(copy), manager.Counter(1).increment()]


def unpickle_without_tls(data: bytes) -> str:
    processing_core.current_process().authkey = KEY
    try:
        pickle.loads(data)
    except AuthenticationError as error:
        return str(error)
    return "nothing"


def test_tls(authority: trustme.CA) -> None:
    with RegisteredManager(
        ("127.0.0.1", 0),
        KEY,
        ctx=processing_core.get_context("fork"),
        ssl_context=server_context(authority),
    ) as manager:
        pem = authority.cert_pem.bytes()
        assert in_child(use_tls, manager.address, pem) == [[1, 2, 3], 2]
        with pytest.raises((AuthenticationError, OSError)):
            in_child(use_everything, manager.address)
        assert manager.list([1])[0] == 1


def test_tls_that_is_not_trusted(authority: trustme.CA) -> None:
    with RegisteredManager(
        ("127.0.0.1", 0),
        KEY,
        ctx=processing_core.get_context("fork"),
        ssl_context=server_context(authority),
    ) as manager:
        stranger = trustme.CA().cert_pem.bytes()
        with pytest.raises((AuthenticationError, OSError)):
            in_child(use_tls, manager.address, stranger)


def test_a_path_with_tls(authority: trustme.CA, tmp_path: Any) -> None:
    manager = SyncManager(
        str(tmp_path / "manager"),
        KEY,
        ctx=processing_core.get_context("fork"),
        ssl_context=server_context(authority),
    )
    with pytest.raises(InvalidArgument, match="across machines"):
        manager.start()
