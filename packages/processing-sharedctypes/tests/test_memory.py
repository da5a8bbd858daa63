"""Where the memory goes: it is used again, and given back, whoever is killed."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest

assert sys.platform != "win32", "there conftest.py leaves this file out"

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from processing_core import Pipe, get_context
from processing_core._memory.arena import arenas_of_this_process
from processing_sharedctypes import Array, RawArray, RawValue, Value
from sharing_children import allocate_for_ever, hold_all

CHANCE = random.Random()  # noqa: S311


def used() -> int:
    """Bytes in use, after looking at what others have let go of."""
    for arena in arenas_of_this_process():
        arena.collect()
    return sum(arena.allocator.used for arena in arenas_of_this_process())


def extent() -> int:
    return sum(arena.allocator.end for arena in arenas_of_this_process())


@pytest.mark.deadline(120)
def test_a_million_allocations_end_where_they_began() -> None:
    RawValue("i"), RawArray("b", 2000), Value("i")
    before, end = used(), extent()
    for index in range(1_000_000):
        RawArray("b", index % 1999) if index % 10 == 0 else RawValue("i")
    assert used() == before
    assert extent() - end < 64 << 10


def test_large_memory_goes_back_to_the_system() -> None:
    before = used()
    arrays = [RawArray("b", 20 << 20) for _ in range(5)]
    assert used() - before == 100 << 20
    arrays.clear()
    assert used() == before
    assert sum(arena.file.size for arena in arenas_of_this_process() if arena.large) <= 16 << 20


class Sharing(RuleBasedStateMachine):
    """Objects of this process and of a child, sent, kept and dropped at random."""

    @initialize(method=st.sampled_from(["fork", "forkserver"]))
    def begin(self, method: str) -> None:
        self.ours, theirs = Pipe()
        self.child = get_context(method).Process(target=hold_all, args=(theirs,))
        self.child.start()
        theirs.close()
        self.kept: list[tuple[Any, int]] = []
        self.number = 0

    @rule(size=st.sampled_from([0, 1, 100, 3_000, 70_000, 1_200_000]), wrapped=st.booleans())
    def allocate(self, size: int, wrapped: bool) -> None:
        made: Any = Array("B", size) if wrapped else RawArray("B", size)
        assert not any(made[:1000])
        self.number = self.number % 255 + 1
        if size:
            made[0] = made[size - 1] = self.number
        self.kept.append((made, self.number))

    @rule(choice=st.integers(0, 100))
    def free(self, choice: int) -> None:
        if self.kept:
            self.kept.pop(choice % len(self.kept))

    @rule(choice=st.integers(0, 100))
    def resize(self, choice: int) -> None:
        """A copy with twice as many elements takes the place of an array."""
        if self.kept:
            array, number = self.kept[choice % len(self.kept)]
            larger = RawArray("B", 2 * len(array))
            larger[: len(array)] = array[:]
            self.kept[choice % len(self.kept)] = (larger, number)

    @rule(choice=st.integers(0, 100))
    def send(self, choice: int) -> None:
        if self.kept:
            self.ours.send(self.kept[choice % len(self.kept)][0])
            self.ours.recv()

    @rule()
    def look(self) -> None:
        for array, number in self.kept:
            if len(array):
                assert array[0] == number

    def teardown(self) -> None:
        self.child.kill()
        self.child.join()
        self.ours.close()
        self.kept.clear()
        assert used() == 0


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)


@pytest.mark.deadline(120)
def test_whoever_is_killed_leaves_nothing() -> None:
    """Processes that allocate, hold and send are killed at random moments."""
    before = used()
    fork = get_context("fork")
    for round_number in range(60):
        ours, theirs = Pipe()
        mine: list[Any] = [Array("b", 1000 * size) for size in (1, 2, 3)]
        child = fork.Process(target=allocate_for_ever, args=(theirs, round_number))
        child.start()
        theirs.close()
        received = [ours.recv() for _ in range(CHANCE.randrange(4))]
        child.kill()
        child.join()
        # What a killed process has made stays as long as somebody has it.
        for index in range(len(received)):
            if hasattr(received[index], "__len__"):
                received[index][0] = 5
                assert received[index][0] == 5
        ours.close()
        del mine, received
    assert used() == before
