"""The documented methods, by every start method."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

assert sys.platform != "win32"

import pool_tasks as tasks
from processing_core import (
    ClosedError,
    InvalidArgument,
    InvalidType,
    MisuseError,
    ProcessError,
    RemoteTraceback,
    SerializationError,
    TimeoutError,
)
from processing_pool import AsyncResult, IMapIterator, MapResult, Pool


def test_apply_returns_what_the_function_returns(pool: Pool) -> None:
    assert pool.apply(tasks.square, (7,)) == 49
    assert pool.apply(tasks.add, ("a", "b"), {"third": "c"}) == "abc"
    assert pool.apply(tasks.add, [1, 2]) == 3
    assert pool.apply(tasks.nothing) is None
    assert pool.apply(len, ([1, 2],)) == 2


def test_apply_raises_what_the_function_raises_with_its_traceback(pool: Pool) -> None:
    with pytest.raises(LookupError, match=r"^'?no'?$") as caught:
        pool.apply(tasks.fail, ("no",))
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in fail" in str(caught.value.__cause__)


def test_map_keeps_the_order(pool: Pool) -> None:
    expected = [number * number for number in range(1000)]
    for size in (None, 1, 7, 5000):
        assert pool.map(tasks.square, range(1000), size) == expected
    assert pool.map(tasks.square, iter(range(1000))) == expected


def test_starmap_gives_several_arguments(pool: Pool) -> None:
    pairs = [(number, 1) for number in range(100)]
    for size in (None, 1, 7):
        assert pool.starmap(tasks.add, pairs, size) == [sum(pair) for pair in pairs]
    assert pool.starmap_async(tasks.add, iter(pairs)).get() == [sum(pair) for pair in pairs]


def test_imap_keeps_the_order(pool: Pool) -> None:
    for size in (1, 7):
        found = pool.imap(tasks.square, range(1000), size)
        assert isinstance(found, IMapIterator)
        assert list(found) == [number * number for number in range(1000)]
    assert list(pool.imap(tasks.square, iter([3, 2]))) == [9, 4]


def test_imap_unordered_gives_everything(pool: Pool) -> None:
    for size in (1, 7):
        found = pool.imap_unordered(tasks.square, range(1000), size)
        assert sorted(found) == [number * number for number in range(1000)]


def test_empty_iterables_work_everywhere(pool: Pool) -> None:
    called: list[Any] = []
    assert pool.map(tasks.square, []) == []
    assert pool.starmap(tasks.add, iter(())) == []
    assert list(pool.imap(tasks.square, [])) == []
    assert list(pool.imap_unordered(tasks.square, iter(()))) == []
    assert pool.map_async(tasks.square, (), callback=called.append).get(10) == []
    assert called == [[]]


def test_imap_goes_on_after_an_item_that_fails(pool: Pool) -> None:
    found = pool.imap(tasks.fail_if_odd, range(4))
    assert next(found) == 0
    with pytest.raises(LookupError, match="1 is odd"):
        next(found)
    assert next(found) == 2
    with pytest.raises(LookupError, match="3 is odd"):
        found.next(10)
    with pytest.raises(StopIteration):
        next(found)


def test_map_raises_the_first_failure(pool: Pool) -> None:
    for size in (None, 1):
        with pytest.raises(LookupError, match="1 is odd"):
            pool.map(tasks.fail_if_odd, range(50), size)


def test_map_can_return_exceptions(pool: Pool) -> None:
    for size in (None, 1, 10):
        found: list[Any] = pool.map(tasks.fail_if_odd, range(51), size, return_exceptions=True)
        assert [each for each in found if isinstance(each, int)] == list(range(0, 51, 2))
        assert [str(each) for each in found[1::2]] == [f"{n} is odd" for n in range(1, 51, 2)]


def test_results_can_be_waited_for(pool: Pool, tmp_path: Any) -> None:
    result = pool.apply_async(tasks.wait_for, (str(tmp_path / "go"),))
    assert isinstance(result, AsyncResult)
    assert not result.ready()
    with pytest.raises(TimeoutError):
        result.get(0.01)
    result.wait(0.01)
    for kind in (AssertionError, ValueError, ProcessError):
        with pytest.raises(kind):
            result.successful()
    (tmp_path / "go").touch()
    result.wait()
    assert result.ready()
    assert result.successful()
    assert result.get(0) == str(tmp_path / "go")


def test_a_failed_result_is_not_successful(pool: Pool) -> None:
    result = pool.apply_async(tasks.fail, ("no",))
    result.wait()
    assert result.ready()
    assert not result.successful()
    for _ in range(2):
        with pytest.raises(LookupError):
            result.get()


def test_next_has_a_timeout(pool: Pool, tmp_path: Any) -> None:
    found = pool.imap(tasks.wait_for, [str(tmp_path / "go")])
    for timeout in (0, 0.01):
        with pytest.raises(TimeoutError):
            found.next(timeout)
    (tmp_path / "go").touch()
    assert found.next(timeout=20) == str(tmp_path / "go")


def test_callbacks_run_on_success_and_error_callbacks_on_failure(pool: Pool) -> None:
    values: list[Any] = []
    errors: list[Any] = []
    calls: list[Any] = [
        pool.apply_async(tasks.square, (3,), callback=values.append, error_callback=errors.append),
        pool.apply_async(tasks.fail, ("no",), {}, values.append, errors.append),
        pool.map_async(tasks.square, [2], callback=values.append, error_callback=errors.append),
        pool.map_async(tasks.fail, ["no"], 1, values.append, errors.append),
    ]
    for call in calls:
        call.wait()
    pool.close()
    pool.join()
    assert sorted(values, key=str) == [9, [4]]
    assert [type(error) for error in errors] == [LookupError, LookupError]


def test_a_callback_that_raises_is_shown_and_the_pool_goes_on(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *of: shown.append(of[0]))

    def bad(_: Any) -> None:
        raise KeyError

    assert pool.apply_async(tasks.square, (3,), callback=bad).get() == 9
    assert pool.apply(tasks.square, (4,)) == 16
    assert shown == [KeyError]


def test_a_callback_cannot_wait_for_the_pool(pool: Pool) -> None:
    seen: list[Any] = []

    def wait(_: Any) -> None:
        attempts: tuple[Callable[[], int], ...] = (
            lambda: pool.apply(tasks.square, (2,)),
            lambda: next(pool.imap(tasks.square, [2])),
        )
        for attempt in attempts:
            try:
                attempt()
            except MisuseError as error:
                seen.append(error)

    pool.apply_async(tasks.square, (3,), callback=wait).get()
    assert pool.apply(tasks.square, (4,)) == 16
    assert len(seen) == 2


def test_both_spellings_are_the_same() -> None:
    for camel, plain in (
        ("applyAsync", "apply_async"),
        ("mapAsync", "map_async"),
        ("starmapAsync", "starmap_async"),
        ("imapUnordered", "imap_unordered"),
    ):
        assert getattr(Pool, camel) is getattr(Pool, plain)


def test_workers_have_their_names(make_pool: Any) -> None:
    assert make_pool(1).apply(tasks.name_of_worker) == "PoolWorker-1"


# The life of a pool


def test_a_closed_pool_finishes_its_work_and_takes_no_more(pool: Pool) -> None:
    results = [pool.apply_async(tasks.square, (n,)) for n in range(100)]
    many = pool.map_async(tasks.square, range(100))
    one_by_one = pool.imap(tasks.square, range(3000))
    lazily = pool.imap(tasks.square, (n for n in range(3000)))
    pool.close()
    for call in (
        lambda: pool.apply_async(tasks.square, (1,)),
        lambda: pool.map(tasks.square, [1]),
        lambda: pool.imap(tasks.square, [1]),
        lambda: pool.stream(tasks.count_up, (1,)),
    ):
        with pytest.raises(ClosedError):
            call()
        with pytest.raises(ValueError, match="closed"):
            call()
    pool.join()
    assert [result.get(0) for result in results] == [n * n for n in range(100)]
    assert many.get(0) == [n * n for n in range(100)]
    assert list(one_by_one) == [n * n for n in range(3000)]
    assert list(lazily) == [n * n for n in range(3000)]
    pool.join()
    pool.close()


def test_imap_can_be_consumed_after_close(pool: Pool) -> None:
    found = pool.imap(tasks.square, range(3000))
    lazily = pool.imap_unordered(tasks.square, iter(range(3000)))
    pool.close()
    assert list(found) == [n * n for n in range(3000)]
    assert sorted(lazily) == [n * n for n in range(3000)]


def test_a_pool_can_be_joined_only_after_close_or_terminate(pool: Pool) -> None:
    for kind in (AssertionError, ValueError, ProcessError):
        with pytest.raises(kind):
            pool.join()


def test_terminate_ends_what_runs(pool: Pool) -> None:
    results: list[Any] = [pool.apply_async(tasks.hang) for _ in range(5)]
    results.append(pool.map_async(tasks.hang, range(10)))
    found = pool.imap(tasks.hang, range(10))
    pool.terminate()
    pool.join()
    for result in results:
        with pytest.raises(ProcessError, match="terminated"):
            result.get(0)
    with pytest.raises(ProcessError, match="terminated"):
        found.next(0)
    with pytest.raises(ClosedError):
        pool.apply(tasks.square, (1,))


def test_a_block_ends_with_close_and_join(start_method: str) -> None:
    with Pool(2, context=start_method) as pool:
        result = pool.map_async(tasks.square, range(1000))
    assert result.get(0) == [n * n for n in range(1000)]


def test_a_block_that_is_left_by_an_exception_ends_by_terminate(start_method: str) -> None:
    pool = Pool(2, context=start_method)
    result = pool.apply_async(tasks.hang)
    with pytest.raises(KeyError), pool:
        raise KeyError
    with pytest.raises(ProcessError, match="terminated"):
        result.get(0)


def test_a_block_breaks_off_what_may_be_endless(start_method: str) -> None:
    def for_ever() -> Any:
        while True:
            yield 2

    with Pool(2, context=start_method) as pool:
        found = pool.imap(tasks.square, for_ever())
        values = pool.stream(tasks.count_for_ever)
        assert next(found) == 4
        assert next(values) == 0
    with pytest.raises(ClosedError):
        for _ in found:
            pass
    with pytest.raises(ProcessError):
        for _ in values:
            pass


# Arguments


@pytest.mark.parametrize("options", [
    {"processes": 0}, {"processes": -1}, {"maxtasksperchild": 0}, {"max_tasks_per_child": 0},
    {"max_memory_per_worker": 0}, {"max_age_per_worker": 0}, {"timeout": 0}, {"timeout": -1},
    {"retries": -1}, {"serializer": "magic"}, {"context": "magic"}, {"timeout": float("nan")},
])  # fmt: skip
def test_bad_values_are_refused(options: Any) -> None:
    with pytest.raises(InvalidArgument):
        Pool(**{"processes": 1, **options})


@pytest.mark.parametrize("options", [
    {"processes": "2"}, {"processes": 1.5}, {"initializer": 3}, {"finalizer": 3},
    {"timeout": "1"}, {"retries": 0.5}, {"max_memory_per_worker": 1.5},
])  # fmt: skip
def test_bad_types_are_refused(options: Any) -> None:
    with pytest.raises(InvalidType):
        Pool(**{"processes": 1, **options})


def test_bad_arguments_of_calls_are_refused(pool: Pool) -> None:
    for call in (
        lambda: pool.map(tasks.square, [1], 0),
        lambda: pool.imap(tasks.square, [1], 0),
        lambda: pool.imap(tasks.square, [1], buffersize=0),
        lambda: pool.apply(tasks.square, (1,), timeout=-1),
        lambda: pool.apply(tasks.square, (1,), retries=-1),
        lambda: pool.resize(0),
    ):
        with pytest.raises(InvalidArgument):
            call()
    not_iterable: Any = 3
    with pytest.raises(TypeError):
        pool.map(tasks.square, not_iterable)
    with pytest.raises(TypeError):
        pool.imap(tasks.square, not_iterable)


def test_pools_cannot_be_pickled(pool: Pool) -> None:
    import pickle

    for thing, kind in (
        (pool, NotImplementedError),
        (pool.apply_async(tasks.nothing), SerializationError),
        (pool.imap(tasks.square, [1]), SerializationError),
    ):
        with pytest.raises(kind):
            pickle.dumps(thing)
    with pytest.raises(SerializationError, match="cannot be passed"):
        pool.apply(tasks.same, (pool,))


def test_reprs_say_what_it_is(pool: Pool) -> None:
    assert repr(pool) == "<Pool running processes=2>"
    result = pool.apply_async(tasks.nothing)
    result.wait()
    assert repr(result) == "<AsyncResult done>"
    assert isinstance(pool.map_async(tasks.square, [1]), MapResult)
    pool.close()
    assert repr(pool) == "<Pool closed processes=2>"


# Initializers


def test_initializers_prepare_workers(make_pool: Any) -> None:
    pool = make_pool(2, initializer=tasks.set_state, initargs=("ready",))
    assert pool.map(lambda_free_state, range(20), 1) == ["ready"] * 20


def lambda_free_state(_: int) -> Any:
    return tasks.get_state()


def test_an_initializer_that_fails_is_told_to_everybody(make_pool: Any) -> None:
    pool = make_pool(2, initializer=tasks.fail, initargs=("unprepared",))
    for call in (
        lambda: pool.apply(tasks.square, (1,)),
        lambda: pool.map(tasks.square, range(10)),
        lambda: list(pool.imap(tasks.square, range(10))),
        lambda: list(pool.stream(tasks.count_up, (3,))),
    ):
        with pytest.raises(LookupError, match="unprepared") as caught:
            call()
        assert "in fail" in str(caught.value.__cause__)
    pool.close()
    pool.join()


def test_finalizers_run_when_workers_end(make_pool: Any, tmp_path: Any) -> None:
    path = tmp_path / "pids"
    pool = make_pool(2, finalizer=tasks.WritesAtEnd(str(path)))
    pids = {worker.pid for worker in pool.stats().workers}
    pool.close()
    pool.join()
    assert {int(line) for line in path.read_text().split()} == pids


# Threads


def test_many_threads_may_use_it(pool: Pool) -> None:
    failures: list[Any] = []

    def use(start: int) -> None:
        numbers = range(start, start + 100)
        failures.extend(n for n in numbers if pool.apply(tasks.square, (n,)) != n * n)

    threads = [threading.Thread(target=use, args=(n * 1000,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
