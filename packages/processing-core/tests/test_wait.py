"""poll() and wait(), and fileno() with select, selectors and asyncio."""

from __future__ import annotations

import asyncio
import math
import select
import selectors
import socket
import sys
import threading
import time
from typing import Any

import pytest

import children
import pipe_children
from children import LONG, finished
from conftest import Starter
from processing_core import Pipe, ProcessError, wait

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="waits for sockets and numbers")


def test_poll_tells_and_takes_nothing(pipe: tuple[Any, Any]) -> None:
    for size in (1, 70_000, 1_000_000):
        assert pipe[1].poll() is False
        pipe[0].send(bytes(size))
        for timeout in (0, 0.0, 1, None, -1, math.inf):
            assert pipe[1].poll(timeout) is True
        assert pipe[1].recv() == bytes(size)
        assert pipe[1].poll() is False


@pytest.mark.parametrize("timeout", [0, 0.001, 0.15])
def test_poll_keeps_to_its_timeout(pipe: tuple[Any, Any], timeout: float) -> None:
    began = time.monotonic()
    assert not pipe[0].poll(timeout)
    assert timeout <= time.monotonic() - began < timeout + 2


def test_poll_counts_negative_timeouts_as_zero(pipe: tuple[Any, Any]) -> None:
    began = time.monotonic()
    assert not pipe[0].poll(-5)
    assert not pipe[0].poll(-math.inf)
    assert time.monotonic() - began < 1


def test_poll_refuses_what_is_no_timeout(pipe: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"(?i)nan") as info:
        pipe[0].poll(math.nan)
    assert isinstance(info.value, ProcessError)
    with pytest.raises(TypeError):
        pipe[0].poll("soon")


def test_poll_is_woken_by_a_message_and_by_the_end(pipe: tuple[Any, Any]) -> None:
    for act in (lambda: pipe[0].send(1), pipe[0].close):
        timer = threading.Timer(0.05, act)
        timer.start()
        assert pipe[1].poll(LONG)
        timer.join()
        if not pipe[0].closed:
            assert pipe[1].recv() == 1
    with pytest.raises(EOFError):
        pipe[1].recv()


def test_wait_gives_what_is_ready_in_its_order() -> None:
    pipes = [Pipe() for _ in range(5)]
    receivers = [first for first, _ in pipes]
    assert wait(receivers, 0) == []
    for number in (3, 1, 4):
        pipes[number][1].send(number)
    assert wait(receivers) == [receivers[1], receivers[3], receivers[4]]
    assert wait(reversed(receivers), 0) == [receivers[4], receivers[3], receivers[1]]
    pipes[0][1].close()
    assert wait(receivers) == [receivers[0], receivers[1], receivers[3], receivers[4]]
    for first, second in pipes:
        first.close()
        second.close()


def test_wait_takes_any_iterable_and_duplicates(pipe: tuple[Any, Any]) -> None:
    pipe[0].send(1)
    assert wait([pipe[1], pipe[1]]) == [pipe[1], pipe[1]]
    assert wait({pipe[1]: 0}) == [pipe[1]]
    assert wait(one for one in pipe) == [pipe[1]]
    assert pipe[1].recv() == 1


