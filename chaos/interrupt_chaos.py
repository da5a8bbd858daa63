"""Owns the scenarios with Ctrl-C: a process is interrupted thousands of times, at any instant."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import gc
import json
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import interrupt_actors
from ledger import reconcile
from lock_chaos import robust
from outcome import Outcome
from supervisor import PATIENCE, HangError, Supervisor, deadline, surroundings

__all__ = ["run_locks", "run_queue"]

PAUSE = 0.0002
MAXSIZE = 3
"""Small, so that there is often no room."""


def run_queue(context: Any, method: str, goal: int, chance: random.Random) -> Outcome:
    """Interrupt put and get; compare what was put with what was got."""
    outcome = Outcome("SIGINT in put, get", method)
    queue = context.Queue(MAXSIZE)

    def judge(result: dict[str, Any]) -> None:
        outcome.items = len(result["got"])
        outcome.violations += reconcile(result["put"], result["uncertain"], result["got"])
        with deadline(PATIENCE, "using the queue afterwards"):
            for number in range(MAXSIZE):
                queue.put(number, timeout=PATIENCE)
            if [queue.get(timeout=PATIENCE) for _ in range(MAXSIZE)] != list(range(MAXSIZE)):
                outcome.violations.append("the queue does not work any more")

    _run(context, outcome, goal, chance, interrupt_actors.use_queue, (queue,), judge)
    if not outcome.hangs:
        queue.close()
        queue.join_thread()
    return outcome


def run_locks(context: Any, method: str, goal: int, chance: random.Random) -> Outcome:
    """Interrupt acquire, release, with and wait; see that nothing stays taken."""
    outcome = Outcome("SIGINT in acquire, wait", method)
    locks = {
        "Lock": context.Lock(),
        "RLock": context.RLock(),
        "robust Lock": robust(context.Lock),
        "robust RLock": robust(context.RLock),
        "Semaphore": context.Semaphore(1),
    }
    shared = (locks, context.Condition(), context.Event())

    def judge(result: dict[str, Any]) -> None:
        outcome.items = result["interrupted"]
        outcome.violations += [f"{what}: {times} times" for what, times in result["wrong"].items()]
        if result["taken"]:
            outcome.note = f"acquire() raised and acquired: {result['taken']} times"

    _run(context, outcome, goal, chance, interrupt_actors.use_locks, shared, judge)
    return outcome


def _run(
    context: Any,
    outcome: Outcome,
    goal: int,
    chance: random.Random,
    target: Callable[..., None],
    shared: tuple[object, ...],
    judge: Callable[[dict[str, Any]], None],
) -> None:
    before, begin = surroundings(), time.monotonic()
    supervisor = Supervisor(context, outcome, chance, lambda one, record: None)  # noqa: ARG005
    path = supervisor.folder / "result"
    supervisor.add_role("victim", target, *shared, goal, chance.randrange(1 << 30), str(path))
    try:
        victim = supervisor.start("victim")
        while supervisor.alive:
            supervisor.listen(min(0.01, chance.expovariate(1 / PAUSE)))
            if victim.records and not victim.leaving and supervisor.alive:
                os.kill(victim.process.pid, signal.SIGINT)
        if path.exists():
            judge(json.loads(path.read_text()))
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{supervisor.dump()}")
    finally:
        supervisor.close()
    gc.collect()
    if not outcome.hangs:
        outcome.violations += surroundings().leaks(before)
    outcome.seconds = time.monotonic() - begin
