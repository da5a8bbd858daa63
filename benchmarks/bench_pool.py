"""Group `pool`: how fast tasks go through pools of two workers, and what a pool costs.

Run as a program it takes one of these measurements with one library and prints the figures.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import OURS, Figure, Library, Measurement, Target, at_least, at_most

WORKERS = 2
TASKS = 50_000
MIB = 1 << 20
IDLE_SECONDS = 10.0


def make_pool(library: str, method: str = "fork", **options: Any) -> Any:
    """A pool of two workers."""
    if library == OURS:
        return importlib.import_module("processing_pool").Pool(WORKERS, context=method, **options)
    return importlib.import_module(library).get_context(method).Pool(WORKERS, **options)


def double(number: int) -> int:
    """A tiny task."""
    return 2 * number


def negate(array: Any) -> Any:
    """A task with a large argument and a large result."""
    return -array


# Tiny tasks


def tiny(library: str, scale: float, run: Callable[[Any, int], Any]) -> dict[str, float]:
    """Tasks a second, after a warm-up."""
    count = int(TASKS * scale)
    with make_pool(library) as pool:
        run(pool, 1000)
        begin = time.perf_counter()
        results = run(pool, count)
        seconds = time.perf_counter() - begin
    if sorted(results) != [double(number) for number in range(count)]:
        raise AssertionError("the results are wrong")
    return {"rate": count / seconds}


def map_one(library: str, scale: float) -> dict[str, float]:
    """Method map with chunksize=1."""
    return tiny(library, scale, lambda pool, count: pool.map(double, range(count), 1))


def map_default(library: str, scale: float) -> dict[str, float]:
    """Method map as it is; ten times as many, since it is done in no time otherwise."""
    return tiny(library, 10 * scale, lambda pool, count: pool.map(double, range(count)))


def imap(library: str, scale: float) -> dict[str, float]:
    """Method imap."""
    return tiny(library, scale, lambda pool, count: list(pool.imap(double, range(count))))


def imap_unordered(library: str, scale: float) -> dict[str, float]:
    """Method imap_unordered."""
    return tiny(library, scale, lambda pool, count: list(pool.imap_unordered(double, range(count))))


def apply_many(library: str, scale: float) -> dict[str, float]:
    """Method apply_async, and then get for each."""

    def run(pool: Any, count: int) -> list[int]:
        results = [pool.apply_async(double, (number,)) for number in range(count)]
        return [result.get() for result in results]

    return tiny(library, scale, run)


def round_trip(library: str, scale: float) -> dict[str, float]:
    """Method apply, one after the other; microseconds."""
    count = int(3000 * scale)
    times = []
    with make_pool(library) as pool:
        for number in range(count + 200):
            begin = time.perf_counter_ns()
            pool.apply(double, (number,))
            times.append(time.perf_counter_ns() - begin)
    cuts = statistics.quantiles(times[200:], n=100)
    return {"p50": cuts[49] / 1e3, "p99": cuts[98] / 1e3}


# Large objects


def arrays(library: str, scale: float) -> dict[str, float]:
    """Numpy arrays of 8 MiB to the workers and back. From every page of the results is read."""
    numpy = importlib.import_module("numpy")
    array = numpy.arange(MIB, dtype=numpy.float64)
    expected = -array[::512].sum()
    count = max(8, int(100 * scale))
    with make_pool(library) as pool:
        for _ in pool.imap(negate, [array] * 4):
            pass
        begin = time.perf_counter()
        for result in pool.imap(negate, [array] * count):
            if result[::512].sum() != expected:
                raise AssertionError("an array arrived damaged")
        seconds = time.perf_counter() - begin
    return {"rate": count * 8 / seconds}


# A pool itself


def life(library: str, scale: float, method: str, count: int) -> dict[str, float]:
    """Make a pool, get a first result, close and join it; milliseconds."""
    times = []
    for _ in range(max(3, int(count * scale)) + 1):
        begin = time.perf_counter_ns()
        pool = make_pool(library, method)
        pool.apply(double, (1,))
        pool.close()
        pool.join()
        times.append((time.perf_counter_ns() - begin) / 1e6)
    return {"first": times[0], "median": statistics.median(times[1:])}


def life_fork(library: str, scale: float) -> dict[str, float]:
    """The same by fork."""
    return life(library, scale, "fork", 40)


def life_forkserver(library: str, scale: float) -> dict[str, float]:
    """The same by forkserver."""
    return life(library, scale, "forkserver", 20)


def life_spawn(library: str, scale: float) -> dict[str, float]:
    """The same by spawn."""
    return life(library, scale, "spawn", 5)


def queued(library: str, scale: float) -> dict[str, float]:
    """The memory, in MiB, by which this process grows with a million tiny tasks that wait."""
    count = int(1_000_000 * scale)
    with make_pool(library) as pool:
        results = [pool.apply_async(double, (1,)) for _ in range(1000)]
        for result in results:
            result.get()
        blockers = [pool.apply_async(time.sleep, (3600,)) for _ in range(WORKERS)]
        before = resident_kib()
        results = [pool.apply_async(double, (number,)) for number in range(count)]
        grown = resident_kib() - before
        del blockers
        pool.terminate()
    return {"mib": grown / 1024}


def resident_kib() -> int:
    """The proportional set size of this process."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("smaps_rollup has no line Pss")


