"""The harness judges and shows figures correctly. Nothing here measures time."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

import bench_import
import bench_locks
import bench_managers
import bench_pipes
import bench_queues
import bench_start
import harness
from harness import (
    Figure,
    Measurement,
    MeasurementError,
    Row,
    at_least,
    at_most,
    at_most_more,
    below,
)


def row(ours: Sequence[float], theirs: Sequence[float], target: harness.Target | None) -> Row:
    return Row("group", Figure("key", "label", "unit", target), list(ours), list(theirs))


def command(library: harness.Library, quick: bool) -> Sequence[str]:
    return [library, str(quick)]


@pytest.mark.parametrize(
    ("target", "ours", "theirs", "reached"),
    [
        (at_least(2), 200.0, 100.0, True),
        (at_least(2), 199.0, 100.0, False),
        (at_least(0.5), 50.0, 100.0, True),
        (at_most(1), 100.0, 100.0, True),
        (at_most(1), 101.0, 100.0, False),
        (at_most(0.5), 50.0, 100.0, True),
        (at_most(0.5), 51.0, 100.0, False),
        (at_most_more(10), 110.0, 100.0, True),
        (at_most_more(10), 110.5, 100.0, False),
        (at_most_more(10), 5.0, 100.0, True),
        (below(100), 99.0, 1.0, True),
        (below(100), 100.0, 1000.0, False),
    ],
)
def test_target(target: harness.Target, ours: float, theirs: float, reached: bool) -> None:
    assert target.reached(ours, theirs) is reached
    assert row([ours], [theirs], target).reached is reached


def test_targets_are_spelled_as_they_are_meant() -> None:
    assert str(at_least(2)) == ">= 2x"
    assert str(at_most(0.5)) == "<= 0.5x"
    assert str(at_most_more(10)) == "<= theirs + 10"
    assert str(below(100)) == "< 100"


def test_medians_are_compared() -> None:
    measured = row([1.0, 4.0, 1000.0], [2.0, 2.0, 0.001], at_least(2))
    assert measured.ratio == 2.0
    assert measured.reached is True


def test_without_a_target_there_is_no_verdict() -> None:
    assert row([1.0], [1.0], None).reached is None
    assert harness.verdict(row([1.0], [1.0], None)).plain == ""


def test_spread_is_that_of_the_middle_half() -> None:
    assert harness.spread([5.0]) == 0.0
    assert harness.spread([5.0, 5.0, 5.0]) == 0.0
    assert harness.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)
    assert harness.spread([0.0, 0.0, 0.0]) == 0.0


@pytest.mark.parametrize(
    ("value", "shown"), [(1234567.8, "1,234,568"), (12.345, "12.3"), (0.012345, "0.0123")]
)
def test_numbers(value: float, shown: str) -> None:
    assert harness.number(value) == shown


def test_a_noisy_figure_is_marked() -> None:
    assert harness.cell([10.0, 10.0, 10.0]).plain == "10"
    assert harness.cell([5.0, 10.0, 15.0]).plain == "10 ±50%"


def test_libraries_take_turns() -> None:
    measurement = Measurement(command, (Figure("a", "", ""),))
    commands: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> dict[str, float]:
        commands.append(arguments)
        return {"a": float(len(commands)), "b": 0.0}

    (measured,) = harness.take("group", measurement, quick=True, run=run)
    assert commands == [["processing_core", "True"], ["multiprocessing", "True"]] * 3
    assert measured.ours == [1.0, 3.0, 5.0]
    assert measured.theirs == [2.0, 4.0, 6.0]


def test_number_of_rounds() -> None:
    usual = Measurement(command, ())
    many = Measurement(command, (), rounds=41)
    assert [harness.rounds_of(each, quick=False) for each in (usual, many)] == [7, 41]
    assert [harness.rounds_of(each, quick=True) for each in (usual, many)] == [3, 3]


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("import sys; sys.exit('it broke')", "it broke"),
        ("print('no json')", "no json"),
        ("print([1])", r"printed '\[1\]"),
    ],
)
def test_a_program_that_fails_is_an_error(program: str, complaint: str) -> None:
    with pytest.raises(MeasurementError, match=complaint):
        harness.run_program(["-c", program])


def test_a_missing_figure_is_an_error() -> None:
    measurement = Measurement(command, (Figure("a", "", ""),))

    def run(arguments: Sequence[str]) -> dict[str, float]:
        return {"b": float(len(arguments))}

    with pytest.raises(MeasurementError, match="no 'a'"):
        harness.take("group", measurement, run=run)


def test_the_table_says_what_was_reached_and_what_was_missed() -> None:
    rows = [row([3.0], [1.0], at_least(2)), row([1.0], [1.0], at_least(2))]
    console = Console(file=io.StringIO(), width=100)
    console.print(harness.table(rows))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "3.00x   >= 2x reached" in text
    assert "1.00x    >= 2x MISSED" in text


def test_json_has_every_sample() -> None:
    content = row([1.0, 2.0, 3.0], [4.0, 4.0, 4.0], at_most(1)).as_json()
    assert content["ours"] == [1.0, 2.0, 3.0]
    assert content["ratio"] == 0.5
    assert content["target"] == "<= 1x"
    assert content["reached"] is True


def test_a_busy_machine_is_not_quiet() -> None:
    def machine(load: float, busy: float) -> harness.Machine:
        return harness.Machine("CPython 3.11.0", "Linux", 2, 2, load, busy)

    assert machine(0.1, 0.01).quiet
    assert not machine(1.5, 0.01).quiet
    assert not machine(0.1, 0.5).quiet


@pytest.mark.parametrize(
    "group", [bench_pipes, bench_queues, bench_locks, bench_managers, bench_start, bench_import]
)
def test_every_group_says_what_it_measures(group: object) -> None:
    measurements: list[Measurement] = getattr(group, "measurements")()  # noqa: B009
    assert measurements
    for measurement in measurements:
        ours = measurement.command("processing_core", False)
        theirs = measurement.command("multiprocessing", False)
        assert ours != theirs
        assert measurement.figures
