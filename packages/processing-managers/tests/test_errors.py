"""What goes wrong is told to who asked, with both tracebacks; the manager goes on."""

from __future__ import annotations

import contextlib
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import processing_core
from manager_children import (
    CounterManager,
    FailsToLoad,
    QueueManager,
    RegisteredManager,
    make_fails_to_load,
    report,
)
from processing_core import MisuseError, RemoteError, RemoteTraceback
from processing_managers import (
    BaseManager,
    ManagerLost,
    NotExposedError,
    ReferentGoneError,
    SyncManager,
    UnknownTypeError,
)
from processing_testkit.waiting import wait_until

assert sys.platform != "win32"


@pytest.fixture
def counters() -> Iterator[RegisteredManager]:
    with RegisteredManager() as manager:
        yield manager
    assert manager.process is not None
    manager.process.close()


@pytest.mark.parametrize("typeid", ["Counter", "Quick"])
def test_the_methods_own_exception(counters: Any, typeid: str) -> None:
    counter = getattr(counters, typeid)(1)
    with pytest.raises(LookupError, match="not here") as caught:
        counter.fail("not here")
    cause = caught.value.__cause__
    assert isinstance(cause, RemoteTraceback)
    assert "manager_children.py" in str(cause)
    assert "in fail" in str(cause)
    assert counter.get() == 1


@pytest.mark.parametrize("typeid", ["Counter", "Quick"])
def test_unpicklable_result(counters: Any, typeid: str) -> None:
    counter = getattr(counters, typeid)()
    with pytest.raises(RemoteError, match="cannot be sent: <unlocked _thread") as caught:
        counter.unpicklable()
    assert "TypeError" in str(caught.value.__cause__)
    assert counter.get() == 0


def test_unpicklable_exception(counters: Any) -> None:
    with pytest.raises(RemoteError, match=r"UnpicklableError.*cannot be sent") as caught:
        counters.Counter().fail_unpicklably()
    assert "in fail_unpicklably" in str(caught.value.__cause__)


def test_exception_that_cannot_be_unpickled(counters: Any) -> None:
    with pytest.raises(RemoteError, match="first second") as caught:
        counters.Counter().fail_two_arguments()
    assert "in fail_two_arguments" in str(caught.value.__cause__)


def test_argument_that_cannot_be_pickled(manager: SyncManager) -> None:
    numbers = manager.list([1])
    with pytest.raises((pickle.PicklingError, TypeError), match="lock"):
        numbers.append(threading.Lock())  # type: ignore[arg-type]  # on purpose
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        numbers.sort(key=lambda number: -number)
    assert list(numbers) == [1]


def test_argument_that_cannot_be_unpickled(manager: SyncManager) -> None:
    numbers = manager.list([1])
    with pytest.raises(ValueError, match="does not load") as caught:
        numbers.append(FailsToLoad())  # type: ignore[arg-type]  # on purpose
    assert "fail_to_load" in str(caught.value.__cause__)
    big = [b"x" * 100_000, FailsToLoad()]
    with pytest.raises(ValueError, match="does not load"):
        numbers.append(big)  # type: ignore[arg-type]  # on purpose
    assert list(numbers) == [1]


def test_result_that_cannot_be_unpickled(counters: Any) -> None:
    loader = counters.Loader()
    with pytest.raises(ValueError, match="does not load"):
        loader.give()
    assert loader.take(1) == "int"


@pytest.mark.parametrize("typeid", ["Counter", "Quick"])
@pytest.mark.parametrize(
    ("method", "error"), [("exit", SystemExit), ("raise_keyboard_interrupt", KeyboardInterrupt)]
)
def test_exits(counters: Any, typeid: str, method: str, error: type[BaseException]) -> None:
    counter = getattr(counters, typeid)()
    with pytest.raises(error):
        getattr(counter, method)()
    assert counter.get() == 0


def test_a_method_that_ends_the_manager(counters: Any) -> None:
    counter = counters.Counter()
    with pytest.raises(ManagerLost):
        counter.end_process()


def test_not_exposed(counters: Any) -> None:
    counter = counters.Counter()
    for name in ("_private", "__init__", "__class__", "missing", "__reduce__"):
        with pytest.raises(NotExposedError, match=f"'{name}' of 'Counter' objects is not exposed"):
            counter._callMethod(name)
    with pytest.raises(AttributeError):
        counter._private()
    with pytest.raises(RemoteError):
        counter._callmethod("_private")


def test_exposed_names_only() -> None:
    with CounterManager() as manager:
        some = manager.Some(3)
        assert some.get() == 3
        with pytest.raises(AttributeError):
            some.increment()
        with pytest.raises(NotExposedError, match="exposed are: get"):
            some._callmethod("increment")


def test_wrong_arguments(manager: SyncManager, counters: Any) -> None:
    with pytest.raises(TypeError, match="takes"):
        counters.Counter().get(1, 2, 3)
    with pytest.raises(IndexError):
        manager.list()[0]
    with pytest.raises(KeyError, match="'a'"):
        manager.dict()["a"]


def test_unknown_type() -> None:
    class Unknown(BaseManager):
        pass

    with SyncManager(authkey=b"key") as manager:
        Unknown.register("nothing")
        client = Unknown(manager.address, b"key")
        client.connect()
        with pytest.raises(UnknownTypeError, match="no type 'nothing' is registered"):
            client.nothing()  # type: ignore[attr-defined]  # it is registered


