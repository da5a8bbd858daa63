"""Pools of processes and of threads alike."""

from __future__ import annotations

import re
import sys
from typing import Any

assert sys.platform != "win32"

import pytest

import flavours
import processing.dummy
from processing.pool import ThreadPool


def test_calls(flavour: Any) -> None:
    with flavour.Pool(2) as pool:
        assert pool.apply(flavours.square, (3,)) == 9
        result = pool.apply_async(flavours.square, (4,))
        assert result.get(30) == 16
        assert result.ready()
        assert result.successful()
        assert pool.map(flavours.square, range(5)) == [0, 1, 4, 9, 16]
        assert pool.mapAsync(flavours.square, [1, 2]).get(30) == [1, 4]
        assert list(pool.imap(flavours.square, range(3))) == [0, 1, 4]
        assert sorted(pool.imapUnordered(flavours.square, range(3))) == [0, 1, 4]
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        assert pool.map(flavours.square, []) == []
        with pytest.raises(ValueError, match="no 1"):
            pool.map(flavours.fail, [1])


def test_callbacks(flavour: Any) -> None:
    done, failed = flavour.Queue(), flavour.Queue()
    with flavour.Pool(1) as pool:
        pool.applyAsync(flavours.square, (2,), callback=done.put)
        pool.apply_async(flavours.fail, (2,), error_callback=failed.put)
        assert done.get(timeout=30) == 4
        assert str(failed.get(timeout=30)) == "no 2"


def test_an_initializer(flavour: Any) -> None:
    with flavour.Pool(1, flavours.mark, (10,), 100) as pool:
        assert pool.map(flavours.marked, [1, 2]) == [11, 12]
    for processes, initializer, error in [(0, None, ValueError), (1, 1, TypeError)]:
        with pytest.raises(error):
            flavour.Pool(processes, initializer)


def test_tasks_see_a_process_of_their_own(flavour: Any) -> None:
    with flavour.Pool(1) as pool:
        assert re.fullmatch(r"PoolWorker-\d+", pool.apply(flavours.worker_name, (flavour,)))
    assert flavour.current_process().name == "MainProcess"


def test_the_end_of_a_pool(flavour: Any) -> None:
    pool = flavour.Pool(1)
    with pytest.raises(AssertionError):
        pool.join()
    pool.close()
    with pytest.raises(ValueError, match="closed"):
        pool.apply(flavours.square, (1,))
    pool.join()
    pool = flavour.Pool(1)
    pool.terminate()
    pool.join()


def test_a_pool_is_a_pool_of_threads() -> None:
    with processing.dummy.Pool(1) as pool:
        assert isinstance(pool, ThreadPool)
        thing = object()
        assert pool.apply(lambda: thing) is thing
