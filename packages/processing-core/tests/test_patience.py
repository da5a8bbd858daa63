"""How somebody who waits learns whether looking pays; with a clock that the test turns."""

from __future__ import annotations

import random

import pytest

from processing_core._platform import patience
from processing_core._platform.patience import BUDGETS, Patience


class Clock:
    """Stands still between the waits of the test."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(patience, "perf_counter", made)
    monkeypatch.setattr(patience, "several_cpus", lambda: True)
    return made


def share(clock: Clock, waits: int, comes_after: list[float], waking: float) -> list[float]:
    """Of the second half of some waits, how many were done in each way.

    What is waited for comes after one of the times (seconds), chosen at random; to be woken takes
    ``waking`` more.
    """
    waiter, chosen = Patience(), [0, 0, 0]
    chance = random.Random(20080203)  # noqa: S311 - no secret
    for number in range(waits):
        start = clock.now
        way = waiter.begin()
        after = chance.choice(comes_after)
        found = after <= BUDGETS[way]
        clock.now += after if found else after + waking
        if not (found and waiter.sure):
            waiter.learn(way, start, found=found)
        chosen[way] += number >= waits // 2
    return [count / sum(chosen) for count in chosen]


def test_what_comes_soon_is_looked_for(clock: Clock) -> None:
    assert share(clock, 2000, [10e-6], waking=50e-6)[0] < 0.01


def test_a_long_look_where_a_short_one_is_in_vain(clock: Clock) -> None:
    assert share(clock, 2000, [40e-6, 45e-6, 60e-6], waking=10e-6)[2] > 0.98


def test_single_long_waits_change_nothing(clock: Clock) -> None:
    usual = [40e-6] * 19
    assert share(clock, 4000, [*usual, 0.01], waking=10e-6)[2] > 0.9


def test_what_takes_long_is_slept_for(clock: Clock) -> None:
    assert share(clock, 4000, [0.001, 0.1], waking=50e-6)[0] > 0.98


def test_what_came_soon_may_take_long_later(clock: Clock) -> None:
    waiter = Patience()
    ways = []
    for number in range(3000):
        start = clock.now
        way = waiter.begin()
        after = 10e-6 if number < 2000 else 0.002
        found = after <= BUDGETS[way]
        clock.now += after if found else after + 10e-6
        if not (found and waiter.sure):
            waiter.learn(way, start, found=found)
        ways.append(way)
    assert ways[1500:2000].count(0) < 10
    assert ways[2500:].count(0) > 450


def test_on_one_processor_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "several_cpus", lambda: False)
    waiter = Patience()
    assert {waiter.begin() for _ in range(1000)} == {0}


def test_those_who_shall_not_look_long_do_not(clock: Clock) -> None:
    waiter = Patience(long_looks=False)
    for _ in range(2000):
        start = clock.now
        way = waiter.begin()
        assert way < 2
        clock.now += 40e-6
        waiter.learn(way, start, found=False)
