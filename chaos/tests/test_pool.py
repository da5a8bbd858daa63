"""The group `pool`: no kill is forgotten, and what goes wrong with a pool is noticed."""

from __future__ import annotations

import sys

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

import random
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import pool_chaos
import run
from pool_actors import Caller, answer, map_items
from pool_chaos import Scenario, judged_traceback
from pool_ledger import End, Tally
from processing_pool import WorkerLost

TRACE = 'Traceback (most recent call last):\n  File "a.py", line 1\nKeyboardInterrupt\n'


@pytest.mark.parametrize("kills", [0, 7, 100, pool_chaos.KILLS])
@pytest.mark.parametrize("methods", [["fork"], ["fork", "spawn", "forkserver"]])
def test_no_kill_is_forgotten(kills: int, methods: list[str]) -> None:
    found = pool_chaos.scenarios(kills, methods)
    assert sum(one.kills for one in found) == kills
    assert all(one.kills >= 0 for one in found)
    assert {one.method for one in found} == set(methods)


def test_every_task_has_one_outcome() -> None:
    tally = Tally()
    first = tally.issue(4, 0)
    tried_again = tally.issue(1, 5)
    tally.end_all(range(first, first + 4), End.VALUE, "here")
    tally.end(tried_again, End.VALUE, "here")
    assert tally.violations([0, 1, 2, 3, 4, 4, 4]) == []
    assert tally.violations([0, 1, 2, 3, 3, 4]) == ["1 tasks run more often than they may: 3"]
    assert tally.violations([0, 1, 2, 4]) == ["1 tasks with a value though they were never run: 3"]
    tally.end(0, End.LOST, "there")
    assert "there: task 0 ended twice: VALUE, then LOST" in tally.violations(range(5))


def test_what_has_no_outcome_or_was_lost_in_spite_of_retries_is_noticed() -> None:
    tally = Tally()
    tally.issue(2, 5)
    tally.end(0, End.LOST, "here")
    assert tally.violations([0]) == [
        "here: task 0 was lost in spite of its retries",
        "1 tasks without an outcome: 1",
    ]


class BadPool:
    """Its map gives what it was told to give."""

    def __init__(self, make: object) -> None:
        self.make = make

    def map(self, _: object, numbers: range, *__: object, **___: object) -> object:
        return self.make(numbers)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda numbers: [answer(n) for n in numbers], None),
        (lambda numbers: [WorkerLost("gone")] + [answer(n) for n in numbers[1:]], None),
        (lambda numbers: [answer(n) for n in numbers[1:]], "results of"),
        (lambda numbers: [answer(n) + 1 for n in numbers], "gave"),
    ],
)
def test_wrong_results_are_noticed(make: object, expected: str | None) -> None:
    tally = Tally()
    caller = Caller(BadPool(make), tally, random.Random(2))
    caller.retries = lambda: 0  # type: ignore[method-assign]
    caller.act(map_items)
    wrong = tally.violations(range(len(tally)))
    assert (wrong == []) if expected is None else any(expected in each for each in wrong)


def test_a_call_that_raises_is_noticed() -> None:
    tally = Tally()
    Caller(None, tally, random.Random(2)).act(map_items)
    assert any("AttributeError" in each for each in tally.violations([]))


def test_one_traceback_is_expected() -> None:
    assert judged_traceback(TRACE) == []
    assert judged_traceback("")
    assert judged_traceback(TRACE + TRACE)
    assert judged_traceback("Exception ignored in: <function f>\n" + TRACE)


@pytest.mark.orphans
@pytest.mark.parametrize("name", pool_chaos.KINDS)
def test_a_little_harm_is_survived(name: str) -> None:
    outcome = pool_chaos.run(
        Scenario("fork", name, 2), random.Random(1), time.monotonic() + 60, lambda: None
    )
    assert outcome.violations == []


def test_it_is_announced() -> None:
    options = run.parse(["pool", "--kills", "100"])
    assert run.announced(
        ["pool"], options, sum(n for n, _ in run.plan(None, ["pool"], options))
    ) == ("100 kills")
