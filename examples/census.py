"""A census of Python source code, taken by as many processes as the machine has processors.

It reads every source file of the running interpreter's own standard library, has a pool of worker
processes count them, and merges the answers. Then it counts everything once more in this one
process, to see that the answer is the same and how much time the workers saved.

The work comes first and knows nothing of processes; then the pool; then the report.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

import processing
from processing.pool import Pool, WorkerLost

BATCH_BYTES = 128 * 1024  # a large file travels alone, small ones by the dozen
FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages"})
TEST_FOLDERS = frozenset({"test", "tests", "idle_test"})
Advance = Callable[[int], object]  # is told how many files were just counted


@dataclass
class Census:
    """What was counted in some files. The counts of others can be added, in any order."""

    files: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    names: Counter[str] = field(default_factory=Counter)
    unparsed: dict[str, str] = field(default_factory=dict)  # path: the reason

    def add(self, other: Census) -> None:
        self.files += other.files
        self.lines += other.lines
        self.functions += other.functions
        self.classes += other.classes
        self.names.update(other.names)
        self.unparsed.update(other.unparsed)


def find_files(folder: Path, *, tests: bool = True) -> list[Path]:
    """Every Python source file below the folder, in the order of their paths."""
    unwanted = FOREIGN_FOLDERS if tests else FOREIGN_FOLDERS | TEST_FOLDERS
    found = (path for path in folder.rglob("*.py") if path.is_file())
    return sorted(path for path in found if unwanted.isdisjoint(path.relative_to(folder).parts))


def count_file(path: Path) -> Census:
    """Parse one file. That a file does not parse is an answer too, not an error."""
    census = Census(files=1)
    try:
        content = path.read_bytes()
        census.lines = len(content.splitlines())
        tree = ast.parse(content)  # given bytes, it heeds the coding line of the file
    except SyntaxError as error:  # a wrong encoding is one, too
        census.unparsed[str(path)] = error.msg + (f" (line {error.lineno})" if error.lineno else "")
        return census
    except (ValueError, RecursionError, MemoryError, OSError) as error:
        census.unparsed[str(path)] = f"{type(error).__name__}: {error}".removesuffix(": ")
        return census
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            census.names[node.id] += 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            census.functions += 1
        elif isinstance(node, ast.ClassDef):
            census.classes += 1
    return census


def count_batch(batch: Iterable[Path]) -> Census:
    """Count some files; what the parser merely warns of is not our subject."""
    total = Census()
    with warnings.catch_warnings(action="ignore"):
        for path in batch:
            total.add(count_file(path))
    return total


def deal(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Batches of about the same size, the largest files first: no long job is left to the end."""
    batch: list[Path] = []
    room = BATCH_BYTES
    for size, path in sorted(((path.stat().st_size, path) for path in paths), reverse=True):
        batch.append(path)
        room -= size
        if room <= 0:
            yield batch
            batch, room = [], BATCH_BYTES
    if batch:
        yield batch


def count_alone(paths: Iterable[Path], advance: Advance) -> Census:
    """Count files in this process."""
    total = Census()
    for batch in deal(paths):
        total.add(count_batch(batch))
        advance(len(batch))
    return total


def count_with_workers(paths: Iterable[Path], processes: int, advance: Advance) -> Census:
    """Count files in worker processes: each gets a batch whenever it has answered the last one."""
    total = Census()
    with Pool(processes) as pool:
        for census in pool.imap_unordered(count_batch, deal(paths)):
            total.add(census)
            advance(census.files)
    return total


def differences(parallel: Census, sequential: Census) -> list[str]:
    """The self-check: which counts are not the same in both."""
    return [name for name, count in vars(parallel).items() if count != vars(sequential)[name]]


def report(folder: Path, census: Census, processes: int, fast: float, slow: float) -> Table:
    """What the user gets to see."""
    table = Table("", "", show_header=False)
    table.add_row("census of", Text(str(folder), overflow="fold"))
    for what in ("files", "lines", "functions", "classes"):
        table.add_row(what, f"{getattr(census, what):,}")
    table.add_row("files that do not parse", f"{len(census.unparsed):,}")
    for path, reason in sorted(census.unparsed.items()):
        name = os.fsencode(os.path.relpath(path, folder)).decode(errors="replace")
        table.add_row(Text(f"  {name}", overflow="fold"), Text(reason))
    table.add_section()
    table.add_row("most used names")
    for name, uses in sorted(census.names.items(), key=lambda item: (-item[1], item[0]))[:10]:
        table.add_row(f"  {name}", f"{uses:,}")
    table.add_section()
    table.add_row("time with 1 process", f"{slow:.2f} s")
    table.add_row(f"time with {processes} processes", f"{fast:.2f} s")
    table.add_row("ratio", f"{slow / fast:.2f}")
    return table


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, and the files that they mean."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--processes", type=int, metavar="N", default=processing.cpu_count())
    parser.add_argument("--start-method", choices=processing.get_all_start_methods())
    parser.add_argument("--path", type=Path, metavar="DIR", help="count what is in this folder")
    parser.add_argument("--limit", type=int, metavar="N", help="count the first N files only")
    parser.add_argument("--no-tests", action="store_true", help="leave out folders of tests")
    options = parser.parse_args(arguments)
    options.path = options.path or Path(sysconfig.get_path("stdlib"))
    options.files = find_files(options.path, tests=not options.no_tests)[: options.limit]
    if options.processes < 1:
        parser.error("--processes must be at least 1")
    if not options.files:
        parser.error(f"there is no Python source file in {options.path}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the census twice, compare, print; the result is the exit code."""
    options = parse_options(arguments)
    if options.start_method:
        processing.set_start_method(options.start_method)

    # Without auto_refresh the bar needs no thread, and a process with threads is better not forked.
    tty = Console(stderr=True)
    with Progress(
        console=tty, auto_refresh=False, transient=True, disable=not tty.is_terminal
    ) as bar:
        task = bar.add_task("counting", total=2 * len(options.files))

        def advance(files: int) -> None:
            bar.update(task, advance=files, refresh=True)

        begin = time.perf_counter()
        parallel = count_with_workers(options.files, options.processes, advance)
        middle = time.perf_counter()
        sequential = count_alone(options.files, advance)
        times = middle - begin, time.perf_counter() - middle

    if different := differences(parallel, sequential):
        print(f"census: the workers counted different {', '.join(different)}", file=sys.stderr)
        return 1
    Console().print(report(options.path, sequential, options.processes, *times))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerLost as error:
        sys.exit(f"census: {error}")
    except KeyboardInterrupt:
        print("census: interrupted", file=sys.stderr)
        sys.exit(130)
