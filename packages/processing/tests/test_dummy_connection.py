"""``processing.dummy.connection``: pipes, listeners and clients between threads."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.dummy import connection as standard
from typing import Any

import pytest

from processing import BufferTooShort, TimeoutError
from processing.dummy import connection as dummy
from processing.dummy.connection import Client, Listener, Pipe


def test_the_names_of_the_standard_library() -> None:
    assert set(standard.__all__) <= set(dummy.__all__)


@pytest.mark.parametrize("module", [dummy, standard], ids=["ours", "theirs"])
def test_a_program_for_both(module: Any) -> None:
    with module.Listener(backlog=2) as listener, ThreadPoolExecutor(1) as threads:
        accepted = threads.submit(listener.accept)
        with module.Client(listener.address) as client, accepted.result() as served:
            client.send({"a": 1})
            assert served.poll(10)
            assert served.recv() == {"a": 1}
            assert not served.poll()
            served.send_bytes(b"bytes")
            assert client.recv_bytes() == b"bytes"
    first, second = module.Pipe()
    thing = object()
    first.send(thing)
    assert second.recv() is thing
    second.send(1)
    assert first.recv() == 1


def test_the_end_is_told() -> None:
    first, second = Pipe()
    first.send("last")
    first.close()
    first.close()
    assert first.closed
    assert second.recv() == "last"
    assert second.poll(None)
    with pytest.raises(EOFError):
        second.recv()
    with pytest.raises(BrokenPipeError):
        second.send(1)
    with pytest.raises(OSError, match="closed"):
        first.recv()
    with pytest.raises(OSError, match="closed"):
        first.send(1)


def test_closing_wakes_who_waits() -> None:
    first, second = Pipe()
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(first.recv), threads.submit(second.recv)]
        first.close()
        with pytest.raises(OSError, match="closed"):
            waiting[0].result(10)
        with pytest.raises(EOFError):
            waiting[1].result(10)


def test_an_end_that_is_collected_is_closed() -> None:
    first, second = Pipe()
    del first
    gc.collect()
    with pytest.raises(EOFError):
        second.recv()


def test_directions() -> None:
    receiver, sender = Pipe(duplex=False)
    assert (receiver.readable, receiver.writable) == (True, False)
    assert (sender.readable, sender.writable) == (False, True)
    with pytest.raises(OSError, match="only receives"):
        receiver.send(1)
    with pytest.raises(OSError, match="only sends"):
        sender.recv()
    sender.send(2)
    assert receiver.recv() == 2


def test_bytes() -> None:
    first, second = Pipe()
    first.sendBytes(bytearray(b"0123456789"), 2, 5)
    assert second.recvBytes() == b"23456"
    first.send_bytes(b"0123456789", 8)
    buffer = bytearray(5)
    assert second.recvBytesInto(buffer, 1) == 2
    assert buffer == b"\x0089\0\0"
    first.send_bytes(b"too long")
    with pytest.raises(BufferTooShort) as caught:
        second.recv_bytes_into(buffer)
    assert caught.value.args == (b"too long",)
    first.send_bytes(b"too long")
    with pytest.raises(OSError, match="longer than maxlength=3"):
        second.recv_bytes(3)


@pytest.mark.parametrize(("offset", "size"), [(-1, None), (4, None), (0, 4), (0, -1), (2, 2)])
def test_bytes_that_are_not_there(offset: int, size: int | None) -> None:
    first, second = Pipe()
    with pytest.raises(ValueError, match="not within"):
        first.send_bytes(b"abc", offset, size)
    assert not second.poll()
    with pytest.raises(ValueError, match="negative"):
        second.recv_bytes(-1)
    with pytest.raises(ValueError, match="not within"):
        second.recv_bytes_into(bytearray(2), 3)
    with pytest.raises(TypeError, match="writable"):
        second.recv_bytes_into(b"constant")


def test_many_threads_on_one_end() -> None:
    first, second = Pipe()
    got: list[int] = []

    def receive() -> None:
        got.extend(iter(second.recv, None))

    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1_000):
        first.send(number)
    for _ in threads:
        first.send(None)
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(1_000))


def test_a_listener_that_is_closed() -> None:
    listener = Listener()
    waiting = Client(listener.address)
    assert listener.last_accepted is None
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(Client, listener.address)
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            late.result(10)
    listener.close()
    assert listener.closed
    with pytest.raises(EOFError):
        waiting.recv()
    with pytest.raises(OSError, match="listener is closed"):
        listener.accept()
    with pytest.raises(ConnectionRefusedError):
        Client(listener.address)


def test_nobody_comes() -> None:
    with Listener() as listener, pytest.raises(TimeoutError):
        listener.accept(0.01)
    with pytest.raises(TypeError, match="address of a listener"):
        Client(("localhost", 1))
