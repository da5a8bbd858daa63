"""What children do with named shared memory, and how tests run them; without pytest."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

assert sys.platform != "win32"

from processing_core import Process
from processing_core.context import BaseContext
from processing_sharedctypes import _named_memory
from processing_sharedctypes.shared_memory import ShareableList, SharedMemory, SharedMemoryManager

FOLDER = Path("/dev/shm")  # noqa: S108 - looked at


def is_there(name: str) -> bool:
    """Whether anybody could find the name; looks without the library, which might remove it."""
    return (FOLDER / name).exists()


def names_with(prefix: str) -> list[str]:
    return [path.name for path in FOLDER.glob(f"{prefix}*")]


@contextmanager
def running(context: BaseContext, target: Any, *args: object, **options: Any) -> Iterator[Process]:
    """A child that does this; whatever happens, it is gone afterwards."""
    process = context.Process(target=target, args=args, **options)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def add_one(block: Any) -> None:
    block.buf[0] += 1


def add_one_by_name(name: str) -> None:
    block = SharedMemory(name)
    block.buf[0] += 1
    block.close()


def add_one_to_each(source: Any, answers: Any) -> None:
    """Blocks and lists out of a queue or pipe, back through another."""
    take = source.get if hasattr(source, "get") else source.recv
    give = answers.put if hasattr(answers, "put") else answers.send
    while (item := take()) is not None:
        if isinstance(item, ShareableList):
            item[0] += 1
        else:
            item.buf[0] += 1
        give(item)


def own(connection: Any, name: str | None = None, track: bool = True) -> None:
    """Make a block and keep it until told to end, or killed."""
    block = SharedMemory(name, create=True, size=4096, track=track)
    block.buf[:4] = b"mine"
    connection.send(block.name)
    connection.recv()


def own_and_send(connection: Any) -> None:
    """As own(), but it is the object that is sent."""
    connection.send(SharedMemory(create=True, size=4096))
    connection.recv()


def own_and_fork(connection: Any) -> None:
    """Make a block and fork a process that outlives this one."""
    block = SharedMemory(create=True, size=4096)
    if os.fork() == 0:
        connection.send((block.name, os.getpid()))
    signal.pause()


def attach_and_wait(name: str, connection: Any) -> None:
    block = SharedMemory(name)
    connection.send(bytes(block.buf[:4]))
    connection.recv()


def manage(connection: Any) -> None:
    manager = SharedMemoryManager()
    manager.start()
    blocks = [manager.SharedMemory(100), manager.SharedMemory(5000)]
    items = manager.ShareableList(["a", 1])
    connection.send([*(block.name for block in blocks), items.shm.name])
    connection.recv()


def make_for_ever(prefix: str, connection: Any) -> None:
    """Blocks and lists by the dozen, closed, unlinked or kept."""
    kept = []
    for number in itertools.count():
        block = SharedMemory(f"{prefix}{number}", create=True, size=4096 * (number % 5 + 1))
        block.buf[0] = 1
        kept.append(block)
        if number % 3 == 0:
            kept.append(ShareableList([1, "two", None], name=f"{prefix}list{number}").shm)
        if len(kept) > 6:
            gone = kept.pop(0)
            gone.close()
            gone.unlink()
        if number == 3:
            connection.send("going")


def make_and_find(rounds: int) -> None:
    """What was just made can be found, however many are sweeping."""
    for _ in range(rounds):
        block = SharedMemory(create=True, size=64)
        same = SharedMemory(block.name)
        same.buf[0] = 7
        assert block.buf[0] == 7
        same.close()
        block.close()
        block.unlink()


def sweep_for_ever(connection: Any) -> None:
    connection.send("going")
    while True:
        _named_memory._account.sweep()
