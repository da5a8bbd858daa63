"""A script of the everyday kind that starts processes: its imports, its functions, its main guard.

Children that do not inherit all this have to import it again, unless a fork server has done so
before. It measures how long starting and joining a process with nothing to do takes, and prints the
figures, in milliseconds.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import importlib
import json
import logging
import pathlib
import statistics
import time
from typing import Any

log = logging.getLogger(__name__)


@dataclasses.dataclass
class Job:
    """Here for the sake of a script that has something in it."""

    source: pathlib.Path
    words: collections.Counter[str]


def nothing() -> None:
    """What the processes do."""


def start_and_join(context: Any) -> float:
    """Return the milliseconds that one process took."""
    begin = time.perf_counter()
    process = context.Process(target=nothing)
    process.start()
    process.join()
    milliseconds = (time.perf_counter() - begin) * 1000
    if process.exitcode != 0:
        raise AssertionError(f"the process ended with exit code {process.exitcode}")
    return milliseconds


def main() -> None:
    """Start some processes, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library")
    parser.add_argument("method")
    parser.add_argument("count", type=int)
    parser.add_argument("resident", type=int, help="MiB of memory that the parent has touched")
    options = parser.parse_args()

    context = importlib.import_module(options.library).get_context(options.method)
    ballast = bytearray(b"x") * (options.resident * 1024 * 1024)
    first = start_and_join(context)
    times = [start_and_join(context) for _ in range(options.count)]
    log.debug("still holding %d bytes", len(ballast))
    print(json.dumps({"first": first, "median": statistics.median(times)}))


if __name__ == "__main__":
    main()
