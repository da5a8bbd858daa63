"""Owns the scenarios of the group `network`: how many inputs, and what must hold meanwhile."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import gc
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from network_machines import WORKS
from network_poison import swallowed
from network_sockets import KINDS, PATIENCE, Besieged, attack_client
from outcome import Outcome
from supervisor import HangError, deadline, surroundings

__all__ = ["INPUTS", "STEP", "Scenario", "run", "scenarios"]

LISTENER_INPUTS = 4_000
CLIENT_INPUTS = 4_000
STEP = 100
"""After how many inputs progress is told."""

MEMORY_BYTES = 64 << 20
"""By how much this process may grow, at its largest; no input is longer than some kilobytes."""

MOST_VIOLATIONS = 5


@dataclass(frozen=True)
class Scenario:
    """So many inputs, for one side of one protocol."""

    name: str
    role: str
    inputs: int


def everything() -> list[Scenario]:
    """All scenarios at their usual size."""
    found = [Scenario(name, role, count) for (name, role), (count, _) in WORKS.items()]
    found += [Scenario("listener besieged", kind, LISTENER_INPUTS) for kind in KINDS]
    return [*found, Scenario("client deceived", "client", CLIENT_INPUTS)]


INPUTS = sum(scenario.inputs for scenario in everything())


def scenarios(inputs: int) -> list[Scenario]:
    """All scenarios, so that there are about so many inputs, and some for each."""
    return [
        Scenario(one.name, one.role, max(10, one.inputs * inputs // INPUTS)) for one in everything()
    ]


def run(
    scenario: Scenario, chance: random.Random, until: float, tick: Callable[[], object]
) -> Outcome:
    """Give all inputs, or as many as there is time for."""
    outcome = Outcome(scenario.name, scenario.role)
    begin, before = time.monotonic(), surroundings()
    swallowed.clear()
    gc.collect()
    forget_peak()
    outcome.memory_before = memory("VmRSS")
    try:
        if scenario.name == "listener besieged":
            _besiege(outcome, scenario, chance, until, tick)
        else:
            deceive = scenario.name == "client deceived"
            prepare = attack_client if deceive else WORKS[scenario.name, scenario.role][1]
            _repeat(outcome, scenario, prepare(chance), until, tick)
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(str(error))
    if outcome.items < scenario.inputs and not outcome.violations:
        outcome.note = f"the time was up before {scenario.inputs:,} inputs"
    outcome.memory_after = memory("VmHWM")
    if outcome.memory_after - outcome.memory_before > MEMORY_BYTES:
        outcome.violations.append("the memory has grown beyond all that was sent")
    if swallowed:
        outcome.violations.append(f"{len(swallowed)} pickles of strangers were unpickled")
    gc.collect()
    outcome.violations += surroundings().leaks(before)
    outcome.seconds = time.monotonic() - begin
    return outcome


def _repeat(
    outcome: Outcome,
    scenario: Scenario,
    once: Callable[[], str | None],
    until: float,
    tick: Callable[[], object],
) -> None:
    while outcome.items < scenario.inputs and time.monotonic() < until:
        with deadline(PATIENCE * 3, f"{scenario.name}, after {outcome.items} inputs"):
            for _ in range(min(STEP, scenario.inputs - outcome.items)):
                state = f"input {outcome.items}"
                try:
                    wrong = once()
                except HangError:
                    raise
                except Exception as error:  # noqa: BLE001 - it is what is looked for
                    wrong = f"raised {error!r}"
                outcome.items += 1
                if wrong is not None and len(outcome.violations) < MOST_VIOLATIONS:
                    outcome.violations.append(f"{state}: {wrong}")
        tick()


def _besiege(
    outcome: Outcome,
    scenario: Scenario,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> None:
    besieged = Besieged(scenario.role, chance)
    try:

        def once() -> None:
            besieged.attack()

        _repeat(outcome, scenario, once, until, tick)
    finally:
        with deadline(PATIENCE * 3, "closing the listener"):
            besieged.close()
    outcome.violations += besieged.wrong[:MOST_VIOLATIONS]
    if not besieged.served:
        outcome.violations.append("no good client was served")
    if besieged.slowest > PATIENCE:
        outcome.violations.append(f"a good client waited for {besieged.slowest:.1f} s")
    outcome.note = (
        f"{besieged.served:,} good clients served, the slowest in {besieged.slowest:.2f} s, "
        f"{besieged.turned_away:,} turned away"
    )


def memory(name: str) -> int:
    """What the kernel says of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/self/status has no line {name}")


def forget_peak() -> None:
    """Have VmHWM begin anew (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")
