"""Shared memory in small pieces: who has it, who gets it back, and what dead processes leave."""

from __future__ import annotations

import ctypes
import gc
import pickle
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

assert sys.platform != "win32"

import memory_children
from conftest import Starter
from processing_core import Pipe, Process, SerializationError
from processing_core._memory import arena as arena_module
from processing_core._memory.arena import Arena, arenas_of_this_process
from processing_core._platform import cgroups, holds, memory
from processing_core._platform.shared_file import SharedFile
from processing_core.lowlevel import allocate, allocate_filled


@pytest.fixture
def arena() -> Arena:
    allocate(64)
    return arenas_of_this_process()[-1]


def used(arena: Arena) -> int:
    arena.collect()
    return arena.allocator.used


@pytest.fixture
def conversation(start: Starter) -> Iterator[Any]:
    """A connection to a process that holds what it is sent."""
    ours, theirs = Pipe()
    process = start(memory_children.hold_what_comes, theirs)
    theirs.close()
    yield ours
    ours.send("end")
    process.join()
    ours.close()


def test_a_block_is_zeroed_whoever_had_it_before(arena: Arena) -> None:
    first = allocate(100)
    first.view()[:] = b"\xff" * 128
    place = first.offset
    del first
    again = allocate(100)
    assert again.offset == place
    assert bytes(again.view()) == bytes(128)
    assert arena.allocator.used >= 128


@pytest.mark.parametrize("size", [1, 64, 65, 512, 513, 5_000, 1 << 20])
def test_a_block_is_large_enough(size: int) -> None:
    block = allocate(size)
    assert len(block.view()) >= size
    assert block.offset % 64 == 0
    block.view()[:size] = b"x" * size


def test_a_large_block_has_an_arena_of_its_own() -> None:
    before = arenas_of_this_process()
    block = allocate(arena_module.LARGE_BYTES)
    assert block.arena not in before
    block.view()[-1] = 7
    del block
    # It is kept for what is filled at once, which is the only way to get memory that is not zero.
    filled = allocate_filled(memoryview(bytes([5]) * arena_module.LARGE_BYTES))
    assert set(filled.view()[::4096]) == {5}
    del filled
    again = allocate(arena_module.LARGE_BYTES)
    assert not any(again.view()[::4096])
    del again
    arena_module._Own.kept.clear()
    assert arenas_of_this_process() == before


