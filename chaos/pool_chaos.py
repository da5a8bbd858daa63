"""Owns the scenarios with pools: workers are killed and stopped at random instants while threads
call the pool; programs that have one are killed and interrupted.

The pool is in a program of its own, which is started here. What it writes to its standard error is
a violation, since nobody has asked for it.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import json
import os
import random
import selectors
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcome import Outcome
from pool_actors import RUNS
from pool_program import PATIENCE, PAUSE
from supervisor import Surroundings, surroundings

__all__ = ["KILLS", "KINDS", "Scenario", "run", "scenarios"]

MARK = "CHAOS_PROGRAM"
"""The environment variable by which a program and all that come from it are known."""

KINDS = {
    "workers killed": 1200,
    "workers killed, resized": 300,
    "workers stopped": 200,
    "program killed": 20,
    "program interrupted": 60,
}
"""The scenarios, and how much harm is done in each by each start method."""

KILLS = 3 * sum(KINDS.values())

PROGRAM_STEPS = 20
"""So many workers are killed in the time in which one program is."""

GONE_SECONDS = 1.0
"""So long after the program all that come from it are to be gone, and the program after Ctrl-C."""

START_SECONDS = 60.0
INSTANTS = 0.3
"""Programs are ended within so many seconds after they have said that they are at work."""

FOLDER = Path(__file__).parent
STDERR_SHOWN = 6000


@dataclass(frozen=True)
class Scenario:
    """One cell of the matrix."""

    method: str
    name: str
    kills: int

    @property
    def steps(self) -> int:
        """Its share of the time, in the time for one killed worker."""
        return self.kills * (PROGRAM_STEPS if self.name.startswith("program") else 1)


def scenarios(kills: int, methods: list[str]) -> list[Scenario]:
    """The matrix: every kind of harm by every start method."""
    found = []
    total = sum(KINDS.values())
    for place, method in enumerate(methods):
        share = kills // len(methods) + (place < kills % len(methods))
        counts = {name: share * count // total for name, count in KINDS.items()}
        # What does not divide goes to the first.
        counts[next(iter(KINDS))] += share - sum(counts.values())
        found += [Scenario(method, name, count) for name, count in counts.items()]
    return found


def run(
    scenario: Scenario, chance: random.Random, until: float, tick: Callable[[], object]
) -> Outcome:
    """Do the harm, and judge."""
    outcome = Outcome(scenario.name, scenario.method)
    before, begin = surroundings(), time.monotonic()
    if scenario.name == "program killed":
        _end_programs(scenario, chance, until, tick, outcome, _kill)
    elif scenario.name == "program interrupted":
        _end_programs(scenario, chance, until, tick, outcome, _interrupt)
    else:
        _harm_workers(scenario, chance, until, tick, outcome)
    # Processes are known by their mark; orphans may have come here.
    now = Surroundings(surroundings().descriptors, before.children)
    outcome.violations += now.leaks(before)
    outcome.seconds = time.monotonic() - begin
    return outcome


class Program:
    """A program that was started, and what comes from it."""

    def __init__(self, folder: Path, arguments: list[object]) -> None:
        self.mark = uuid.uuid4().hex
        self._errors = folder / "stderr"
        environment = {**os.environ, MARK: self.mark, RUNS: str(folder / "runs")}
        code = (
            f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import pool_program as p; p.main()"
        )
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, json.dumps(arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )

    def hear(self, seconds: float) -> bytes | None:
        """What it says next: nothing if that is its end, None if it does not come in time."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, seconds)):
                return None
        return os.read(self.process.stdout.fileno(), 4096)

    @property
    def errors(self) -> str:
        """What it and its workers have written to their standard error."""
        return self._errors.read_text(errors="replace")

    def survivors(self) -> dict[int, str]:
        """What comes from it and has not ended, with what it is."""
        wanted = f"{MARK}={self.mark}".encode()
        found = {}
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            try:
                if wanted in (path / "environ").read_bytes().split(b"\0"):
                    command = (path / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(path.name)] = command.decode(errors="replace")[:200]
            except OSError:
                continue  # it is gone, or another user's
        return found

    def wait_for_all(self, seconds: float) -> dict[int, str]:
        """Wait until all is gone that comes from it; what is not in time."""
        limit = time.monotonic() + seconds
        while True:
            # The look may take a while, so what is seen after the limit began before it.
            late = time.monotonic() >= limit
            left = self.survivors()
            if not left or late:
                return left
            time.sleep(0.005)

    def end(self) -> None:
        """Have nothing left of it."""
        for pid in (self.process.pid, *self.survivors()):
            if pid != self.process.pid or self.process.poll() is None:
                _signal(pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@contextmanager
def started(*arguments: object) -> Iterator[tuple[Program, Path]]:
    """A program, and the folder for its files."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        program = Program(Path(name), list(arguments))
        try:
            yield program, Path(name)
        finally:
            program.end()


# Workers


def _harm_workers(
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
    outcome: Outcome,
) -> None:
    kind = scenario.name.split()[-1]
    seconds = max(0.0, min(scenario.kills * PAUSE, until - time.monotonic()))
    kills, seed = int(seconds / PAUSE), chance.randrange(1 << 30)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        path = Path(folder) / "result"
        with started("harmed", kind, scenario.method, seed, kills, str(path)) as (program, _):
            limit = time.monotonic() + seconds + START_SECONDS + 3 * PATIENCE
            while (now := time.monotonic()) < limit:
                ended = program.process.poll() is not None
                said = program.hear(0 if ended else min(1.0, limit - now))
                for _ in said or b"":
                    tick()
                if ended and not said:
                    break
            if program.process.poll() is None:
                outcome.hangs += 1
                outcome.violations.append("the program has not come to its end")
            else:
                code = program.process.wait()
                if code:
                    outcome.violations.append(f"the program ended with {code}")
                _judge_rest(program, outcome)
        if path.exists():
            _judge(json.loads(path.read_text()), outcome)


def _judge(result: dict[str, Any], outcome: Outcome) -> None:
    outcome.kills, outcome.stops = result["kills"], result["stops"]
    outcome.items = result["tasks"]
    outcome.hangs += result["hung"]
    outcome.violations += result["violations"]
    outcome.gaps = result["ends"]["lost"] + result["ends"]["late"]
    shown = {how: count for how, count in result["ends"].items() if count and how != "dropped"}
    outcome.note = ", ".join(f"{count:,} {how}" for how, count in shown.items())


def _judge_rest(program: Program, outcome: Outcome) -> None:
    """What a program that has ended by itself leaves: nothing, and no words."""
    if text := program.errors:
        outcome.violations.append(f"standard error:\n{text[-STDERR_SHOWN:]}")
    if left := program.wait_for_all(GONE_SECONDS):
        outcome.violations.append(f"processes were left: {left}")


# Programs


def _end_programs(
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
    outcome: Outcome,
    how: Callable[[Program, Outcome], None],
) -> None:
    which = scenario.name.split()[-1]
    longest = 0.0
    for number in range(scenario.kills):
        if time.monotonic() >= until:
            break
        seed = chance.randrange(1 << 30)
        with started(which, scenario.method, seed) as (program, _):
            if program.hear(START_SECONDS) != b"r":
                text = program.errors[-STDERR_SHOWN:]
                outcome.violations.append(f"program {number} has not begun:\n{text}")
                continue
            time.sleep(chance.uniform(0, INSTANTS))
            begin = time.monotonic()
            how(program, outcome)
            longest = max(longest, time.monotonic() - begin)
        outcome.kills += 1
        for _ in range(PROGRAM_STEPS):
            tick()
    outcome.items = outcome.kills
    outcome.note = f"all gone within {longest:.2f} s"


def _kill(program: Program, outcome: Outcome) -> None:
    """End it without warning; its workers and their children go, too."""
    program.process.kill()
    program.process.wait()
    if left := program.wait_for_all(GONE_SECONDS):
        outcome.violations.append(f"processes were left after {GONE_SECONDS:g} s: {left}")
    if text := program.errors:
        outcome.violations.append(f"standard error:\n{text[-STDERR_SHOWN:]}")


def _interrupt(program: Program, outcome: Outcome) -> None:
    """Ctrl-C, which all processes get: one traceback, and nothing survives."""
    os.killpg(program.process.pid, signal.SIGINT)
    limit = time.monotonic() + GONE_SECONDS
    try:
        code = program.process.wait(GONE_SECONDS)
    except subprocess.TimeoutExpired:
        code = 0
        outcome.violations.append(f"the program goes on {GONE_SECONDS:g} s after Ctrl-C")
    if left := program.wait_for_all(limit - time.monotonic()):
        outcome.violations.append(f"processes were left after {GONE_SECONDS:g} s: {left}")
    outcome.violations += judged_traceback(program.errors)
    if code not in (0, -signal.SIGINT):
        outcome.violations.append(f"the program ended with {code} after Ctrl-C")


def judged_traceback(text: str) -> list[str]:
    """What is wrong with what a program says that was interrupted: it is one traceback."""
    lines = text.splitlines()
    heads = [line for line in lines if line and not line.startswith(" ")]
    expected = ["Traceback (most recent call last):", "KeyboardInterrupt"]
    return [] if heads == expected else [f"not one KeyboardInterrupt:\n{text[-STDERR_SHOWN:]}"]