@posix_only
def test_wait_mixes_kinds(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"
    ours, theirs = socket.socketpair()
    first, second = Pipe()
    with ours, theirs, first, second:
        everything = [pipe[0], ours, first, process.sentinel, second.fileno()]
        assert wait(everything, 0) == []
        theirs.sendall(b"x")
        assert wait(everything, LONG) == [ours]
        second.send(1)
        assert wait(everything, LONG) == [ours, first]
        first.send(1)
        assert wait(everything, LONG) == [ours, first, second.fileno()]
        pipe[0].send(None)
        assert wait([process.sentinel], LONG) == [process.sentinel]
        assert process.sentinel in wait(everything)
    assert finished(process) == 0


def test_wait_keeps_to_its_timeout(pipe: tuple[Any, Any]) -> None:
    for timeout in (0.001, 0.1):
        began = time.monotonic()
        assert wait(pipe, timeout) == []
        assert timeout <= time.monotonic() - began < timeout + 2
    for timeout in (0, -1, -math.inf):
        assert wait(pipe, timeout) == []


def test_wait_for_nothing() -> None:
    began = time.monotonic()
    assert wait([]) == []
    assert wait([], 0) == []
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("wrong", [None, "text", 1.5, object(), b"bytes"])
def test_wait_refuses_what_it_cannot_wait_for(pipe: tuple[Any, Any], wrong: Any) -> None:
    with pytest.raises(TypeError) as info:
        wait([pipe[0], wrong], 0)
    assert isinstance(info.value, ProcessError)


def test_wait_refuses_closed_objects(pipe: tuple[Any, Any]) -> None:
    first, second = Pipe()
    number = first.fileno()
    first.close()
    second.close()
    with pytest.raises(OSError, match="closed"):
        wait([pipe[0], first], 0)
    if sys.platform != "win32":
        with pytest.raises(OSError, match="not open"):
            wait([pipe[0], number], 0)
        closed = socket.socket()
        closed.close()
        with pytest.raises((OSError, ValueError)):
            wait([pipe[0], closed], 0)


def test_wait_is_woken_from_another_process(start: Starter) -> None:
    pipes = [Pipe(duplex=False) for _ in range(4)]
    processes = [
        start(pipe_children.send_all, end, [number]) for number, (_, end) in enumerate(pipes)
    ]
    for _, sender in pipes:
        sender.close()
    waiting = [receiver for receiver, _ in pipes]
    received = []
    while waiting:
        for receiver in wait(waiting):
            try:
                received.append(receiver.recv())
            except EOFError:
                waiting.remove(receiver)
                receiver.close()
    assert sorted(received) == [0, 1, 2, 3]
    assert [finished(process) for process in processes] == [0] * 4


def test_wait_for_more_than_select_can() -> None:
    """Descriptors beyond 1023, and many of them."""
    pipes = [Pipe() for _ in range(300)]
    pipes[-1][1].send("last")
    assert wait([first for first, _ in pipes]) == [pipes[-1][0]]
    for first, second in pipes:
        first.close()
        second.close()


@posix_only
@pytest.mark.parametrize("size", [1, 70_000, 1_000_000])
def test_fileno_with_select(pipe: tuple[Any, Any], size: int) -> None:
    def ready() -> bool:
        return bool(select.select([pipe[1]], [], [], 0)[0])

    assert not ready()
    pipe[0].send(bytes(size))
    assert ready()
    pipe[1].recv()
    assert not ready()
    pipe[0].close()
    assert ready()


@posix_only
def test_fileno_with_selectors(pipe: tuple[Any, Any]) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(pipe[1], selectors.EVENT_READ, "data")
        assert selector.select(0) == []
        pipe[0].send(bytes(500_000))
        assert [key.data for key, _ in selector.select(LONG)] == ["data"]
        pipe[1].recv()
        assert selector.select(0) == []


@posix_only
def test_fileno_with_asyncio(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(pipe_children.echo, pipe[1])

    async def talk() -> list[Any]:
        loop = asyncio.get_running_loop()
        received: list[Any] = []
        done = loop.create_future()

        def readable() -> None:
            while pipe[0].poll():
                received.append(pipe[0].recv())
            if len(received) == 4 and not done.done():
                done.set_result(None)

        loop.add_reader(pipe[0].fileno(), readable)
        for message in (1, "two", bytes(300_000), None):
            pipe[0].send(message)
            await asyncio.sleep(0)
        await asyncio.wait_for(done, LONG)
        loop.remove_reader(pipe[0].fileno())
        return received

    assert asyncio.run(talk()) == [1, "two", bytes(300_000), None]
    process.terminate()
    process.join()
