"""Pipes carry bytes: every first byte, every size, parts of buffers, receiving into buffers."""

from __future__ import annotations

import array
import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from children import finished
from conftest import Starter
from pipe_children import echo_bytes, pattern
from processing_core import BufferTooShort, ProcessError

KIB = 1024
AROUND = [
    limit + delta
    for limit in (0, 4 * KIB, 32 * KIB, 64 * KIB, 200 * KIB, 256 * KIB, 1024 * KIB)
    for delta in (-2, -1, 0, 1, 2)
    if limit + delta >= 0
]


@pytest.mark.parametrize("first", range(256))
def test_every_first_byte(pipe: tuple[Any, Any], first: int) -> None:
    for rest in (b"", b"\x00", b"\x01", b"\xff", b"\x01" * 16, pattern(100)):
        message = bytes([first]) + rest
        pipe[0].send_bytes(message)
        assert pipe[1].recv_bytes() == message
        pipe[0].send_bytes(bytearray(message))
        buffer = bytearray(len(message))
        assert pipe[1].recv_bytes_into(buffer) == len(message)
        assert buffer == message


@pytest.mark.parametrize("first", [0x00, 0x7F, 0x80, 0xFE, 0xFF])
@pytest.mark.parametrize("size", [n for n in AROUND if n])
def test_every_size_around_the_limits(pipe: tuple[Any, Any], size: int, first: int) -> None:
    message = bytes([first]) + pattern(size - 1)
    for data in (message, bytearray(message), memoryview(message)):
        pipe[0].send_bytes(data)
        received = pipe[1].recv_bytes()
        assert type(received) is bytes
        assert received == message
    pipe[0].send_bytes(message)
    buffer = bytearray(size)
    assert pipe[1].recv_bytes_into(buffer) == size
    assert buffer == message
    pipe[0].send(message)
    assert pipe[1].recv() == message
    assert not pipe[1].poll()


def test_empty_messages_are_messages(pipe: tuple[Any, Any]) -> None:
    pipe[0].send_bytes(b"")
    pipe[0].send_bytes(b"between")
    pipe[0].send_bytes(bytearray())
    pipe[0].send_bytes(b"")
    pipe[0].close()
    assert pipe[1].poll()
    assert pipe[1].recv_bytes() == b""
    assert pipe[1].recv_bytes() == b"between"
    assert pipe[1].recv_bytes_into(bytearray(5)) == 0
    assert pipe[1].recv_bytes(0) == b""
    with pytest.raises(EOFError):
        pipe[1].recv_bytes()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages=st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_in_any_order(pipe: tuple[Any, Any], messages: list[bytes]) -> None:
    for message in messages:
        pipe[0].send_bytes(message)
    assert [pipe[1].recv_bytes() for _ in messages] == messages
    assert not pipe[1].poll()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_parts_of_a_buffer(pipe: tuple[Any, Any], data: st.DataObject) -> None:
    length = data.draw(st.sampled_from([0, 1, 10, 65_000, 65_540, 140_000]))
    buffer = pattern(length)
    offset = data.draw(st.integers(0, length))
    size = data.draw(st.none() | st.integers(0, length - offset))
    pipe[0].send_bytes(buffer, offset, size)
    expected = buffer[offset:] if size is None else buffer[offset : offset + size]
    assert pipe[1].recv_bytes() == expected


def test_offset_and_size_in_both_spellings(pipe: tuple[Any, Any]) -> None:
    for name in ("send_bytes", "sendBytes", "sendbytes"):
        getattr(pipe[0], name)(b"0123456789", 2, 3)
        getattr(pipe[0], name)(b"0123456789", offset=8)
        getattr(pipe[0], name)(b"0123456789", size=1)
    for name in ("recv_bytes", "recvBytes", "recvbytes"):
        assert [getattr(pipe[1], name)() for _ in range(3)] == [b"234", b"89", b"0"]
    for name in ("recv_bytes_into", "recvBytesInto", "recvbytes_into"):
        pipe[0].send_bytes(b"ab")
        buffer = bytearray(b"....")
        assert getattr(pipe[1], name)(buffer, 1) == 2
        assert buffer == b".ab."


@pytest.mark.parametrize(
    ("offset", "size"),
    [(-1, None), (11, None), (0, -1), (0, 11), (5, 6), (10, 1), (11, 0), (-1, 3), (2**70, None)],
)
def test_offset_and_size_out_of_range(pipe: tuple[Any, Any], offset: int, size: int | None) -> None:
    with pytest.raises(ValueError, match=r"offset|size") as info:
        pipe[0].send_bytes(b"0123456789", offset, size)
    assert isinstance(info.value, ProcessError)
    assert not pipe[1].poll()


@pytest.mark.parametrize("offset", [-1, 11, 2**70])
def test_offset_of_receiving_out_of_range(pipe: tuple[Any, Any], offset: int) -> None:
    pipe[0].send_bytes(b"12")
    with pytest.raises(ValueError, match="offset") as info:
        pipe[1].recv_bytes_into(bytearray(10), offset)
    assert isinstance(info.value, ProcessError)
    assert pipe[1].recv_bytes() == b"12"  # nothing was taken


