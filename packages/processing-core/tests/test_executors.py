"""Executors of concurrent.futures with our contexts, and the objects of multiprocessing in them."""

from __future__ import annotations

import multiprocessing
import multiprocessing.queues
import pickle
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, cast

import pytest

assert sys.platform != "win32", "there conftest.py leaves this file out"

import executor_children
from processing_core import SharingError
from processing_core.context import BaseContext, assert_spawning

SECONDS = 30.0


def executor(context: BaseContext, workers: int = 2, **options: Any) -> ProcessPoolExecutor:
    # Its type has contexts of multiprocessing only, but it takes whatever has their methods.
    return ProcessPoolExecutor(workers, mp_context=cast("Any", context), **options)


def test_it_maps(context: BaseContext) -> None:
    expected = [number * number for number in range(200)]
    with executor(context) as pool:
        assert list(pool.map(executor_children.square, range(200), timeout=SECONDS)) == expected
        chunks = pool.map(executor_children.square, range(200), timeout=SECONDS, chunksize=9)
        assert list(chunks) == expected


def test_its_processes_are_ours(context: BaseContext) -> None:
    with executor(context, 1) as pool:
        name, pid = pool.submit(executor_children.name_and_pid).result(SECONDS)
        (child,) = context.active_children()
        assert (child.name, child.pid) == (name, pid)


def test_errors_come_back_and_what_does_not_pickle_costs_one_task(context: BaseContext) -> None:
    with executor(context) as pool:
        with pytest.raises(KeyError, match="as is meant") as caught:
            pool.submit(executor_children.fail).result(SECONDS)
        assert "executor_children" in str(caught.value.__cause__)
        with pytest.raises(TypeError, match="pickle"):
            pool.submit(executor_children.square, cast("Any", threading.Lock())).result(SECONDS)
        assert pool.submit(executor_children.square, 3).result(SECONDS) == 9


def test_a_worker_that_is_killed_breaks_it(context: BaseContext) -> None:
    with executor(context) as pool, pytest.raises(BrokenProcessPool):
        pool.submit(executor_children.die).result(SECONDS)


def test_workers_are_replaced_after_some_tasks(context: BaseContext) -> None:
    if context.get_start_method() == "fork":
        pytest.skip("executors do not do this with fork")
    with executor(context, 1, max_tasks_per_child=2) as pool:
        # One task at a time: some versions of the executor forget those that wait.
        pids = [pool.submit(executor_children.name_and_pid).result(SECONDS) for _ in range(6)]
    assert len(set(pids)) == 3


def test_objects_of_multiprocessing_get_to_our_children(context: BaseContext) -> None:
    numbers: multiprocessing.queues.Queue[int] = multiprocessing.queues.Queue(
        1, ctx=cast("Any", context)
    )
    reader, writer = multiprocessing.Pipe(duplex=False)
    with reader:
        child = context.Process(target=executor_children.double, args=(numbers, writer))
        child.start()
        writer.close()
        numbers.put(21)
        assert reader.poll(SECONDS)
        assert reader.recv() == 42
        child.join()
    numbers.close()
    numbers.join_thread()
    with pytest.raises(RuntimeError):
        pickle.dumps(numbers)


class Careful:
    """As programs that were written for multiprocessing have it."""

    def __getstate__(self) -> tuple[()]:
        assert_spawning(self)
        return ()

    def __setstate__(self, state: tuple[()]) -> None:
        del state

    def __call__(self) -> None:
        return


def test_an_object_may_insist_on_a_child_being_started(context: BaseContext) -> None:
    child = context.Process(target=Careful())
    child.start()
    child.join()
    assert child.exitcode == 0
    with pytest.raises(SharingError, match="Careful can be passed to a child when it is started"):
        pickle.dumps(Careful())
