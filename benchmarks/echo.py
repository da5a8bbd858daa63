"""Owns round trips: how long it takes until what was sent is back, also on a busy machine."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["WARM_UP", "all_processors_busy", "time_trips"]

# How many trips are made before those that count.
WARM_UP = 200


def time_trips(trip: Callable[[], object], count: int) -> dict[str, float]:
    """The median, the 99th percentile and the mean of so many trips, in microseconds."""
    clock = time.perf_counter_ns
    for _ in range(WARM_UP):
        trip()
    times = []
    for _ in range(count):
        begin = clock()
        trip()
        times.append((clock() - begin) / 1000)
    hundredths = statistics.quantiles(times, n=100)
    return {"p50": hundredths[49], "p99": hundredths[98], "mean": statistics.fmean(times)}


@contextlib.contextmanager
def all_processors_busy() -> Iterator[None]:
    """Keep as many processes as there are processors busy; they end by themselves in any case."""
    spin = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    burners = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(0.2)
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()