@pytest.mark.parametrize("wrong", [1.5, "1", None])
def test_offsets_are_integers(pipe: tuple[Any, Any], wrong: Any) -> None:
    with pytest.raises(TypeError):
        pipe[0].send_bytes(b"0123456789", wrong)
    pipe[0].send_bytes(b"12")
    with pytest.raises(TypeError):
        pipe[1].recv_bytes_into(bytearray(10), wrong)
    assert pipe[1].recv_bytes() == b"12"


@pytest.mark.parametrize("wrong", ["text", 3, None, ["list"]])
def test_only_buffers_are_sent_as_bytes(pipe: tuple[Any, Any], wrong: Any) -> None:
    with pytest.raises(TypeError):
        pipe[0].send_bytes(wrong)
    with pytest.raises(TypeError):
        pipe[1].recv_bytes_into(wrong)
    assert not pipe[1].poll()


@pytest.mark.parametrize("wrong", [b"read-only", memoryview(b"read-only")])
def test_receiving_needs_a_writable_buffer(pipe: tuple[Any, Any], wrong: Any) -> None:
    pipe[0].send_bytes(b"12")
    with pytest.raises((TypeError, BufferError)):
        pipe[1].recv_bytes_into(wrong)
    assert pipe[1].recv_bytes() == b"12"


def test_buffers_of_other_items(pipe: tuple[Any, Any]) -> None:
    numbers = array.array("i", range(1000))
    pipe[0].send_bytes(numbers)
    assert pipe[1].recv_bytes() == numbers.tobytes()
    pipe[0].send_bytes(numbers, 4, 8)  # counted in bytes
    assert pipe[1].recv_bytes() == numbers.tobytes()[4:12]
    pipe[0].send_bytes(numbers)
    target = array.array("i", [0] * 1001)
    assert pipe[1].recv_bytes_into(target, 4) == 4000
    assert target.tolist() == [0, *range(1000)]
    pipe[0].send_bytes(memoryview(bytes(12)).cast("B", (3, 4)))
    assert pipe[1].recv_bytes() == bytes(12)


@pytest.mark.parametrize("size", [5, 65_536, 70_000, 1_000_000])
def test_a_buffer_that_is_too_short_loses_nothing(pipe: tuple[Any, Any], size: int) -> None:
    message = pattern(size)
    for room, offset in ((0, 0), (size - 1, 0), (size, 1), (size + 10, 11)):
        pipe[0].send_bytes(message)
        buffer = bytearray(b"." * room)
        with pytest.raises(BufferTooShort) as info:
            pipe[1].recv_bytes_into(buffer, offset)
        assert info.value.args[0] == message
        assert type(info.value.args[0]) is bytes
        assert buffer == b"." * room
    pipe[0].send_bytes(message)
    buffer = bytearray(size + 3)
    assert pipe[1].recv_bytes_into(buffer, 3) == size
    assert buffer == bytes(3) + message


@pytest.mark.parametrize("size", [1, 10, 65_536, 65_537, 1_000_000])
def test_maxlength(pipe: tuple[Any, Any], size: int) -> None:
    message = pattern(size)
    for maxlength in (size, size + 1, 10**12, None):
        pipe[0].send_bytes(message)
        assert pipe[1].recv_bytes(maxlength) == message
    pipe[0].send_bytes(message)
    with pytest.raises(OSError, match="maxlength"):
        pipe[1].recv_bytes(size - 1)
    pipe[0].send_bytes(message)
    with pytest.raises(ValueError, match="negative") as info:
        pipe[1].recv_bytes(-1)
    assert isinstance(info.value, ProcessError)
    assert pipe[1].recv_bytes() == message


def test_a_pipe_survives_a_message_that_is_too_long(pipe: tuple[Any, Any]) -> None:
    for size in (100, 300_000):
        pipe[0].send_bytes(bytes(size))
        pipe[0].send_bytes(b"next")
        with pytest.raises(OSError, match="longer"):
            pipe[1].recv_bytes(10)
        assert pipe[1].recv_bytes(10) == b"next"


def test_large_messages_travel_to_a_child_and_back(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(echo_bytes, pipe[1])
    pipe[1].close()
    for size in (1, 65_537, 3_000_000, 64 << 20, 10, 20 << 20):
        message = pattern(size)
        pipe[0].send_bytes(message)
        received = pipe[0].recv_bytes()
        assert received == message
        del message, received
    process.kill()
    assert finished(process) == -9


def free_memory() -> int:
    """Bytes that can be had without swapping, as far as the system tells."""
    if sys.platform == "linux":
        return int(os.sysconf("SC_AVPHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    else:
        return 0


@pytest.mark.slow
@pytest.mark.deadline(300)
@pytest.mark.skipif(free_memory() < 8 << 30, reason="needs 8 GiB of memory")
def test_messages_beyond_two_gibibytes(pipe: tuple[Any, Any]) -> None:
    """Whole, in one piece, as bytes and inside an object."""
    size = (2 << 30) + 12_345
    message = bytearray(size)
    message[:5], message[-5:] = b"first", b"ultim"
    message[1 << 31] = 7
    pipe[0].send_bytes(message)
    target = bytearray(size)
    assert pipe[1].recv_bytes_into(target) == size
    assert target == message
    del target
    pipe[0].send(["an object with", bytes(message)])
    del message
    name, received = pipe[1].recv()
    assert name == "an object with"
    assert len(received) == size
    assert (received[:5], received[-5:], received[1 << 31]) == (b"first", b"ultim", 7)
