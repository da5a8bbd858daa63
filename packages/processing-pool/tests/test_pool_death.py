"""Workers that die: what is lost, what goes on, what is tried again."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

assert sys.platform != "win32"

import pool_tasks as tasks
from processing_core import Pipe, ProcessError, Queue, RemoteError
from processing_pool import AsyncResult, Pool, TaskCancelled, TaskTimeout, WorkerLost
from processing_testkit import run_script, wait_until


def test_a_worker_that_dies_costs_its_running_task_alone(pool: Pool, tmp_path: Any) -> None:
    begun: Queue[int] = Queue()
    victim = pool.apply_async(tasks.say_and_hang, (begun,))
    pid = begun.get()
    others = [pool.apply_async(tasks.square, (n,)) for n in range(200)]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerLost, match=r"SIGKILL.*say_and_hang") as caught:
        victim.get()
    assert caught.value.pid == pid
    assert caught.value.cause == "SIGKILL"
    assert "say_and_hang" in caught.value.task
    # Whoever is told finds the worker replaced.
    found = pool.stats()
    assert found.lost == 1
    assert len(found.workers) == 2
    assert pid not in [worker.pid for worker in found.workers]
    assert [other.get() for other in others] == [n * n for n in range(200)]


def test_what_is_too_long_to_be_shown_ends_in_an_ellipsis(pool: Pool) -> None:
    text = "x" * 50
    stream: Any = tasks.do_kill
    for kill in (
        lambda: pool.apply(tasks.do_kill, (text,) * 10),
        lambda: pool.apply(tasks.do_kill, ((text,) * 6,)),
        lambda: pool.map(tasks.do_kill, [[text] * 6], 1),
        lambda: pool.map(tasks.do_kill, [[text] * 6] * 3, 3),
        lambda: next(pool.imap(tasks.do_kill, [[text] * 6])),
        lambda: next(pool.stream(stream, (text,) * 10)),
    ):
        with pytest.raises(WorkerLost) as caught:
            kill()
        task = caught.value.task
        assert task.startswith("do_kill")
        assert task.endswith("x…")
        assert len(task) == 200
        assert str(caught.value).endswith(f"while it ran {task}")
    with pytest.raises(WorkerLost) as caught:
        pool.apply(tasks.do_kill, (text,))
    assert caught.value.task == f"do_kill({text!r})"


def test_lost_errors_can_be_pickled() -> None:
    error = WorkerLost.told("gone", 12, "SIGKILL", "f(1)")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.pid, copy.cause, copy.task) == ("gone", 12, "SIGKILL", "f(1)")
    for kind in (TaskTimeout, TaskCancelled):
        assert str(pickle.loads(pickle.dumps(kind("why")))) == "why"


@pytest.mark.parametrize(
    ("act", "cause"),
    [(tasks.do_leave, "exit code 3"), (tasks.do_kill, "SIGKILL"), (tasks.do_crash, "SIGSEGV")],
)
def test_the_cause_is_named(pool: Pool, act: Any, cause: str) -> None:
    with pytest.raises(WorkerLost, match=cause):
        pool.apply(act)
    assert pool.apply(tasks.square, (3,)) == 9


def test_results_before_the_death_are_kept(make_pool: Any, tmp_path: Any) -> None:
    """Tasks that travel together: those before the one that dies have their results."""
    pool = make_pool(1)
    pool.map(tasks.square, range(1000), 1)  # so that many travel together
    found = pool.map(tasks.die_at_500, range(1000), 1, return_exceptions=True)
    assert [type(each) for each in found].count(WorkerLost) == 1
    assert isinstance(found[500], WorkerLost)
    assert [each for each in found if isinstance(each, int)] == [n for n in range(1000) if n != 500]
    assert "die_at_500(500)" in str(found[500])


def test_lost_tasks_are_tried_again(make_pool: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "died")
    pool = make_pool(2, retries=1)
    assert pool.apply(tasks.die_once, (path, 0)) == 0
    Path(path).unlink()
    jobs = [(path, n) for n in range(50)]
    assert pool.starmap(tasks.die_once, jobs) == list(range(50))
    assert pool.stats().retried == 2
    assert pool.stats().lost == 2


def test_a_call_may_have_retries_of_its_own(make_pool: Any, tmp_path: Any) -> None:
    pool: Pool = make_pool(1)
    calls: tuple[Callable[[str], int], ...] = (
        lambda path: pool.apply(tasks.die_once, (path, 0), retries=1),
        lambda path: pool.starmap(tasks.die_once, [(path, 0)], retries=1)[0],
    )
    for call in calls:
        path = str(tmp_path / "died")
        assert call(path) == 0
        Path(path).unlink()
    found = pool.imap(tasks.do_kill, [1], retries=1)
    with pytest.raises(WorkerLost):
        next(found)
    assert pool.stats().lost == 4


def test_a_task_that_kills_every_worker_is_given_up(make_pool: Any) -> None:
    pool = make_pool(2, retries=3)
    with pytest.raises(WorkerLost):
        pool.apply(tasks.do_leave)
    assert pool.stats().lost == 4
    assert pool.map(tasks.square, range(10)) == [n * n for n in range(10)]


def test_killing_all_workers_at_once_is_survived(pool: Pool) -> None:
    for _ in range(3):
        pool.map(tasks.square, range(10))
        for worker in pool.stats().workers:
            os.kill(worker.pid, signal.SIGKILL)
        assert pool.map(tasks.square, range(1000), 1) == [n * n for n in range(1000)]


def test_an_idle_worker_that_dies_costs_nothing(pool: Pool) -> None:
    pool.apply(tasks.nothing)
    for worker in pool.stats().workers:
        os.kill(worker.pid, signal.SIGKILL)
    assert pool.apply(tasks.square, (3,)) == 9


def test_a_worker_that_dies_while_the_pool_ends_does_not_stop_it(pool: Pool) -> None:
    begun: Queue[int] = Queue()
    result = pool.apply_async(tasks.say_and_hang, (begun,))
    pid = begun.get()
    pool.close()
    os.kill(pid, signal.SIGKILL)
    pool.join()
    with pytest.raises(WorkerLost):
        result.get(0)


@pytest.mark.parametrize("act", [tasks.do_leave, tasks.do_kill, tasks.do_crash, tasks.do_exit])
def test_an_initializer_that_ends_the_worker_breaks_the_pool(make_pool: Any, act: Any) -> None:
    pool = make_pool(2, initializer=act)
    with pytest.raises(ProcessError):
        pool.apply(tasks.square, (1,))
    with pytest.raises(ProcessError):
        pool.map(tasks.square, range(10))


# What would end whoever has the pool


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_tasks_cannot_end_their_worker_or_the_caller(make_pool: Any, error: Any) -> None:
    pool: Pool = make_pool(1)
    pid = pool.apply(tasks.pid_of_worker)
    told: list[BaseException] = []
    result = pool.apply_async(tasks.raise_it, (error,), error_callback=told.append)
    found = pool.starmap(tasks.raise_it, [(error, 3)], return_exceptions=True)
    values = pool.stream(tasks.raise_it_later, (error,))
    assert next(values) == 1
    calls: list[Callable[[], object]] = [
        result.get,
        lambda: pool.apply(tasks.raise_it, (error,)),
        lambda: pool.map(tasks.raise_it, [error]),
        lambda: next(pool.imap_unordered(tasks.raise_it, [error])),
        lambda: next(values),
        lambda: pool.as_executor().submit(tasks.raise_it, error).result(),
    ]
    for call in calls:
        with pytest.raises(RemoteError, match=f"the task raised {error.__name__}") as caught:
            call()
        assert "Traceback" in str(caught.value.__cause__)
    assert isinstance(found[0], RemoteError)
    assert f"{error.__name__}(3)" in str(found[0])
    assert isinstance(told[0], RemoteError)
    assert pool.apply(tasks.pid_of_worker) == pid
    assert pool.stats().lost == 0


ENDINGS = """
import sys
from processing_pool import Pool

