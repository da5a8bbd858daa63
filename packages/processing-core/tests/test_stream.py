"""Connections over byte streams, which systems other than Linux use for pipes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pipe_children
from children import LONG, finished
from conftest import Starter
from pipe_children import pattern
from processing_core import BufferTooShort
from processing_core._connection.stream import stream_pipe

Ends = tuple[Any, Any]


@pytest.fixture
def stream() -> Iterator[Ends]:
    ends = stream_pipe(True)
    yield ends
    for end in ends:
        end.close()


@pytest.mark.parametrize("size", [0, 1, 16_380, 16_384, 16_385, 60_000, 100_000])
def test_messages_arrive_whole(stream: Ends, size: int) -> None:
    for first in (0, 0x80, 0xFF):
        message = (bytes([first]) + pattern(size))[:size]
        stream[0].send_bytes(message)
        assert stream[1].recv_bytes() == message
        stream[0].send(message)
        assert stream[1].recv() == message
        stream[0].send_bytes(message, size // 2)
        buffer = bytearray(size)
        assert stream[1].recv_bytes_into(buffer) == size - size // 2
    assert not stream[1].poll()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages=st.lists(st.binary(max_size=300), max_size=30))
def test_any_messages_in_any_order(stream: Ends, messages: list[bytes]) -> None:
    for message in messages:
        stream[0].send_bytes(message)
    assert [stream[1].recv_bytes() for _ in messages] == messages


def test_large_messages_and_both_directions(stream: Ends) -> None:
    with ThreadPoolExecutor(2) as threads:
        for size in (1_000_000, 20 << 20):
            sending = [
                threads.submit(end.send, pattern(size, seed)) for seed, end in enumerate(stream)
            ]
            assert stream[0].recv() == pattern(size, 1)
            assert stream[1].recv() == pattern(size, 0)
            for one in sending:
                one.result(LONG)


def test_threads_do_not_tear_messages(stream: Ends) -> None:
    sizes = [1, 50_000, 10, 200_000, 0, 16_384] * 5
    with ThreadPoolExecutor(4) as threads:
        sending = [
            threads.submit(pipe_children.produce, stream[0], name, sizes) for name in range(4)
        ]
        seen = []
        for _ in range(4 * len(sizes)):
            name, number, data = stream[1].recv()
            assert data == pattern(len(data), name)
            seen.append((name, number))
        for one in sending:
            one.result(LONG)
    assert sorted(seen) == sorted((n, i) for n in range(4) for i in range(len(sizes)))
    for name in range(4):
        numbers = [number for one, number in seen if one == name]
        assert numbers == sorted(numbers)


def test_ends_and_errors(stream: Ends) -> None:
    stream[0].send_bytes(b"12345")
    with pytest.raises(BufferTooShort) as info:
        stream[1].recv_bytes_into(bytearray(3))
    assert info.value.args == (b"12345",)
    stream[0].send("last")
    stream[0].close()
    assert stream[1].poll()
    assert stream[1].recv() == "last"
    for _ in range(2):
        assert stream[1].poll()
        with pytest.raises(EOFError):
            stream[1].recv()
    with pytest.raises(BrokenPipeError):
        stream[1].send(bytes(1_000_000))
    with pytest.raises(OSError, match="closed"):
        stream[0].send(1)


def test_a_message_cut_off_is_the_end_and_not_a_message(stream: Ends) -> None:
    import os

    os.write(stream[0].fileno(), b"\x00\x00\x01\x00 less than was promised")
    stream[0].close()
    with pytest.raises(EOFError, match="middle"):
        stream[1].recv_bytes()


def test_a_message_beyond_maxlength_ends_the_stream(stream: Ends) -> None:
    stream[0].send_bytes(bytes(1000))
    with pytest.raises(OSError, match="longer"):
        stream[1].recv_bytes(10)
    with pytest.raises(OSError, match=r"only sends|closed"):
        stream[1].recv_bytes()


def test_directions() -> None:
    receiver, sender = stream_pipe(False)
    with receiver, sender:
        with pytest.raises(OSError, match="only"):
            receiver.send(1)
        with pytest.raises(OSError, match="only"):
            sender.recv()


def test_travels_as_an_argument(start: Starter, stream: Ends) -> None:
    process = start(pipe_children.send_all, stream[1], [1, pattern(100_000)])
    assert stream[0].recv() == 1
    assert stream[0].recv() == pattern(100_000)
    assert finished(process) == 0
