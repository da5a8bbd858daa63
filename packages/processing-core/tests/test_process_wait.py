"""join, is_alive, sentinel, close and active_children, by one thread and by many."""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import children
import processing_core
from children import LONG, finished
from conftest import Starter
from processing_core import Process, _children, active_children, lowlevel, wait
from processing_core.context import BaseContext
from processing_testkit import process_tree, wait_until


def test_join_returns_at_once_after_the_end(start: Starter) -> None:
    process = start(children.nothing)
    assert finished(process) == 0
    for timeout in (None, 0, -1, 5):
        began = time.monotonic()
        process.join(timeout)
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -0.5, -math.inf])
def test_join_with_no_time_does_not_wait(
    start: Starter, pipe: tuple[Any, Any], timeout: float
) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    began = time.monotonic()
    process.join(timeout)
    assert time.monotonic() - began < 1
    assert process.is_alive()
    assert process.exitcode is None


def test_join_keeps_to_its_timeout(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    for timeout in (0.001, 0.1, 0.25):
        began = time.monotonic()
        process.join(timeout)
        took = time.monotonic() - began
        assert took >= timeout
        assert took < timeout + 2  # how late is a matter of the machine's load
        assert process.is_alive()


def test_join_without_a_limit_waits_for_the_end(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    joined = threading.Event()

    def join() -> None:
        process.join(math.inf)
        joined.set()

    thread = threading.Thread(target=join)
    thread.start()
    assert pipe[0].recv() == "ready"
    assert not joined.is_set()
    pipe[0].send(None)
    assert joined.wait(LONG)
    thread.join()
    assert process.exitcode == 0


def test_many_threads_join_and_ask(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    barrier = threading.Barrier(13)

    def join() -> int | None:
        barrier.wait(LONG)
        process.join(LONG)
        return process.exitcode

    def join_in_bits() -> int | None:
        barrier.wait(LONG)
        while process.exitcode is None:
            process.join(0.001)
        return process.exitcode

    def ask() -> int | None:
        barrier.wait(LONG)
        while process.is_alive():
            active_children()
        return process.exitcode

    with ThreadPoolExecutor(12) as threads:
        results = [threads.submit(f) for f in (join, join_in_bits, ask) for _ in range(4)]
        barrier.wait(LONG)
        pipe[0].send(None)
        assert [one.result(LONG) for one in results] == [0] * 12


def test_threads_start_and_join_processes_of_their_own(context: BaseContext) -> None:
    def work(code: int) -> int | None:
        process = context.Process(target=children.exit_with, args=(code,))
        process.start()
        process.join(LONG)
        return process.exitcode

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(12))) == list(range(12))


def test_the_sentinel_becomes_ready_at_the_end(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    sentinel = process.sentinel
    assert isinstance(sentinel, int)
    assert wait([sentinel], 0) == []
    pipe[0].send(None)
    assert wait([sentinel], LONG) == [sentinel]
    assert finished(process) == 0
    assert wait([process.sentinel], 0) == [process.sentinel]  # and stays so


def test_the_end_of_a_child_is_known_when_the_sentinel_is_ready(start: Starter) -> None:
    for code in range(5):
        process = start(children.exit_with, code)
        assert wait([process.sentinel], LONG)
        wait_until(lambda: process.exitcode == code)  # noqa: B023 - used at once


def test_close_gives_the_descriptors_back(context: BaseContext) -> None:
    process = context.Process(target=children.nothing)
    process.start()
    sentinel = process.sentinel
    assert finished(process) == 0
    process.close()
    process.close()
    if sys.platform != "win32":
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(sentinel)
    uses: list[Callable[[], object]] = [
        process.join,
        process.is_alive,
        lambda: process.exitcode,
        lambda: process.pid,
        lambda: process.sentinel,
        process.start,
        process.terminate,
    ]
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            use()


def test_close_refuses_while_the_process_runs(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    with pytest.raises(ValueError, match="runs"):
        process.close()
    assert process.is_alive()
    pipe[0].send(None)
    assert finished(process) == 0


def test_close_before_start() -> None:
    process = Process()
    process.close()
    with pytest.raises(ValueError, match="closed"):
        process.start()


def test_active_children_come_and_go(start: Starter, pipe: tuple[Any, Any]) -> None:
    assert active_children() == []
    process = start(children.say_ready_and_wait, pipe[1])
    assert active_children() == [process]
    assert pipe[0].recv() == "ready"
    pipe[0].send(None)
    wait_until(lambda: active_children() == [])
    assert process.exitcode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("trigger", ["active_children", "start", "is_alive"])
def test_finished_children_are_joined_on_the_way(
    context: BaseContext, start_method: str, trigger: str
) -> None:
    """No zombie stays when another process is started or asked about."""
    process = context.Process(target=children.nothing)
    process.start()
    other = context.Process(target=children.nothing)
    assert wait([process.sentinel], LONG)
    pid = process.pid

    def gone() -> bool:
        return pid not in [info.pid for info in process_tree(os.getpid())]

    if start_method == "forkserver":
        wait_until(gone)  # the server sees to it
    else:
        assert not gone()
    if trigger == "active_children":
        assert process not in active_children()
    elif trigger == "start":
        other.start()
        assert finished(other) == 0
    else:
        assert not other.is_alive()
    assert gone()
    assert process.exitcode == 0


def test_a_forgotten_process_still_runs_and_is_joined(
    context: BaseContext, pipe: tuple[Any, Any]
) -> None:
    """The library holds a running child, so dropping the object does not end or lose it."""
    process: Process | None = context.Process(target=children.say_ready_and_wait, args=(pipe[1],))
    assert process is not None
    process.start()
    watch = weakref.ref(process)
    process = None
    gc.collect()
    assert pipe[0].recv() == "ready"
    (child,) = active_children()
    assert child is watch()
    pipe[0].send(None)
    assert finished(child) == 0
    del child
    gc.collect()
    assert watch() is None


def test_arguments_are_not_kept_after_start(context: BaseContext, pipe: tuple[Any, Any]) -> None:
    class Marker:
        pass

    # Only fork can carry an object of a local class.
    if context.get_start_method() != "fork":
        pytest.skip("fork only")
    marker = Marker()
    watch = weakref.ref(marker)
    process = context.Process(target=children.nothing, args=(marker,), kwargs={"also": marker})
    process.start()
    assert finished(process) == 0
    del marker
    gc.collect()
    assert watch() is None


def test_a_subclass_with_run_and_init(
    unfixed_method: None, start_method: str, one_way: tuple[Any, Any]
) -> None:
    processing_core.set_start_method(start_method)
    process = children.Sum(one_way[1], 1, 2, 3)
    assert process.name == "adder"
    process.start()
    assert one_way[0].recv() == (6, "adder", True)
    assert finished(process) == 0


def test_run_can_be_called_directly(one_way: tuple[Any, Any]) -> None:
    process = Process(target=one_way[1].send, args=("called",))
    process.run()
    assert one_way[0].recv() == "called"
    Process().run()


def test_arguments_reach_the_target(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(
        children.send_arguments, pipe[1], 1, "two", [3], kwargs={"four": {4}, "five": b"5"}
    )
    assert pipe[0].recv() == ((1, "two", [3]), {"four": {4}, "five": b"5"})
    assert finished(process) == 0


def test_the_end_of_a_child_is_told_once_however_it_is_noticed(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(_children, "_end_hooks", [])
    lowlevel.on_child_end(lambda: told.append(1))
    joined = start(children.nothing)
    assert finished(joined) == 0
    joined.join()
    assert told == [1]
    noticed = start(children.nothing)
    wait([noticed.sentinel])
    assert told == [1]
    # Its exit code may be known a moment after its end.
    wait_until(lambda: not noticed.is_alive())
    assert active_children() == []
    assert told == [1, 1]
