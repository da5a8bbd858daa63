"""Owns the scenarios with logging: processes that log, print, or write to a file that they share
are killed at random instants. Everything that was emitted before must be there, whole and in order.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import gc
import io
import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import logging_actors
from logging_actors import END, LOGGER, LONG, MARK, SHORT, text_of
from outcome import Outcome
from processing_logging import disable_logging, enable_logging, flush_logging
from queue_chaos import shares
from records import Kind, Record
from supervisor import PATIENCE, HangError, Participant, Supervisor, deadline, surroundings

__all__ = ["RECORDS", "Scenario", "Senders", "run", "scenarios"]

EACH = 8
"""So many processes at a time."""

RECORDS = 100_000
"""So many records does each of a crowd log, of whom one in ten is killed."""

TOLD_EVERY = 50
CROWD_SHARE = 0.01
"""The part of the kills for crowds: each stands for ten processes with all their records."""

FILE_BYTES, FILES = 20_000, 100_000
KINDS = ("records, short", "records, long", "output", "file, rotated")


@dataclass(frozen=True)
class Scenario:
    """One cell of the matrix. ``records`` is how many each process logs, None for any number."""

    method: str
    name: str
    kills: int
    records: int | None = None

    @property
    def pause(self) -> float:
        """The average time between two kills."""
        return 0.02 if self.method == "fork" else 0.05


def scenarios(kills: int, methods: list[str]) -> list[Scenario]:
    """What is logged, by every start method."""
    made = []
    for method, share in shares(kills, methods).items():
        crowd = min(share, max(1, round(share * CROWD_SHARE))) if share else 0
        rest = share - crowd
        for place, name in enumerate(KINDS):
            part = rest // len(KINDS) + (place < rest % len(KINDS))
            made.append(Scenario(method, name, part))
        made.append(Scenario(method, f"{RECORDS:,} records each", crowd, RECORDS))
    return made


@dataclass
class Senders:
    """What is known of each sender, by number: what it has told, and what has come of it."""

    told: dict[int, int] = field(default_factory=dict)
    """How many it says that it has emitted."""

    came: dict[int, int] = field(default_factory=dict)
    """How many have come, all of them in order."""

    ended: set[int] = field(default_factory=set)
    """Those that have ended by themselves."""

    damaged: int = 0
    disorders: int = 0
    torn: dict[int, int] = field(default_factory=dict)
    """How many lines each has left without their ends; 0 is for those who cannot be told."""

    def hear(self, one: Participant, record: Record) -> None:
        """What a participant tells."""
        kind, _, number = record
        if kind == Kind.PUT:
            self.told[one.number] = number + 1
        elif kind == Kind.BYE:
            self.ended.add(one.number)

    def take(self, text: str, size: int) -> None:
        """Something that has come."""
        try:
            _, who, which, _ = text.split(" ", 3)
            sender, number = int(who), int(which)
        except ValueError:
            self.damaged += 1
            return
        if text != text_of(sender, number, size):
            self.damaged += 1
            return
        if number != self.came.get(sender, 0):
            self.disorders += 1
        self.came[sender] = number + 1

    def missing(self) -> dict[int, int]:
        """How many records of each sender were emitted, and did not come."""
        return {
            who: count - self.came.get(who, 0)
            for who, count in self.told.items()
            if count > self.came.get(who, 0)
        }

    def violations(self, told_every: int) -> list[str]:
        """All that must not be. A killed one may have emitted a little more than it could tell."""
        found = []
        if missing := self.missing():
            found.append(f"records missing, by sender: {missing}")
        if self.damaged:
            found.append(f"{self.damaged} records damaged")
        if self.disorders:
            found.append(f"{self.disorders} records came twice, or in another order, or after gaps")
        for who, count in self.came.items():
            told = self.told.get(who, 0)
            if count > told + (0 if who in self.ended else told_every):
                found.append(f"{count} records of {who} came, which has told of {told}")
        return found


def run(
    context: Any,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> Outcome:
    """Do the killing, and judge what has come."""
    outcome = Outcome(scenario.name, scenario.method)
    before, begin = surroundings(), time.monotonic()
    senders = Senders()
    supervisor = Supervisor(context, outcome, chance, senders.hear)
    try:
        if scenario.records is not None:
            _crowd(scenario, supervisor, senders, chance, tick)
        elif scenario.name.startswith("records"):
            _records(scenario, supervisor, senders, until, tick)
        elif scenario.name.startswith("output"):
            _output(scenario, supervisor, senders, until, tick)
        else:
            _file(scenario, supervisor, senders, until, tick)
        outcome.violations += senders.violations(TOLD_EVERY if scenario.records else 1)
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{supervisor.dump()}")
    finally:
        supervisor.close()
        disable_logging()
    outcome.items = sum(senders.came.values())
    outcome.damaged = senders.damaged
    outcome.gaps = sum(senders.missing().values())
    gc.collect()
    if not outcome.hangs:
        outcome.violations += surroundings().leaks(before)
    outcome.seconds = time.monotonic() - begin
    return outcome


class Taker(logging.Handler):
    """Gives the texts of records to a function."""

    def __init__(self, take: Callable[[str], object]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Take its text."""
        self._take(record.getMessage())


