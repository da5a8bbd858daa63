"""Owns waiting for things that no event exists for, and looking at processes from outside."""

from __future__ import annotations

import time
from collections.abc import Callable

from processing_testkit._procfs import ProcessInfo, descendants

__all__ = ["process_tree", "wait_until"]


def wait_until(
    predicate: Callable[[], object], timeout: float = 10.0, what: str | None = None
) -> None:
    """Poll until the predicate is true; an AssertionError when that takes too long."""
    limit = time.monotonic() + timeout
    pause = 0.001
    while not predicate():
        if time.monotonic() >= limit:
            name = what or getattr(predicate, "__qualname__", repr(predicate))
            raise AssertionError(f"not within {timeout} s: {name}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def process_tree(pid: int) -> list[ProcessInfo]:
    """The descendants of a process that /proc shows, zombies included, parents first."""
    return descendants(pid)
