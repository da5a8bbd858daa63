"""Fixtures of processing-managers' tests; the testkit's plugin brings `context` and the leak check.

What runs in children is in *_children.py, without pytest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import processing_core
from processing_core.context import BaseContext
from processing_managers import SyncManager

# There are no managers on Windows yet.
collect_ignore_glob = ["test_[!p]*.py", "test_processes.py"] if sys.platform == "win32" else []

Starter = Callable[..., processing_core.Process]


@pytest.fixture
def start(context: BaseContext) -> Iterator[Starter]:
    """Start a function in a child by each method; whatever happens, it is gone afterwards."""
    started: list[processing_core.Process] = []

    def start_it(target: Callable[..., object], *args: Any) -> Any:
        process = context.Process(target=target, args=args)
        process.start()
        started.append(process)
        return process

    yield start_it
    while started:  # emptied, because pytest keeps `start_it` until after the leak check
        process = started.pop()
        process.kill()
        process.join()


@pytest.fixture
def manager() -> Iterator[SyncManager]:
    """A manager, started by the default method."""
    with SyncManager() as one:
        yield one
    if one.process is not None:
        one.process.close()  # pytest keeps the manager until after the leak check
