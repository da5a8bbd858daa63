"""The group `logging`: what is lost, damaged or out of order is noticed, and all is shared out."""

from __future__ import annotations

import sys

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

import random
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import logging_chaos
import processing_core
import run
from logging_actors import SHORT, text_of
from logging_chaos import Lines, Scenario, Senders
from records import Kind


class Somebody:
    """As much of a participant as is asked for."""

    def __init__(self, number: int) -> None:
        self.number = number


def senders(told: dict[int, int], came: list[tuple[int, int]], ended: set[int]) -> Senders:
    made = Senders()
    for who, count in told.items():
        one: Any = Somebody(who)
        made.hear(one, (Kind.HELLO, 0, 0))
        for number in range(count):
            made.hear(one, (Kind.PUT, who, number))
        if who in ended:
            made.hear(one, (Kind.BYE, 0, 0))
    for who, number in came:
        made.take(text_of(who, number, SHORT), SHORT)
    return made


@pytest.mark.parametrize("kills", [0, 7, 100, 2000])
@pytest.mark.parametrize("methods", [["fork"], ["spawn"], ["fork", "spawn", "forkserver"]])
def test_no_kill_is_forgotten(kills: int, methods: list[str]) -> None:
    scenarios = logging_chaos.scenarios(kills, methods)
    assert sum(scenario.kills for scenario in scenarios) == kills
    assert all(scenario.kills >= 0 for scenario in scenarios)
    assert {scenario.method for scenario in scenarios} == set(methods)


def test_all_in_order() -> None:
    found = senders({1: 2, 2: 1}, [(1, 0), (2, 0), (1, 1)], {1, 2})
    assert found.violations(1) == []
    assert found.missing() == {}


def test_a_killed_one_may_have_emitted_one_more_than_it_could_tell() -> None:
    assert senders({1: 1}, [(1, 0), (1, 1)], set()).violations(1) == []
    assert len(senders({1: 1}, [(1, 0), (1, 1)], {1}).violations(1)) == 1
    assert len(senders({1: 1}, [(1, 0), (1, 1), (1, 2)], set()).violations(1)) == 1


@pytest.mark.parametrize(
    ("came", "wrong"),
    [
        ([(1, 0)], "records missing, by sender: {1: 1}"),
        ([(1, 1)], "1 records came twice, or in another order, or after gaps"),
        ([(1, 0), (1, 0), (1, 1)], "1 records came twice, or in another order, or after gaps"),
    ],
)
def test_what_is_lost_or_out_of_order(came: list[tuple[int, int]], wrong: str) -> None:
    assert senders({1: 2}, came, set()).violations(1) == [wrong]


@pytest.mark.parametrize("text", ["", "chaos", "chaos 1 x |", text_of(1, 0, SHORT)[:-1] + "?|"])
def test_damage(text: str) -> None:
    found = Senders()
    found.take(text, SHORT)
    assert found.violations(1) == ["1 records damaged"]


def test_lines_of_children_are_told_from_others(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[str] = []
    lines = Lines(taken.append, sys.stdout)
    lines.write("chaos 1 0 |\nchaos 1 1 |\nwhat the table says\n")
    assert taken == ["chaos 1 0 |", "chaos 1 1 |"]
    assert capsys.readouterr().out == "what the table says\n"


def test_lines_in_files_that_are_torn(tmp_path: Path) -> None:
    path, found = tmp_path / "log", Senders()
    path.write_text(f"{text_of(1, 0, SHORT)}\n{text_of(1, 1, SHORT)[:-1]}\nch\n")
    logging_chaos._read_file(path, found)
    assert (found.came, found.torn, found.damaged) == ({1: 1}, {1: 1, 0: 1}, 0)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("name", logging_chaos.KINDS)
def test_some_kills(name: str) -> None:
    run.warm_up(processing_core, ["fork"], ["logging"])
    context = processing_core.get_context("fork")
    scenario = Scenario("fork", name, 2)
    outcome = logging_chaos.run(context, scenario, random.Random(1), float("inf"), lambda: None)
    assert outcome.violations == []
    assert outcome.kills == 2
    assert outcome.items


def test_a_crowd() -> None:
    run.warm_up(processing_core, ["fork"], ["logging"])
    context = processing_core.get_context("fork")
    scenario = Scenario("fork", "300 records each", 1, 300)
    outcome = logging_chaos.run(context, scenario, random.Random(1), float("inf"), lambda: None)
    assert outcome.violations == []
    assert outcome.kills == 1
    assert outcome.items >= 9 * 300


def test_it_is_for_our_library_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(["logging", "--library", "multiprocessing"])
    assert "is for processing_core only" in capsys.readouterr().err
