"""Connections over stream sockets: framing, limits, ends, threads, signals, passing on."""

from __future__ import annotations

import errno
import gc
import itertools
import signal
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import network_children
import pipe_children
from children import LONG, finished
from conftest import Starter
from network_tools import TIME, connected, in_thread, raw_end, reset
from pipe_children import pattern
from processing_core import AuthenticationError, BufferTooShort, Pipe, SerializationError, wait
from processing_core._network.connection import JOINED_BYTES, rest_of
from processing_core._network.framing import READ_BYTES
from processing_core._network.handshake import ClientHandshake, ListenerHandshake

SIZES = [0, 1, 250, JOINED_BYTES, JOINED_BYTES + 1, READ_BYTES - 4, READ_BYTES, 3_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_messages_arrive_whole_in_every_form(size: int) -> None:
    message = pattern(size)
    with connected() as (ours, theirs), ThreadPoolExecutor(1) as threads:
        threads.submit(ours.send_bytes, message)
        assert theirs.recv_bytes() == message
        threads.submit(ours.send, {"message": message, "more": [bytearray(message)]})
        assert theirs.recv() == {"message": message, "more": [bytearray(message)]}
        threads.submit(ours.send_bytes, memoryview(message), size // 2)
        space = bytearray(size + 7)
        assert theirs.recv_bytes_into(space, 7) == size - size // 2
        assert space[7 : 7 + size - size // 2] == message[size // 2 :]
        threads.submit(ours.send_bytes, message)
        if size:
            with pytest.raises(BufferTooShort) as info:
                theirs.recv_bytes_into(bytearray(size - 1))
            assert info.value.args == (message,)
        else:
            assert theirs.recv_bytes_into(bytearray()) == 0
        assert not theirs.poll()


def test_messages_read_ahead_are_seen_by_poll_and_wait() -> None:
    with connected() as (ours, theirs), connected() as (_, quiet):
        for number in range(100):
            ours.send(number)
        assert theirs.recv() == 0
        for number in range(1, 100):
            assert theirs.poll(0)
            assert wait([quiet, theirs], TIME) == [theirs]
            assert theirs.recv() == number
        assert not theirs.poll(0)
        assert wait([quiet, theirs], 0) == []
        ours.close()
        assert wait([quiet, theirs], TIME) == [theirs]
        with pytest.raises(EOFError):
            theirs.recv()


def test_poll_and_wait_are_about_whole_messages() -> None:
    with raw_end() as (connection, bare):
        bare.sendall(b"\0\0\0\5hel")
        assert not connection.poll(0.05)
        assert wait([connection], 0.05) == []
        bare.sendall(b"lo\0")
        assert connection.poll(TIME)
        assert wait([connection]) == [connection]
        assert connection.recv_bytes() == b"hello"
        assert not connection.poll()


def test_a_slow_sender_does_not_make_poll_late() -> None:
    with raw_end() as (connection, bare), in_thread(connection.recv_bytes) as receiving:
        while connection._receiving.acquire(blocking=False):
            connection._receiving.release()
        assert not connection.poll(0.05)
        bare.sendall(b"\0\0\0\1x")
        assert receiving.result(TIME) == b"x"


def test_the_end_between_messages_and_in_the_middle_of_one() -> None:
    with raw_end() as (connection, bare):
        bare.sendall(b"\0\0\0\1x")
        bare.close()
        assert connection.recv_bytes() == b"x"
        for _ in range(2):
            assert connection.poll()
            with pytest.raises(EOFError):
                connection.recv()
    for cut in range(1, 9):
        with raw_end() as (connection, bare):
            bare.sendall(b"\0\0\0\5hello"[:cut])
            bare.close()
            for _ in range(2):
                with pytest.raises(ConnectionResetError, match="middle"):
                    connection.recv_bytes()


def test_a_reset_is_an_error_and_not_the_end() -> None:
    with raw_end() as (connection, bare):
        bare.sendall(b"\0\0\0\1x\0\0")
        assert connection.recv_bytes() == b"x"
        reset(bare)
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                connection.recv_bytes()
        with pytest.raises(BrokenPipeError):
            connection.send_bytes(b"x")


@pytest.mark.parametrize("announced", [101, 2**31 - 1, 2**31, 2**40, 2**63, 2**64 - 1])
def test_an_announced_length_over_the_limit_closes(announced: int) -> None:
    long = struct.pack("!iQ", -1, announced)
    for head in [struct.pack("!i", announced), long] if announced < 2**31 else [long]:
        with raw_end(limit=100) as (connection, bare):
            bare.sendall(head)
            assert connection.poll(TIME)
            with pytest.raises(OSError, match="max_message_size=100") as info:
                connection.recv()
            assert info.value.errno == errno.EMSGSIZE
            assert connection.closed
            assert bare.recv(1) == b""


def test_memory_is_taken_as_bytes_arrive() -> None:
    with raw_end(limit=None) as (connection, bare):
        bare.sendall(struct.pack("!iQ", -1, 2**63) + bytes(100_000))
        assert not connection.poll(0.05)
        assert len(connection._inbox.received) <= 100_012
        bare.close()
        with pytest.raises(ConnectionResetError):
            connection.recv()


def test_what_is_no_message_closes() -> None:
    with raw_end() as (connection, bare):
        bare.sendall(b"\x80GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(OSError, match="no message") as info:
            connection.recv()
        assert info.value.errno == errno.EBADMSG
        assert connection.closed


@pytest.mark.parametrize("side", [ListenerHandshake, ClientHandshake])
def test_a_peer_that_wants_to_authenticate_is_told_that_there_is_no_key(side: Any) -> None:
    with raw_end() as (connection, bare):
        machine = side(b"key")
        bare.sendall(machine.outgoing())
        with pytest.raises(AuthenticationError):
            connection.recv()
        assert connection.closed
        with pytest.raises(AuthenticationError, match="no key"):
            machine.feed(bare.recv(machine.needed, socket.MSG_WAITALL))


def test_maxlength_takes_the_message_and_goes_on() -> None:
    with connected() as (ours, theirs):
        ours.send_bytes(b"longer than that")
        ours.send_bytes(b"next")
        with pytest.raises(OSError, match="maxlength=4"):
            theirs.recv_bytes(4)
        assert theirs.recv_bytes(4) == b"next"
        with pytest.raises(ValueError, match="negative"):
            theirs.recv_bytes(-1)


def test_a_closed_end_says_so() -> None:
    with connected() as (ours, theirs):
        ours.close()
        for use in (ours.recv, ours.poll, ours.fileno, lambda: ours.send(1)):
            with pytest.raises(OSError, match="closed"):
                use()
        assert "closed" in repr(ours)
        with pytest.raises(EOFError):
            theirs.recv()


def test_threads_do_not_tear_messages() -> None:
    sizes = [1, 50_000, 10, 200_000, 0, JOINED_BYTES] * 5
    with connected() as (ours, theirs), ThreadPoolExecutor(4) as threads:
        sending = [threads.submit(pipe_children.produce, ours, name, sizes) for name in range(4)]
        seen = []
        for _ in range(4 * len(sizes)):
            name, number, data = theirs.recv()
            assert data == pattern(len(data), name)
            seen.append((name, number))
        for one in sending:
            one.result(LONG)
    assert sorted(seen) == sorted((n, i) for n in range(4) for i in range(len(sizes)))


def test_what_cannot_be_pickled_sends_nothing() -> None:
    with connected(compat="multiprocessing") as (ours, theirs), socket.socket() as sock:
        for thing in (lambda: 1, theirs, sock):
            with pytest.raises((SerializationError, AttributeError)):
                ours.send([bytes(70_000), thing])
        ours.send("fine")
        assert theirs.recv() == "fine"


def test_pickles_in_many_pieces() -> None:
    parts = [bytes([number % 256]) * 70_000 for number in range(200)]
    with connected() as (ours, theirs), in_thread(ours.send, parts):
        assert theirs.recv() == parts


def test_rest_of_pieces() -> None:
    pieces: list[bytes | memoryview] = [b"ab", b"", b"cde", b"f"]
    for done in range(7):
        assert b"".join(rest_of(pieces, done)) == b"abcdef"[done:]


class Interrupted(Exception):  # noqa: N818 - no error of ours
    """What the signal handler raises."""


def test_a_half_read_message_is_completed_by_the_next_recv() -> None:
    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with raw_end() as (connection, bare):
            for cut in (1, 4, 7):
                data = b"\0\0\0\6middle"
                bare.sendall(data[:cut])
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                with pytest.raises(Interrupted):
                    connection.recv_bytes()
                bare.sendall(data[cut:])
                assert connection.recv_bytes() == b"middle"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_half_sent_message_is_completed_by_the_next_send() -> None:
    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with connected() as (ours, theirs):
            large = bytearray(pattern(20_000_000))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupted):
                ours.send_bytes(large)
            large[:] = bytes(len(large))  # what has begun is sent as it was
            with in_thread(theirs.recv_bytes) as receiving:
                ours.send_bytes(b"next")
                assert receiving.result(LONG) == pattern(20_000_000)
            assert theirs.recv_bytes() == b"next"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("count", "factor"), [(3000, 1), (300, 1000)], ids=["small", "large"])
def test_signals_at_any_moment_do_not_lose_the_place_in_the_stream(count: int, factor: int) -> None:
    """A timer interrupts thousands of receives and sends; what arrives is whole and in order."""
    patterns = [pattern(number * factor) for number in range(min(count, 700))]
    # What a handler raises within a finalizer is lost: none of other tests' garbage meanwhile.
    gc.collect()
    all_sent, quiet = threading.Event(), threading.Event()
    armed = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        # Not between the lines of the test itself, where nothing could catch it.
        if armed and frame is not None and frame.f_code.co_filename != __file__:
            raise Interrupted

    def send_all(connection: Any) -> None:
        for number in range(count):
            connection.send_bytes(struct.pack("!I", number) + patterns[number % 700])
        all_sent.set()
        assert quiet.wait(LONG)
        connection.send_bytes(struct.pack("!I", count))

    with connected() as (ours, theirs), in_thread(send_all, ours) as sending:
        before = signal.signal(signal.SIGALRM, interrupt)
        last, interrupts = -1, 0
        gc.disable()
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
            while last < count - 1:
                try:
                    message = theirs.recv_bytes()
                    (number,) = struct.unpack_from("!I", message)
                    assert message[4:] == patterns[number % 700]
                    assert number > last
                    last = number
                except Interrupted:
                    # The message that recv was about to return goes with the exception.
                    interrupts += 1
                    if all_sent.is_set() and not theirs.poll():
                        break
        except Interrupted:
            interrupts += 1
        finally:
            # One may still be on its way once the timer is off, to whatever thread.
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            gc.enable()
        quiet.set()
        numbers: list[int] = []
        while not numbers or numbers[-1] != count:
            message = theirs.recv_bytes()
            numbers.append(struct.unpack_from("!I", message)[0])
            assert message[4:] == (patterns[numbers[-1] % 700] if numbers[-1] < count else b"")
        sending.result(LONG)
        signal.signal(signal.SIGALRM, before)
        assert numbers == sorted(set(numbers))
        assert interrupts


def test_travels_in_the_middle_of_a_large_message() -> None:
    message = pattern(3_000_000)
    data = struct.pack("!i", len(message)) + message
    with raw_end() as (connection, bare):
        here, there = Pipe()
        with here, there:
            bare.sendall(data[:500_000])
            assert not connection.poll(0.05)
            assert connection._inbox.received == data[: len(connection._inbox.received)]
            here.send(connection)
            with there.recv() as other, in_thread(bare.sendall, data[500_000:] + b"\0\0\0\1x"):
                assert other.recv_bytes() == message
                assert other.recv_bytes() == b"x"


def test_travels_to_a_child_with_what_was_read_ahead(start: Starter) -> None:
    with connected() as (ours, theirs):
        for number in (1, 10):
            ours.send(number)
        assert theirs.recv() == 1
        process = start(network_children.answer_from, theirs)
        assert ours.recv() == 11
        assert finished(process) == 0


def test_between_machines_messages_go_at_once_and_peers_are_watched() -> None:
    with connected(keepalive=8) as (ours, theirs):
        for end in (ours, theirs):
            sock = end._socket  # type: ignore[attr-defined]
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if sys.platform == "linux":
                options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                values = [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options]
                assert values[0] + values[1] * values[2] == 8
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8000
            assert not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    with connected(compat="multiprocessing") as (ours, theirs):
        sock = ours._socket  # type: ignore[attr-defined]
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_small_messages_in_a_row_are_not_held_back() -> None:
    """The kernel gathers them, but not until its timer of 40 ms: a receiver asks for them."""
    with connected() as (ours, theirs):

        def answer() -> None:
            for _ in range(50):
                theirs.recv()
                theirs.recv()
                theirs.send(None)

        with in_thread(answer):
            began = time.monotonic()
            for number in itertools.repeat(1, 50):
                ours.send(number)
                ours.send(number)
                ours.recv()
            assert time.monotonic() - began < 50 * 0.03