def test_a_restarted_manager(tmp_path: Any) -> None:
    address = str(tmp_path / "manager")
    first = SyncManager(address, b"key")
    first.start()
    numbers = first.list([1])
    data = pickle.dumps(numbers)
    first.shutdown()
    with SyncManager(address, b"key") as second:
        assert second.list([2])[0] == 2
        with pytest.raises(ManagerLost):
            numbers[0]
        reader, writer = processing_core.Pipe(duplex=False)
        process = processing_core.get_context("spawn").Process(
            target=unpickle, args=(data, b"key", writer)
        )
        process.start()
        assert reader.recv() == ReferentGoneError.__name__
        process.join()
        reader.close()
        writer.close()


def unpickle(data: bytes, key: bytes, connection: Any) -> None:
    processing_core.current_process().authkey = key
    try:
        pickle.loads(data)
    except Exception as error:  # noqa: BLE001 - the parent judges
        connection.send(type(error).__name__)


def test_a_process_without_the_key() -> None:
    with SyncManager(authkey=b"secret") as manager:
        numbers = manager.list([1])
        data = pickle.dumps(numbers)
        assert b"secret" not in data
        reader, writer = processing_core.Pipe(duplex=False)
        for key in (b"another",):
            process = processing_core.get_context("spawn").Process(
                target=unpickle, args=(data, key, writer)
            )
            process.start()
            assert reader.recv() == "AuthenticationError"
            process.join()
        # Passed to a child at its start, a proxy brings the key.
        process = processing_core.get_context("spawn").Process(
            target=report, args=(numbers, "__len__", writer)
        )
        process.start()
        assert reader.recv() == ("value", 1)
        process.join()
        reader.close()
        writer.close()


def test_a_slow_call_does_not_hold_up_others(counters: Any) -> None:
    """Not for another thread, and not for another object of the same client."""
    slow, quick, sleepy = counters.Counter(), counters.Counter(), counters.Quick()
    numbers = counters.list([1])

    def sleep(one: Any) -> None:
        with contextlib.suppress(ManagerLost):
            one.sleep(600)

    threads = [threading.Thread(target=sleep, args=(one,)) for one in (slow, sleepy)]
    for thread in threads:
        thread.start()
    wait_until(lambda: counters.info()["threads"] == 2)
    assert numbers[0] == 1
    assert quick.get() == 0
    wait_until(lambda: counters.info()["threads"] == 2)
    counters.shutdown()
    for thread in threads:
        thread.join()


def test_interrupted_call_gives_its_place_up(manager: SyncManager) -> None:
    """Who was interrupted in get() takes nothing afterwards, and later calls are answered right."""
    import signal

    queue, numbers = manager.Queue(), manager.list([5])

    class StopError(Exception):
        pass

    def handler(*_: object) -> None:
        raise StopError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(5):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(StopError):
                queue.get()
            assert numbers[0] == 5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    queue.put("item")
    assert queue.get(timeout=5) == "item"


def test_str_of_what_cannot_be_shown(manager: SyncManager) -> None:
    numbers = manager.list([1])
    assert str(numbers) == "[1]"
    manager.shutdown()
    assert "'__str__()' failed" in str(numbers)
    assert repr(numbers).startswith("<Proxy[list] object at 0x")


def test_garbage_does_not_disturb(tmp_path: Any) -> None:
    import socket

    with SyncManager(("127.0.0.1", 0), b"key") as manager:
        half_open = [socket.create_connection(manager.address) for _ in range(20)]
        for index, one in enumerate(half_open):
            one.sendall(b"GET / HTTP/1.1\r\n\r\n" if index % 2 else b"")
        client = SyncManager(manager.address, b"key")
        client.connect()
        assert client.list([1])[0] == 1
        for one in half_open:
            one.close()


def test_one_who_knows_the_key_and_says_nonsense() -> None:
    from processing_core.connection import Client

    with SyncManager(authkey=b"key") as manager:
        for nonsense in (3, {"hello": 1}, make_fails_to_load()):
            with Client(manager.address, authkey=b"key") as connection:
                connection.send(nonsense)
                with pytest.raises((EOFError, OSError)):
                    connection.recv()
        assert manager.list([1])[0] == 1


def test_queue_of_the_program(counters: Any) -> None:
    """An object that the manager's process shares, by a function that returns it."""
    with QueueManager() as manager:
        first, second = manager.get_queue(), manager.get_queue()
        first.put("a")
        assert second.get() == "a"
        result: list[Any] = []
        thread = threading.Thread(target=lambda: result.append(second.get()))
        thread.start()
        wait_until(lambda: manager.info()["threads"] == 1)
        first.put("b")
        thread.join()
        assert result == ["b"]


def test_misuse_in_a_server_is_told(manager: SyncManager) -> None:
    with pytest.raises(MisuseError):
        manager.Lock().release()
    with pytest.raises(AssertionError):
        manager.RLock().release()


def test_time_of_a_shutdown_with_calls_that_wait(manager: SyncManager) -> None:
    event = manager.Event()
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            event.wait()
        except ManagerLost as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: manager.info()["clients"][0]["links"] == 2)
    before = time.monotonic()
    manager.shutdown()
    thread.join()
    assert time.monotonic() >= before
    assert len(errors) == 1
