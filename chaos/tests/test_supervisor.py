"""The supervisor hears, kills, replaces and stops participants, and notices who hangs or ends."""

from __future__ import annotations

import sys

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import supervisor
from outcome import Outcome
from records import Kind, Post, Record, Reporter
from supervisor import HangError, Participant, Supervisor

Make = Callable[[Callable[..., None]], Supervisor]


def work(post: Post) -> None:
    """Do something until told to end."""
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True

    signal.signal(signal.SIGUSR2, end)
    reporter = Reporter(post)
    reporter.tell(Kind.HELLO)
    while not ending:
        reporter.tell(Kind.DID, post.number)
        time.sleep(0.001)
    reporter.tell(Kind.BYE)


def get_stuck(post: Post) -> None:
    reporter = Reporter(post)
    reporter.tell(Kind.HELLO)
    time.sleep(1000)


def give_up(post: Post) -> None:
    Reporter(post).tell(Kind.HELLO)
    raise SystemExit(3)


def leave(post: Post) -> None:
    Reporter(post).tell(Kind.HELLO)


@pytest.fixture
def heard() -> list[tuple[int, Record]]:
    return []


@pytest.fixture
def outcome() -> Outcome:
    return Outcome("test", "fork")


@pytest.fixture
def make(outcome: Outcome, heard: list[tuple[int, Record]]) -> Iterator[Make]:
    made: list[Supervisor] = []

    def hear(one: Participant, record: Record) -> None:
        heard.append((one.number, record))

    def make(target: Callable[..., None]) -> Supervisor:
        context = multiprocessing.get_context("fork")
        made.append(Supervisor(context, outcome, random.Random(1), hear))
        made[0].add_role("worker", target)
        return made[0]

    yield make
    made[0].close()


def test_killed_ones_are_replaced_and_the_others_end(
    make: Make, outcome: Outcome, heard: list[tuple[int, Record]]
) -> None:
    sup, ticks = make(work), []
    for _ in range(2):
        sup.start("worker")
    sup.rage(20, ["worker"], 0.002, float("inf"), lambda: ticks.append(1))
    assert len(sup.alive) == 2
    assert outcome.kills == sup.roles["worker"].killed == len(ticks) == 20
    assert outcome.stops > 0
    sup.tell_to_end("worker")
    sup.wait_for_end("worker")
    assert outcome.violations == []
    assert {record[1] for _, record in heard if record[0] == Kind.DID} <= set(range(1, 23))
    assert sum(record[0] == Kind.BYE for _, record in heard) == 2


def test_killing_ends_with_the_time(make: Make, outcome: Outcome) -> None:
    sup = make(work)
    sup.start("worker")
    sup.rage(1000, ["worker"], 0.001, time.monotonic() + 0.2, lambda: None)
    assert 0 < outcome.kills < 1000


def test_one_that_hangs_is_named_and_shown(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE", 0.3)
    sup = make(get_stuck)
    sup.start("worker")
    with pytest.raises(HangError, match=r"no progress for 0.3 s: worker 1"):
        sup.listen(10)
    shown = sup.dump()
    assert "--- worker 1, pid " in shown
    assert "in get_stuck" in shown


@pytest.mark.parametrize(("target", "code"), [(give_up, 3), (leave, 0)])
def test_nobody_ends_by_itself(
    make: Make, outcome: Outcome, target: Callable[..., None], code: int
) -> None:
    sup = make(target)
    sup.start("worker")
    sup.wait_for_end("worker")
    assert outcome.violations == [f"worker 1 ended by itself, exit code {code}"]
