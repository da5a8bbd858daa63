"""Group `managers`: calls of one client and of several, proxies made, managers started and ended.

Run as a program it takes one of these measurements with one library and prints the figures. All
processes are forked, but where it is said that they are spawned.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench_sharedctypes import timed
from crew import Job, work_together
from harness import OURS, Figure, Library, Measurement, Target, at_least, at_most

CLIENTS = 8
ELEMENTS = 10_000
BATCH = 1_000
KEY = b"the key of both"
HOMES = {"processing_core": "processing_managers", "multiprocessing": "multiprocessing.managers"}


def new_manager(library: Library, method: str = "fork", address: Any = None) -> Any:
    """A manager that is not started yet."""
    home, context = importlib.import_module(HOMES[library]), importlib.import_module(library)
    return home.SyncManager(address, KEY, ctx=context.get_context(method))


# The programs


def list_item(library: Library, scale: float) -> dict[str, float]:
    """Read an item of a list."""
    with new_manager(library) as manager:
        numbers = manager.list(range(100))
        return timed(lambda: numbers[7], int(3_000 * scale))


def dict_get(library: Library, scale: float) -> dict[str, float]:
    """Read an item of a dictionary."""
    with new_manager(library) as manager:
        ages = manager.dict({"ada": 36})
        return timed(lambda: ages["ada"], int(3_000 * scale))


def dict_set(library: Library, scale: float) -> dict[str, float]:
    """Set an item of a dictionary."""
    with new_manager(library) as manager:
        ages = manager.dict()

        def act() -> None:
            ages["ada"] = 36

        return timed(act, int(3_000 * scale))


def queue_pair(library: Library, scale: float) -> dict[str, float]:
    """Put an item into a queue and get it."""
    with new_manager(library) as manager:
        queue = manager.Queue()

        def act() -> None:
            queue.put(7)
            queue.get()

        return timed(act, int(1_500 * scale))


def clients(library: Library, scale: float) -> dict[str, float]:
    """Read items of one list by several processes at once."""
    context = importlib.import_module(library).get_context("fork")
    count = int(2_000 * scale)
    with new_manager(library) as manager:
        numbers = manager.list(range(100))

        def read(times: int) -> None:
            for _ in range(times):
                numbers[7]

        job = Job(lambda: read(count), lambda: read(100))
        outcome = work_together(context, [job] * CLIENTS)
    return {"rate": CLIENTS * count / outcome.seconds}


def proxies(library: Library, scale: float) -> dict[str, float]:
    """Make lists and drop them."""
    with new_manager(library) as manager:
        return timed(manager.list, int(300 * scale))


def iteration(library: Library, scale: float) -> dict[str, float]:
    """Go through a long list."""
    with new_manager(library) as manager:
        numbers = manager.list(range(ELEMENTS))

        def act() -> None:
            for _ in numbers:
                pass

        count, repeats = (1, 3) if library != OURS else (max(2, int(20 * scale)), 5)
        return timed(act, count, repeats)


def batches(library: Library, scale: float) -> dict[str, float]:
    """Make many calls: in batches of ours, one by one of the standard library's."""
    with new_manager(library) as manager:
        ages = manager.dict({"ada": 36})
        get = ages.get

        def act_at_once() -> None:
            with manager.batch() as batch:
                for _ in range(BATCH):
                    batch.call(get, "ada")

        def act() -> None:
            for _ in range(BATCH):
                get("ada")

        count = max(1, int((30 if library == OURS else 5) * scale))
        return timed(act_at_once if library == OURS else act, count)


def tcp(library: Library, scale: float) -> dict[str, float]:
    """Read an item of a list of a manager that is reached by TCP."""
    with remote_manager(library) as manager:
        numbers = manager.list(range(100))
        return timed(lambda: numbers[7], int(2_000 * scale))


@contextmanager
def remote_manager(library: Library) -> Iterator[Any]:
    """A manager that is connected with one that another process serves."""
    context = importlib.import_module(library).get_context("fork")
    here, there = context.Pipe(False)

    def serve() -> None:
        server = new_manager(library, address=("127.0.0.1", 0)).get_server()
        there.send(server.address)
        server.serve_forever()

    process = context.Process(target=serve)
    process.start()
    try:
        manager = new_manager(library, address=here.recv())
        manager.connect()
        yield manager
    finally:
        process.terminate()
        process.join()


def fork_start(library: Library, scale: float) -> dict[str, float]:
    """Start a manager and shut it down."""
    return start_and_shutdown(library, "fork", int(40 * scale))


def spawn_start(library: Library, scale: float) -> dict[str, float]:
    """As fork_start(), spawned."""
    return start_and_shutdown(library, "spawn", int(10 * scale))


def start_and_shutdown(library: Library, method: str, count: int) -> dict[str, float]:
    """How long it takes to start a manager and shut it down, in milliseconds."""
    times = []
    for _ in range(max(3, count)):
        begin = time.perf_counter()
        manager = new_manager(library, method)
        manager.start()
        manager.shutdown()
        times.append(time.perf_counter() - begin)
    return {"median": statistics.median(times) * 1e3}


PROGRAMS = {
    program.__name__: program
    for program in (
        list_item,
        dict_get,
        dict_set,
        queue_pair,
        clients,
        proxies,
        iteration,
        batches,
        tcp,
        fork_start,
        spawn_start,
    )
}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""
    if not hasattr(os, "fork"):
        return []

    def rate(name: str, label: str, unit: str, target: Target) -> Measurement:
        return Measurement(command_for(name), (Figure("rate", label, unit, target),))

    def start(method: str) -> Measurement:
        label = f"start and shutdown, {method}"
        return Measurement(
            command_for(f"{method}_start"), (Figure("median", label, "ms", at_most(1)),)
        )

    return [
        rate("list_item", "list[i]", "calls/s", at_least(4)),
        rate("dict_get", "dict[k]", "calls/s", at_least(4)),
        rate("dict_set", "dict[k] = v", "calls/s", at_least(4)),
        rate("queue_pair", "Queue: put and get", "pairs/s", at_least(4)),
        rate("clients", f"list[i] by {CLIENTS} clients together", "calls/s", at_least(4)),
        rate("proxies", "make a list and drop it", "proxies/s", at_least(20)),
        rate("iteration", f"go through {ELEMENTS:,} items", "times/s", at_least(50)),
        rate("batches", f"{BATCH:,} calls, ours in a batch", "times/s", at_least(20)),
        rate("tcp", "list[i] by TCP", "calls/s", at_least(1.3)),
        start("fork"),
        start("spawn"),
    ]


def command_for(name: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command of one of the programs above."""
    return lambda library, quick: [str(Path(__file__)), name, library, "0.1" if quick else "1"]


def main(name: str, library: Library, scale: str) -> None:
    """Take one measurement and print its figures."""
    print(json.dumps(PROGRAMS[name](library, float(scale))))


if __name__ == "__main__":
    name, library, scale = sys.argv[1:]
    main(name, "processing_core" if library == OURS else "multiprocessing", scale)