def test_few_large_arenas_are_kept() -> None:
    size = arena_module.KEPT_BYTES // 4
    for count in (1, 6):
        blocks = [allocate(size) for _ in range(count)]
        del blocks
    assert sum(arena.file.size for arena in arena_module._Own.kept) == arena_module.KEPT_BYTES
    # Too large a one is not wasted on what is small.
    block = allocate_filled(memoryview(bytes(size // 3)))
    assert block.arena.file.size < size
    del block
    arena_module._Own.kept.clear()


@pytest.mark.parametrize("order", ["<", ">"])
def test_filled_by_a_buffer_of_any_format(order: str) -> None:
    numbers = (ctypes.c_int.__ctype_le__ if order == "<" else ctypes.c_int.__ctype_be__) * 300_000
    source = numbers(*range(300_000))
    block = allocate_filled(memoryview(source))
    assert bytes(block.view()[: ctypes.sizeof(source)]) == bytes(source)
    del block
    arena_module._Own.kept.clear()


def test_a_million_allocations_end_where_they_began(arena: Arena) -> None:
    before = used(arena)
    kept = [allocate(64) for _ in range(100)]
    for _ in range(20):
        blocks = [allocate(64 + 64 * (index % 4)) for index in range(5_000)]
        del blocks
    del kept
    assert used(arena) == before
    file = arena.file.used_bytes
    for _ in range(900_000):
        allocate(64)
    assert used(arena) == before
    assert arena.file.used_bytes == file


def test_a_child_uses_the_block_it_was_given(start: Starter, pipe: tuple[Any, Any]) -> None:
    block = allocate(64)
    block.words()[0] = 41
    process = start(memory_children.add_one, block, pipe[1])
    back = pipe[0].recv()
    assert back.offset == block.offset
    assert block.words()[0] == back.words()[0] == 42
    process.join()


def test_an_arena_in_a_cycle_is_closed_once(start: Starter, pipe: tuple[Any, Any]) -> None:
    """Garbage collection may close the file before the arena that it is of."""
    process = start(memory_children.collect_in_a_cycle, pipe[1])
    for _ in range(20):
        pipe[0].send(allocate(64))
        assert pipe[0].recv() == "collected"
    assert pipe[0].recv() == []
    process.join()


def test_a_block_is_not_used_again_while_a_process_has_it(arena: Arena, conversation: Any) -> None:
    before = used(arena)
    for _ in range(3):
        block = allocate(192)
        conversation.send(block)
        assert conversation.recv() == "held"
        assert block.words()[1] == 99
        del block
    assert used(arena) >= before + 3 * 192
    conversation.send(None)
    assert conversation.recv() == "let go"
    assert used(arena) <= before


def test_a_block_in_a_message_is_not_used_again(arena: Arena, pipe: tuple[Any, Any]) -> None:
    before = used(arena)
    block = allocate(320)
    block.words()[0] = 5
    pipe[0].send([block, block])
    del block
    assert used(arena) == before + 320
    first, second = pipe[1].recv()
    assert first is second
    assert first.words()[0] == 5
    del first, second
    assert used(arena) == before


def test_a_killed_holder_gives_its_blocks_back(
    arena: Arena, start: Starter, pipe: tuple[Any, Any]
) -> None:
    before = used(arena)
    process = start(memory_children.hold_what_comes, pipe[1])
    for _ in range(3):
        pipe[0].send(allocate(256))
        assert pipe[0].recv() == "held"
    assert used(arena) >= before + 3 * 256
    process.kill()
    process.join()
    assert used(arena) <= before


def test_blocks_of_a_killed_maker_live_on(start: Starter, one_way: tuple[Any, Any]) -> None:
    receiver, sender = one_way
    process = start(memory_children.allocate_for_ever, sender)
    received = [receiver.recv() for _ in range(50)]
    process.kill()
    process.join()
    assert [block.words()[0] for _, block in received] == [number for number, _ in received]
    theirs = received[0][1].arena
    assert not theirs.owned
    received[0][1].view()[:8] = b"\0" * 8
    del received, theirs
    gc.collect()


def test_a_forked_child_keeps_what_it_inherits(arena: Arena) -> None:
    before = used(arena)
    block: Any = allocate(448)
    block.words()[0] = 7
    place = block.offset
    (ours, theirs), (told, tell) = Pipe(), Pipe(False)

    def child() -> None:
        theirs.recv()
        tell.send(block.words()[0])

    process = Process(target=child, context="fork")
    process.start()
    block = None
    assert used(arena) == before + 448
    others = [allocate(448) for _ in range(20)]
    assert place not in [one.offset for one in others]
    del others
    ours.send(None)
    assert told.recv() == 7
    process.join()
    assert used(arena) == before
    for end in (ours, theirs, told, tell):
        end.close()


def test_children_that_follow_each_other_do_not_keep_what_was_dropped(arena: Arena) -> None:
    """There is always a child, but each lives for a while only: what was dropped comes back."""
    before = used(arena)

    def start_child() -> tuple[Any, Any]:
        theirs, ours = Pipe(False)
        process = Process(target=theirs.recv, context="fork")
        process.start()
        theirs.close()
        return process, ours

    def end_child(child: tuple[Any, Any]) -> None:
        process, ours = child
        ours.send(None)
        process.join()
        ours.close()

    old = start_child()
    for _ in range(10):
        block: Any = allocate(448)
        new = start_child()  # which knows the block
        del block
        end_child(old)
        old = start_child()
        end_child(new)
        arena.collect()
        assert used(arena) == before
    end_child(old)


def test_without_holds_a_block_that_others_may_have_is_never_used_again(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "is_held_by_others", lambda *_: True)
    block = allocate(64)
    place, size = block.offset, block.size
    arena.remember(block)
    del block
    arena.collect()
    assert (place, size) in arena.retired
    monkeypatch.undo()
    arena.collect()
    assert not arena.retired


@pytest.mark.parametrize("fails", [False, True])
def test_a_fork_without_a_hold_makes_nothing_free(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    def reopen(_: int) -> None:
        if fails:
            raise OSError(24, "Too many open files")

    monkeypatch.setattr(holds, "reopen", reopen)
    block = allocate(384)
    place, size = block.offset, block.size
    process = Process(target=block.words, context="fork")
    process.start()
    process.join()
    del process, block
    gc.collect()
    arena.collect()
    assert (place, size) in arena.retired
    arena.untraceable = False
    arena.collect()
    assert not arena.retired


def test_a_block_does_not_pickle_otherwise() -> None:
    with pytest.raises((TypeError, SerializationError)):
        pickle.dumps(allocate(64))


def test_threads_get_blocks_of_their_own() -> None:
    blocks: list[list[Any]] = [[] for _ in range(4)]

    def take(into: list[Any]) -> None:
        for _ in range(500):
            into.append(allocate(64))  # noqa: PERF401 - one by one is the point

    threads = [threading.Thread(target=take, args=(into,)) for into in blocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = [(one.arena.file.identity, one.offset) for into in blocks for one in into]
    assert len(set(places)) == 2000


# What it stands on


def test_a_hold_lasts_as_long_as_a_copy_of_its_descriptor() -> None:
    import os

    file = SharedFile.create("test", 1 << 16, 1 << 16)
    own = holds.reopen(file.descriptor)
    assert own is not None
    holds.hold(own, 100)
    copy = os.dup(own)
    assert holds.is_held_by_others(file.descriptor, 100)
    assert not holds.is_held_by_others(file.descriptor, 101)
    assert not holds.is_held_by_others(own, 100)
    os.close(own)
    assert holds.is_held_by_others(file.descriptor, 100)
    os.close(copy)
    assert not holds.is_held_by_others(file.descriptor, 100)


def test_a_file_takes_memory_only_where_it_is_written() -> None:
    file = SharedFile.create("test", 1 << 36, 1 << 20)
    assert file.used_bytes == 0
    file.map[1 << 20 : (1 << 20) + 5] = b"hello"
    assert 0 < file.used_bytes <= 2 << 20
    file.discard(1 << 20, 4096)
    assert file.map[1 << 20 : (1 << 20) + 5] == bytes(5)


def test_more_than_there_is_cannot_be_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    file = SharedFile.create("test", 1 << 36, 1 << 20)
    with pytest.raises(MemoryError, match="bytes are available"):
        file.reserve(0, 1 << 45)
    monkeypatch.setattr("processing_core._platform.shared_file.available_bytes", lambda: 1 << 30)
    file.reserve(0, 1 << 29)
    with pytest.raises(MemoryError):
        file.reserve(0, 1 << 30)


def test_a_file_system_with_a_limit_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a page that cannot be had would be a SIGBUS."""
    import os

    file = SharedFile.create("test", 1 << 20, 1 << 20)
    file._limited = True
    file.reserve(0, 1 << 16)
    assert file.used_bytes >= 1 << 16

    def no_room(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(MemoryError, match="No space left"):
        file.reserve(0, 1 << 16)


def test_available_memory_heeds_control_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable: 64 kB\nSwapFree: 8 kB\n")
    group = tmp_path / "group"
    group.mkdir()
    (group / "memory.max").write_text("50000\n")
    (group / "memory.current").write_text("40000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 5000\n")
    monkeypatch.setattr(cgroups, "folders", lambda _: [(2, str(group)), (1, str(tmp_path))])
    assert memory.available_bytes(str(meminfo)) == 15_000
    (group / "memory.max").write_text("max\n")
    assert memory.available_bytes(str(meminfo)) == 72 * 1024
    assert memory.available_bytes(str(tmp_path / "nothing")) is None
