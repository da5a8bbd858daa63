"""The harness shares out its kills, reads what participants say, and notices what they leave."""

from __future__ import annotations

import sys

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

import multiprocessing
import os
import random
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import lock_chaos
import queue_actors
import queue_chaos
import run
from outcome import Outcome
from records import Inbox, Kind, Record
from supervisor import HangError, Surroundings, deadline


@pytest.mark.parametrize("chaos", [queue_chaos, lock_chaos])
@pytest.mark.parametrize("kills", [0, 7, 100, 2000])
@pytest.mark.parametrize("methods", [["fork"], ["spawn"], ["fork", "spawn", "forkserver"]])
def test_no_kill_is_forgotten(chaos: Any, kills: int, methods: list[str]) -> None:
    scenarios = chaos.scenarios(kills, methods)
    assert sum(scenario.kills for scenario in scenarios) == kills
    assert all(scenario.kills >= 0 for scenario in scenarios)
    assert {scenario.method for scenario in scenarios} == set(methods)


def test_items_are_told_from_damaged_ones() -> None:
    for size in (queue_chaos.SMALL, queue_chaos.LARGE):
        data = queue_actors.payload(3, 9, size)
        assert len(data) == size
        assert queue_actors.intact((3, 9, data), size)
        assert not queue_actors.intact((3, 10, data), size)
        assert not queue_actors.intact((4, 9, data), size)
        assert not queue_actors.intact((3, 9, data[:-1]), size)
        assert not queue_actors.intact((3, 9, data[:-1] + b"\0"), size + 1)
        assert not queue_actors.intact(None, size)


class Descriptor:
    """As much of a connection as an inbox needs."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        os.close(self.number)


def test_records_are_read_whole() -> None:
    reading, writing = os.pipe()
    inbox = Inbox(Descriptor(reading))
    record = (int(Kind.GOT)).to_bytes(4, "little") + bytes([5, 0, 0, 0]) + bytes([6]) + bytes(7)
    os.write(writing, record + record[:5])
    expected: list[Record] = [(Kind.GOT, 5, 6)]
    assert list(inbox.read()) == expected
    os.write(writing, record[5:])
    assert list(inbox.read()) == expected
    os.close(writing)
    assert list(inbox.read()) == []
    assert inbox.ended
    inbox.close()


def test_what_is_left_behind_is_named() -> None:
    before = Surroundings(5, frozenset([1, 2]))
    assert Surroundings(5, frozenset([1])).leaks(before) == []
    assert Surroundings(7, frozenset([1, 3])).leaks(before) == [
        "2 descriptors were left open",
        "children were left: [3]",
    ]


def test_a_deadline_ends_what_hangs() -> None:
    reading, writing = os.pipe()
    with pytest.raises(HangError, match="reading: the supervisor"), deadline(0.05, "reading"):
        os.read(reading, 1)
    with deadline(10, "nothing"):
        pass
    os.close(reading)
    os.close(writing)


def test_the_exit_code_tells_of_violations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(*arguments: Any) -> Outcome:
        scenario = arguments[1]
        wrong = ["it broke"] if scenario.maxsize and scenario.size == queue_chaos.LARGE else []
        return Outcome(scenario.name, scenario.method, violations=wrong)

    arguments = ["queues", "--interrupts", "0", "--method", "fork", "--library", "multiprocessing"]
    monkeypatch.setattr(queue_chaos, "run", play)
    monkeypatch.setattr(run, "warm_up", lambda *_: None)
    assert run.main(arguments) == 1
    output = capsys.readouterr().out
    assert "it broke" in output
    assert "3 of 4 scenarios held" in output
    monkeypatch.setattr(
        queue_chaos, "run", lambda *arguments: Outcome(arguments[1].name, arguments[1].method)
    )
    assert run.main(arguments) == 0
    with pytest.raises(SystemExit, match="2"):
        run.main(["none"])


@pytest.mark.allow_leaks("descriptors", "mappings")  # its shared memory stays
@pytest.mark.parametrize("group", ["queues", "locks"])
def test_without_kills_everything_holds(group: str) -> None:
    """With the standard library, since only the harness is tested here."""
    chaos: Any = queue_chaos if group == "queues" else lock_chaos
    run.warm_up(multiprocessing, ["fork"])
    context = multiprocessing.get_context("fork")
    for scenario in chaos.scenarios(0, ["fork"]):
        outcome = chaos.run(context, scenario, random.Random(1), float("inf"), lambda: None)
        assert outcome.violations == []
