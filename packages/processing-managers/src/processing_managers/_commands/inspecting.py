"""Owns ``python -m processing_managers inspect``: what a server tells of itself, as tables."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from processing_core import AuthenticationError, InvalidArgument, InvalidType
from processing_managers._commands.options import (
    Failure,
    WrongOption,
    add_connection,
    address_of,
    check_tls_is_possible,
    client_context,
    key_of,
    shown,
    shown_address,
)
from processing_managers._manager import BaseManager

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

    from processing_managers._info import ClientInfo, ManagerInfo

__all__ = ["add_to", "run"]

# Over how many seconds calls are counted, and how often they are with --watch.
COUNT_SECONDS = 0.5
WATCH_SECONDS = 1.0
# How wide a file is that somebody has the output written to.
FILE_COLUMNS = 200


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="show what a running server has: types, references, clients, calls per second",
        description="Shows what a running server has. Exit codes: 0 when it was shown, or --watch "
        "was ended by Ctrl-C, 1 when the server cannot be reached or has ended, 2 when the options "
        "make no sense.",
    )
    add_connection(parser, server=False)
    parser.add_argument(
        "--watch",
        nargs="?",
        type=seconds,
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help=f"show it again and again, every {WATCH_SECONDS:g} s or as often as is said",
    )


def seconds(text: str) -> float:
    """A positive number."""
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


def run(options: argparse.Namespace) -> int:
    """Show the server; returns the exit code.

    :raises WrongOption: when the options make no sense
    :raises Failure: when the server cannot be reached, or ends
    """
    try:
        from rich.console import Console
    except ImportError:
        raise Failure(
            "the tables are drawn by rich, which is not installed: "
            "pip install 'processing-managers[cli]'"
        ) from None
    manager = connected(options)
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=FILE_COLUMNS)
    pause = COUNT_SECONDS if options.watch is None else options.watch
    views = (view(one, two) for one, two in moments(manager, pause))
    try:
        if options.watch is None:
            console.print(next(views))
        else:
            watch(views, console)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise  # nobody reads what is printed
        raise Failure(f"{shown_address(manager.address)}: {error}") from None
    except KeyboardInterrupt:
        if options.watch is None:
            raise
    return 0


def connected(options: argparse.Namespace) -> BaseManager:
    """A manager object that is connected."""
    address = address_of(options.address)
    key = key_of(options.authkey_file)
    context = client_context(options)
    check_tls_is_possible(address, context)
    where = shown_address(address)
    try:
        manager = BaseManager(address, key, ssl_context=context)
        manager.connect()
    except (InvalidArgument, InvalidType) as error:
        raise WrongOption(str(error)) from None
    except AuthenticationError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"no manager at {where}: {error.strerror or error}") from None
    return manager


def moments(manager: BaseManager, pause: float) -> Iterator[tuple[ManagerInfo, ManagerInfo]]:
    """The server at two moments with a pause between, again and again."""
    before = manager.info()
    while True:
        time.sleep(pause)
        after = manager.info()
        yield before, after
        before = after


def watch(views: Iterator[Group], console: Console) -> None:
    """Show the server until somebody has seen enough."""
    from rich.live import Live

    if not console.is_terminal:
        for each in views:
            console.print(each)
            console.file.flush()
        return
    with Live(console=console, auto_refresh=False) as live:
        for each in views:
            live.update(each, refresh=True)


# Tables


def view(before: ManagerInfo, after: ManagerInfo) -> Group:
    """All that is shown of a server."""
    from rich.console import Group
    from rich.text import Text

    span = after["uptime"] - before["uptime"]
    headline = Text(
        f"manager at {shown_address(after['address'])}, process {after['pid']}, "
        f"up {duration(after['uptime'])}",
        style="bold",
    )
    figures = Text(
        f"{rate(before['calls'], after['calls'], span)} requests per second, {after['calls']:,} in "
        f"all; busy threads: {after['threads']:,}, tickets: {after['tickets']:,}\n"
    )
    return Group(
        headline, figures, types_table(before, after), Text(), clients_table(before, after)
    )


def types_table(before: ManagerInfo, after: ManagerInfo) -> Table:
    """A row for each type that has or had objects."""
    table = empty_table("type", "objects", "references", "calls", "per second")
    span = after["uptime"] - before["uptime"]
    for typeid, (objects, references, calls) in sorted(after["types"].items()):
        calls_before = before["types"].get(typeid, (0, 0, 0))[2]
        add_row(table, shown(typeid), objects, references, calls, rate(calls_before, calls, span))
    return table


def clients_table(before: ManagerInfo, after: ManagerInfo) -> Table:
    """A row for each client."""
    headings = ("client", "from", "process", "for", "threads", "references", "locks")
    table = empty_table(*headings, "requests", "per s")
    known = {client["number"]: client["calls"] for client in before["clients"]}
    span = after["uptime"] - before["uptime"]
    for client in sorted(after["clients"], key=lambda one: one["since"]):
        add_row(
            table,
            "this command" if client["asks"] else shown(str(client["name"])),
            came_from(client),
            str(client["pid"]),
            duration(after["now"] - client["since"]),
            client["links"],
            client["references"],
            client["locks"],
            client["calls"],
            rate(known.get(client["number"], 0), client["calls"], span),
        )
    return table


def empty_table(first: str, *headings: str) -> Table:
    """A table that has its numbers on the right and fits into 80 columns, mostly."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first, overflow="fold")
    for heading in headings:
        if heading == "from":
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    return table


def add_row(table: Table, *cells: str | int) -> None:
    """Add a row; nothing in it is markup."""
    from rich.text import Text

    table.add_row(*(Text(cell if isinstance(cell, str) else f"{cell:,}") for cell in cells))


def rate(before: int, after: int, span: float) -> str:
    """How many per second; a few may be counted late, so none is never less than none."""
    return f"{max(0, after - before) / span:,.0f}" if span > 0 else "-"


def came_from(client: ClientInfo) -> str:
    """From which machine a client came."""
    return "here" if client["peer"] is None else shown(str(client["peer"][0]))


def duration(of: float) -> str:
    """A number of seconds in words."""
    whole = max(0, int(of))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
