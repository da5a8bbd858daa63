"""What the groups of benchmarks share: what a measurement is, how it is taken and how it is judged.

A measurement is a small program that is told which library to use and prints its figures as one
JSON object. It is run again and again in fresh processes, with ours and with the standard library's
by turns, so that whatever else the machine does meets both. Medians are compared.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from rich import box
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).parent
ROUNDS = 7
QUICK_ROUNDS = 3
TIMEOUT = 120.0
NOISY = 0.25

OURS: Library = "processing_core"
THEIRS: Library = "multiprocessing"
Library: TypeAlias = Literal["processing_core", "multiprocessing"]


class LibraryModule(Protocol):
    """What a program uses of the module under measurement; both libraries offer it."""

    def Pipe(self, duplex: bool = ...) -> tuple[Any, Any]: ...  # noqa: N802

    def get_context(self, method: str) -> Any: ...


class MeasurementError(Exception):
    """A measurement could not be taken: its program failed, hung, or printed nonsense."""


# What is measured


@dataclass(frozen=True)
class Target:
    """A bound for our figure: a multiple of theirs, theirs and something on top, or a number."""

    bound: float
    kind: Literal["at least", "at most", "at most more", "below"]

    def reached(self, ours: float, theirs: float) -> bool:
        """Judge two medians."""
        if self.kind == "at most more":
            return ours - theirs <= self.bound
        if self.kind == "below":
            return ours < self.bound
        ratio = ours / theirs
        return ratio >= self.bound if self.kind == "at least" else ratio <= self.bound

    def __str__(self) -> str:
        if self.kind == "at most more":
            return f"<= theirs + {self.bound:g}"
        if self.kind == "below":
            return f"< {self.bound:g}"
        return f"{'>=' if self.kind == 'at least' else '<='} {self.bound:g}x"


def at_least(factor: float) -> Target:
    """Our figure is to be at least so many times theirs: for speeds."""
    return Target(factor, "at least")


def at_most(factor: float) -> Target:
    """Our figure is to be at most so many times theirs: for times."""
    return Target(factor, "at most")


def at_most_more(extra: float) -> Target:
    """Our figure may exceed theirs by so much, in its unit."""
    return Target(extra, "at most more")


def below(number: float) -> Target:
    """Our figure is to be below a number in its unit, whatever theirs is."""
    return Target(number, "below")


@dataclass(frozen=True)
class Figure:
    """One number that a program prints under `key`. Without a target it is only for information."""

    key: str
    label: str
    unit: str
    target: Target | None = None


@dataclass(frozen=True)
class Measurement:
    """A program and the figures that it prints."""

    command: Callable[[Library, bool], Sequence[str]]
    """The arguments of the interpreter, for a library, in full or quick."""

    figures: tuple[Figure, ...]
    rounds: int | None = None
    """How often with each library, where it is not as often as usual."""


# How it is taken


def run_program(arguments: Sequence[str]) -> dict[str, float]:
    """Run one program in a fresh interpreter and return what it printed."""
    # The standard library's modules were compiled long ago; ours are after the first run, unless
    # this variable forbids it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            cwd=HERE,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"no answer within {TIMEOUT:g} s: {arguments}") from None
    if done.returncode != 0:
        raise MeasurementError(f"exit code {done.returncode}: {arguments}\n{done.stderr.strip()}")
    try:
        figures = json.loads(done.stdout)
        return {str(key): float(value) for key, value in figures.items()}
    except (ValueError, AttributeError, TypeError):
        raise MeasurementError(f"{arguments} printed {done.stdout!r}") from None


@dataclass
class Row:
    """All that was measured of one figure."""

    group: str
    figure: Figure
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Ours by theirs: above 1 is good for a speed, below 1 for a time."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def reached(self) -> bool | None:
        """Whether our median is within the target; None if there is none."""
        if self.figure.target is None:
            return None
        return self.figure.target.reached(
            statistics.median(self.ours), statistics.median(self.theirs)
        )

    def as_json(self) -> dict[str, object]:
        """Everything, for a file."""
        return {
            "group": self.group,
            "label": self.figure.label,
            "unit": self.figure.unit,
            "ours": self.ours,
            "theirs": self.theirs,
            "median_ours": statistics.median(self.ours),
            "median_theirs": statistics.median(self.theirs),
            "ratio": self.ratio,
            "target": None if self.figure.target is None else str(self.figure.target),
            "reached": self.reached,
        }


def take(
    group: str,
    measurement: Measurement,
    *,
    quick: bool = False,
    run: Callable[[Sequence[str]], dict[str, float]] = run_program,
    tick: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Take one measurement, with both libraries by turns."""
    rows = [Row(group, figure) for figure in measurement.figures]
    for _ in range(rounds_of(measurement, quick=quick)):
        for library in (OURS, THEIRS):
            figures = run(measurement.command(library, quick))
            for row in rows:
                samples = row.ours if library == OURS else row.theirs
                try:
                    samples.append(figures[row.figure.key])
                except KeyError:
                    raise MeasurementError(f"no {row.figure.key!r} in {figures}") from None
            tick()
    return rows


