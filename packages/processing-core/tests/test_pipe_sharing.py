"""Several threads and processes share the ends of a pipe: nothing tears, nothing is lost."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import pipe_children
import processing_core
from children import LONG, finished
from conftest import Starter
from pipe_children import pattern

KIB = 1024
SMALL = [0, 1, 100, 5_000]
MIXED = [1, 70 * KIB, 10, 300 * KIB, 60 * KIB, 3, 64 * KIB, 0, 1000 * KIB, 7]

Seen = list[tuple[int, int, int]]


def check(seen: Seen, producers: int, sizes: list[int]) -> None:
    """Everything arrived exactly once, whole."""
    expected = [
        (name, number, size) for name in range(producers) for number, size in enumerate(sizes)
    ]
    assert sorted(seen) == sorted(expected)


def check_order(seen: Seen) -> None:
    """Per producer, one consumer sees the messages in the order in which they were sent."""
    for name in {name for name, _, _ in seen}:
        numbers = [number for one, number, _ in seen if one == name]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("sizes", [SMALL * 25, MIXED * 3], ids=["small", "mixed"])
def test_many_processes_send_and_one_receives(
    start: Starter, one_way: tuple[Any, Any], sizes: list[int]
) -> None:
    processes = [start(pipe_children.produce, one_way[1], name, sizes) for name in range(4)]
    one_way[1].close()
    seen = []
    while True:
        try:
            name, number, data = one_way[0].recv()
        except EOFError:
            break
        assert data == pattern(len(data), name)
        seen.append((name, number, len(data)))
    assert [finished(process) for process in processes] == [0] * 4
    check(seen, 4, sizes)
    check_order(seen)


@pytest.mark.parametrize("sizes", [SMALL * 25, MIXED * 3], ids=["small", "mixed"])
def test_one_sends_and_many_processes_receive(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any], sizes: list[int]
) -> None:
    consumers = [start(pipe_children.consume, one_way[0], pipe[1]) for _ in range(3)]
    pipe_children.produce(one_way[1], 0, sizes)
    for _ in consumers:
        one_way[1].send((None, None, None))
    parts: list[Seen] = [pipe[0].recv() for _ in consumers]
    assert [finished(process) for process in consumers] == [0] * 3
    check([one for part in parts for one in part], 1, sizes)


@pytest.mark.parametrize("sizes", [SMALL * 25, MIXED * 2], ids=["small", "mixed"])
def test_many_processes_send_and_many_receive(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any], sizes: list[int]
) -> None:
    consumers = [start(pipe_children.consume, one_way[0], pipe[1]) for _ in range(3)]
    producers = [start(pipe_children.produce, one_way[1], name, sizes) for name in range(3)]
    assert [finished(process) for process in producers] == [0] * 3
    for _ in consumers:
        one_way[1].send((None, None, None))
    parts: list[Seen] = [pipe[0].recv() for _ in consumers]
    assert [finished(process) for process in consumers] == [0] * 3
    check([one for part in parts for one in part], 3, sizes)


@pytest.mark.parametrize("sizes", [SMALL * 50, MIXED * 3], ids=["small", "mixed"])
@pytest.mark.parametrize("receivers", [1, 3])
def test_threads_share_both_ends(
    one_way: tuple[Any, Any], sizes: list[int], receivers: int
) -> None:
    parts: list[Seen] = [[] for _ in range(receivers)]

    def receive(part: Seen) -> None:
        while True:
            name, number, data = one_way[0].recv()
            if name is None:
                return
            assert data == pattern(len(data), name)
            part.append((name, number, len(data)))

    with ThreadPoolExecutor(4 + receivers) as threads:
        receiving = [threads.submit(receive, part) for part in parts]
        sending = [
            threads.submit(pipe_children.produce, one_way[1], name, sizes) for name in range(4)
        ]
        for one in sending:
            one.result(LONG)
        for _ in receiving:
            one_way[1].send((None, None, None))
        for one in receiving:
            one.result(LONG)
    check([one for part in parts for one in part], 4, sizes)
    for part in parts:
        if receivers == 1:
            check_order(part)


def test_both_directions_at_once(start: Starter, pipe: tuple[Any, Any]) -> None:
    """A child echoes large messages while this process sends more: no deadlock of full pipes."""
    process = start(pipe_children.echo, pipe[1])
    messages = [pattern(size, seed) for seed, size in enumerate(MIXED * 3)]
    sender = threading.Thread(target=pipe_children.send_all, args=(pipe[0], messages))
    sender.start()
    assert [pipe[0].recv() for _ in messages] == messages
    sender.join(LONG)
    process.kill()
    assert finished(process) == -9


def test_polling_receivers_compete(start: Starter, one_way: tuple[Any, Any]) -> None:
    """Two threads poll and then receive; what one has taken does not leave the other in recv()."""
    count = 200
    stop = threading.Event()
    received: Counter[int] = Counter()
    lock = threading.Lock()

    def poll_and_receive() -> None:
        while not stop.is_set():
            with lock:
                if one_way[0].poll(0.01):
                    received[one_way[0].recv()] += 1
                    if received.total() == count:
                        stop.set()

    process = start(pipe_children.send_all, one_way[1], list(range(count)))
    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(poll_and_receive) for _ in range(2)]:
            one.result(LONG)
    assert received == Counter(range(count))
    assert finished(process) == 0


def test_a_full_pipe_makes_the_sender_wait(start: Starter, one_way: tuple[Any, Any]) -> None:
    """The sender fills the pipe, sleeps, and is woken; nothing is dropped."""
    sizes = [30 * KIB] * 100
    process = start(pipe_children.produce, one_way[1], 0, sizes)
    process.join(0.3)
    assert process.is_alive(), "3 MiB do not fit into the pipe"
    for number in range(100):
        assert one_way[0].recv()[1] == number
    assert finished(process) == 0


def test_many_threads_wait_for_one_message_each(one_way: tuple[Any, Any]) -> None:
    """Sleeping receivers are woken one by one; none sleeps on beside a message."""
    with ThreadPoolExecutor(8) as threads:
        receiving = [threads.submit(one_way[0].recv) for _ in range(8)]
        for number in range(8):
            one_way[1].send(number)
        assert sorted(one.result(LONG) for one in receiving) == list(range(8))


def test_many_threads_wait_for_the_end(one_way: tuple[Any, Any]) -> None:
    def receive() -> str:
        try:
            one_way[0].recv()
        except EOFError:
            return "end"
        return "message"

    with ThreadPoolExecutor(4) as threads:
        receiving = [threads.submit(receive) for _ in range(4)]
        one_way[1].close()
        assert [one.result(LONG) for one in receiving] == ["end"] * 4


def test_pipes_do_not_mix() -> None:
    pairs = [processing_core.Pipe() for _ in range(20)]
    for number, (first, _) in enumerate(pairs):
        first.send(number)
        first.send(pattern(100_000, number))
    for number, (first, second) in enumerate(pairs):
        assert second.recv() == number
        assert second.recv() == pattern(100_000, number)
        first.close()
        second.close()
