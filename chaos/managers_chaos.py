"""Owns the scenarios of the group `managers`: which there are, how much harm is done in each, and
the one in which a crowd of clients uses one manager while some of them are killed.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import gc
import queue as exceptions
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import managers_actors
import managers_deaths
import managers_siege
import queue_actors
from ledger import Ledger
from lock_actors import FIRST, HOLDER, SECOND, Board
from managers_actors import NUMBERS, Things, Wrong
from managers_figures import figures, growth, memory, settle
from outcome import Outcome
from processing_managers import SyncManager
from records import Kind, Record
from supervisor import PATIENCE, HangError, Participant, Supervisor, deadline, surroundings

__all__ = ["KILLS", "Scenario", "run", "scenarios"]

KILLS = 400

CROWD, SMALL_CROWD = 64, 8
"""Who starts anew has to load its modules, beside all who are at work. So these are fewer."""

PAUSE = 0.2
"""The average time between two kills of one of a crowd. With the usual number it lasts 60 s."""

Scene = Callable[..., None]


@dataclass(frozen=True)
class Scenario:
    """What is done, by which start method, and how often something is killed."""

    name: str
    method: str
    kills: int
    clients: int = CROWD


# How many of the kills, as shares: with fork, and with each other start method.
SHARES = {
    "crowd": (300, 12),
    "owners": (18, 12),
    "server killed": (6, 4),
    "besieged, TCP": (10, 0),
    "besieged, TLS": (10, 0),
}


def scenarios(kills: int, methods: list[str]) -> list[Scenario]:
    """All scenarios: the large crowd and the sieges by the first start method only."""
    shares = {
        (name, method): share[0] if method == methods[0] else share[1]
        for name, share in SHARES.items()
        for method in methods
    }
    total = sum(shares.values())
    given = {one: kills * share // total for one, share in shares.items() if share}
    given["crowd", methods[0]] += kills - sum(given.values())
    return [
        Scenario(name, method, count, CROWD if method == "fork" else SMALL_CROWD)
        for (name, method), count in given.items()
    ]


def run(
    context: Any,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> Outcome:
    """Do the killing, and judge."""
    outcome = Outcome(scenario.name, scenario.method)
    scenes: dict[str, Scene] = {
        "crowd": partial(_crowd, clients=scenario.clients),
        "owners": managers_deaths.owners,
        "server killed": managers_deaths.server_killed,
        "besieged, TCP": managers_siege.besiege,
        "besieged, TLS": partial(managers_siege.besiege, tls=True),
    }
    _warm_up(context)
    begin, before, threads = time.monotonic(), surroundings(), threading.active_count()
    try:
        scenes[scenario.name](context, scenario.kills, chance, until, tick, outcome)
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(str(error))
    gc.collect()
    if not outcome.hangs:
        outcome.violations += surroundings().leaks(before)
        if threading.active_count() > threads:
            outcome.violations.append(f"threads were left: {threading.enumerate()}")
    outcome.seconds = time.monotonic() - begin
    return outcome


def _warm_up(context: Any) -> None:
    """Have what stays by design, such as memory for replies, there before anything is counted."""
    with SyncManager(ctx=context) as manager:
        manager.list()[:]
    assert manager.process is not None
    manager.process.close()


def _crowd(
    context: Any,
    kills: int,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
    outcome: Outcome,
    clients: int = CROWD,
) -> None:
    ledger = Ledger()
    did = 0

    def hear(one: Participant, record: Record) -> None:
        nonlocal did
        kind, first, second = record
        if kind == Kind.DID:
            did += 1
            outcome.items += first
        elif kind == Kind.GOT:
            ledger.got(one.number, first, second)
        elif kind == Kind.PUT:
            ledger.put(first, second)
        elif kind == Kind.DAMAGED:
            ledger.damaged += 1
        elif kind == Kind.WRONG:
            outcome.violations.append(f"client {one.number}: {Wrong(first).name}")

    supervisor = Supervisor(context, outcome, chance, hear)
    path = supervisor.folder / "board"
    board = Board.create(path)
    manager = SyncManager(ctx=context)
    manager.start()
    things = Things(
        manager.Lock(),
        manager.Value("i", 0),
        manager.dict(),
        manager.Queue(),
        manager.list(NUMBERS),
        manager.address,
        str(path),
    )
    try:
        assert manager.process is not None
        assert manager.process.pid is not None
        before = figures(manager)
        supervisor.add_role("client", managers_actors.hammer, things)
        supervisor.start_some("client", clients)
        _rage(supervisor, context, kills // 3, until, tick)
        outcome.memory_before = memory(manager.process.pid)
        _rage(supervisor, context, kills - kills // 3, until, tick)
        supervisor.tell_to_end("client")
        supervisor.wait_for_end("client")
        end = time.monotonic()
        outcome.violations += _judge(things, board, ledger, supervisor.roles["client"].killed)
        outcome.violations += settle(manager, before, end, threads=True)
        outcome.memory_after = memory(manager.process.pid)
        outcome.violations += growth(outcome.memory_before, outcome.memory_after)
        if not did:
            outcome.violations.append("nobody has done anything")
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{supervisor.dump()}")
    finally:
        supervisor.close()
        outcome.damaged = ledger.damaged
        outcome.gaps = sum(map(len, ledger.missing().values()))
        managers_deaths.end(manager, outcome)
        board.close()


def _rage(
    supervisor: Supervisor, context: Any, kills: int, until: float, tick: Callable[[], object]
) -> None:
    """Kill one after the other; where starting one takes long, not before it is at work."""
    if context.get_start_method() == "fork":
        supervisor.rage(kills, ["client"], PAUSE, until, tick)
        return
    for _ in range(kills):
        supervisor.rage(1, ["client"], PAUSE, until, tick)
        supervisor.wait_for_beginning(supervisor.alive[-1])


def _judge(things: Things, board: Board, ledger: Ledger, killed: int) -> list[str]:
    """Compare what is left with what the clients have said; leave nothing of it."""
    wrong = []
    with deadline(PATIENCE, "looking at what the clients have left"):
        died_inside = board.words[HOLDER] != 0
        with managers_deaths.warnings_counted() as warned, things.lock:
            pass
        if died_inside != (warned.count > 0):
            wrong.append(f"died inside: {died_inside}, warnings: {warned.count}")
        if (
            not died_inside
            and not things.counter.value == board.words[FIRST] == board.words[SECOND]
        ):
            wrong.append(f"the counter is {things.counter.value}, not {board.words[FIRST]}")
        for key, numbers in things.facts.items():
            if numbers[:] != [key] * 3:
                wrong.append(f"the list of client {key} is {numbers[:]}")
        numbers = None
        if len(things.facts) > killed:
            wrong.append(f"{len(things.facts)} lists are left of {killed} who were killed")
        things.facts.clear()
        while True:
            try:
                item = things.queue.get(False)
            except exceptions.Empty:
                break
            if queue_actors.intact(item, managers_actors.ITEM_BYTES):
                ledger.got(0, item[0], item[1])
            else:
                ledger.damaged += 1
    return wrong + ledger.violations(killed)
