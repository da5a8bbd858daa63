"""Queues whose users are killed, stopped and interrupted at any moment."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

import pytest

import queue_children
from children import LONG
from conftest import Starter
from processing_core import Pipe, Process, Queue
from processing_core._ring.layout import FOR_MESSAGES, GETTERS, LOW_32
from processing_core.queues import Empty, Full
from processing_testkit import wait_until

assert sys.platform != "win32"

KILLS = 40


@pytest.mark.deadline(120)
@pytest.mark.parametrize(("size", "maxsize"), [(50, 0), (50, 10), (100_000, 10)])
def test_random_kills_of_producers_and_consumers(
    start_method: str, start: Starter, size: int, maxsize: int
) -> None:
    """Survivors go on, nothing is damaged or doubled, and only what was in the hands is lost."""
    kills = KILLS if start_method == "fork" else KILLS // 4
    rng = random.Random(size + maxsize)  # noqa: S311
    queue: Queue[Any] = Queue(maxsize)
    results: Queue[Any] = Queue()
    producers = {name: start(queue_children.put_for_ever, queue, name, size) for name in range(2)}
    consumers = [start(queue_children.get_for_ever, queue, results) for _ in range(2)]
    seen: list[tuple[int, int, bool]] = []
    lost_in_consumers = 0
    for kill in range(kills):
        for _ in range(rng.randrange(1, 40)):
            seen.append(results.get(timeout=20))  # noqa: PERF401 - each has its own time limit
        if rng.random() < 0.5:
            name = rng.choice(list(producers))
            producers.pop(name).kill()
            producers[1000 + kill] = start(queue_children.put_for_ever, queue, 1000 + kill, size)
        else:
            consumers.pop(rng.randrange(len(consumers))).kill()
            lost_in_consumers += 1
            consumers.append(start(queue_children.get_for_ever, queue, results))
    for process in producers.values():
        process.kill()
        process.join()
    while not queue.empty():
        seen.append(results.get(timeout=20))
    # Whatever the consumers have in their hands comes, or they are asleep.
    wait_until(lambda: queue._words[16] & 0xFFFFFFFF >= 2, 20)
    seen += queue_children.take_what_is_there(results)
    for process in consumers:
        process.kill()
        process.join()
    assert all(whole for _, _, whole in seen)
    counts = Counter((name, number) for name, number, _ in seen)
    assert max(counts.values()) == 1
    numbers: dict[int, list[int]] = {}
    for name, number, _ in seen:
        numbers.setdefault(name, []).append(number)
    missing = sum(max(found) + 1 - len(found) for found in numbers.values())
    assert missing <= lost_in_consumers
    assert queue._memory_in_use() < 1_000_000


class Interrupts:
    """SIGINT from another thread again and again; raises only while it is armed, once each time."""

    def __init__(self, rounds: int) -> None:
        self.armed = False
        self._rounds = rounds
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._handle)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        signal.signal(signal.SIGINT, self._before)

    @property
    def go_on(self) -> bool:
        return self._thread.is_alive()

    def _handle(self, *_: object) -> None:
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt

    def _send(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        pauses = random.Random(5)  # noqa: S311
        for _ in range(self._rounds):
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(pauses.random() * 0.0005)


@pytest.mark.deadline(120)
def test_interrupts_lose_nothing() -> None:
    """Each put and get that SIGINT may interrupt has happened or has not."""
    queue: Queue[Any] = Queue(3)
    attempts: list[int] = []
    certain: list[int] = []
    got: list[int] = []
    raised = 0
    with Interrupts(1500) as interrupts:
        while interrupts.go_on:
            attempts.append(len(attempts))
            try:
                interrupts.armed = True
                try:
                    queue.put(attempts[-1], False)
                    certain.append(attempts[-1])
                    # Between the return of get() and the call of append() no handler runs.
                    got.append(queue.get(timeout=0.001))
                except (Empty, Full):
                    pass
                interrupts.armed = False
            except KeyboardInterrupt:
                raised += 1
            while not queue.empty():
                got.append(queue.get(False))
    assert raised > 100
    assert max(Counter(got).values()) == 1
    assert got == sorted(got)
    assert set(certain) <= set(got) <= set(attempts)


def test_an_interrupt_ends_waiting_at_once(start_method: str) -> None:
    del start_method
    for call in ("get", "put"):
        queue: Queue[int] = Queue(1)
        if call == "put":
            queue.put(0)
        main = threading.main_thread().ident
        assert main is not None
        which = 16 if call == "get" else 24

        def interrupt(queue: Queue[int] = queue, which: int = which, main: int = main) -> None:
            wait_until(lambda: queue._words[which] & 0xFFFFFFFF)
            signal.pthread_kill(main, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            queue.get() if call == "get" else queue.put(1)
        thread.join()
        assert not queue._words[which] & 0xFFFFFFFF
        if call == "get":
            queue.put(1)
            assert queue.get() == 1
        else:
            assert queue.get() == 0
            assert queue.empty()


def test_a_process_killed_with_a_guard_held(start_method: str) -> None:
    """For each guard: the next one puts things right and goes on."""
    del start_method
    for which in ("_putting", "_getting"):
        queue: Queue[Any] = Queue(5)
        queue.put(1)

        def die(queue: Queue[Any] = queue, which: str = which) -> None:
            getattr(queue, which).run(lambda: os.kill(os.getpid(), signal.SIGKILL))

        process = Process(target=die, context="fork")
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        queue.put(2)
        assert [queue.get(), queue.get()] == [1, 2]


@contextmanager
def stopped_producer(queue: Queue[Any], *, later: bool = False) -> Iterator[Callable[[], None]]:
    """While a process is stopped in the middle of a put; with ``later`` once this is called."""
    ready, tell = Pipe(False)
    go, say_go = Pipe(False)

    def stop() -> None:
        def held() -> None:
            tell.send(None)
            signal.pause()

        go.recv()
        queue._putting.run(held)

    def begin() -> None:
        say_go.send(None)
        ready.recv()

    process = Process(target=stop, context="fork")
    process.start()
    try:
        if not later:
            begin()
        yield begin
    finally:
        process.kill()
        process.join()
        for end in (ready, tell, go, say_go):
            end.close()


def test_a_stopped_holder_of_a_guard_is_waited_for_until_the_time_is_up() -> None:
    queue: Queue[Any] = Queue(5)
    with stopped_producer(queue), pytest.raises(Full):
        queue._wait(lambda: True, 1, time.monotonic() - 100, Full)
    queue.put(1)
    assert queue.get() == 1


def test_a_large_message_is_received_while_a_producer_is_stopped() -> None:
    queue: Queue[Any] = Queue()
    for _ in range(3):
        queue.put(bytes(1_000_000))
    with stopped_producer(queue):
        for _ in range(3):
            assert queue.get() == bytes(1_000_000)
    assert queue._table.is_free(0)


def test_who_waits_gives_up_in_time_while_a_producer_is_stopped() -> None:
    """It is asleep already when that happens, so it cannot leave the list of sleepers."""
    queue: Queue[Any] = Queue()
    with stopped_producer(queue, later=True) as begin, ThreadPoolExecutor(1) as threads:
        getting = threads.submit(queue.get, True, 0.3)
        wait_until(lambda: queue._words[GETTERS] & LOW_32)
        begin()
        with pytest.raises(Empty):
            getting.result(LONG)
    # The place that was left behind is given back by whoever comes next.
    assert queue._left[FOR_MESSAGES]
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    assert not queue._left[FOR_MESSAGES]
    assert not queue._words[GETTERS] & LOW_32
    queue.put(1)
    assert queue.get() == 1
