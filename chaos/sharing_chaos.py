"""Owns the scenario with shared arrays: those who make, send and keep them are killed at random
instants. Nothing may be overwritten as long as somebody has it, and all memory comes back.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import gc
import queue as exceptions
import random
from collections.abc import Callable
from typing import Any

import sharing_actors
from lock_chaos import Scenario, Stage, end_all, play
from outcome import Outcome
from processing_core._memory.arena import arenas_of_this_process
from processing_sharedctypes import RawArray

__all__ = ["run", "scenarios"]

PARTICIPANTS = 4
SLOW_METHODS_SHARE = 0.1


def scenarios(kills: int, methods: list[str]) -> list[Scenario]:
    """One by every start method; most kills go to the one that starts fast."""
    slow = [method for method in methods if method != "fork"]
    each = kills // len(methods) if len(slow) == len(methods) else int(kills * SLOW_METHODS_SHARE)
    return [
        Scenario(method, "Arrays", each if method in slow else kills - each * len(slow))
        for method in methods
    ]


def run(
    context: Any,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> Outcome:
    """Do the killing, let everybody end, and judge."""
    return play(_arrays, context, scenario, chance, until, tick)


def used_bytes() -> int:
    """What this process has given out and not got back, after looking."""
    gc.collect()
    arenas = arenas_of_this_process()
    for arena in arenas:
        arena.collect()
    return sum(arena.allocator.used for arena in arenas)


def _arrays(stage: Stage) -> None:
    supervisor, outcome = stage.supervisor, stage.outcome
    before = used_bytes()
    queue = stage.context.Queue()
    # Some that were there before everybody, so that each start takes them along.
    own = [RawArray("q", 100 * size) for size in range(1, 6)]
    for number, array in enumerate(own):
        sharing_actors.mark(array, number + 1)
        queue.put(array)
    supervisor.add_role("user", sharing_actors.share, queue)
    for _ in range(PARTICIPANTS):
        supervisor.start("user")
    stage.rage(["user"])
    end_all(supervisor)
    with contextlib.suppress(exceptions.Empty):
        while True:
            if not sharing_actors.is_whole(queue.get(block=False)):
                outcome.damaged += 1
    outcome.damaged += sum(
        {array[0], array[len(array) - 1]} != {number + 1} for number, array in enumerate(own)
    )
    if outcome.damaged:
        outcome.violations.append(f"{outcome.damaged} arrays were overwritten")
    del own[:], queue, array
    outcome.memory_before, outcome.memory_after = before, used_bytes()
    if outcome.memory_after > before:
        outcome.violations.append(f"{outcome.memory_after - before} bytes did not come back")
