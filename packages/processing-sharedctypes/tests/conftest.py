"""Fixtures of processing-sharedctypes' tests; the testkit's plugin brings `context` and the leak
check. What runs in children is in sharing_children.py, without pytest.
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

# There is no shared memory on Windows yet.
_POSIX = [f"test_{name}.py" for name in ("values", "arrays", "shared_array", "passing", "memory")]
collect_ignore = [*_POSIX, "test_typing.py"] if sys.platform == "win32" else []


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
