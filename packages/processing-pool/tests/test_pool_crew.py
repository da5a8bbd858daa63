"""The workers as a whole: recycling, resizing, figures, stacks, state; large and odd objects."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

assert sys.platform != "win32"

import pool_tasks as tasks
from processing_core import Queue, SerializationError
from processing_pool import Pool, PoolStats, WorkerStats
from processing_testkit import wait_until


def test_workers_are_replaced_after_so_many_tasks(make_pool: Any) -> None:
    for option in ("maxtasksperchild", "max_tasks_per_child"):
        pool = make_pool(1, **{option: 3})
        pids = [pool.apply(tasks.pid_of_worker) for _ in range(9)]
        assert len(set(pids)) == 3
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]
        pool.map(tasks.square, range(15), 1)
        pool.close()
        pool.join()
        assert pool.stats().lost == 0
        assert pool.stats().recycled >= 7


def test_workers_are_replaced_when_they_grow(make_pool: Any) -> None:
    pool = make_pool(1, max_memory_per_worker=100 << 20)
    small = pool.apply(tasks.grow, (1000,))
    assert pool.apply(tasks.grow, (1000,)) == small
    assert pool.apply(tasks.grow, (120 << 20,)) == small
    wait_until(lambda: pool.stats().recycled == 1)
    assert pool.apply(tasks.grow, (1000,)) != small
    assert pool.stats().lost == 0


def test_workers_are_replaced_when_they_are_old(make_pool: Any) -> None:
    pool = make_pool(1, max_age_per_worker=0.001)
    first = pool.apply(tasks.pid_of_worker)
    wait_until(lambda: pool.apply(tasks.pid_of_worker) != first)
    assert pool.stats().lost == 0


def test_the_number_of_workers_can_be_changed(pool: Pool) -> None:
    pool.map(tasks.square, range(100))
    pool.resize(4)
    wait_until(lambda: len(pool.stats().workers) == 4)
    assert pool.map(tasks.square, range(100)) == [n * n for n in range(100)]
    pool.resize(1)
    wait_until(lambda: len(pool.stats().workers) == 1)
    assert pool.map(tasks.square, range(100)) == [n * n for n in range(100)]
    assert pool.stats().lost == 0


def test_stats_tell_what_is_going_on(make_pool: Any, tmp_path: Any) -> None:
    pool = make_pool(1)
    begun: Queue[int] = Queue()
    running = pool.apply_async(tasks.say_and_wait, (begun, str(tmp_path / "go")))
    begun.get()
    waiting = pool.map_async(tasks.square, range(10), 1)
    found = pool.stats()
    assert isinstance(found, PoolStats)
    assert found.waiting + found.running == 11
    (worker,) = found.workers
    assert isinstance(worker, WorkerStats)
    assert worker.name == "PoolWorker-1"
    assert worker.memory > 1 << 20
    assert 0 <= worker.busy <= 1
    (tmp_path / "go").touch()
    running.get()
    waiting.get()
    with pytest.raises(LookupError):
        pool.apply(tasks.fail, ("no",))
    found = pool.stats()
    assert (found.done, found.failed, found.lost, found.retried) == (12, 1, 0, 0)
    assert (found.waiting, found.running) == (0, 0)
    assert found.workers[0].tasks == 12
    pool.close()
    pool.join()
    assert pool.stats().workers == ()


def test_stacks_tell_what_workers_are_doing(pool: Pool) -> None:
    begun: Queue[int] = Queue()
    hanging = pool.apply_async(tasks.say_and_hang, (begun,))
    pid = begun.get()
    assert not hanging.ready()
    wait_until(lambda: len(pool.dump_stacks()) == 2)
    found = pool.dump_stacks()
    assert "hang" in found[pid]
    assert all("in loop" in text for text in found.values())
    assert pool.apply(tasks.square, (3,)) == 9


def test_workers_have_state_of_their_own(make_pool: Any) -> None:
    pool = make_pool(1)
    pool.apply(tasks.set_state, ("kept",))
    assert pool.apply(tasks.get_state) == "kept"


# Objects of all kinds


def test_large_objects_go_through(pool: Pool) -> None:
    large = os.urandom(3 << 20)
    assert pool.apply(tasks.same, (large,)) == large
    assert pool.map(tasks.same, [large] * 4, 1) == [large] * 4
    assert pool.map(tasks.same, [large] * 4, 2) == [large] * 4
    middle = [os.urandom(20_000) for _ in range(50)]
    assert pool.map(tasks.same, middle, 1) == middle
    assert [*pool.imap(tasks.same, middle)] == middle
    assert pool.apply(tasks.same, ([large, 1],)) == [large, 1]


def test_arrays_go_through(pool: Pool) -> None:
    numpy = pytest.importorskip("numpy")
    arrays = [numpy.arange(200_000) + n for n in range(6)]
    for found in (pool.map(tasks.same, arrays, 1), [*pool.imap(tasks.same, arrays)]):
        assert all((one == other).all() for one, other in zip(found, arrays, strict=True))
    assert (pool.apply(tasks.same, (arrays[1],)) == arrays[1]).all()


def test_queues_can_be_arguments_and_results(pool: Pool) -> None:
    queue: Queue[int] = Queue()
    queue.put(7)
    again = pool.apply(tasks.same, (queue,))
    assert again.get() == 7
    for found in pool.map(tasks.same, [queue] * 3, 1):
        found.put(1)
    assert [queue.get() for _ in range(3)] == [1, 1, 1]


def test_functions_of_many_kinds_can_be_tasks(pool: Pool) -> None:
    from functools import partial

    assert pool.apply(partial(tasks.add, 1), (2,)) == 3
    assert pool.apply(int, ("12",)) == 12
    assert pool.apply("a,b".split, (",",)) == ["a", "b"]
    assert pool.map(tasks.Local(), [1]) == [None]
    assert pool.map(str.upper, ["a"]) == ["A"]
    assert pool.starmap(divmod, [(7, 3)]) == [(2, 1)]


def test_functions_that_do_not_pickle_are_named(pool: Pool) -> None:
    for call in (
        lambda: pool.apply(lambda: 3),
        lambda: pool.map(lambda item: item, [1]),
        lambda: list(pool.imap(lambda item: item, [1])),
    ):
        with pytest.raises(SerializationError, match=r"<lambda>.*cloudpickle"):
            call()


def test_arguments_that_do_not_pickle_are_named(pool: Pool) -> None:
    bad = lambda: None  # noqa: E731
    with pytest.raises(SerializationError, match=r"argument 2, of type function, of add"):
        pool.apply(tasks.add, (1, bad))
    with pytest.raises(SerializationError, match=r"argument 'third'"):
        pool.apply(tasks.add, (1, 2), {"third": bad})
    found = pool.map(tasks.same, [1, bad, 3], 1, return_exceptions=True)
    assert (found[0], found[2]) == (1, 3)
    assert isinstance(found[1], SerializationError)
    assert "argument of same(" in str(found[1])


def test_results_that_do_not_pickle_are_named(pool: Pool) -> None:
    with pytest.raises(SerializationError, match=r"result, of type generator"):
        pool.apply(tasks.count_up, (3,))


def test_lambdas_work_with_cloudpickle(make_pool: Any) -> None:
    pytest.importorskip("cloudpickle")
    pool = make_pool(1, serializer="cloudpickle")
    base = 10
    assert pool.apply(lambda number: number + base, (1,)) == 11
    base = 20
    assert pool.map(lambda number: number + base, range(3)) == [20, 21, 22]
    assert pool.apply(tasks.same, (lambda: 5,)) is not None
    assert list(pool.imap(lambda number: number * base, range(3))) == [0, 20, 40]
    assert pool.apply(lambda call: call() + 1, (lambda: 5,)) == 6


def test_context_variables_are_seen_when_asked(make_pool: Any) -> None:
    pool = make_pool(1, propagate_context=True)
    token = tasks.VARIABLE.set("set here")
    try:
        assert pool.apply(tasks.read_variable) == "set here"
        tasks.VARIABLE.set("changed")
        assert pool.apply(tasks.read_variable) == "changed"
        assert pool.map(tasks.read_variable_with, range(3)) == ["changed"] * 3
        bad: Any = lambda: None  # noqa: E731
        tasks.VARIABLE.set(bad)
        with pytest.raises(SerializationError, match=r"pool_tasks\.VARIABLE"):
            pool.apply(tasks.read_variable)
    finally:
        tasks.VARIABLE.reset(token)
    assert pool.apply(tasks.read_variable) == "unset"


def test_context_variables_are_not_seen_otherwise(make_pool: Any) -> None:
    pool = make_pool(1)
    token = tasks.VARIABLE.set("set here")
    try:
        assert pool.apply(tasks.read_variable) == "unset"
    finally:
        tasks.VARIABLE.reset(token)
