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
