"""The group `managers`: harm is shared out, figures compared, and what goes wrong is noticed."""

from __future__ import annotations

import sys

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import managers_actors
import managers_chaos
import managers_deaths
import managers_figures
import managers_siege
import processing_core
import run
from managers_chaos import Scenario
from managers_figures import Figures
from outcome import Outcome
from processing_managers import ListProxy, SyncManager
from processing_managers._proxies.locks import LockProxy
from processing_managers._server.locks import LockReferent
from processing_managers._server.server import Server
from records import Kind, Post, Reporter
from supervisor import Supervisor

NOBODY_WAITS = next(seed for seed in range(100) if not random.Random(seed).randrange(2))
"""With this seed nobody waits for the lock of the first owner."""

CALM = Figures(3, 3, 0, 1, 0, 0, 3, Counter({"socket:[1]": 1}))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as many as are needed to see something."""
    monkeypatch.setattr(managers_siege, "ATTACKS", 10)
    monkeypatch.setattr(managers_deaths, "MOURNERS", 2)
    monkeypatch.setattr(managers_chaos, "PAUSE", 0.02)


def play(name: str, kills: int = 3, seed: int = 5) -> Outcome:
    run.warm_up(processing_core, ["fork"], ["managers"])
    context = processing_core.get_context("fork")
    scenario = Scenario(name, "fork", kills, 4)
    until = time.monotonic() + 60
    return managers_chaos.run(context, scenario, random.Random(seed), until, lambda: None)


# What is done


@pytest.mark.parametrize("kills", [0, 7, 100, 400])
@pytest.mark.parametrize("methods", [["fork"], ["spawn"], ["fork", "spawn", "forkserver"]])
def test_no_kill_is_forgotten(kills: int, methods: list[str]) -> None:
    scenarios = managers_chaos.scenarios(kills, methods)
    assert sum(scenario.kills for scenario in scenarios) == kills
    assert all(scenario.kills >= 0 for scenario in scenarios)
    assert {scenario.method for scenario in scenarios} == set(methods)
    assert {scenario.name for scenario in scenarios} == set(managers_chaos.SHARES)


def test_the_usual_number_of_kills_takes_a_minute() -> None:
    crowd = managers_chaos.scenarios(managers_chaos.KILLS, list(run.METHODS))[0]
    assert crowd == Scenario("crowd", "fork", 300, 64)
    assert crowd.kills * managers_chaos.PAUSE <= 60


@pytest.mark.parametrize("name", managers_chaos.SHARES)
def test_everything_holds(name: str) -> None:
    outcome = play(name)
    assert outcome.violations == []
    assert outcome.kills == 3
    assert outcome.items


# What is noticed


def test_what_is_back_is_nothing() -> None:
    assert CALM.leaks(CALM) == []
    # A proxy on its way has its reference.
    assert replace(CALM, tickets=2, references=5).leaks(CALM) == []
    # One descriptor has gone, another has come.
    assert replace(CALM, links=Counter({"socket:[2]": 1})).leaks(CALM) == []


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"objects": 4}, "4 objects instead of 3"),
        ({"references": 2}, "2 references instead of 3"),
        ({"references": 5, "tickets": 1}, "4 references instead of 3"),
        ({"clients": 2}, "2 clients instead of 1"),
        ({"busy": 1}, "1 busy threads instead of 0"),
        ({"locks": 1}, "1 locks held instead of 0"),
        (
            {"links": Counter({"socket:[1]": 1, "socket:[2]": 1, "pipe:[3]": 1})},
            "2 descriptors more, among what is new: 1 pipe, 1 socket",
        ),
    ],
)
def test_what_is_not_back_is_named(changed: dict[str, Any], found: str) -> None:
    assert replace(CALM, **changed).leaks(CALM) == [found]


def test_growing_is_noticed() -> None:
    assert managers_figures.growth(1, managers_figures.MEMORY_BYTES) == []
    assert managers_figures.growth(0, managers_figures.MEMORY_BYTES + 1)


def test_references_that_stay_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager is forked from here, with what is patched."""
    monkeypatch.setattr(managers_figures, "BACK_SECONDS", 0.2)
    monkeypatch.setattr(Server, "_end_session", lambda *_: None)
    monkeypatch.setattr(managers_deaths, "take_over", lambda *_, **__: [])
    (found, *_) = play("owners", 1, NOBODY_WAITS).violations
    assert "0.2 s after the end of its clients the manager had" in found
    assert "references instead of 5" in found


def test_a_missing_warning_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockReferent, "holder_has_died", LockReferent.let_go)
    found = play("owners", 1, NOBODY_WAITS).violations
    assert "0 warnings for the RLock, not 1" in found


def test_a_lock_that_excludes_nobody_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockProxy, "acquire", lambda *_, **__: True)
    monkeypatch.setattr(LockProxy, "release", lambda *_: None)
    found = "\n".join(play("crowd").violations)
    assert "INSIDE" in found
    assert "complained" in found


def test_a_wrong_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ListProxy, "__len__", lambda _: 7)
    found = "\n".join(play("crowd", 1).violations)
    assert "client 1: ANSWER" in found
    assert "len(list) gave 7, not" in found


def test_a_thread_that_stays_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managers_figures, "THREAD_SECONDS", 0.2)
    with SyncManager() as manager:
        before = replace(managers_figures.figures(manager), threads=0)
        (found,) = managers_figures.settle(manager, before, time.monotonic(), threads=True)
        assert "threads more than before" in found
    assert manager.process is not None
    manager.process.close()


def test_waiting_for_a_manager_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managers_deaths, "PATIENCE", 3.0)
    monkeypatch.setattr(managers_deaths, "lost", lambda *_: [])
    monkeypatch.setattr(managers_actors, "pending_calls", lambda *_: [lambda: time.sleep(60)] * 3)
    outcome = play("server killed", 1)
    assert outcome.hangs == 1


def test_an_ignored_exception_is_noticed() -> None:
    outcome = Outcome("test", "fork")
    context = processing_core.get_context("fork")
    supervisor = Supervisor(context, outcome, random.Random(1), lambda *_: None)
    supervisor.add_role("careless", be_careless)
    supervisor.start("careless")
    supervisor.wait_for_end("careless")
    supervisor.close()
    (found,) = outcome.violations
    assert found.startswith("careless-1 complained:\nException ignored in:")
    assert "ZeroDivisionError" in found


class Careless:
    """Raises where nobody hears it."""

    def __del__(self) -> None:
        raise ZeroDivisionError


def be_careless(post: Post) -> None:
    reporter = Reporter(post)
    reporter.tell(Kind.HELLO)
    sys.unraisablehook = sys.__unraisablehook__  # not pytest's
    Careless()
    reporter.tell(Kind.BYE)


def test_unpickling_for_strangers_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managers_siege, "swallowed", ["poison"])
    found = play("besieged, TCP", 1).violations
    assert found == ["the manager has unpickled what strangers have sent"]