def rounds_of(measurement: Measurement, *, quick: bool) -> int:
    """How often the measurement is taken with each library."""
    return QUICK_ROUNDS if quick else measurement.rounds or ROUNDS


def spread(samples: Sequence[float]) -> float:
    """How far apart the middle half of the samples lies, as a part of their median."""
    if len(samples) < 2:
        return 0.0
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return (high - low) / median if median else 0.0


# How it is shown


def number(value: float) -> str:
    """A figure with as many digits as mean something."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cell(samples: Sequence[float]) -> Text:
    """A median, and how much the samples spread around it if that is much."""
    part = spread(samples)
    shown = Text(number(statistics.median(samples)))
    if part >= NOISY:
        shown.append(f" ±{part:.0%}", style="yellow")
    return shown


def verdict(row: Row) -> Text:
    """The target, and whether it was reached."""
    if row.reached is None:
        return Text("")
    if row.reached:
        return Text(f"{row.figure.target} reached", style="green")
    return Text(f"{row.figure.target} MISSED", style="bold red")


def table(rows: Iterable[Row]) -> Table:
    """The table that run.py prints."""
    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("what")
    for heading in ("ours", "standard", "ratio", "target"):
        shown.add_column(heading, justify="right", no_wrap=True)
    group = None
    for row in rows:
        if group is not None and row.group != group:
            shown.add_section()
        group = row.group
        what = f"{row.figure.label} ({row.figure.unit})"
        shown.add_row(what, cell(row.ours), cell(row.theirs), f"{row.ratio:.2f}x", verdict(row))
    return shown


# The machine


@dataclass(frozen=True)
class Machine:
    """What has to be known about a machine in order to read its figures."""

    python: str
    system: str
    cpus: int
    usable_cpus: int
    load: float
    busy: float
    """The part of all processors' time that was spent working while we only looked."""

    @property
    def quiet(self) -> bool:
        """Whether there is nothing else of weight going on."""
        return self.busy < 0.1 and self.load < 0.5 * self.usable_cpus

    def __str__(self) -> str:
        return (
            f"{self.python} on {self.system}; {self.usable_cpus} of {self.cpus} processors; "
            f"load average {self.load:.2f}, {self.busy:.0%} busy now"
        )


def look_at_machine(watch: float = 0.5) -> Machine:
    """Collect the facts; it takes the time given, to see how busy the machine is."""
    cpus = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cpus
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()}"
    return Machine(python, system, cpus, usable, load, busy_share(watch))


def processor_times() -> tuple[int, int] | None:
    """How much time all processors spent working, and altogether; None where it cannot be known."""
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0]
    except OSError:
        return None
    times = [int(word) for word in first.split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def busy_share(watch: float) -> float:
    """The part of the processors' time spent working during the next `watch` seconds."""
    before = processor_times()
    time.sleep(watch)
    after = processor_times()
    if before is None or after is None or after[1] <= before[1]:
        return 0.0
    return (after[0] - before[0]) / (after[1] - before[1])
