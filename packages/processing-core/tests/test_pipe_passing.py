"""Connections and sockets travel: as arguments, and through pipes to processes that run."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import sys
from typing import Any

import pytest

import pipe_children
import processing_core
from children import finished
from conftest import Starter
from processing_core import Pipe

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="passes descriptors")


def test_connections_as_arguments(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(pipe_children.use_nested, {"deep": [pipe[1], 3]})
    assert pipe[0].recv() == "from the deep"
    assert finished(process) == 0


def test_the_same_connection_twice_is_one(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(pipe_children.send_all, pipe[1], [1], name="x")
    assert pipe[0].recv() == 1
    assert finished(process) == 0


@posix_only
def test_sockets_as_arguments(start: Starter, one_way: tuple[Any, Any]) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = start(pipe_children.use_argument_socket, theirs, one_way[1])
        assert one_way[0].recv() == "done"
        assert ours.recv(100) == b"from the child"
    assert finished(process) == 0


@posix_only
def test_connections_through_a_pipe(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(pipe_children.answer_over_passed, pipe[1])
    for number in range(5):
        ours, theirs = Pipe()
        with ours:
            pipe[0].send(theirs)
            theirs.close()
            ours.send(number)
            assert ours.recv() == ("answer", number)
            with pytest.raises(EOFError):
                ours.recv()  # nobody but the child had the other end
    pipe[0].send(None)
    assert finished(process) == 0


@posix_only
def test_one_way_connections_keep_their_direction(pipe: tuple[Any, Any]) -> None:
    receiver, sender = Pipe(duplex=False)
    with receiver, sender:
        pipe[0].send((receiver, sender))
        with_receiver, with_sender = pipe[1].recv()
        with with_receiver, with_sender:
            assert (with_receiver.readable, with_receiver.writable) == (True, False)
            assert (with_sender.readable, with_sender.writable) == (False, True)
            for message in ("small", bytes(1_000_000)):
                with_sender.send(message)
                assert receiver.recv() == message
                sender.send(message)
                assert with_receiver.recv() == message


@posix_only
def test_an_end_sent_through_its_own_pipe(pipe: tuple[Any, Any]) -> None:
    pipe[0].send(pipe[0])
    with pipe[1].recv() as copy:
        copy.send("over the copy")
        assert pipe[1].recv() == "over the copy"


@posix_only
@pytest.mark.parametrize("kind", ["pair", "tcp", "udp"])
def test_sockets_through_a_pipe(start: Starter, pipe: tuple[Any, Any], kind: str) -> None:
    process = start(pipe_children.answer_over_socket, pipe[1])
    for number in range(3):
        ours, theirs = make_sockets(kind)
        with ours:
            theirs.settimeout(12.5)
            pipe[0].send(theirs)
            theirs.close()
            ours.sendall(b"%d" % number)
            assert ours.recv(100) == b"answer to %d" % number
    pipe[0].send(None)
    assert finished(process) == 0


def make_sockets(kind: str) -> tuple[socket.socket, socket.socket]:
    if kind == "pair":
        return socket.socketpair()
    if kind == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            theirs, _ = server.accept()
            return ours, theirs
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for one in (ours, theirs):
        one.bind(("127.0.0.1", 0))
    ours.connect(theirs.getsockname())
    theirs.connect(ours.getsockname())
    return ours, theirs


@posix_only
def test_a_socket_keeps_its_kind_and_timeout(pipe: tuple[Any, Any]) -> None:
    ours, theirs = make_sockets("udp")
    with ours, theirs:
        for timeout in (None, 0.0, 12.5):
            theirs.settimeout(timeout)
            pipe[0].send(theirs)
            with pipe[1].recv() as copy:
                assert copy.family == socket.AF_INET
                assert copy.type == socket.SOCK_DGRAM
                assert copy.gettimeout() == timeout
                assert copy.getsockname() == theirs.getsockname()
                assert not os.get_inheritable(copy.fileno())


@posix_only
def test_a_child_passes_a_connection_up(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(pipe_children.pass_on, pipe[1])
    with pipe[0].recv() as connection:
        assert connection.recv() == ("made by", process.pid)
        connection.send("thanks")
        assert finished(process) == 0


@posix_only
def test_descriptors_among_large_buffers(pipe: tuple[Any, Any]) -> None:
    ours, theirs = Pipe()
    data = pipe_children.pattern(3_000_000)
    pipe[0].send([data, theirs, pickle.PickleBuffer(bytearray(data)), theirs])
    theirs.close()
    first, connection, second, same = pipe[1].recv()
    assert first == data
    assert bytes(second) == data
    assert connection is same
    connection.send("hello")
    assert ours.recv() == "hello"
    ours.close()
    connection.close()


@posix_only
def test_many_descriptors_in_one_message(pipe: tuple[Any, Any]) -> None:
    """Nearly as many as the kernel carries at once: an end has three on Linux."""
    pairs = [Pipe() for _ in range(80)]
    pipe[0].send([second for _, second in pairs])
    copies = pipe[1].recv()
    for number, ((first, second), copy) in enumerate(zip(pairs, copies, strict=True)):
        copy.send(number)
        assert first.recv() == number
        for one in (first, second, copy):
            one.close()


@posix_only
def test_too_many_descriptors_are_an_error_of_send(pipe: tuple[Any, Any]) -> None:
    pairs = [Pipe() for _ in range(150)]
    with pytest.raises(pickle.PicklingError, match="descriptors"):
        pipe[0].send(pairs)
    assert not pipe[1].poll()
    pipe[0].send("works")
    assert pipe[1].recv() == "works"


@posix_only
def test_descriptors_of_messages_that_nobody_reads_are_closed() -> None:
    """The leak check after this test is half of the assertion."""
    ours, theirs = Pipe()
    first, second = Pipe()
    ours.send(second)
    second.close()
    ours.close()
    theirs.close()
    del ours, theirs
    gc.collect()
    with pytest.raises(EOFError):
        first.recv()
    first.close()


@posix_only
def test_descriptors_of_objects_that_cannot_be_rebuilt_are_closed(pipe: tuple[Any, Any]) -> None:
    import saboteurs

    first, second = Pipe()
    pipe[0].send([second, saboteurs.FailsToLoad()])
    second.close()
    with pytest.raises(LookupError):
        pipe[1].recv()
    gc.collect()
    with pytest.raises(EOFError):
        first.recv()
    first.close()


@posix_only
def test_a_closed_connection_cannot_be_sent(pipe: tuple[Any, Any]) -> None:
    first, second = Pipe()
    first.close()
    second.close()
    with pytest.raises(OSError, match="closed"):
        pipe[0].send(first)
    with pytest.raises((OSError, pickle.PicklingError)):
        processing_core.Process(target=print, args=(first,), context="spawn").start()
    pipe[0].send("works")
    assert pipe[1].recv() == "works"


@posix_only
def test_received_descriptors_are_not_inherited_by_programs(pipe: tuple[Any, Any]) -> None:
    first, second = Pipe()
    pipe[0].send(first)
    with pipe[1].recv() as copy, first, second:
        for connection in (copy, first, second, *pipe):
            assert not os.get_inheritable(connection.fileno())


@posix_only
def test_a_killed_receiver_of_a_connection_does_not_keep_it(
    start: Starter, pipe: tuple[Any, Any]
) -> None:
    process = start(pipe_children.answer_over_passed, pipe[1])
    ours, theirs = Pipe()
    pipe[0].send(theirs)
    theirs.close()
    process.kill()
    assert finished(process) == -9
    pipe[1].close()
    pipe[0].close()
    with pytest.raises(EOFError):
        ours.recv()
    ours.close()
