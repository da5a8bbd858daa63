"""SharedMemoryManager: what it makes goes together, without a server."""

from __future__ import annotations

import functools
import gc
import pickle
import sys
from typing import Any

import pytest

assert sys.platform != "win32"

import shm_children
from processing_core import (
    ClosedError,
    InvalidArgument,
    MisuseError,
    Pipe,
    SharingError,
    active_children,
)
from processing_core.context import BaseContext
from processing_sharedctypes.shared_memory import ShareableList, SharedMemory, SharedMemoryManager
from shm_children import is_there, running


def test_what_it_made_goes_at_shutdown() -> None:
    manager = SharedMemoryManager()
    manager.start()
    block, items = manager.SharedMemory(100), manager.ShareableList(["a", 1])
    assert (block.size, list(items)) == (100, ["a", 1])
    other, more = SharedMemory(create=True, size=1), SharedMemoryManager()
    with more:
        kept = more.SharedMemory(1)
        manager.shutdown()
        manager.shutdown()
        assert not is_there(block.name)
        assert not is_there(items.shm.name)
        assert is_there(other.name)
        assert is_there(kept.name)
    block.buf[0] = 1
    items[0] = "b"
    with pytest.raises(FileNotFoundError):
        ShareableList(name=items.shm.name)
    other.unlink()


def test_with_starts_and_ends_it() -> None:
    with SharedMemoryManager() as manager:
        assert repr(manager) == "<SharedMemoryManager(started)>"
        block = manager.SharedMemory(size=10)
        manager.SharedMemory(10).unlink()
        assert active_children() == []
    assert not is_there(block.name)
    started = SharedMemoryManager()
    started.start()
    with started:
        block = started.SharedMemory(10)
    assert not is_there(block.name)


def test_what_it_made_goes_with_the_manager() -> None:
    manager = SharedMemoryManager()
    manager.start()
    block = manager.SharedMemory(10)
    del manager
    gc.collect()
    assert not is_there(block.name)


@pytest.mark.parametrize("end", ["return", "kill"])
def test_what_it_made_goes_with_the_process(context: BaseContext, end: str) -> None:
    ours, theirs = Pipe()
    with running(context, shm_children.manage, theirs) as owner:
        names = ours.recv()
        assert len(names) == 3
        assert all(is_there(name) for name in names)
        if end == "kill":
            owner.kill()
        else:
            ours.send("end")
        owner.join()
        assert not any(is_there(name) for name in names)
    ours.close()
    theirs.close()


def test_it_works_between_start_and_shutdown() -> None:
    manager = SharedMemoryManager()
    for call in (lambda: manager.SharedMemory(9), lambda: manager.ShareableList([1])):
        with pytest.raises(ClosedError, match="not started yet"):
            call()
    with pytest.raises(MisuseError, match="before it is started"):
        manager.shutdown()
    manager.start()
    with pytest.raises(MisuseError, match="once"):
        manager.start()
    with pytest.raises(InvalidArgument, match="0"):
        manager.SharedMemory(0)
    manager.shutdown()
    with pytest.raises(ClosedError, match="shut down"):
        manager.SharedMemory(9)
    with pytest.raises(MisuseError, match="once"), manager:
        pytest.fail("it has ended")


def test_it_has_no_address() -> None:
    SharedMemoryManager(None, b"key")
    with pytest.raises(InvalidArgument, match="localhost"):
        SharedMemoryManager(("localhost", 1))
    with pytest.raises(SharingError, match="blocks"):
        pickle.dumps(SharedMemoryManager())


def use_of_another(manager: Any, connection: Any) -> None:
    for call in (manager.shutdown, functools.partial(manager.SharedMemory, 1)):
        try:
            call()
        except MisuseError as error:
            connection.send(str(error))


def test_only_its_process_uses_it() -> None:
    ours, theirs = Pipe()
    with SharedMemoryManager() as manager:
        block = manager.SharedMemory(1)
        with running(fork_context(), use_of_another, manager, theirs) as process:
            for _ in range(2):
                assert "can only be used by process" in ours.recv()
            process.join()
        assert is_there(block.name)
    ours.close()
    theirs.close()


def fork_context() -> BaseContext:
    from processing_core import get_context

    return get_context("fork")