@contextlib.contextmanager
def _relayed(take: Callable[[str], object]) -> Iterator[None]:
    """Have the records of children taken."""
    logger, handler = logging.getLogger(LOGGER), Taker(take)
    logger.addHandler(handler)
    logger.propagate = False
    enable_logging("DEBUG", relay=True, logger=LOGGER)
    try:
        yield
    finally:
        disable_logging()
        logger.removeHandler(handler)


def _start(supervisor: Supervisor, meanwhile: Callable[[], object] = lambda: None) -> None:
    """One more, which is at work then: many that start at once need longer than is allowed."""
    one = supervisor.start("sender")
    while not one.records:
        supervisor.listen(0.001)
        meanwhile()


def _rage(scenario: Scenario, supervisor: Supervisor, until: float, tick: Any) -> None:
    for _ in range(EACH):
        _start(supervisor)
    supervisor.rage(scenario.kills, ["sender"], scenario.pause, until, tick)
    supervisor.tell_to_end("sender")
    supervisor.wait_for_end("sender")


def _records(
    scenario: Scenario, supervisor: Supervisor, senders: Senders, until: float, tick: Any
) -> None:
    size = SHORT if scenario.name.endswith("short") else LONG
    with _relayed(lambda text: senders.take(text, size)):
        supervisor.add_role("sender", logging_actors.log_records, size, 1)
        _rage(scenario, supervisor, until, tick)
        with deadline(6 * PATIENCE, "the last records"):
            flush_logging()


def _crowd(
    scenario: Scenario, supervisor: Supervisor, senders: Senders, chance: random.Random, tick: Any
) -> None:
    """Ten processes for each kill, eight at a time; each logs all its records or is killed."""
    victims = {1 + 10 * place + chance.randrange(10) for place in range(scenario.kills)}
    records = scenario.records or RECORDS
    # They log on until they are killed: one that ended by itself may be gone when that is due.
    ends = {number: chance.randrange(records) for number in victims}
    arguments = SHORT, TOLD_EVERY, records, frozenset(victims)

    def kill_those_who_are_due() -> None:
        for one in list(supervisor.alive):
            if senders.told.get(one.number, 0) > ends.get(one.number, records):
                supervisor.kill_this(one)
                tick()

    with _relayed(lambda text: senders.take(text, SHORT)):
        supervisor.add_role("sender", logging_actors.log_records, *arguments)
        total = max(EACH, 10 * scenario.kills)
        started = 0
        while started < total or supervisor.alive:
            while started < total and len(supervisor.alive) < EACH:
                _start(supervisor, kill_those_who_are_due)
                started += 1
            supervisor.listen(0.001)
            kill_those_who_are_due()
        with deadline(6 * PATIENCE, "the last records"):
            flush_logging()
    if short := [who for who in senders.ended if senders.told.get(who) != records]:
        raise HangError(f"ended too early: {short}")


class Lines(io.TextIOBase):
    """A stdout that takes the lines of children, and passes on what else is written to it."""

    def __init__(self, take: Callable[[str], object], stdout: Any) -> None:
        self._take = take
        self._stdout = stdout
        self.others = ""

    def write(self, text: str, /) -> int:
        """Take whole lines, of which several may come at once."""
        for line in text.splitlines(keepends=True):
            if line.startswith(MARK) and line.endswith("\n"):
                self._take(line[:-1])
            else:
                self._stdout.write(line)
        return len(text)


def _output(
    scenario: Scenario, supervisor: Supervisor, senders: Senders, until: float, tick: Any
) -> None:
    stdout = sys.stdout
    enable_logging("WARNING", captureOutput=True)
    sys.stdout = Lines(lambda text: senders.take(text, SHORT), stdout)
    try:
        supervisor.add_role("sender", logging_actors.print_lines, SHORT)
        _rage(scenario, supervisor, until, tick)
        with deadline(6 * PATIENCE, "the last lines"):
            flush_logging()
    finally:
        sys.stdout = stdout
        disable_logging()


def _file(
    scenario: Scenario, supervisor: Supervisor, senders: Senders, until: float, tick: Any
) -> None:
    path = supervisor.folder / "shared.log"
    supervisor.add_role("sender", logging_actors.log_to_file, str(path), FILE_BYTES, FILES, SHORT)
    _rage(scenario, supervisor, until, tick)
    numbered = sorted(path.parent.glob("shared.log.*"), key=lambda each: -int(each.suffix[1:]))
    for each in (*numbered, path):
        if each.exists():
            _read_file(each, senders)
    # A killed one may have left the beginning of one line, and nothing after it.
    for sender, count in senders.torn.items():
        most = scenario.kills if not sender else 1
        if count > most or sender in senders.ended:
            senders.damaged += count


def _read_file(path: Path, senders: Senders) -> None:
    if path.stat().st_size > FILE_BYTES:
        senders.damaged += 1
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        if line.endswith(END):
            senders.take(line, SHORT)
            continue
        parts = line.split(" ")
        # Who it is can be read from the number that follows another space only.
        sender = int(parts[1]) if len(parts) > 2 else 0
        senders.torn[sender] = senders.torn.get(sender, 0) + 1
