"""What children do in the tests of queues; without pytest, because spawned children import it."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

from children import LONG
from processing_core import Lock, Queue
from processing_core.queues import Empty


def produce(queue: Queue[Any], name: int, sizes: list[int]) -> None:
    for number, size in enumerate(sizes):
        queue.put((name, number, bytes([number % 256]) * size))


def consume(queue: Queue[Any], results: Queue[Any]) -> None:
    """Until None comes."""
    while (item := queue.get()) is not None:
        name, number, data = item
        whole = data == bytes([number % 256]) * len(data)
        results.put((name, number, len(data), whole))


def echo(queue: Queue[Any], results: Queue[Any]) -> None:
    while (item := queue.get()) is not None:
        results.put(item)
        del item


def put_and_leave(queue: Queue[Any], items: list[Any]) -> None:
    """End without anybody having got anything."""
    for item in items:
        queue.put(item)


def put_for_ever(queue: Queue[Any], name: int, size: int) -> None:
    number = 0
    while True:
        queue.put((name, number, bytes([number % 256]) * size))
        number += 1


def get_for_ever(queue: Queue[Any], results: Queue[Any]) -> None:
    while True:
        name, number, data = queue.get()
        results.put((name, number, data == bytes([number % 256]) * len(data)))


def get_one(queue: Queue[Any], results: Queue[Any]) -> None:
    results.put(queue.get())


def touch_and_tell(queue: Queue[Any], results: Queue[Any]) -> None:
    """Write into an array that was got, and send what it says then."""
    array = queue.get()
    array[0] = 77
    results.put((float(array[0]), float(array[-1])))


def use_all(items: list[Any]) -> None:
    """Use what came through a queue: a connection, a queue, and what they say."""
    connection, queue = items
    queue.put(connection.recv() + 1)


def report_done(queue: Any, count: int) -> None:
    for _ in range(count):
        queue.get()
        queue.task_done()


def interrupt_for_ever(pid: int, count: int, pauses: list[float]) -> None:
    for number in range(count):
        os.kill(pid, signal.SIGINT)
        time.sleep(pauses[number % len(pauses)])


def take_what_is_there(queue: Queue[Any]) -> list[Any]:
    found = []
    while True:
        try:
            found.append(queue.get(False))
        except Empty:
            return found


class Unreadable:
    """Pickles, but does not unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


class Unwritable:
    """Does not pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise ZeroDivisionError("says the object")


def pass_locks_around(queue: Any, seed: float) -> None:
    """Put locks and get them, for ever; each has to be one."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    while True:
        if queue.qsize() < 20 and chance.random() < 0.6:
            queue.put(Lock())
        else:
            try:
                lock = queue.get(block=False)
            except Empty:
                continue
            assert lock.acquire(timeout=LONG)
            lock.release()
