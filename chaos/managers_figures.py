"""Owns what a manager's process has at a moment, by its own account and by the kernel's, and
judging whether it has got back what its clients had.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor import HangError, deadline, descriptors_of

__all__ = ["BACK_SECONDS", "Figures", "figures", "growth", "memory", "settle"]

BACK_SECONDS = 2.0
"""Within so many seconds after the end of a client all is given back that it had."""

THREAD_SECONDS = 15.0
"""Within so many seconds threads of the server end that have nothing to do."""

MEMORY_BYTES = 16 << 20
"""By how much a server may grow while clients come and go."""

KEPT = ("/memfd:processing-arena (deleted)", "anon_inode:[eventpoll]")
"""Memory that processes share, which stays for what comes next once it is allocated; and by what a
listener waits for many at a time, once they were many.
"""

PATIENCE = 10.0


@dataclass(frozen=True)
class Figures:
    """What a server has."""

    objects: int
    references: int
    tickets: int
    clients: int
    busy: int
    """How many of its threads do something."""

    locks: int
    """How many are held."""

    threads: int
    links: Counter[str] = field(default_factory=Counter)
    """What its descriptors lead to, as far as it has one more when a client has come."""

    def leaks(self, before: Figures) -> list[str]:
        """What was not given back.

        A ticket is good for a proxy that is on its way: it holds a reference, and lasts as long as
        the process that took it if the proxy never arrives.
        """
        tickets = self.tickets - before.tickets
        found = []
        for what, now, then in (
            ("objects", self.objects, before.objects),
            ("references", self.references - tickets, before.references),
            ("clients", self.clients, before.clients),
            ("busy threads", self.busy, before.busy),
            ("locks held", self.locks, before.locks),
        ):
            if now != then:
                found.append(f"{now} {what} instead of {then}")
        if more := self.links - before.links:
            kinds = Counter(one.partition(":")[0] for one in more.elements())
            shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            surplus = self.links.total() - before.links.total()
            if surplus > 0:
                found.append(f"{surplus} descriptors more, among what is new: {shown}")
        return found


def figures(manager: Any) -> Figures:
    """What a manager that this process has started has now."""
    with deadline(PATIENCE, "asking the manager for its figures"):
        info = manager.info()
    pid = info["pid"]
    links = descriptors_of(pid)
    for kept in KEPT:
        links.pop(kept, None)
    return Figures(
        objects=sum(one[0] for one in info["types"].values()),
        references=sum(one[1] for one in info["types"].values()),
        tickets=info["tickets"],
        clients=len(info["clients"]),
        busy=info["threads"],
        locks=sum(client["locks"] for client in info["clients"]),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        links=links,
    )


def settle(manager: Any, before: Figures, begin: float, *, threads: bool = False) -> list[str]:
    """Wait until the clients are gone that came after ``before``; what they left behind.

    :param begin: the moment since which it has had time for it (of time.monotonic())
    :param threads: whether its threads must have ended, too
    """
    wrong = until(lambda: figures(manager).leaks(before), begin + BACK_SECONDS)
    if wrong:
        wrong = [
            (
                f"{BACK_SECONDS:g} s after the end of its clients the manager had "
                f"{', '.join(wrong)}\n{about(manager)}"
            )
        ]
    if threads:

        def surplus() -> list[str]:
            more = figures(manager).threads - before.threads
            return [f"the manager has {more} threads more than before"] if more > 0 else []

        wrong += until(surplus, begin + THREAD_SECONDS)
    return wrong


def until(look: Callable[[], list[str]], limit: float) -> list[str]:
    """Look until there is nothing to be seen, or the time is up; at least once."""
    while True:
        late = time.monotonic() > limit
        wrong = look()
        if not wrong or late:
            return wrong
        time.sleep(0.01)


def about(manager: Any) -> str:
    """Whom the manager knows, and what it has."""
    try:
        with deadline(PATIENCE, "asking the manager for what it has"):
            info = manager.info()
            shown = manager._debug_info()
    except HangError as error:
        return str(error)
    clients = "\n".join(f"  {client}" for client in info["clients"])
    return f"{clients}\n  types: {info['types']}\n{shown:.2000}"


def memory(pid: int) -> int:
    """The bytes of memory that only this process has, and what it shares with others."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel says nothing of RssAnon")


def growth(before: int, after: int, most: int = MEMORY_BYTES) -> list[str]:
    """Whether the memory has grown by more than it may."""
    if after - before <= most:
        return []
    return [f"the manager has grown by {after - before:,} bytes"]
