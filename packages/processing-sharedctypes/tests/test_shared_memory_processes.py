"""SharedMemory between processes: how it travels, who owns it, and who is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

assert sys.platform != "win32"

import shm_children
from processing_core import Pipe, Queue
from processing_core.context import BaseContext
from processing_sharedctypes import _named_memory, _shm_files
from processing_sharedctypes.shared_memory import ShareableList, SharedMemory
from shm_children import is_there, names_with, running

KILLS = {"fork": 200, "forkserver": 200, "spawn": 20}


def test_a_block_is_passed_to_a_child(context: BaseContext) -> None:
    block = SharedMemory(create=True, size=10)
    for argument, target in (
        (block, shm_children.add_one),
        (block.name, shm_children.add_one_by_name),
    ):
        with running(context, target, argument) as process:
            process.join()
            assert process.exitcode == 0
    assert block.buf[0] == 2
    assert is_there(block.name)
    block.unlink()
    with running(context, shm_children.add_one, block) as process:
        process.join()
    assert block.buf[0] == 3


@pytest.mark.parametrize("way", ["queue", "pipe"])
@pytest.mark.parametrize("named", [True, False])
def test_a_block_travels_to_a_running_process(
    context: BaseContext, way: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its descriptor: the name may be gone, or there may be none."""
    if not named:
        monkeypatch.setattr(_shm_files, "FOLDER", "/dev/no-such-folder")
    block, items = SharedMemory(create=True, size=10), ShareableList([1, "two"])
    if named:
        block.unlink()
        items.shm.unlink()
    there: Any
    back: Any
    if way == "queue":
        there, back = Queue(), Queue()
        send, receive, theirs = there.put, back.get, (there, back)
    else:
        there, back = Pipe()
        send, receive, theirs = there.send, there.recv, (back, back)
    with running(context, shm_children.add_one_to_each, *theirs) as process:
        send(block)
        same = receive()
        assert (same.name, same.size, same.buf[0], block.buf[0]) == (block.name, 10, 1, 1)
        same.close()
        send(items)
        assert list(receive()) == list(items) == [2, "two"]
        send(None)
        process.join()
        assert process.exitcode == 0
    there.close()
    back.close()


def test_the_name_goes_with_its_owner_and_the_memory_with_its_users(context: BaseContext) -> None:
    for end in ("return", "kill"):
        ours, theirs = Pipe()
        with running(context, shm_children.own, theirs) as owner:
            name = ours.recv()
            block = SharedMemory(name)
            if end == "kill":
                owner.kill()
            else:
                ours.send("end")
            owner.join()
            assert not is_there(name)
            assert bytes(block.buf[:4]) == b"mine"
            with pytest.raises(FileNotFoundError, match=name):
                SharedMemory(name)
            block.buf[0] = 0
            # What was attached can be passed on all the same.
            with running(context, shm_children.add_one, block) as process:
                process.join()
            assert block.buf[0] == 1
            block.close()
        ours.close()
        theirs.close()


def test_an_object_that_was_sent_outlives_its_owner(context: BaseContext) -> None:
    ours, theirs = Pipe()
    with running(context, shm_children.own_and_send, theirs) as owner:
        block = ours.recv()
        owner.kill()
        owner.join()
        block.buf[0] = 5
        assert not is_there(block.name)
        block.close()
    ours.close()
    theirs.close()


def test_a_block_that_is_not_tracked_stays(context: BaseContext) -> None:
    ours, theirs = Pipe()
    with running(context, shm_children.own, theirs, None, False) as owner:
        name = ours.recv()
        owner.kill()
        owner.join()
    _named_memory._account.sweep()
    block = SharedMemory(name)
    assert bytes(block.buf[:4]) == b"mine"
    block.close()
    block.unlink()
    ours.close()
    theirs.close()


def test_who_only_attaches_removes_nothing(context: BaseContext) -> None:
    """Neither by ending nor by being killed."""
    block = SharedMemory(create=True, size=4096)
    block.buf[:4] = b"mine"
    for end in ("return", "kill"):
        ours, theirs = Pipe()
        with running(context, shm_children.attach_and_wait, block.name, theirs) as user:
            assert ours.recv() == b"mine"
            if end == "kill":
                user.kill()
            else:
                ours.send("end")
            user.join()
        assert bytes(SharedMemory(block.name).buf[:4]) == b"mine"
        ours.close()
        theirs.close()
    block.close()
    block.unlink()


@pytest.mark.orphans
def test_a_forked_child_of_the_owner_does_not_own(context: BaseContext) -> None:
    ours, theirs = Pipe()
    with running(context, shm_children.own_and_fork, theirs) as owner:
        name, child = ours.recv()
        assert is_there(name)
        owner.kill()
        owner.join()
        assert not is_there(name)
        os.kill(child, signal.SIGKILL)  # it has been there all the time
    theirs.close()
    ours.close()


def test_a_forked_child_that_ends_removes_nothing() -> None:
    block = SharedMemory(create=True, size=10)
    pid = os.fork()
    if pid == 0:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - the end is near
        block.close()
        del block
        os._exit(0 if not _named_memory._account.blocks else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert is_there(block.name)
    assert SharedMemory(block.name).size == 10
    block.close()
    block.unlink()


OWNER = """
import sys
from processing_sharedctypes.shared_memory import SharedMemory
block = SharedMemory(sys.argv[1], create=True, size=10)
print("made", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def ownerless() -> str:
    """The name of a block whose owner was killed with nobody to see it."""
    name = f"ownerless-{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OWNER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"made\n"
        process.kill()
        assert process.stderr.read() == b""
    if not is_there(name):
        pytest.skip("another program of this user has looked first")
    return name


def test_an_ownerless_block_cannot_be_found(ownerless: str) -> None:
    with pytest.raises(FileNotFoundError, match=ownerless):
        SharedMemory(ownerless)
    assert not is_there(ownerless)


def test_the_name_of_an_ownerless_block_is_free(ownerless: str) -> None:
    block = SharedMemory(ownerless, create=True, size=20)
    assert block.size == 20
    block.close()
    block.unlink()


def test_an_ownerless_block_is_removed_by_the_next_who_looks(
    ownerless: str, context: BaseContext
) -> None:
    with running(context, print) as process:
        process.join()
    assert not is_there(ownerless)


def test_an_ownerless_block_makes_room(ownerless: str) -> None:
    with pytest.raises(MemoryError):
        SharedMemory(create=True, size=1 << 44)
    assert not is_there(ownerless)


@pytest.mark.deadline(180)
def test_killed_owners_leave_nothing(context: BaseContext, start_method: str) -> None:
    prefix = f"killed-{os.getpid()}-"
    chance = random.Random(start_method)  # noqa: S311 - when to kill
    for _ in range(KILLS[start_method]):
        ours, theirs = Pipe()
        with running(context, shm_children.make_for_ever, prefix, theirs) as owner:
            assert ours.recv() == "going"
            time.sleep(chance.random() * 0.003)
            owner.kill()
            owner.join()
        assert names_with(prefix) == []
        ours.close()
        theirs.close()


def test_what_is_made_is_not_swept_away(context: BaseContext) -> None:
    ours, theirs = Pipe()
    with (
        running(context, shm_children.sweep_for_ever, theirs),
        running(context, shm_children.make_and_find, 300) as maker,
    ):
        assert ours.recv() == "going"
        shm_children.make_and_find(300)
        maker.join()
        assert maker.exitcode == 0
    ours.close()
    theirs.close()
