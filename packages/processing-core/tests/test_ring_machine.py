"""The ring against a plain model, under random schedules and with a death at every single store."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from processing_core._ring.layout import BYTES_IN, BYTES_OUT, HEAD, LOW_32, LOW_64, TAIL
from processing_core._ring.ring import KEPT_END, PLAIN, RAW, SPECIAL, START, Ring
from stoppable import Death, StoppableMemory

SIZE = 32 << 20


def make_ring(memory: StoppableMemory, ceiling: int | None = None) -> Ring:
    return Ring(memory, memory.words, SIZE, memory.reserve, memory.discard, ceiling)  # type: ignore[arg-type]


def contents(ring: Ring) -> list[bytes]:
    return [data for _, data in ring.records()]


def popped(ring: Ring) -> bytes | None:
    found = ring.pop()
    return None if found is None else found[1]


def push_all(ring: Ring, messages: list[bytes]) -> None:
    ring.push_many([PLAIN] * len(messages), messages)


class RingMachine(RuleBasedStateMachine):
    """Any sequence of puts, gets and deaths."""

    @initialize(
        ceiling=st.sampled_from([None, None, 3_000, 200_000]),
        size=st.sampled_from([8, 300, 9_000, 50_000]),
        seed=st.integers(0, 2**32),
    )
    def begin(self, ceiling: int | None, size: int, seed: int) -> None:
        self.memory = StoppableMemory(SIZE)
        self.ring = make_ring(self.memory, ceiling)
        self.ring.format()
        self.model: list[tuple[int, bytes]] = []
        self.size = size
        self.random = random.Random(seed)  # noqa: S311

    def message(self) -> tuple[int, bytes]:
        data = self.random.randbytes(self.random.randrange(self.size))
        return self.random.choice([PLAIN, PLAIN, RAW]), data

    def stored(self) -> int:
        return sum(len(data) for _, data in self.model)

    @precondition(lambda self: self.stored() < 500_000)
    @rule(count=st.integers(1, 40))
    def push(self, count: int) -> None:
        for _ in range(count):
            kind, data = self.message()
            fits = self.ring.ceiling is None or self.stored() + len(data) <= self.ring.ceiling
            assert self.ring.push(data, kind) == fits
            if fits:
                self.model.append((kind, data))

    @precondition(lambda self: self.ring.ceiling is None and self.stored() < 500_000)
    @rule(count=st.integers(0, 60))
    def push_many(self, count: int) -> None:
        messages = [self.message() for _ in range(count)]
        self.push_together(messages)
        self.model += messages

    def push_together(self, messages: list[tuple[int, bytes]]) -> None:
        self.ring.push_many([kind for kind, _ in messages], [data for _, data in messages])

    @rule(count=st.integers(1, 80))
    def pop(self, count: int) -> None:
        for _ in range(count):
            expected = self.model.pop(0) if self.model else None
            assert self.ring.pop() == expected

    @rule(most=st.integers(1, 60))
    def pop_many(self, most: int) -> None:
        kind, messages = self.ring.pop_many(most)
        # All of one kind, and as many as there are unless a mark comes first.
        assert [(kind, data) for data in messages] == self.model[: len(messages)]
        assert len(messages) <= most
        del self.model[: len(messages)]
        self.pop(1)  # so that a mark is passed

    @rule()
    def tidy(self) -> None:
        self.ring.give_back()
        self.ring.give_back_unused()

    @precondition(lambda self: self.stored() < 500_000)
    @rule(steps=st.integers(0, 12), many=st.booleans())
    def die_putting(self, steps: int, many: bool) -> None:
        messages = [self.message() for _ in range(7 if many else 1)]
        many = many and self.ring.ceiling is None
        died = self.dies_after(
            steps,
            lambda: self.push_together(messages) if many else self.ring.push(*messages[0][::-1]),
        )
        now = list(self.ring.records())
        whole = self.model + (messages if many else messages[:1])
        # Either nothing has happened or all of it.
        assert now in (self.model, whole)
        assert died or len(now) >= len(self.model)
        self.model = now

    @rule(steps=st.integers(0, 8))
    def die_getting(self, steps: int) -> None:
        self.dies_after(steps, self.ring.pop)
        now = list(self.ring.records())
        assert now in (self.model, self.model[1:])
        self.model = now

    @rule(steps=st.integers(0, 8))
    def die_tidying(self, steps: int) -> None:
        self.dies_after(steps, self.tidy)
        assert list(self.ring.records()) == self.model

    def dies_after(self, steps: int, action: object) -> bool:
        self.memory.fuse.left = steps
        died = True
        with contextlib.suppress(Death):
            action()  # type: ignore[operator]
            died = False
        self.memory.fuse.left = None
        # Another process goes on with the same memory.
        self.ring = make_ring(self.memory, self.ring.ceiling)
        self.ring.recover()
        return died

    @invariant()
    def agrees(self) -> None:
        assert len(self.ring) == len(self.model)
        if self.ring.ceiling is not None:
            words = self.memory.words
            assert (words[BYTES_IN] - words[BYTES_OUT]) & LOW_64 == self.stored()


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture
def memory() -> StoppableMemory:
    return StoppableMemory(SIZE)


@pytest.fixture
def ring(memory: StoppableMemory) -> Ring:
    made = make_ring(memory)
    made.format()
    return made


def drained_position(ring: Ring) -> int:
    return (ring.words[TAIL] & LOW_32) << 4


def test_a_ring_grows_and_goes_back(ring: Ring, memory: StoppableMemory) -> None:
    messages = [bytes([index % 256]) * 1000 for index in range(1500)]
    for data in messages:
        assert ring.push(data)
    assert drained_position(ring) >= KEPT_END
    assert [popped(ring) for _ in messages] == messages
    assert ring.left
    ring.give_back_unused()
    ring.give_back()
    assert memory.discarded
    assert ring.push(b"small")
    assert START <= drained_position(ring) < 2 * START
    assert popped(ring) == b"small"


def test_nothing_is_put_where_there_is_no_memory(ring: Ring, memory: StoppableMemory) -> None:
    memory.full = True
    while drained_position(ring) + 1024 <= 2 * START:
        ring.push(bytes(1000))
    count = len(ring)
    with pytest.raises(MemoryError):
        ring.push(bytes(1000))
    assert len(ring) == count > 50
    with pytest.raises(MemoryError):
        push_all(ring, [bytes(1000)] * 10)
    assert len(ring) == count
    memory.full = False
    assert ring.push(b"again")


def test_what_is_larger_than_the_file_is_a_memory_error(ring: Ring) -> None:
    with pytest.raises(MemoryError):
        ring.push(bytes(SIZE // 2))
    assert len(ring) == 0


def test_counters_may_run_over(ring: Ring) -> None:
    ring.words[HEAD] = ring.words[TAIL] = LOW_32 - 2 << 32 | ring.words[TAIL]
    messages = [bytes([index]) for index in range(6)]
    push_all(ring, messages[:3])
    for data in messages[3:]:
        ring.push(data)
    assert len(ring) == 6
    assert [popped(ring) for _ in messages] == messages
    assert ring.pop() is None


def test_a_special_message_stays_when_it_is_not_accepted(ring: Ring) -> None:
    ring.push(b"one", SPECIAL, 7)

    def refuse(_: bytes) -> int:
        raise OSError("no descriptors left")

    with pytest.raises(OSError, match="no descriptors"):
        ring.pop(refuse)
    assert ring.pop(len) == (SPECIAL, b"one")


@pytest.mark.parametrize("length", [0, 1, 40, 30_000, 200_000])
@pytest.mark.parametrize("filled", [0, 63, 64, 230])
def test_death_after_every_single_store_of_a_put(filled: int, length: int) -> None:
    """Exhaustively, for situations with and without a detour."""
    for steps in range(40):
        memory = StoppableMemory(SIZE)
        ring = make_ring(memory)
        ring.format()
        before = [bytes([index]) * 1000 for index in range(filled)]
        push_all(ring, before)
        memory.fuse.left = steps
        try:
            ring.push(b"x" * length)
        except Death:
            memory.fuse.left = None
        else:
            assert contents(ring) == [*before, b"x" * length]
            return
        heir = make_ring(memory)
        heir.recover()
        assert contents(heir) == before
        assert heir.push(b"next")
        assert contents(heir) == [*before, b"next"]
    raise AssertionError("a put takes more steps than were tried")


def test_kinds_are_what_they_were(ring: Ring) -> None:
    ring.push(b"a")
    ring.push(b"b", SPECIAL, 1)
    ring.push_many([RAW, PLAIN], [b"c", b"d"])
    assert list(ring.records()) == [
        (PLAIN, b"a"),
        (SPECIAL, b"b"),
        (RAW, b"c"),
        (PLAIN, b"d"),
    ]