def leave(text):
    print("said", text, flush=True)
    raise (SystemExit if text == "exit" else KeyboardInterrupt)(text)

if __name__ == "__main__":
    with Pool(1) as pool:
        for text in ("exit", "interrupt"):
            try:
                pool.apply(leave, (text,))
            except Exception as error:
                print(type(error).__name__, error, flush=True)
"""


@pytest.mark.orphans
def test_what_such_tasks_print_is_printed_and_nothing_else(start_method: str) -> None:
    result = run_script(ENDINGS, method=start_method)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "said exit",
        "RemoteError the task raised SystemExit('exit')",
        "said interrupt",
        "RemoteError the task raised KeyboardInterrupt('interrupt')",
    ]


# Time limits


def test_a_task_that_takes_too_long_is_ended(pool: Pool, tmp_path: Any) -> None:
    with pytest.raises(TaskTimeout, match=r"hang\(\) took longer than 0\.1 seconds"):
        pool.apply(tasks.hang, timeout=0.1)
    with pytest.raises(TimeoutError):
        pool.apply(tasks.hang, timeout=0.1)
    warm_up(pool, tmp_path / "go")
    found = pool.starmap(tasks.sleep, [(0, 1), (60, 2), (0, 3)], timeout=2, return_exceptions=True)
    assert found[0] == 1
    assert isinstance(found[1], TaskTimeout)
    assert found[2] == 3
    assert pool.apply(tasks.square, (3,)) == 9
    assert pool.stats().lost == 0


def test_a_pool_may_have_a_time_limit_for_all_tasks(make_pool: Any) -> None:
    pool = make_pool(2, timeout=0.3)
    with pytest.raises(TaskTimeout):
        pool.apply(tasks.hang)
    assert pool.apply(tasks.sleep, (0.5, "late"), timeout=30) == "late"
    found = pool.imap(tasks.hang, [1])
    with pytest.raises(TaskTimeout):
        next(found)


def test_waiting_does_not_count(make_pool: Any) -> None:
    """Tasks wait behind others for longer than their limit, and are not ended."""
    pool = make_pool(1)
    pool.apply(tasks.nothing)  # the worker's imports do count
    results = [pool.apply_async(tasks.sleep, (0.4, n), timeout=2) for n in range(6)]
    assert [result.get() for result in results] == list(range(6))


def test_a_stopped_worker_is_ended_by_the_limit(pool: Pool) -> None:
    with pytest.raises(TaskTimeout):
        pool.apply(tasks.do_stop, timeout=0.2)
    assert pool.apply(tasks.square, (3,)) == 9


def test_workers_that_are_stopped_with_nothing_to_do_cost_no_task(make_pool: Any) -> None:
    """They do not begin what they are given, so there is nothing to lose."""
    pool: Pool = make_pool(2, timeout=4)  # the workers' imports count, on a busy machine too
    stopped = stop_all(pool)
    assert pool.apply(tasks.square, (3,)) == 9
    assert pool.map(tasks.square, range(100)) == [n * n for n in range(100)]
    wait_until(lambda: not stopped & pids_of(pool))
    assert pool.stats().lost == 0
    assert pool.stats().failed == 0


def test_a_stopped_worker_whose_tasks_others_have_done_is_replaced(make_pool: Any) -> None:
    pool: Pool = make_pool(2)
    stopped = stop_all(pool, 1)
    # The others' tasks are taken back from it, and it is asked whether it is there.
    assert pool.map(tasks.square, range(1000), 1, timeout=20) == [n * n for n in range(1000)]
    wait_until(lambda: not stopped & pids_of(pool))
    assert pool.map(tasks.square, range(10)) == [n * n for n in range(10)]


def test_a_worker_that_is_stopped_while_it_tells_a_result_holds_nobody_up(make_pool: Any) -> None:
    """It has the lock of the queue that all workers tell their results by."""
    pool: Pool = make_pool(2)
    found: list[AsyncResult[Any]] = [pool.apply_async(tasks.stop_with_lock_of_results, timeout=0.5)]
    found += [pool.apply_async(tasks.square, (n,)) for n in range(20)]
    with pytest.raises(TaskTimeout):
        found[0].get()
    assert [result.get() for result in found[1:]] == [n * n for n in range(20)]
    assert pool.apply(tasks.square, (3,)) == 9


def test_a_worker_that_is_stopped_while_it_listens_holds_nobody_up(
    make_pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the lock of its own queue, on which the pool puts what it is to do."""
    monkeypatch.setattr("processing_core._ring.channel.AT_ONCE_SECONDS", 0.2)
    monkeypatch.setattr("processing_pool._process.LOCKED_SECONDS", 0.2)
    pool: Pool = make_pool(1)
    is_ready, ready = Pipe(duplex=False)
    go, tell = Pipe(duplex=False)
    with is_ready, ready, go, tell:
        stopped = pids_of(pool)
        pool.apply(tasks.listen_for_ever, (ready, go))
        assert is_ready.recv()
        tell.send(True)
        wait_until(lambda: all(is_process_stopped(pid) for pid in stopped))
        assert pool.map(tasks.square, range(10), timeout=20) == [n * n for n in range(10)]
        assert not stopped & pids_of(pool)


