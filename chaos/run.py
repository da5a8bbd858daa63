"""Kill, stop and interrupt processes at random while they use what they share; attack listeners.

    python chaos/run.py [queues] [locks] [sharedctypes] [managers] [pool] [logging] [network]
                        [--kills N] [--inputs N] [--seconds S] [--seed S] [--method M]

The exit code is 1 if anything that must hold did not. It looks into /proc, so it needs Linux.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import argparse
import importlib
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import Progress

import interrupt_chaos
import lock_chaos
import logging_chaos
import managers_chaos
import network_chaos
import outcome
import pool_chaos
import queue_chaos
import sharing_chaos

GROUPS = ("queues", "locks", "sharedctypes", "managers", "pool", "logging", "network")
OURS = "processing_core"
METHODS = ("fork", "spawn", "forkserver")
KILLS = {
    "queues": 2_000,
    "locks": 2_000,
    "sharedctypes": 1_000,
    "managers": managers_chaos.KILLS,
    "pool": pool_chaos.KILLS,
    "logging": 600,
}
MODULES: dict[str, Any] = {
    "queues": queue_chaos,
    "locks": lock_chaos,
    "sharedctypes": sharing_chaos,
    "managers": managers_chaos,
    "logging": logging_chaos,
}
INTERRUPTED: dict[str, Any] = {
    "queues": interrupt_chaos.run_queue,
    "locks": interrupt_chaos.run_locks,
}
INTERRUPTS = 10_000
SECONDS = 1500.0

Run = Callable[[float, Callable[[], object]], outcome.Outcome]
"""A scenario, given when to stop and what to call after every kill, or every STEP inputs."""


def plan(library: Any, groups: Sequence[str], options: argparse.Namespace) -> list[tuple[int, Run]]:
    """Every scenario that is asked for, with its number of kills, or of STEP inputs."""
    methods = [options.method] if options.method else list(METHODS)
    todo: list[tuple[int, Run]] = []
    for group in groups:
        if group == "network":
            todo += network_plan(options)
            continue
        if group == "pool":
            todo += pool_plan(options, methods)
            continue
        chaos = MODULES[group]
        kills = KILLS[group] if options.kills is None else options.kills
        for scenario in chaos.scenarios(kills, methods):
            chance = random.Random(f"{options.seed} {group} {scenario}")
            context = library.get_context(scenario.method)
            run: Run = partial(_scenario, chaos.run, context, scenario, chance)
            todo.append((scenario.kills, run))
        if options.interrupts and group in INTERRUPTED:
            interrupt = INTERRUPTED[group]
            context = library.get_context(methods[0])
            chance = random.Random(f"{options.seed} {group} interrupts")
            todo.append((0, partial(_interrupts, interrupt, context, methods[0], options, chance)))
    return todo


def network_plan(options: argparse.Namespace) -> list[tuple[int, Run]]:
    """The scenarios of the group `network`."""
    todo: list[tuple[int, Run]] = []
    for scenario in network_chaos.scenarios(options.inputs):
        chance = random.Random(f"{options.seed} network {scenario}")
        steps = -(-scenario.inputs // network_chaos.STEP)
        todo.append((steps, partial(network_chaos.run, scenario, chance)))
    return todo


def pool_plan(options: argparse.Namespace, methods: Sequence[str]) -> list[tuple[int, Run]]:
    """The scenarios of the group `pool`, which start programs of their own."""
    kills = KILLS["pool"] if options.kills is None else options.kills
    todo: list[tuple[int, Run]] = []
    for scenario in pool_chaos.scenarios(kills, list(methods)):
        chance = random.Random(f"{options.seed} pool {scenario}")
        todo.append((scenario.steps, partial(pool_chaos.run, scenario, chance)))
    return todo


def _scenario(
    run: Callable[..., outcome.Outcome],
    context: Any,
    scenario: object,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
) -> outcome.Outcome:
    return run(context, scenario, chance, until, tick)


def _interrupts(
    run: Callable[..., outcome.Outcome],
    context: Any,
    method: str,
    options: argparse.Namespace,
    chance: random.Random,
    until: float,  # noqa: ARG001
    tick: Callable[[], object],  # noqa: ARG001
) -> outcome.Outcome:
    return run(context, method, options.interrupts, chance)


def warm_up(library: Any, methods: Sequence[str], groups: Sequence[str] = GROUPS) -> None:
    """Have what stays by design, such as the fork server, there before anything is counted."""
    for method in methods:
        process = library.get_context(method).Process(target=int)
        process.start()
        process.join()
        process.close()
        context = library.get_context(method)
        if "locks" in groups or "sharedctypes" in groups:
            context.Lock(), context.Barrier(2), context.Condition()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and print the table."""
    options = parse(arguments)
    console = Console()
    if not console.is_terminal:
        console.width = 130
    library = importlib.import_module(options.library)
    groups = options.groups or GROUPS
    if set(groups) - {"network", "pool"}:
        warm_up(library, [options.method] if options.method else METHODS, groups)
    todo = plan(library, groups, options)
    kills = sum(count for count, _ in todo)
    console.print(f"seed {options.seed}: {announced(groups, options, kills)}", highlight=False)
    outcomes: list[outcome.Outcome] = []
    end, left = time.monotonic() + options.seconds, kills
    # Without a thread that refreshes it: children are forked while the bar is there.
    with Progress(console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("at work", total=kills)

        def tick() -> None:
            bar.advance(task)
            if console.is_terminal:
                bar.refresh()

        for count, run in todo:
            # What is left of the time is shared out by the kills that are left.
            now = time.monotonic()
            until = now + (end - now) * count / left if left else end
            one = run(until, tick)
            left -= count
            outcomes.append(one)
            bar.update(task, description=f"{one.name}, {one.method}")
            verdict = "held" if one.passed else "VIOLATED"
            bar.console.print(
                f"{one.name} ({one.method}): {one.kills} kills, {one.items:,} items or inputs, "
                f"{one.seconds:.1f} s: {verdict} {one.note}",
                highlight=False,
                markup=False,
            )
            for violation in one.violations:
                bar.console.print(f"  {violation}", style="red", highlight=False, markup=False)
    console.print(outcome.table(outcomes))
    failed = sum(not one.passed for one in outcomes)
    console.print(f"{len(outcomes) - failed} of {len(outcomes)} scenarios held.", highlight=False)
    return 1 if failed else 0


def announced(groups: Sequence[str], options: argparse.Namespace, steps: int) -> str:
    """What is about to be done."""
    inputs = 0
    if "network" in groups:
        found = network_chaos.scenarios(options.inputs)
        inputs = sum(one.inputs for one in found)
        steps -= sum(-(-one.inputs // network_chaos.STEP) for one in found)
    if "pool" in groups:
        methods = [options.method] if options.method else list(METHODS)
        kills = KILLS["pool"] if options.kills is None else options.kills
        steps -= sum(one.steps - one.kills for one in pool_chaos.scenarios(kills, methods))
    parts = [f"{steps:,} kills"] if set(groups) - {"network"} else []
    return ", ".join([*parts, f"{inputs:,} inputs"] if inputs else parts)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--kills", type=int, help="in total, for each group")
    parser.add_argument(
        "--inputs", type=int, default=network_chaos.INPUTS, help="for the group network, about"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all of it, about")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--method", choices=METHODS, help="only this start method")
    parser.add_argument("--interrupts", type=int, default=INTERRUPTS, help="how many SIGINTs")
    parser.add_argument("--library", default=OURS, help="whose queues and locks")
    options = parser.parse_args(arguments)
    if options.library != OURS:
        if "logging" in options.groups:
            parser.error(f"the group logging is for {OURS} only")
        options.groups = options.groups or [group for group in GROUPS if group != "logging"]
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(
            f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}"
        )
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
