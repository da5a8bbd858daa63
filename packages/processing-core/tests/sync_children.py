"""What children do in the tests of synchronization; without pytest: spawned children import it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

assert sys.platform != "win32"

from processing_core import Connection

AnyConnection = Connection[Any, Any]


def serve(connection: AnyConnection) -> None:
    """Call methods of what was sent, as told, and send what they return, until None comes.

    Commands are (object, method, arguments); an object's number in the list stands for it later.
    """
    known: list[Any] = []
    while (command := connection.recv()) is not None:
        target, method, arguments = command
        if not isinstance(target, int):
            known.append(target)
            target = len(known) - 1
        try:
            answer = getattr(known[target], method)(*arguments)
            connection.send(answer)
        except Exception as error:  # noqa: BLE001 - the test is to see it
            connection.send(error)


def serve_object(connection: AnyConnection, *objects: Any) -> None:
    """As serve(), of objects that were passed."""
    while (command := connection.recv()) is not None:
        target, method, arguments = command
        try:
            connection.send(getattr(objects[target], method)(*arguments))
        except Exception as error:  # noqa: BLE001 - the test is to see it
            connection.send(error)


def count_up(lock: Any, path: str, times: int) -> None:
    """Increase a number in a file, which goes wrong unless one does it at a time."""
    for _ in range(times):
        with lock:
            with open(path, encoding="ascii") as file:  # noqa: PTH123
                number = int(file.read())
            with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(str(number + 1))


def acquire_and_be_killed(lock: Any) -> None:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def acquire_and_stay(lock: Any, connection: AnyConnection) -> None:
    with lock:
        connection.send("taken")
        connection.recv()


def acquire_interrupted(connection: AnyConnection, lock: Any) -> None:
    """Say when the wait begins, and that it was interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    connection.send("begins")
    try:
        connection.send(lock.acquire())
    except KeyboardInterrupt:
        connection.send("interrupted")


def reprs_of(connection: AnyConnection, *objects: Any) -> None:
    connection.send([repr(one) for one in objects])
    in_thread: list[str] = []
    thread = threading.Thread(
        target=lambda: in_thread.extend(repr(one) for one in objects), name="Other"
    )
    thread.start()
    thread.join()
    connection.send(in_thread)


def wait_and_report(condition: Any, connection: AnyConnection, name: Any) -> None:
    """Wait for a condition once; report before it and after."""
    with condition:
        connection.send("waits")
        connection.send((name, condition.wait()))


def call_and_report(function: Any, connection: AnyConnection, *arguments: Any) -> None:
    """Report what a call returns or raises."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    connection.send("calls")
    try:
        connection.send(function(*arguments))
    except KeyboardInterrupt:
        connection.send("interrupted")
    except Exception as error:  # noqa: BLE001 - the test is to see it
        connection.send(error)


def wait_for_event(event: Any, connection: AnyConnection, timeout: float | None = None) -> None:
    call_and_report(event.wait, connection, *([] if timeout is None else [timeout]))


def wait_at_barrier(barrier: Any, connection: AnyConnection) -> None:
    call_and_report(barrier.wait, connection)


def hold_condition(condition: Any, connection: AnyConnection) -> None:
    """Wait for it with a recursive lock held twice, and tell how often it is held afterwards."""
    with condition, condition:
        connection.send("waits")
        condition.wait()
        connection.send(repr(condition))


def set_and_clear(event: Any, times: int) -> None:
    for _ in range(times):
        event.set()
        event.clear()


def say_action() -> None:
    """The action of a barrier."""


def wait_often(wait: Any, seconds: float) -> None:
    """Wait again and again, until killed."""
    while True:
        wait(seconds)


def notify_often(condition: Any) -> None:
    while True:
        with condition:
            condition.notify()


def wait_with_lock_often(condition: Any, seconds: float) -> None:
    while True:
        with condition:
            condition.wait(seconds)


def be_interrupted(
    connection: AnyConnection, times: int, lock: Any, condition: Any, event: Any
) -> None:
    """Wait in every way while signals come; answer with how many came, and what is left wrong."""
    armed = [False]

    def interrupt(*_: object) -> None:
        # Not in the middle of what counts here.
        if armed[0]:
            armed[0] = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    count = 0
    faults: list[str] = []
    connection.send("begins")
    turn = 0
    while count < times:
        turn += 1
        try:
            armed[0] = True
            while True:
                kind = turn % 3
                if kind == 0:
                    with lock:
                        turn += 1
                elif kind == 1:
                    with condition:
                        condition.wait(0.001)
                        turn += 1
                else:
                    event.wait(0.001)
                    event.set()
                    event.clear()
                    turn += 1
        except KeyboardInterrupt:
            count += 1
        except Exception as error:  # noqa: BLE001 - the test is to see it
            faults.append(repr(error))
            count += 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not lock.acquire(False):
        faults.append("the lock stayed taken")
    if not condition._semlock._get_value():
        faults.append("the condition's lock stayed taken")
    connection.send((count, faults, repr(condition)))


def hold_and_be_killed(lock: Any, connection: AnyConnection) -> None:
    lock.acquire()
    connection.send("taken")
    signal.pause()


def take_often(lock: Any) -> None:
    while True:
        with lock:
            pass
