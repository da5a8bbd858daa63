"""A pool whose thread has not begun yet: it begins when there is something for it to do."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import pool_tasks as tasks
from conftest import MakePool
from processing_core import active_children
from processing_core.connection import wait

assert sys.platform != "win32"

from processing_pool import Pool
from processing_testkit import wait_until

LONG = 30.0


def pool_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("PoolThread")]


def test_short_calls_of_one_caller_need_no_thread() -> None:
    pool = Pool(2, context="fork")
    for _ in range(20):
        pool.apply(tasks.square, (1,))
        if pool_threads():
            break  # a worker has taken its time to begin, so the thread was told
    pool.close()
    pool.join()
    assert pool_threads() == []
    assert active_children() == []


def test_whatever_is_not_waited_for_needs_it(pool: Pool) -> None:
    assert pool_threads() == []
    result = pool.apply_async(tasks.square, (4,))
    assert pool_threads() == [f"PoolThread-{os.getpid()}"]
    assert result.get(LONG) == 16


def test_a_task_that_takes_long_is_handed_over_to_it(pool: Pool) -> None:
    assert pool.apply(tasks.sleep, (0.05, 42)) == 42
    assert pool_threads() == [f"PoolThread-{os.getpid()}"]


def test_workers_that_are_killed_before_anything_else_are_replaced(pool: Pool) -> None:
    workers = active_children()
    for worker in workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
    wait([worker.sentinel for worker in workers], LONG)
    assert pool.apply(tasks.square, (3,)) == 9
    assert pool.stats().lost == 2


@pytest.mark.parametrize("calls", [0, 1])
def test_without_join_the_workers_end_with_the_pool(start_method: str, calls: int) -> None:
    pool = Pool(2, context=start_method)
    for _ in range(calls):
        pool.apply(tasks.square, (1,))
    assert len(active_children()) == 2
    pool.close()
    del pool
    gc.collect()
    wait_until(lambda: not (active_children() or pool_threads()))


def test_a_pool_that_was_never_used_ends(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.close()
    pool.join()
    pool.join()
    assert active_children() == []


def test_terminated_before_anything_else(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.terminate()
    pool.join()
    assert active_children() == []


def test_many_join_at_once(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.apply(tasks.square, (1,))
    pool.close()
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(pool.join) for _ in range(8)]:
            done.result(LONG)
    assert active_children() == []


def test_terminate_ends_a_join_that_does_the_work_of_the_thread(make_pool: MakePool) -> None:
    """The workers are stopped, so that they cannot end by themselves."""
    pool = make_pool()
    workers = active_children()
    for worker in workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
    pool.close()
    with ThreadPoolExecutor(1) as threads:
        joining = threads.submit(pool.join)
        pool.terminate()
        joining.result(LONG)
    assert active_children() == []


def test_the_first_calls_come_from_many_threads(pool: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = [threads.submit(pool.apply, tasks.square, (n,)) for n in range(64)]
        assert [result.result(LONG) for result in results] == [n * n for n in range(64)]


def test_the_initializer_fails_before_the_first_call(make_pool: MakePool) -> None:
    pool = make_pool(initializer=tasks.fail, initargs=("no",))
    with pytest.raises(LookupError, match="no"):
        pool.apply(tasks.square, (1,))