def idle(library: str, scale: float) -> dict[str, float]:
    """The processor time, in milliseconds, of a pool without tasks for ten seconds."""
    with make_pool(library) as pool:
        pids = ["self", *set(pool.map(pid_after_a_while, range(8), 1))]
        time.sleep(0.2)
        before = sum(map(processor_ticks, pids))
        time.sleep(IDLE_SECONDS * scale)
        ticks = sum(map(processor_ticks, pids)) - before
    return {"processor": ticks}


def pid_after_a_while(_: int) -> str:
    """So that each worker gets some."""
    import os

    time.sleep(0.02)
    return str(os.getpid())


def processor_ticks(pid: str) -> float:
    """The processor time of a process so far, in milliseconds."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0]) / 1e6
    return total


PROGRAMS = {
    program.__name__: program
    for program in (
        map_one,
        map_default,
        imap,
        imap_unordered,
        apply_many,
        round_trip,
        arrays,
        life_fork,
        life_forkserver,
        life_spawn,
        queued,
        idle,
    )
}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""

    def rate(name: str, label: str, target: Target, unit: str = "tasks/s") -> Measurement:
        return Measurement(command_for(name), (Figure("rate", label, unit, target),))

    found = [
        rate("map_one", "map, chunksize=1, 2 workers", at_least(6)),
        rate("imap", "imap", at_least(6)),
        rate("imap_unordered", "imap_unordered", at_least(6)),
        rate("apply_many", "apply_async of 50,000, then get", at_least(12)),
        rate("map_default", "map", at_least(1)),
        Measurement(
            command_for("round_trip"),
            (
                Figure("p50", "apply, median", "µs", at_most(0.2)),
                Figure("p99", "its 99th percentile", "µs"),
            ),
        ),
    ]
    if importlib.util.find_spec("numpy") is not None:
        found.append(rate("arrays", "8 MiB numpy arrays, in and out", at_least(5), "MiB/s"))
    for method, bound in (("fork", 1.0), ("forkserver", 0.6), ("spawn", None)):
        target = None if bound is None else at_most(bound)
        label = f"create, first result, close, join: {method}"
        figure = Figure("median", label, "ms", target)
        found.append(Measurement(command_for(f"life_{method}"), (figure,)))
    return [
        *found,
        Measurement(
            command_for("queued"),
            (Figure("mib", "a million tasks that wait", "MiB", at_most(1)),),
            rounds=3,
        ),
        Measurement(
            command_for("idle"),
            (Figure("processor", "processor time of 10 s without tasks", "ms"),),
            rounds=3,
        ),
    ]


def command_for(name: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command of one of the programs above."""
    return lambda library, quick: [str(Path(__file__)), name, library, "0.1" if quick else "1"]


def main(name: str, library: str, scale: str) -> None:
    """Take one measurement and print its figures."""
    print(json.dumps(PROGRAMS[name](library, float(scale))))


if __name__ == "__main__":
    main(*sys.argv[1:])
