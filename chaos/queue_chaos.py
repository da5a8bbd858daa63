"""Owns the scenarios with queues: producers and consumers are killed at random instants, and what
came through is compared with what was put.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import gc
import queue as exceptions
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import queue_actors
from ledger import Ledger
from outcome import Outcome
from records import Kind, Record
from supervisor import PATIENCE, HangError, Participant, Supervisor, deadline, surroundings

__all__ = ["Scenario", "run", "scenarios"]

EACH = 2
"""So many producers and so many consumers at a time."""

SMALL, LARGE = 50, 200_000
WARM_UP = 2_000
"""So many items touch all memory that a small queue goes round in."""

MEMORY_SLACK = 64 << 10
"""What notes of who waits and who has died may take. Less than one large item."""

BACKLOG_BYTES = 20_000_000
BACKLOG_ITEMS = 5_000
SLOW_METHODS_SHARE = 0.1
"""The part of the kills for spawn, and for forkserver: every killed participant is replaced, and
starting one takes long there."""


@dataclass(frozen=True)
class Scenario:
    """One cell of the matrix."""

    method: str
    size: int
    maxsize: int
    kills: int

    @property
    def name(self) -> str:
        """For the table."""
        size = "small" if self.size == SMALL else "large"
        return f"{size}, {'bounded' if self.maxsize else 'unbounded'}"

    @property
    def backlog(self) -> int:
        """How many items producers let come together where the queue has no limit."""
        return min(BACKLOG_ITEMS, BACKLOG_BYTES // self.size)

    @property
    def pause(self) -> float:
        """The average time between two kills."""
        return 0.008 if self.method == "fork" else 0.03


def shares(kills: int, methods: list[str]) -> dict[str, int]:
    """How many of the kills each start method gets."""
    slow = [method for method in methods if method != "fork"]
    if len(slow) == len(methods):
        return {method: kills // len(slow) for method in slow}
    each = int(kills * SLOW_METHODS_SHARE)
    return {m: each if m in slow else kills - each * len(slow) for m in methods}


def scenarios(kills: int, methods: list[str]) -> list[Scenario]:
    """The matrix: small and large items, bounded and not, by every start method."""
    cells = [(size, maxsize) for size in (SMALL, LARGE) for maxsize in (0, 10)]
    return [
        # What does not divide goes to the first cells.
        Scenario(method, size, maxsize, share // len(cells) + (place < share % len(cells)))
        for method, share in shares(kills, methods).items()
        for place, (size, maxsize) in enumerate(cells)
    ]


def memory_in_use(queue: Any) -> int | None:
    """The bytes that the items in a queue take; None where the queue does not say."""
    ask = getattr(queue, "_memory_in_use", None)
    return None if ask is None else int(ask())


def run(
    context: Any,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> Outcome:
    """Do the killing, drain the queue, and judge."""
    outcome = Outcome(scenario.name, scenario.method)
    before, begin = surroundings(), time.monotonic()
    _run_in(context, scenario, chance, until, tick, outcome)
    gc.collect()
    if not outcome.hangs:
        outcome.violations += surroundings().leaks(before)
    outcome.seconds = time.monotonic() - begin
    return outcome


def _run_in(
    context: Any,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
    outcome: Outcome,
) -> None:
    ledger = Ledger()

    def hear(one: Participant, record: Record) -> None:
        kind, producer, number = record
        if kind == Kind.GOT:
            ledger.got(one.number, producer, number)
        elif kind == Kind.PUT:
            ledger.put(producer, number)
        elif kind == Kind.DAMAGED:
            ledger.damaged += 1

    queue = context.Queue(scenario.maxsize)
    supervisor = Supervisor(context, outcome, chance, hear)
    try:
        with deadline(PATIENCE, "the first items"):
            _warm_up(queue, scenario)
            outcome.memory_before = memory_in_use(queue)
        backlog = None if scenario.maxsize else scenario.backlog
        supervisor.add_role("producer", queue_actors.produce, queue, scenario.size, backlog)
        supervisor.add_role("consumer", queue_actors.consume, queue, scenario.size)
        for _ in range(EACH):
            supervisor.start("producer")
            supervisor.start("consumer")
        supervisor.rage(scenario.kills, ["producer", "consumer"], scenario.pause, until, tick)
        _drain(queue, scenario, supervisor, ledger)
        with deadline(PATIENCE, "asking for the memory in use"):
            outcome.memory_after = memory_in_use(queue)
        killed = supervisor.roles["consumer"].killed
        outcome.violations += ledger.violations(killed)
        grown = (outcome.memory_after or 0) - (outcome.memory_before or 0)
        if grown > MEMORY_SLACK:
            outcome.violations.append(f"{grown:,} bytes of memory were not given back")
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{supervisor.dump()}")
    finally:
        supervisor.close()
        outcome.items = ledger.got_items
        outcome.damaged = ledger.damaged
        if not outcome.hangs:
            outcome.gaps = sum(map(len, ledger.missing().values()))
            queue.close()
            queue.join_thread()


def _warm_up(queue: Any, scenario: Scenario) -> None:
    """Use the queue as it will be used, so that it has the memory that this takes."""
    fill = scenario.maxsize or scenario.backlog * 5 // 4
    for start in range(0, max(WARM_UP, 2 * fill), fill):
        for number in range(start, start + fill):
            queue.put((0, number, queue_actors.payload(0, number, scenario.size)))
        for _ in range(fill):
            queue.get(timeout=PATIENCE)


def _drain(queue: Any, scenario: Scenario, supervisor: Supervisor, ledger: Ledger) -> None:
    """Let the producers end, then the consumers, and get what is left."""
    supervisor.tell_to_end("producer")
    supervisor.wait_for_end("producer")
    for _ in range(EACH):
        while True:
            try:
                with deadline(PATIENCE, "the last items"):
                    queue.put(None, timeout=0.1)
                break
            except exceptions.Full:
                supervisor.listen(0)
    supervisor.wait_for_end("consumer")
    with deadline(PATIENCE, "getting what is left"):
        while True:
            try:
                item = queue.get(timeout=0.1)
            except exceptions.Empty:
                break
            if queue_actors.intact(item, scenario.size):
                ledger.got(0, item[0], item[1])
            else:
                ledger.damaged += 1
        if not queue.empty() or queue.qsize() != 0:
            raise HangError(f"the queue is not empty after draining: qsize {queue.qsize()}")
