"""Fixtures of processing-pool's tests; the testkit's plugin brings `start_method`, the leak check.

What runs in workers is in pool_tasks.py, without pytest, so that workers need not import the tests.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

# numpy's own threads would make every fork in these tests a fork of a threaded process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

# There are no pools on Windows yet.
collect_ignore_glob = ["test_pool_*.py", "test_typing.py"] if sys.platform == "win32" else []

MakePool = Callable[..., Any]

if sys.platform != "win32":
    from processing_pool import Pool

    @pytest.fixture
    def make_pool(start_method: str) -> Iterator[MakePool]:
        """Make pools by each start method; whatever happens, they are gone afterwards."""
        made: list[Pool] = []

        def make(processes: int = 2, **options: Any) -> Pool:
            pool = Pool(processes, context=start_method, **options)
            made.append(pool)
            return pool

        yield make
        while made:  # emptied, because pytest keeps `make` until after the leak check
            pool = made.pop()
            pool.terminate()
            pool.join()

    @pytest.fixture
    def pool(make_pool: MakePool) -> Pool:
        """A pool of two workers."""
        made: Pool = make_pool()
        return made
