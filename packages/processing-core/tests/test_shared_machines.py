"""The tables in shared memory, and the allocator of the arena, against plain models."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from processing_core._memory.allocator import Allocator, rounded
from processing_core._ring.blocks import KEPT_BYTES, BlockTable
from processing_core._ring.layout import (
    COUNT_ONE,
    FIRST_SEGMENT,
    GETTERS,
    HEAD,
    LOW_32,
    SLEEPER_SLOTS,
    SLEEPERS,
    TAIL,
)
from processing_core._ring.sleepers import Sleepers
from stoppable import Death, StoppableMemory

CAPACITY = 1 << 16


class AllocatorMachine(RuleBasedStateMachine):
    """Parts never overlap, and everything that is freed can be had again."""

    @initialize()
    def begin(self) -> None:
        self.allocator = Allocator(CAPACITY)
        self.parts: dict[int, int] = {}

    @rule(wish=st.integers(1, 5000))
    def allocate(self, wish: int) -> None:
        size = rounded(wish)
        assert size >= wish
        offset = self.allocator.take(size)
        if offset is None:
            offset = self.allocator.extend(size)
        if offset is None:
            assert self.allocator.end + size > CAPACITY
            return
        assert 0 <= offset <= CAPACITY - size
        for other, length in self.parts.items():
            assert offset + size <= other or other + length <= offset
        self.parts[offset] = size

    @precondition(lambda self: self.parts)
    @rule(choice=st.integers(0))
    def free(self, choice: int) -> None:
        offset = sorted(self.parts)[choice % len(self.parts)]
        self.allocator.give_back(offset, self.parts.pop(offset))

    @invariant()
    def agrees(self) -> None:
        assert self.allocator.used == sum(self.parts.values())


TestAllocator = AllocatorMachine.TestCase
TestAllocator.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_the_allocator_ends_where_it_began() -> None:
    allocator = Allocator(1 << 20)
    for round_ in range(3):
        taken = []
        for size in (64, 128, 512, 4096, 64):
            offset = allocator.take(size)
            taken.append((allocator.extend(size) if offset is None else offset, size))
        end = allocator.end
        for offset, size in taken:
            assert offset is not None
            allocator.give_back(offset, size)
        assert allocator.used == 0
        if round_:
            assert allocator.end == end


FILE = 1 << 30
LIVE, DEAD = 100, 200


class Table:
    """A table of blocks with a queue that counts, and users of whom some are dead."""

    def __init__(self) -> None:
        self.memory = StoppableMemory(1 << FIRST_SEGMENT)
        self.words = self.memory.words
        self.held: set[int] = set()
        self.discarded: list[tuple[int, int]] = []
        self.table = BlockTable(
            self.words,  # type: ignore[arg-type]
            FILE,
            lambda _offset, _length: None,
            lambda offset, length: self.discarded.append((offset, length)),
            lambda offset: offset in self.held,
            lambda pid: pid == DEAD,
        )

    def put(self, index: int) -> None:
        self.table.assign(index)
        self.words[TAIL] = self.words[TAIL] + COUNT_ONE

    def get(self, index: int, pid: int) -> None:
        self.table.accept(index, pid)
        self.words[HEAD] = self.words[HEAD] + COUNT_ONE


@pytest.fixture
def blocks() -> Table:
    return Table()


def test_a_block_is_used_again(blocks: Table) -> None:
    index, warm = blocks.table.take(100_000, LIVE)
    assert not warm
    blocks.put(index)
    assert blocks.table.take(100_000, LIVE)[0] != index
    blocks.get(index, LIVE)
    assert blocks.table.take(100_000, LIVE)[0] != index
    blocks.table.release(index)
    assert blocks.table.take(100_000, LIVE) == (index, True)


def test_blocks_do_not_overlap(blocks: Table) -> None:
    places = [blocks.table.place(blocks.table.take(size, LIVE)[0]) for size in (1, 70_000, 10**7)]
    end = FILE // 2
    for start, size in places:
        assert start >= end
        assert start % 4096 == 0
        end = start + size
    assert end <= FILE


def test_the_block_of_a_killed_user_is_free(blocks: Table) -> None:
    index, _ = blocks.table.take(100_000, DEAD)
    assert blocks.table.take(100_000, LIVE)[0] == index


def test_the_block_of_a_message_outlives_its_sender(blocks: Table) -> None:
    index, _ = blocks.table.take(100_000, DEAD)
    blocks.put(index)
    assert blocks.table.take(100_000, LIVE)[0] != index
    blocks.get(index, DEAD)
    assert blocks.table.is_free(index)


def test_a_mapped_block_is_kept_as_long_as_somebody_has_it(blocks: Table) -> None:
    index, _ = blocks.table.take(100_000, LIVE)
    offset, _ = blocks.table.place(index)
    blocks.put(index)
    blocks.get(index, DEAD)
    blocks.table.map(index)
    blocks.held.add(offset)
    assert not blocks.table.is_free(index)
    blocks.held.clear()
    assert blocks.table.take(100_000, LIVE)[0] == index


def test_a_message_that_was_never_put_leaves_its_block(blocks: Table) -> None:
    index, _ = blocks.table.take(100_000, DEAD)
    blocks.table.assign(index)  # and killed before the commit
    blocks.table.recover()
    assert blocks.table.is_free(index)


def test_free_blocks_keep_a_limited_amount_of_memory(blocks: Table) -> None:
    taken = [blocks.table.take(KEPT_BYTES // 2, LIVE)[0] for _ in range(4)]
    for index in taken:
        blocks.table.release(index)
        blocks.table.trim()
    assert sum(length for _, length in blocks.discarded) >= KEPT_BYTES
    blocks.table.trim(0)
    assert len(blocks.discarded) == 4
    assert blocks.table.take(KEPT_BYTES // 2, LIVE)[1] is False


def test_when_addresses_run_out_larger_blocks_serve(blocks: Table) -> None:
    big, _ = blocks.table.take(FILE // 2 - (1 << 20), LIVE)
    blocks.table.release(big)
    assert blocks.table.take(4 << 20, LIVE)[0] == big
    with pytest.raises(MemoryError, match="no room"):
        blocks.table.take(FILE // 2 - (1 << 20), LIVE)


class SleepersMachine(RuleBasedStateMachine):
    """Who sleeps longest is woken first; those who are dead are passed over."""

    @initialize()
    def begin(self) -> None:
        self.memory = StoppableMemory(1 << FIRST_SEGMENT)
        self.dead: set[int] = set()
        self.sleepers = self.make()
        self.order: list[int] = []  # places, in order of their tickets
        self.woken: list[int] = []
        self.pids: dict[int, int] = {}
        self.next_pid = 1

    def make(self) -> Sleepers:
        return Sleepers(
            self.memory.words,  # type: ignore[arg-type]
            GETTERS,
            SLEEPERS[0],
            lambda pid: pid not in self.dead,
        )

    def begin_sleep(self, place: int) -> None:
        assert place not in self.order
        assert place not in self.woken
        self.order.append(place)

    def forget_dead(self) -> None:
        for places in (self.order, self.woken):
            places[:] = [place for place in places if self.pids[place] not in self.dead]

    @rule()
    def register(self) -> None:
        pid, self.next_pid = self.next_pid, self.next_pid + 1
        place = self.sleepers.register(pid)
        if place is None:
            assert len(self.order) + len(self.woken) == SLEEPER_SLOTS
            return
        if place in self.pids and self.pids[place] in self.dead:
            self.forget_dead()
        self.pids[place] = pid
        self.begin_sleep(place)

    @rule()
    def take(self) -> None:
        expected = next((p for p in self.order if self.pids[p] not in self.dead), None)
        assert self.sleepers.take() == expected
        if expected is not None:
            self.woken.append(expected)
            self.order.remove(expected)

    @precondition(lambda self: self.order)
    @rule(choice=st.integers(0))
    def give_up(self, choice: int) -> None:
        place = self.order.pop(choice % len(self.order))
        if self.memory.words[SLEEPERS[0] + place]:
            assert self.sleepers.leave(place) is False

    @precondition(lambda self: self.woken)
    @rule(choice=st.integers(0))
    def leave(self, choice: int) -> None:
        place = self.woken.pop(choice % len(self.woken))
        if self.pids[place] not in self.dead:
            assert self.sleepers.leave(place) is True

    @precondition(lambda self: self.order)
    @rule(choice=st.integers(0))
    def kill(self, choice: int) -> None:
        self.dead.add(self.pids[self.order[choice % len(self.order)]])

    @rule(steps=st.integers(0, 3), waking=st.booleans())
    def die(self, steps: int, waking: bool) -> None:
        """Whoever is about to wake or to register dies; the others go on."""
        pid, self.next_pid = self.next_pid, self.next_pid + 1
        self.memory.fuse.left = steps
        with contextlib.suppress(Death):
            if waking:
                self.sleepers.take()
            else:
                self.sleepers.register(pid)
        self.memory.fuse.left = None
        self.dead.add(pid)
        self.sleepers = self.make()
        self.sleepers.recover()
        self.reread()

    def reread(self) -> None:
        """What the memory says now is what the model goes on from."""
        entries = {place: self.memory.words[SLEEPERS[0] + place] for place in range(SLEEPER_SLOTS)}
        self.pids |= {place: entry & 0x7FFFFFFF for place, entry in entries.items() if entry}
        waiting = [p for p, entry in entries.items() if entry and not entry & 1 << 31]
        self.order = sorted(waiting, key=lambda place: entries[place] >> 32)
        self.woken = [p for p, entry in entries.items() if entry & 1 << 31]

    @invariant()
    def counted(self) -> None:
        words = self.memory.words
        waiting = [
            words[SLEEPERS[0] + place]
            for place in range(SLEEPER_SLOTS)
            if words[SLEEPERS[0] + place] and not words[SLEEPERS[0] + place] & 1 << 31
        ]
        assert words[GETTERS] & LOW_32 == len(waiting)


TestSleepers = SleepersMachine.TestCase
TestSleepers.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
