"""A program to be frozen: ``program METHOD TASK`` does one thing by a start method.

It is built once by each tool and then run many times, by test_frozen_programs.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import processing
from processing.sharedctypes import Value
from processing_managers import Manager

WITHOUT_CALL = "FROZEN_PROGRAM_WITHOUT_FREEZE_SUPPORT"


class Answer(str):
    """Something of the main module, which children have to find there."""

    __slots__ = ()


def answer(connection: Any) -> None:
    connection.send((Answer("child of"), __name__, sys.argv[1:]))


def process() -> None:
    """Functions and classes of the main module, and the arguments of the program."""
    ours, theirs = processing.Pipe()
    child = processing.Process(target=answer, args=(theirs,))
    child.start()
    theirs.close()
    print(*ours.recv())
    child.join()
    print(child.exitcode)


def double(numbers: Any, answers: Any, lock: Any) -> None:
    for number in iter(numbers.get, None):
        with lock:
            answers.put(2 * number)


def queue() -> None:
    numbers, answers, lock = processing.Queue(), processing.Queue(), processing.Lock()
    children = [processing.Process(target=double, args=(numbers, answers, lock)) for _ in range(3)]
    for child in children:
        child.start()
    for number in range(30):
        numbers.put(number)
    total = sum(answers.get() for _ in range(30))
    for _ in children:
        numbers.put(None)
    for child in children:
        child.join()
    print(total, [child.exitcode for child in children])


def count(value: Any) -> None:
    with value.get_lock():
        value.value += 1


def value() -> None:
    number = Value("i", 40)
    children = [processing.Process(target=count, args=(number,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print(number.value)


def append(numbers: Any, number: int) -> None:
    numbers.append(number)


def manager() -> None:
    """A list that lives in a process of its own."""
    with Manager() as held:
        numbers = held.list([1])
        child = processing.Process(target=append, args=(numbers, 2))
        child.start()
        child.join()
        print(numbers, child.exitcode)


def fail() -> None:
    raise ValueError("as is meant")


def error() -> None:
    """A child that fails, whose traceback is shown."""
    child = processing.Process(target=fail)
    child.start()
    child.join()
    print(child.exitcode)


def sleep() -> None:
    time.sleep(1000)


def terminate() -> None:
    child = processing.Process(target=sleep)
    child.start()
    child.terminate()
    child.join()
    print(child.exitcode)


def start_another(connection: Any) -> None:
    child = processing.Process(target=answer, args=(connection,), name="grandchild")
    child.start()
    child.join()


def grandchild() -> None:
    ours, theirs = processing.Pipe()
    child = processing.Process(target=start_another, args=(theirs,))
    child.start()
    theirs.close()
    print(ours.recv()[0])
    child.join()
    print(child.exitcode)


def orphan() -> None:
    """A parent that is killed; its daemonic child has to end, too."""
    reader, writer = processing.Pipe(duplex=False)
    child = processing.Process(target=signal_and_sleep, args=(writer,), daemon=True)
    child.start()
    print(reader.recv(), flush=True)
    if sys.platform != "win32":
        os.kill(os.getpid(), signal.SIGKILL)


def signal_and_sleep(connection: Any) -> None:
    connection.send("runs")
    time.sleep(1000)


TASKS: dict[str, Callable[[], None]] = {
    task.__name__: task
    for task in (process, queue, value, manager, error, terminate, grandchild, orphan)
}
"""What the program can do. Whatever starts processes belongs here."""

if __name__ == "__main__":
    if WITHOUT_CALL not in os.environ:
        processing.freezeSupport()
    print("begins", flush=True)
    processing.set_start_method(sys.argv[1])
    TASKS[sys.argv[2]]()
