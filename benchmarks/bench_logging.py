"""Group `logging`: what a logging call costs, and how fast records of children are handled.

On the other side are plain ``logging``, and ``QueueHandler`` and ``QueueListener`` of
``logging.handlers`` over ``multiprocessing.Queue``. Run as a program it takes one of these
measurements with one library and prints the figures.
"""

from __future__ import annotations

import importlib
import json
import logging
import logging.handlers
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import OURS, Figure, Library, Measurement, Target, at_least, at_most

PRODUCERS = 4
RECORDS = 20_000
CALLS = 200_000
NAME = "benchmark"


class Counter(logging.Handler):
    """Counts records: what a handler does besides costs the same on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        """Count."""
        self.count += 1


def log_many(count: int, ready: Any, queue: Any) -> None:
    """In a child: log; with the standard library's queue its handler comes first."""
    logger = logging.getLogger(NAME)
    if queue is not None:
        logger.handlers[:] = [logging.handlers.QueueHandler(queue)]
    ready.wait()
    for number in range(count):
        logger.info("record %d of %s", number, "somebody")


def relay(library: Any, producers: int, count: int) -> float:
    """Records per second from the first call to the last record's handling."""
    context = library.get_context("fork")
    logger, counter = logging.getLogger(NAME), Counter()
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(counter)
    queue = listener = None
    ours: Any = None
    if library.__name__ == OURS:
        ours = importlib.import_module("processing_logging")
        ours.enable_logging(logging.INFO, relay=True, logger=logger)
    else:
        queue = context.Queue()
        listener = logging.handlers.QueueListener(queue, counter)
    ready = context.Barrier(producers + 1)
    children = [
        context.Process(target=log_many, args=(count, ready, queue)) for _ in range(producers)
    ]
    for child in children:
        child.start()
    if listener is not None:
        listener.start()
    ready.wait()
    begin = time.perf_counter()
    for child in children:
        child.join()
    if listener is not None:
        listener.stop()
    else:
        ours.flush_logging()
    seconds = time.perf_counter() - begin
    if counter.count != producers * count:
        raise SystemExit(f"{counter.count} records arrived of {producers * count}")
    return producers * count / seconds


def relay_many(library: Any, scale: float) -> dict[str, float]:
    """Several children log at once."""
    return {"rate": relay(library, PRODUCERS, int(RECORDS * scale))}


def relay_one(library: Any, scale: float) -> dict[str, float]:
    """One child logs."""
    return {"rate": relay(library, 1, int(RECORDS * scale))}


def below(library: Any, scale: float) -> dict[str, float]:
    """A logging call below the level."""
    logger = logging.getLogger(NAME)
    if library.__name__ == OURS:
        ours = importlib.import_module("processing_logging")
        ours.enable_logging(logging.INFO, relay=True)
        logger = ours.getLogger()
    else:
        logger.setLevel(logging.INFO)
    times = []
    for _ in range(5):
        begin = time.perf_counter_ns()
        for _ in range(int(CALLS * scale)):
            logger.debug("not shown: %d", 5)
        times.append((time.perf_counter_ns() - begin) / int(CALLS * scale))
    return {"time": statistics.median(times)}


def import_it(library: Any, scale: float) -> dict[str, float]:  # noqa: ARG001
    """Import what is needed to enable logging."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "logging"]:
        del sys.modules[name]
    begin = time.perf_counter_ns()
    if library.__name__ == OURS:
        _ = importlib.import_module("processing_logging").enable_logging
    else:
        importlib.import_module("logging.handlers")
        importlib.import_module("multiprocessing.queues")
    return {"time": (time.perf_counter_ns() - begin) / 1e6}


PROGRAMS = {each.__name__: each for each in (below, relay_one, relay_many, import_it)}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""

    def one(name: str, key: str, label: str, unit: str, target: Target) -> Measurement:
        return Measurement(command_for(name), (Figure(key, label, unit, target),))

    return [
        one("below", "time", "a logging call below the level", "ns", at_most(1.1)),
        one("relay_many", "rate", f"records of {PRODUCERS} children", "records/s", at_least(3)),
        one("relay_one", "rate", "records of one child", "records/s", at_least(3)),
        one("import_it", "time", "importing what enables it", "ms", at_most(1)),
    ]


def command_for(name: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command of one of the programs above."""
    return lambda library, quick: [str(Path(__file__)), name, library, "0.1" if quick else "1"]


def main(name: str, library: str, scale: str) -> None:
    """Take one measurement and print its figures."""
    print(json.dumps(PROGRAMS[name](importlib.import_module(library), float(scale))))


if __name__ == "__main__":
    main(*sys.argv[1:])
