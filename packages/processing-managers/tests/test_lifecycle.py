"""Managers begin, are connected to, and end; however they do."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from typing import Any

import pytest

import processing_core
from manager_children import (
    CounterManager,
    Environment,
    EnvironmentManager,
    die_in_initializer,
    raise_in_initializer,
    set_up,
)
from processing_core import AuthenticationError, MisuseError
from processing_core.context import BaseContext
from processing_managers import BaseManager, Manager, ManagerLost, SyncManager
from processing_testkit.scripts import run_script
from processing_testkit.waiting import wait_until

assert sys.platform != "win32"


def test_starts_and_ends_by_every_method(context: BaseContext) -> None:
    manager = SyncManager(ctx=context)
    manager.start()
    process = manager.process
    assert process is not None
    assert process.name.startswith("SyncManager-")
    assert manager.list([1, 2])[1] == 2
    manager.shutdown()
    assert process.exitcode == 0
    manager.shutdown()


def test_with_starts_and_ends_it() -> None:
    with SyncManager() as manager:
        proxy = manager.dict(a=1)
        assert proxy["a"] == 1
    with pytest.raises(ManagerLost):
        proxy["a"]


def test_manager_function_gives_a_started_one() -> None:
    manager = Manager()
    assert str(manager.list("ab")) == "['a', 'b']"
    manager.shutdown()


def test_ends_when_it_is_collected() -> None:
    manager = Manager()
    process = manager.process
    assert process is not None
    del manager
    gc.collect()
    assert not process.is_alive()
    assert process.exitcode == 0


def test_proxies_keep_the_manager() -> None:
    numbers = Manager().list([1])
    numbers.append(2)
    assert numbers[1] == 2
    process = numbers._manager.process  # type: ignore[attr-defined]  # of the manager
    del numbers
    gc.collect()
    assert not process.is_alive()


def test_ends_with_the_program() -> None:
    script = """
        from processing_managers import Manager
        if __name__ == "__main__":
            manager = Manager()
            numbers = manager.list([1])
            print(numbers[0], flush=True)
    """
    result = run_script(script).check()
    assert result.stdout == "1\n"


def test_ends_when_the_program_is_killed() -> None:
    script = """
        import os, signal
        from processing_managers import Manager
        if __name__ == "__main__":
            manager = Manager()
            manager.list([1])
            os.kill(os.getpid(), signal.SIGKILL)
    """
    result = run_script(script)
    assert result.returncode == -signal.SIGKILL
    assert not result.survivors


def test_start_twice() -> None:
    with SyncManager() as manager, pytest.raises(MisuseError, match="started already"):
        manager.start()


def test_use_before_start() -> None:
    manager = SyncManager()
    with pytest.raises(MisuseError, match="not started"):
        manager.list()
    with pytest.raises(MisuseError, match="initial"):
        manager.shutdown()


def test_use_after_shutdown() -> None:
    manager = Manager()
    numbers, lock = manager.list([1]), manager.Lock()
    manager.shutdown()
    for call in (lambda: numbers[0], lock.acquire, manager.dict, lambda: len(numbers)):
        with pytest.raises(ManagerLost, match="shut down"):
            call()
    with pytest.raises(MisuseError):
        manager.start()


def test_initializer() -> None:
    manager = EnvironmentManager()
    manager.start(set_up, (42,))
    environment: Environment = manager.Environment()
    assert environment.get() == "42"
    manager.shutdown()


def test_initializer_that_raises() -> None:
    manager = SyncManager()
    with pytest.raises(LookupError, match="no such thing") as caught:
        manager.start(raise_in_initializer)
    assert "raise_in_initializer" in str(caught.value.__cause__)


def test_initializer_that_ends_the_process() -> None:
    with pytest.raises(ManagerLost, match="exit code 7"):
        SyncManager().start(die_in_initializer)


def test_initializer_must_be_callable() -> None:
    with pytest.raises(TypeError, match="callable"):
        SyncManager().start("no")  # type: ignore[arg-type]  # on purpose


def test_address_in_use() -> None:
    with SyncManager(("127.0.0.1", 0)) as first:
        second = SyncManager(first.address)
        with pytest.raises(OSError, match="in use"):
            second.start()


@pytest.mark.parametrize("key", ["", b""])
def test_empty_key(key: Any) -> None:
    with pytest.raises(ValueError, match="empty"):
        SyncManager(authkey=key)


def test_key_of_a_wrong_type() -> None:
    with pytest.raises(TypeError, match="bytes or a string"):
        SyncManager(authkey=3)  # type: ignore[arg-type]  # on purpose


def test_serializer() -> None:
    with pytest.raises(ValueError, match="pickle"):
        SyncManager(serializer="xmlrpclib")


def test_connect() -> None:
    with SyncManager(("127.0.0.1", 0), b"key") as manager:
        other = SyncManager(manager.address, b"key")
        other.connect()
        numbers = other.list([1, 2])
        assert list(numbers) == [1, 2]
        assert (
            SyncManager.fromAddress(manager.address, "key").info()["pid"] == manager.info()["pid"]
        )
        with pytest.raises(MisuseError, match="connected already"):
            other.connect()
        with pytest.raises(MisuseError, match="connected, not started"):
            other.shutdown()


def test_connect_with_the_wrong_key() -> None:
    with SyncManager(authkey=b"right") as manager:
        other = SyncManager(manager.address, b"wrong")
        with pytest.raises(AuthenticationError):
            other.connect()
        assert manager.list([1])[0] == 1


def test_connect_to_nobody(tmp_path: Any) -> None:
    with pytest.raises(OSError, match="nobody"):
        SyncManager(str(tmp_path / "nobody")).connect()


def test_serve_in_this_process() -> None:
    server = CounterManager(authkey=b"key").get_server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = CounterManager(server.address, b"key")
    client.connect()
    counter = client.Counter(5)
    assert counter.increment() == 6
    assert counter.pid() == os.getpid()
    server.stop()
    thread.join()
    wait_until(lambda: threading.active_count() == 1)
    wait_until(lambda: not client._session.alive)  # type: ignore[union-attr]  # it is connected
    with pytest.raises(ManagerLost):
        counter.get()


@pytest.mark.parametrize(
    "interrupt",
    [
        "os.kill(os.getpid(), signal.SIGINT)",
        # What the main thread waits for is not interrupted, as when it only begins to wait.
        "signal.pthread_kill(threading.get_ident(), signal.SIGINT)",
    ],
)
def test_serve_forever_until_ctrl_c(interrupt: str) -> None:
    script = f"""
        import os, signal, threading
        from processing_managers import SyncManager
        if __name__ == "__main__":
            manager = SyncManager(("127.0.0.1", 0), b"key")
            server = manager.get_server()
            def interrupt():
                other = SyncManager.from_address(server.address, b"key")
                print(other.list([1])[0])
                {interrupt}
            threading.Thread(target=interrupt).start()
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("interrupted")
    """
    assert run_script(script).check().stdout == "1\ninterrupted\n"


def test_ctrl_c_leaves_the_manager_alone() -> None:
    with SyncManager() as manager:
        process = manager.process
        assert process is not None
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        assert manager.list([1])[0] == 1


def test_killed_manager(manager: SyncManager) -> None:
    numbers = manager.list([1])
    event = manager.Event()
    results: list[BaseException] = []

    def wait() -> None:
        try:
            event.wait()
        except ManagerLost as error:
            results.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert manager.process is not None
    wait_until(lambda: manager.info()["clients"][0]["links"] == 4)
    manager.process.kill()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    with pytest.raises(ManagerLost):
        numbers.append(2)
    with pytest.raises(EOFError):
        manager.list()
    with pytest.raises(ConnectionError):
        manager.list()


def test_for_its_own_process_only(manager: SyncManager) -> None:
    reader, writer = processing_core.Pipe(duplex=False)

    def use() -> None:
        try:
            manager.shutdown()
        except MisuseError as error:
            writer.send(str(error))

    process = processing_core.get_context("fork").Process(target=use)
    process.start()
    assert "for the process that made it" in reader.recv()
    process.join()
    reader.close()
    writer.close()


def test_join(manager: SyncManager) -> None:
    start = time.monotonic()
    manager.join(0.01)
    assert time.monotonic() > start
    assert manager.process is not None
    manager.process.terminate()
    manager.join()
    assert manager.process.exitcode == -signal.SIGTERM


def test_repr() -> None:
    manager: BaseManager = SyncManager(("127.0.0.1", 5))
    assert repr(manager) == "<SyncManager(initial, ('127.0.0.1', 5))>"
