"""Owns forked children that warm up, start at the same moment, and say when they are done.

Forked, because how a process was started makes no difference to the locks and queues it uses.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Job", "Outcome", "nothing", "work_together"]


def nothing() -> None:
    """For jobs that need no warming up."""


@dataclass(frozen=True)
class Job:
    """What one child does: first what is not measured, then what is."""

    work: Callable[[], object]
    warm_up: Callable[[], object] = nothing


@dataclass(frozen=True)
class Outcome:
    """What the work took from the common start until the last child was done."""

    seconds: float
    processor: float
    """The processor time of all children together, in seconds."""


def work_together(context: Any, jobs: Sequence[Job]) -> Outcome:
    """Have each job done by a child of its own.

    :raises RuntimeError: when one of them failed
    """
    gate, opener = os.pipe()
    inbox, report = os.pipe()

    def child(job: Job) -> None:
        job.warm_up()
        os.write(report, b"warm\n")
        os.read(gate, 1)
        before = time.process_time_ns()
        job.work()
        took = time.process_time_ns() - before
        os.write(report, f"{json.dumps([time.perf_counter(), took / 1e9])}\n".encode())

    processes = [context.Process(target=child, args=(job,)) for job in jobs]
    for process in processes:
        process.start()
    os.close(report)
    try:
        with open(inbox) as lines:  # noqa: PTH123 - a pipe
            for _ in jobs:
                if not lines.readline():
                    raise RuntimeError("a child ended before it was warm")
            begin = time.perf_counter()
            os.write(opener, bytes(len(jobs)))
            # perf_counter is the system's monotonic clock, the same one for all.
            results = [json.loads(line) for line in lines]
        for process in processes:
            process.join()
    finally:
        os.close(gate)
        os.close(opener)
    if len(results) != len(jobs) or any(process.exitcode for process in processes):
        raise RuntimeError(f"exit codes {[process.exitcode for process in processes]}")
    return Outcome(max(end for end, _ in results) - begin, sum(spent for _, spent in results))
