"""The waiters' tickets against a plain list, with processes that die after any single step."""

from __future__ import annotations

from array import array
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from processing_core import ProcessError
from processing_core._sync.waiters import COUNT, HEADER_WORDS, Visit, Waiters

SEATS = 6


class Killed(BaseException):
    """The process has died at this step."""


class Steps:
    """Counts what a process does, and lets it die."""

    left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1


class Words:
    """Shared memory whose every store is a step."""

    def __init__(self, steps: Steps) -> None:
        self._words = memoryview(array("Q", bytes(8 * (HEADER_WORDS + SEATS))))
        self._steps = steps

    def __getitem__(self, key: Any) -> Any:
        return self._words[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._steps.step()
        self._words[key] = value


class FakeSeats:
    """Seats that know who sits where, and how often each was woken."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.me = 0
        self.alive: set[int] = set()
        self.sitting: dict[int, int] = {}
        self.woken: dict[int, int] = {}

    def prepare(self, seat: int) -> None:
        self._steps.step()
        self.sitting.pop(seat, None)
        self.woken[seat] = 0

    def take(self, seat: int) -> bool:
        if self.is_taken(seat):
            return False
        self._steps.step()
        self.sitting[seat] = self.me
        self._steps.step()
        self.woken[seat] = 0
        return True

    def give_back(self, seat: int) -> None:
        self._steps.step()
        if self.sitting.get(seat) == self.me:
            del self.sitting[seat]

    def is_taken(self, seat: int) -> bool:
        return self.sitting.get(seat) in self.alive

    def wake(self, seat: int) -> None:
        self._steps.step()
        self.woken[seat] += 1

    def sleep(self, seat: int, timeout: float | None) -> bool:
        raise NotImplementedError


KILL = st.none() | st.integers(0, 9)


class WaitersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps()
        self.words = cast("Any", Words(self.steps))
        self.seats = FakeSeats(self.steps)
        self.waiters = Waiters(self.words, self.seats, SEATS)
        self.visits: dict[int, Visit] = {}
        # The model: who waits, the oldest first, and who was notified and has not left.
        self.waiting: list[int] = []
        self.notified: set[int] = set()
        self.last = 0

    def died(self, name: int) -> None:
        self.steps.left = None
        self.seats.alive.discard(name)
        self.visits.pop(name, None)
        self.notified.discard(name)
        if name in self.waiting:
            self.waiting.remove(name)

    @rule(kill=KILL)
    def enter(self, kill: int | None) -> None:
        self.last += 1
        name, visit = self.last, Visit()
        self.seats.me = name
        self.seats.alive.add(name)
        self.steps.left = kill
        try:
            self.waiters.enter(visit)
        except Killed:
            self.died(name)
            return
        except ProcessError:
            self.died(name)
            assert len(self.waiting) + len(self.notified) == SEATS
            return
        self.steps.left = None
        self.visits[name] = visit
        self.waiting.append(name)
        assert not self.waiters.is_notified(visit)

    @precondition(lambda self: self.visits)
    @rule(data=st.data())
    def kill_one(self, data: st.DataObject) -> None:
        self.died(data.draw(st.sampled_from(sorted(self.visits))))

    @precondition(lambda self: self.visits)
    @rule(data=st.data(), kill=KILL)
    def leave(self, data: st.DataObject, kill: int | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.visits)))
        self.seats.me = name
        self.steps.left = kill
        try:
            notified = self.waiters.leave(self.visits[name])
        except Killed:
            self.died(name)
            return
        self.steps.left = None
        assert notified == (name in self.notified)
        assert self.waiters.leave(self.visits[name]) == notified
        self.died(name)

    @rule(number=st.none() | st.integers(0, 4), kill=KILL)
    def notify(self, number: int | None, kill: int | None) -> None:
        expected = self.waiting[:number]
        self.steps.left = kill
        try:
            assert self.waiters.notify(number) == len(expected)
        except Killed:
            self.steps.left = None
            # The oldest ones were notified, as far as it came.
            done = [name for name in self.waiting if self.is_notified(name)]
            assert done == expected[: len(done)]
            expected = done
        self.steps.left = None
        for name in expected:
            seat = self.visits[name].seat
            assert seat is not None
            assert self.seats.woken[seat] > 0
            self.waiting.remove(name)
            self.notified.add(name)

    @rule()
    def forget_dead(self) -> None:
        self.waiters.forget_dead()
        assert len(self.waiters.waiting()) == len(self.waiting)

    def is_notified(self, name: int) -> bool:
        return self.waiters.is_notified(self.visits[name])

    @invariant()
    def order_is_kept(self) -> None:
        seats = self.waiters.waiting()
        alive = [seat for seat in seats if self.seats.is_taken(seat)]
        assert [self.visits[name].seat for name in self.waiting] == alive
        assert all(self.is_notified(name) for name in self.notified)
        assert self.waiters.are_there() == bool(seats)
        assert self.words[COUNT] <= SEATS


WaitersMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestWaiters = WaitersMachine.TestCase


def test_too_many() -> None:
    steps = Steps()
    seats = FakeSeats(steps)
    words = cast("Any", Words(steps))
    waiters = Waiters(words, seats, SEATS)
    for name in range(SEATS):
        seats.me = name
        seats.alive.add(name)
        waiters.enter(Visit())
    with pytest.raises(ProcessError, match="more than 6"):
        waiters.enter(Visit())
    seats.alive.remove(3)
    visit = Visit()
    waiters.enter(visit)
    assert visit.seat == 3
