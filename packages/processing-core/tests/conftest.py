"""Fixtures of processing-core's tests; the testkit's plugin brings `context` and the leak check.

Functions that run in children live in modules without pytest (children.py and its like), so that a
spawned child need not import the tests.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

# numpy's own threads would make every fork in these tests a fork of a threaded process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

import processing_core
from processing_core.context import BaseContext

Starter = Callable[..., processing_core.Process]

# These files are about what POSIX, or Linux, has.
_POSIX = [
    "test_asyncio_connections.py",
    "test_asyncio_servers.py",
    "test_sharing.py",
    "test_executors.py",
    "test_fork_safety.py",
    "test_parent_death.py",
    "test_pipe_killed.py",
    "test_forkserver.py",
    "test_stream.py",
    "test_fallbacks.py",
    "test_arena.py",
    "test_pipe_overtaken.py",
    *[f"test_{name}.py" for name in ("network", "listener", "tls", "standard_library")],
    "test_queue.py",
    "test_queue_descriptors.py",
    "test_queue_faults.py",
    "test_queue_processes.py",
    "test_queue_surroundings.py",
    *[f"test_sync_{name}.py" for name in ("conditions", "fallbacks", "locks", "robust", "typing")],
    "test_sync_waiters.py",
]
collect_ignore = _POSIX if sys.platform == "win32" else []


@pytest.fixture
def start(context: BaseContext) -> Iterator[Starter]:
    """Start a function in a child by each method; whatever happens, it is gone afterwards."""
    started: list[processing_core.Process] = []

    def start_it(target: Callable[..., object], *args: Any, **options: Any) -> Any:
        process = context.Process(target=target, args=args, **options)
        process.start()
        started.append(process)
        return process

    yield start_it
    while started:  # emptied, because pytest keeps `start_it` until after the leak check
        process = started.pop()
        if "closed" not in repr(process):
            process.kill()
            process.join()


@pytest.fixture
def pipe() -> Iterator[tuple[Any, Any]]:
    """A pipe; both ends are closed afterwards."""
    ends = processing_core.Pipe()
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def one_way() -> Iterator[tuple[Any, Any]]:
    """A pipe whose first end receives and whose second sends."""
    ends = processing_core.Pipe(duplex=False)
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def unfixed_method() -> Iterator[None]:
    """The start method not chosen yet, and as it was afterwards."""
    before = processing_core.get_start_method(allow_none=True)
    processing_core.set_start_method(None, force=True)
    yield
    processing_core.set_start_method(before, force=True)
