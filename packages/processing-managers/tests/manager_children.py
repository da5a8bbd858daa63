"""What runs in the child processes, and in the managers, of these tests."""

from __future__ import annotations

import functools
import os
import queue
import signal
import sys
import threading
import time
from typing import Any

from processing_core import current_process
from processing_managers import BaseManager, CreatorMethod, SyncManager


def append_all(proxy: Any, items: list[Any]) -> None:
    for item in items:
        proxy.append(item)


def increment(counter: Any, lock: Any, times: int) -> None:
    for _ in range(times):
        with lock:
            counter.value += 1


def put_all(items: Any, objects: list[Any]) -> None:
    for obj in objects:
        items.put(obj)


def take_until_none(items: Any, results: Any) -> list[Any]:
    taken = []
    while (item := items.get()) is not None:
        taken.append(item)
    results.put_many(taken)
    return taken


def do_as_told(connection: Any) -> None:
    """Call methods of the proxies that come, and send what they return, until None comes."""
    while (told := connection.recv()) is not None:
        proxy, name, args = told
        try:
            result = getattr(proxy, name)(*args)
        except Exception as error:  # noqa: BLE001 - its type is compared
            result = type(error)
        del told, proxy, args
        connection.send(result)
        del result


def hold_and_wait(lock: Any, ready: Any) -> None:
    """Acquire a lock and never release it."""
    lock.acquire()
    ready.send("held")
    time.sleep(600)


def keep_and_wait(proxies: Any, ready: Any) -> None:
    """Have proxies, and more that this process makes."""
    copies = [proxies[0].copy() if hasattr(proxies[0], "copy") else None]
    ready.send(len(copies))
    time.sleep(600)


def wait_in(method_of: Any, name: str, ready: Any) -> None:
    """Call a method that waits; the parent is told before."""
    ready.send("calling")
    getattr(method_of, name)()


def report(proxy: Any, name: str, connection: Any) -> None:
    """Call a method and send what became of it."""
    try:
        connection.send(("value", getattr(proxy, name)()))
    except Exception as error:  # noqa: BLE001 - the parent judges
        connection.send((type(error).__name__, str(error)))


def relay_proxy(source: Any, target: Any) -> None:
    """Pass a proxy on from one connection to another, and be gone."""
    target.send(source.recv())
    assert source.recv() == "end"


def receive_and_use(connection: Any) -> None:
    proxy = connection.recv()
    proxy.append(os.getpid())
    connection.send(len(proxy))


def fork_and_use(proxy: Any, answer: Any) -> None:
    """Use a proxy in a forked child after it is gone here."""
    if sys.platform == "win32":
        return
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(writer)
            os.read(reader, 1)  # until the parent has given its own up
            proxy.append("child")
            code = 0
        finally:
            os._exit(code)
    del proxy
    os.close(reader)
    os.write(writer, b"x")
    os.close(writer)
    answer.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def connect_and_put(address: Any, key: bytes, items: list[Any]) -> None:
    manager = QueueManager(address, key)
    manager.connect()
    queue = manager.get_queue()
    for item in items:
        queue.put(item)


# What managers make


class Counter:
    """An ordinary class."""

    def __init__(self, start: int = 0) -> None:
        self.value = start
        self._hidden = "hidden"

    def increment(self, by: int = 1) -> int:
        self.value += by
        return self.value

    def get(self) -> int:
        return self.value

    def fail(self, message: str) -> None:
        raise LookupError(message)

    def unpicklable(self) -> Any:
        return threading.Lock()

    def fail_unpicklably(self) -> None:
        raise UnpicklableError(threading.Lock())

    def fail_two_arguments(self) -> None:
        raise TwoArgumentsError("first", "second")

    def exit(self) -> None:
        raise SystemExit(3)

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def thread(self) -> int:
        return threading.get_ident()

    def pid(self) -> int:
        return os.getpid()

    def child(self) -> Counter:
        return Counter(self.value)

    def numbers(self, count: int) -> Any:
        return (number for number in range(count))

    def raise_keyboard_interrupt(self) -> None:
        raise KeyboardInterrupt

    def end_process(self) -> None:
        if sys.platform != "win32":
            os.kill(os.getpid(), signal.SIGKILL)

    def _private(self) -> None:
        """Not for proxies."""


class UnpicklableError(Exception):
    pass


class TwoArgumentsError(Exception):
    """Pickles and does not unpickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


class FailsToLoad:
    """Pickles, and raises when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return fail_to_load, ()


def fail_to_load() -> None:
    raise ValueError("does not load")


def make_fails_to_load() -> FailsToLoad:
    return FailsToLoad()


class Loader:
    def give(self) -> FailsToLoad:
        return FailsToLoad()

    def take(self, obj: object) -> str:
        return type(obj).__name__


class CounterManager(BaseManager):
    Some = CreatorMethod(Counter, exposed=("get",))
    Counter = CreatorMethod(Counter)


class RegisteredManager(SyncManager):
    Quick = CreatorMethod(Counter, blocking=("sleep",))
    Family = CreatorMethod(Counter, method_to_typeid={"child": "Counter"}, exposed=("child", "get"))
    Loader = CreatorMethod(Loader)
    Counter = CreatorMethod(Counter)


@functools.cache
def get_the_queue() -> Any:
    """The only queue of a manager."""
    return queue.Queue()


class QueueManager(BaseManager):
    get_queue = CreatorMethod(get_the_queue)


def set_up(value: int) -> None:
    os.environ["SET_UP"] = str(value)


def what_was_set_up() -> str:
    return os.environ.get("SET_UP", "")


class Environment:
    def get(self) -> str:
        return what_was_set_up()


class EnvironmentManager(BaseManager):
    Environment = CreatorMethod(Environment)


def raise_in_initializer() -> None:
    raise LookupError("no such thing")


def die_in_initializer() -> None:
    os._exit(7)


class Gate:
    """Holds up who wants to pass, in the manager, until it is opened."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._waiting = 0

    def waiting(self) -> int:
        return self._waiting

    def pass_through(self) -> None:
        self._waiting += 1
        self._opened.wait()

    def open(self) -> None:
        self._opened.set()


class Made:
    """What is made behind a gate."""

    def __init__(self, gate: Gate) -> None:
        gate.pass_through()

    def get(self) -> None:
        pass


class GatedManager(SyncManager):
    Gate = CreatorMethod(Gate, blocking=("pass_through",))
    Made = CreatorMethod(Made, blocking=True)


def make_behind_gate(address: Any, gate: Any, ready: Any) -> None:
    manager = GatedManager.from_address(address, bytes(current_process().authkey))
    ready.send("calling")
    manager.Made(gate)