def is_process_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_task_is_ended_that_is_cancelled_just_before_it_begins(make_pool: Any) -> None:
    was_taken, taken = Pipe(duplex=False)
    go, tell = Pipe(duplex=False)
    with was_taken, taken, go, tell:
        pool: Pool = make_pool(1, initializer=tasks.hold_first_message, initargs=(taken, go))
        result = pool.apply_async(tasks.sleep, (600,))
        assert was_taken.recv()
        assert result.cancel()
        with pytest.raises(TaskCancelled):
            result.get()
        # Now the pool has tried to take it back.
        engine: Any = pool._engine
        wait_until(lambda: engine._overseer._unwanted)
        tell.send(True)
        tell.send(True)  # to the worker that replaces it
        assert pool.apply_async(tasks.square, (3,)).get(20) == 9


def stop_all(pool: Pool, count: int = 2) -> set[int]:
    """Stop so many workers once they have nothing to do."""
    pool.starmap(tasks.sleep, [(0.01,)] * 20, 1)
    wait_until(lambda: not pool.stats().running)
    pids = sorted(pids_of(pool))[:count]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return set(pids)


def pids_of(pool: Pool) -> set[int]:
    return {worker.pid for worker in pool.stats().workers}


def test_tiny_tasks_with_a_limit_are_not_harmed(make_pool: Any) -> None:
    pool = make_pool(2, timeout=20)
    assert pool.map(tasks.square, range(5000)) == [n * n for n in range(5000)]


