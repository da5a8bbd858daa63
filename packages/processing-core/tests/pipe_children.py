"""What runs in the children of the tests of pipes. No pytest here: spawned children import it."""

from __future__ import annotations

import os
import socket
from typing import Any

import processing_core
from processing_core import Connection

AnyConnection = Connection[Any, Any]


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes in which every shift and every mixture shows."""
    block = bytes((i * i + i // 7 + seed) % 256 for i in range(4093))
    return (block * (size // len(block) + 1))[:size]


def echo(connection: AnyConnection) -> None:
    """Send back objects until the end of the file."""
    while True:
        try:
            connection.send(connection.recv())
        except EOFError:
            return


def echo_bytes(connection: AnyConnection) -> None:
    while True:
        try:
            connection.send_bytes(connection.recv_bytes())
        except EOFError:
            return


def send_all(connection: AnyConnection, objects: list[Any]) -> None:
    """Send and end: what was sent must arrive all the same."""
    for one in objects:
        connection.send(one)


def send_and_leave_unread(connection: AnyConnection, objects: list[Any]) -> None:
    """End with messages unread, which makes the kernel report a reset to the other side."""
    assert connection.poll(20)
    for one in objects:
        connection.send(one)
    connection.close()


def produce(connection: AnyConnection, name: int, sizes: list[int]) -> None:
    """Send numbered messages of given sizes, marked so that tearing shows."""
    for number, size in enumerate(sizes):
        connection.send((name, number, pattern(size, name)))


def consume(messages: AnyConnection, results: AnyConnection) -> None:
    """Receive from an end that others share, until told to stop; report what came."""
    seen = []
    while True:
        name, number, data = messages.recv()
        if name is None:
            break
        assert data == pattern(len(data), name), "a torn message"
        seen.append((name, number, len(data)))
    results.send(seen)


def flood(connection: AnyConnection, ready: AnyConnection, size: int) -> None:
    """Send without end, to be killed in the middle of it."""
    ready.send(os.getpid())
    number = 0
    data = pattern(size)
    while True:
        connection.send((number, data))
        number += 1


def flood_bytes(connection: AnyConnection, ready: AnyConnection, size: int) -> None:
    ready.send(os.getpid())
    data = pattern(size)
    while True:
        connection.send_bytes(data)


def receive_without_end(connection: AnyConnection, ready: AnyConnection) -> None:
    ready.send(os.getpid())
    while True:
        connection.recv()


def receive_some(messages: AnyConnection, results: AnyConnection, count: int) -> None:
    """Receive so many messages from an end that others share, report them, and end."""
    seen = []
    for _ in range(count):
        name, number, data = messages.recv()
        assert data == pattern(len(data), name), "a torn message"
        seen.append((name, number, len(data)))
    results.send(seen)


def receive_then_wait(messages: AnyConnection, reports: AnyConnection) -> None:
    """Report two messages as they come, then do nothing until told to end."""
    for _ in range(2):
        reports.send(messages.recv())
    reports.recv()


def answer_over_passed(connection: AnyConnection) -> None:
    """Receive connections and answer over them."""
    while (other := connection.recv()) is not None:
        with other:
            other.send(("answer", other.recv()))


def answer_over_socket(connection: AnyConnection) -> None:
    """Receive sockets and answer over them."""
    while (other := connection.recv()) is not None:
        assert isinstance(other, socket.socket)
        with other:
            other.sendall(b"answer to " + other.recv(100))


def use_argument_socket(sock: socket.socket, connection: AnyConnection) -> None:
    with sock:
        sock.sendall(b"from the child")
    connection.send("done")


def use_nested(holder: dict[str, list[Any]]) -> None:
    """A connection deep in the arguments."""
    holder["deep"][0].send("from the deep")


def pass_on(upstream: AnyConnection) -> None:
    """Make a pipe, send one end away, answer over the other."""
    ours, theirs = processing_core.Pipe()
    upstream.send(theirs)
    theirs.close()
    ours.send(("made by", os.getpid()))
    assert ours.recv() == "thanks"


def fill_array(connection: AnyConnection) -> None:
    """Receive arrays, change them in place, send them back."""
    while (array := connection.recv()) is not None:
        array += 1
        connection.send(array)


def interrupted_receive(connection: AnyConnection, reports: AnyConnection) -> None:
    """Block in recv until SIGINT comes; then go on using the connection."""
    reports.send(os.getpid())
    try:
        connection.recv()
    except KeyboardInterrupt:
        reports.send("interrupted")
    reports.send(connection.recv())


def interrupted_send(connection: AnyConnection, reports: AnyConnection) -> None:
    """Block in send, because nobody reads, until SIGINT comes."""
    reports.send(os.getpid())
    sent = 0
    try:
        while True:
            connection.send_bytes(pattern(1000))
            sent += 1
    except KeyboardInterrupt:
        reports.send(sent)
    reports.recv()
