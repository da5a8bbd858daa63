"""Owns the scenarios with locks, conditions, events and barriers: their users are killed at random
instants, and the others must get on, one at a time.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import gc
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import lock_actors
from lock_actors import FIRST, HOLDER, SECOND, Board, Wrong
from outcome import Outcome
from records import Kind, Record
from supervisor import PATIENCE, HangError, Participant, Supervisor, deadline, surroundings

__all__ = ["Scenario", "Stage", "end_all", "play", "run", "scenarios"]

WEIGHTS = {"Lock": 0.3, "RLock": 0.25, "Condition": 0.25, "Event": 0.12, "Barrier": 0.08}
PAUSES = {"Barrier": 0.06}
PAUSE, SLOW_PAUSE = 0.008, 0.03
SLOW_METHODS_SHARE = 0.1


@dataclass(frozen=True)
class Scenario:
    """One primitive by one start method."""

    method: str
    name: str
    kills: int

    @property
    def pause(self) -> float:
        """The average time between two kills."""
        return PAUSES.get(self.name, PAUSE if self.method == "fork" else SLOW_PAUSE)


@dataclass
class Heard:
    """What the participants have said together."""

    done: int = 0
    warnings: int = 0
    wrong: Counter[str] = field(default_factory=Counter)


@dataclass
class Stage:
    """What a scenario is played with."""

    context: Any
    supervisor: Supervisor
    heard: Heard
    outcome: Outcome
    rage: Callable[[list[str]], None]


def scenarios(kills: int, methods: list[str]) -> list[Scenario]:
    """Every primitive by every start method; most kills go to the one that starts fast."""
    slow = [method for method in methods if method != "fork"]
    each = kills // len(methods) if len(slow) == len(methods) else int(kills * SLOW_METHODS_SHARE)
    found = []
    for method in methods:
        share = each if method in slow else kills - each * len(slow)
        counts = {name: int(share * weight) for name, weight in WEIGHTS.items()}
        counts["Lock"] += share - sum(counts.values())
        found += [Scenario(method, name, count) for name, count in counts.items()]
    return found


def robust(make: Callable[..., Any]) -> Any:
    """A robust lock; a plain one where the library has none."""
    try:
        return make(robust=True)
    except TypeError:
        return make()


def run(
    context: Any,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> Outcome:
    """Do the killing, let everybody end, and judge."""
    return play(PROGRAMS[scenario.name], context, scenario, chance, until, tick)


def play(
    program: Callable[[Stage], None],
    context: Any,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> Outcome:
    """Have a program do its scenario, and judge what has to hold in each."""
    outcome = Outcome(scenario.name, scenario.method)
    before, begin = surroundings(), time.monotonic()
    heard = Heard()

    def hear(one: Participant, record: Record) -> None:
        kind, first, second = record
        if kind == Kind.DID:
            heard.done += first
            heard.warnings += second
        elif kind == Kind.WRONG:
            heard.wrong[f"{one.role}: {Wrong(first).name}"] += 1

    supervisor = Supervisor(context, outcome, chance, hear)

    def rage(roles: list[str]) -> None:
        supervisor.rage(scenario.kills, roles, scenario.pause, until, tick)

    try:
        program(Stage(context, supervisor, heard, outcome, rage))
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{supervisor.dump()}")
    finally:
        supervisor.close()
    outcome.violations += [f"{what}, {times} times" for what, times in heard.wrong.items()]
    if heard.warnings > outcome.kills:
        outcome.violations.append(f"{heard.warnings} warnings of {outcome.kills} deaths")
    outcome.items = heard.done
    if heard.warnings:
        outcome.note = f"{heard.warnings} warnings"
    gc.collect()
    if not outcome.hangs:
        outcome.violations += surroundings().leaks(before)
    outcome.seconds = time.monotonic() - begin
    return outcome


def end_all(supervisor: Supervisor) -> None:
    """Tell all to end, and wait until they have."""
    for role in supervisor.roles:
        supervisor.tell_to_end(role)
    for role in supervisor.roles:
        supervisor.wait_for_end(role)


def _locks(stage: Stage, make: Callable[..., Any], depth: int) -> None:
    supervisor, heard, outcome = stage.supervisor, stage.heard, stage.outcome
    path = supervisor.folder / "board"
    board, lock = Board.create(path), robust(make)
    supervisor.add_role("user", lock_actors.exclude, lock, str(path), depth)
    for _ in range(4):
        supervisor.start("user")
    stage.rage(["user"])
    end_all(supervisor)
    with warnings.catch_warnings(record=True) as caught, deadline(PATIENCE, "the last acquire"):
        warnings.simplefilter("always")
        if not lock.acquire(timeout=PATIENCE):
            raise HangError("the lock stays taken after everybody has ended")
        lock.release()
    first, second, holder = board.words[FIRST], board.words[SECOND], board.words[HOLDER]
    board.close()
    if not caught and (holder or first != second):
        outcome.violations.append(f"left behind without a warning: {first}, {second}, {holder}")
    if not heard.done <= max(first, second) <= heard.done + outcome.kills:
        outcome.violations.append(
            f"{heard.done} changes were reported, {max(first, second)} were made"
        )


def _lock(stage: Stage) -> None:
    _locks(stage, stage.context.Lock, 1)


def _rlock(stage: Stage) -> None:
    _locks(stage, stage.context.RLock, 2)


def _condition(stage: Stage) -> None:
    context, supervisor = stage.context, stage.supervisor
    path = supervisor.folder / "board"
    board, condition = Board.create(path), context.Condition(robust(context.Lock))
    board.close()
    supervisor.add_role("adder", lock_actors.take_turns, condition, str(path), 1)
    supervisor.add_role("taker", lock_actors.take_turns, condition, str(path), -1)
    for role in ("adder", "taker") * 2:
        supervisor.start(role)
    stage.rage(["adder", "taker"])
    for role in supervisor.roles:
        supervisor.tell_to_end(role)
    while supervisor.alive:
        # A signal alone does not end a wait.
        with warnings.catch_warnings(), deadline(PATIENCE, "the last notify"):
            warnings.simplefilter("ignore")
            with condition:
                condition.notify_all()
        supervisor.listen(0.01)


def _event(stage: Stage) -> None:
    context, supervisor = stage.context, stage.supervisor
    event = context.Event()
    supervisor.add_role("toggler", lock_actors.toggle, event)
    supervisor.add_role("waiter", lock_actors.wait_for_event, event)
    for role in ("toggler", "waiter") * 2:
        supervisor.start(role)
    stage.rage(["toggler", "waiter"])
    supervisor.tell_to_end("toggler")
    supervisor.wait_for_end("toggler")
    with deadline(PATIENCE, "the last set"):
        event.set()
    supervisor.tell_to_end("waiter")
    supervisor.wait_for_end("waiter")
    with deadline(PATIENCE, "clearing"):
        event.clear()
        if event.is_set() or event.wait(0.01):
            stage.outcome.violations.append("the event does not clear")


def _barrier(stage: Stage) -> None:
    context, supervisor = stage.context, stage.supervisor
    barrier = context.Barrier(3)
    supervisor.add_role("party", lock_actors.meet, barrier)
    for _ in range(3):
        supervisor.start("party")
    stage.rage(["party"])
    heard = stage.heard
    met, limit = heard.done, time.monotonic() + PATIENCE
    while heard.done < met + 3:
        supervisor.listen(0.01)
        if time.monotonic() > limit:
            raise HangError("nobody meets at the barrier any more")
    end_all(supervisor)


PROGRAMS: dict[str, Callable[[Stage], None]] = {
    "Lock": _lock,
    "RLock": _rlock,
    "Condition": _condition,
    "Event": _event,
    "Barrier": _barrier,
}