# Cancelling


def test_a_running_task_can_be_cancelled(pool: Pool) -> None:
    begun: Queue[int] = Queue()
    result = pool.apply_async(tasks.say_and_hang, (begun,))
    pid = begun.get()
    assert result.started
    assert result.pid == pid
    elapsed = result.elapsed
    assert elapsed is not None
    assert elapsed >= 0
    assert result.cancel()
    result = as_it_is(result)
    with pytest.raises(TaskCancelled, match="say_and_hang"):
        result.get(0)
    assert not result.cancel()
    assert result.pid is None
    assert result.elapsed is None
    assert pool.apply(tasks.square, (3,)) == 9
    pool.close()
    pool.join()  # which would wait for the task
    assert pool.stats().lost == 0


def test_a_waiting_task_can_be_cancelled(make_pool: Any, tmp_path: Any) -> None:
    pool = make_pool(1)
    begun: Queue[int] = Queue()
    running = pool.apply_async(tasks.say_and_wait, (begun, str(tmp_path / "go")))
    begun.get()
    path = str(tmp_path / "pids")
    waiting = [pool.apply_async(tasks.write_pid, (path,)) for _ in range(5)]
    assert not waiting[0].started
    assert waiting[0].pid is None
    assert waiting[1].cancel()
    assert waiting[3].cancel()
    (tmp_path / "go").touch()
    running.get()
    for place in (0, 2, 4):
        waiting[place].get()
    assert len((tmp_path / "pids").read_text().split()) == 3


def test_a_map_can_be_cancelled(pool: Pool) -> None:
    begun: Queue[int] = Queue()
    result = pool.map_async(tasks.say_and_hang, [begun] * 4, 1)
    begun.get()
    assert result.cancel()
    with pytest.raises(TaskCancelled):
        result.get(0)
    assert pool.map(tasks.square, range(10)) == [n * n for n in range(10)]


def test_a_result_that_is_there_cannot_be_cancelled(pool: Pool) -> None:
    result = pool.apply_async(tasks.square, (3,))
    result.wait()
    assert not result.cancel()
    assert result.get() == 9
    assert result.started


def test_workers_that_ignore_sigterm_are_ended(pool: Pool) -> None:
    begun: Queue[int] = Queue()
    result = pool.apply_async(tasks.hang_ignoring_sigterm, (begun,))
    begun.get()
    pool.terminate()
    pool.join()
    with pytest.raises(TaskCancelled):
        result.get(0)


def warm_up(pool: Pool, path: Path) -> None:
    """Have both workers import what tasks need, which counts as a task's time."""
    begun: Queue[int] = Queue()
    results = [pool.apply_async(tasks.say_and_wait, (begun, str(path))) for _ in range(2)]
    assert len({begun.get() for _ in results}) == 2
    path.touch()
    for result in results:
        result.get()


def as_it_is(result: AsyncResult[Any]) -> AsyncResult[Any]:
    """Have type checkers forget what was asserted of it before."""
    return result
