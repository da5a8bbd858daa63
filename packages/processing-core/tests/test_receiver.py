"""Receivers: the only consumer of a queue that waits for other things, too."""

from __future__ import annotations

import os
import queue
import select
import sys
from typing import Any

import pytest

import receiver_children
from processing_core import Process, SimpleQueue

assert sys.platform != "win32"

from processing_core.lowlevel import Receiver

ROUNDS = 2_000


class Sleeper:
    """Sleeps until a queue's descriptor or another is readable."""

    def __init__(self, other: int) -> None:
        self.other = other
        self.poller = select.poll()
        self.poller.register(other, select.POLLIN)
        self.slept = 0

    def receive_from(self, channel: SimpleQueue[Any]) -> Receiver[Any]:
        receiver = Receiver(channel, self.sleep)
        self.poller.register(receiver.descriptor, select.POLLIN)
        return receiver

    def sleep(self, seconds: float) -> bool:
        self.slept += 1
        return any(found == self.other for found, _ in self.poller.poll(seconds * 1000))


@pytest.fixture
def ends() -> Any:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_gets_what_is_there_in_order(ends: tuple[int, int]) -> None:
    channel: SimpleQueue[Any] = SimpleQueue()
    sleeper = Sleeper(ends[0])
    receiver = sleeper.receive_from(channel)
    for item in (1, b"two", ["three"] * 20_000, None):
        channel.put(item)
    assert receiver.ready()
    assert receiver.get() == 1
    assert receiver.get_many(10) == [b"two", ["three"] * 20_000, None]
    assert not receiver.ready()
    assert sleeper.slept == 0


def test_a_timeout_ends_the_wait(ends: tuple[int, int]) -> None:
    receiver = Sleeper(ends[0]).receive_from(SimpleQueue())
    for timeout in (0, 0.05):
        with pytest.raises(queue.Empty):
            receiver.get(timeout)
        assert receiver.get_many(3, timeout) == []


def test_something_else_ends_the_wait(ends: tuple[int, int]) -> None:
    receiver = Sleeper(ends[0]).receive_from(SimpleQueue())
    os.write(ends[1], b"!")
    with pytest.raises(queue.Empty):
        receiver.get()
    assert receiver.get_many(3) == []


def test_what_sleep_raises_leaves_get() -> None:
    def sleep(_: float) -> bool:
        raise ConnectionError("gone")

    channel: SimpleQueue[int] = SimpleQueue()
    receiver = Receiver(channel, sleep)
    with pytest.raises(ConnectionError):
        receiver.get()
    channel.put(1)
    assert receiver.get() == 1


def test_a_child_wakes_a_sleeper(start_method: str, ends: tuple[int, int]) -> None:
    requests: SimpleQueue[int] = SimpleQueue()
    replies: SimpleQueue[Any] = SimpleQueue()
    sleeper = Sleeper(ends[0])
    receiver = sleeper.receive_from(replies)
    process = Process(
        target=receiver_children.echo, args=(requests, replies, ROUNDS), context=start_method
    )
    process.start()
    for number in range(ROUNDS):
        requests.put(number)
        assert receiver.get(60) == number
    process.join()
    assert process.exitcode == 0
    assert sleeper.slept > 0


def test_descriptors_and_buffers_come_through(start_method: str, ends: tuple[int, int]) -> None:
    replies: SimpleQueue[Any] = SimpleQueue()
    receiver = Sleeper(ends[0]).receive_from(replies)
    process = Process(target=receiver_children.send_pipes, args=(replies, 20), context=start_method)
    process.start()
    for number in range(20):
        connection, data = receiver.get(60)
        assert connection.recv() == number
        assert data == bytes([number]) * 100_000
        connection.close()
    process.join()
    assert process.exitcode == 0


def test_somebody_else_may_ask_for_the_descriptor_meanwhile(ends: tuple[int, int]) -> None:
    channel: SimpleQueue[int] = SimpleQueue()
    receiver = Sleeper(ends[0]).receive_from(channel)
    assert receiver.get_many(1, 0.01) == []
    channel.fileno()
    assert receiver.get_many(1, 0.01) == []
    channel.put(1)
    assert select.select([channel.fileno()], [], [], 0)[0]
    assert receiver.get() == 1
    assert not select.select([channel.fileno()], [], [], 0)[0]
