"""Owns ``python -m processing doctor``: its arguments, its table, its exit code."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import textwrap
from typing import TYPE_CHECKING

from processing.__about__ import __version__
from processing._commands import findings, machine, trials

if TYPE_CHECKING:
    from processing._commands.findings import Finding

__all__ = ["add_to", "run"]

COLOURS = {"good": "green", "limited": "yellow", "missing": "bold red"}
SUMMARIES = {
    "good": "Everything is there.",
    "limited": "Everything works; what is limited is slower, or comes to an end sooner.",
    "missing": "What is missing does not work here.",
}
WIDTH = 100


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="show what this machine offers, what is slow or missing, and what to do about it",
        description="Looks at what the library can use on this machine, and starts some processes "
        "to see that it can. The exit code is 1 if something does not work, else 0.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 also if something is slow or limited"
    )


def run(options: argparse.Namespace) -> int:
    """Examine the machine and print what was found; returns the exit code."""
    found = [
        *machine.look(),
        trials.start_methods(),
        trials.queues_and_locks(),
        trials.named_memory(),
    ]
    state = findings.worst(found)
    if options.json:
        report = {
            "processing": __version__,
            "distributions": versions(),
            "state": state,
            "findings": findings.as_json(found),
        }
        print(json.dumps(report, indent=2))
    else:
        print_table(found)
        print(SUMMARIES[state])
    return int(state == "missing" or (options.strict and state != "good"))


def versions() -> dict[str, str]:
    """The versions of the family that are installed."""
    names = ("", "-core", "-logging", "-managers", "-pool", "-sharedctypes")
    found = {}
    for name in (f"processing{ending}" for ending in names):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # in a frozen program
    return found


def print_table(found: list[Finding]) -> None:
    """Print a table, by rich where it is installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        print(plain_table(found))
        return
    table = Table(title=f"processing {__version__} on this machine", title_justify="left")
    for heading in ("", "what"):
        table.add_column(heading, no_wrap=True)
    for heading in ("found", "what to do"):
        table.add_column(heading, overflow="fold")
    for each in found:
        words = (each.topic, each.found, each.advice)
        table.add_row(Text(each.state, style=COLOURS[each.state]), *map(Text, words))
    Console(file=sys.stdout).print(table)


def plain_table(found: list[Finding]) -> str:
    """The same as lines of text, the advice below what it is about."""
    lines = [f"processing {__version__} on this machine", ""]
    width = max(len(each.topic) for each in found)
    for each in found:
        lines += textwrap.wrap(
            each.found,
            WIDTH,
            initial_indent=f"{each.state:8} {each.topic:{width}}  ",
            subsequent_indent=" " * (width + 11),
        )
        indent = " " * (width + 11)
        lines += textwrap.wrap(
            each.advice, WIDTH, initial_indent=f"{indent}-> ", subsequent_indent=f"{indent}   "
        )
    return "\n".join([*lines, ""])
