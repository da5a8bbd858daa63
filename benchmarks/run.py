"""Compare processing_core with the standard library's multiprocessing, side by side.

    python benchmarks/run.py [GROUP ...] [--quick] [--json FILE]

The groups are pipes, connections, queues, locks, sharedctypes, managers, pool, logging, start and
import.

Speeds are reported, not asserted: a missed target is marked and the exit code is 0. It is 1 if
something could not be measured at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

import bench_connections
import bench_import
import bench_locks
import bench_logging
import bench_managers
import bench_pipes
import bench_pool
import bench_queues
import bench_sharedctypes
import bench_start
import harness

GROUPS = {
    "pipes": bench_pipes.measurements,
    "connections": bench_connections.measurements,
    "queues": bench_queues.measurements,
    "locks": bench_locks.measurements,
    "sharedctypes": bench_sharedctypes.measurements,
    "logging": bench_logging.measurements,
    "pool": bench_pool.measurements,
    "managers": bench_managers.measurements,
    "start": bench_start.measurements,
    "import": bench_import.measurements,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, print the table, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="few and short: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to this file")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(
            f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}"
        )

    console = Console()
    if not console.is_terminal:
        console.width = 110
    machine = harness.look_at_machine()
    console.print(str(machine), highlight=False)
    if not machine.quiet:
        console.print("This machine is not quiet: do not trust small differences.", style="yellow")

    todo = [(group, each) for group in options.groups or GROUPS for each in GROUPS[group]()]
    total = sum(2 * harness.rounds_of(each, quick=options.quick) for _, each in todo)
    rows: list[harness.Row] = []
    failures: list[str] = []
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("measuring", total=total)
        for group, each in todo:
            bar.update(task, description=each.figures[0].label)
            try:
                rows += harness.take(
                    group, each, quick=options.quick, tick=lambda: bar.advance(task)
                )
            except harness.MeasurementError as error:
                failures.append(f"{each.figures[0].label}: {error}")

    console.print(harness.table(rows))
    judged = [row.reached for row in rows if row.reached is not None]
    console.print(f"{sum(judged)} of {len(judged)} targets reached.", highlight=False)
    if options.quick:
        console.print("These were quick runs: they show that it works, not how fast.")
    for failure in failures:
        console.print(f"NOT MEASURED: {failure}", style="bold red", markup=False, highlight=False)
    if options.json is not None:
        content = {
            "machine": asdict(machine),
            "quick": options.quick,
            "rows": [row.as_json() for row in rows],
            "failures": failures,
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
