"""Pipes carry objects: directions, ends, errors, collection."""

from __future__ import annotations

import gc
import pickle
import sys
import weakref
from collections import OrderedDict
from typing import Any

import pytest

import pipe_children
import saboteurs
from children import finished
from conftest import Starter
from processing_core import Connection, Pipe, ProcessError

OBJECTS: list[Any] = [
    None,
    True,
    0,
    -1,
    2**200,
    1.5,
    float("inf"),
    "",
    "text",
    "\N{SNOWMAN}" * 1000,
    b"",
    b"\xff\x00",
    bytes(range(256)),
    bytearray(b"array"),
    (),
    (1, (2, (3,))),
    [],
    [[]],
    {},
    {"key": [1, {2}]},
    {1, 2},
    frozenset({3}),
    OrderedDict(a=1),
    slice(1, 2),
    range(5),
    int,
    len,
    ValueError("text"),
    pipe_children.pattern(32 * 1024),
    pipe_children.pattern(64 * 1024),
    pipe_children.pattern(200_000),
    ["x" * 100_000] * 3,
    list(range(100_000)),
]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, ValueError):
        return type(other) is ValueError and one.args == other.args
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize("number", range(len(OBJECTS)))
def test_an_object_arrives_equal(pipe: tuple[Any, Any], number: int) -> None:
    one = OBJECTS[number]
    for sender, receiver in (pipe, pipe[::-1]):
        sender.send(one)
        assert same(one, receiver.recv())
        assert not receiver.poll()


def test_objects_travel_to_a_child_and_back(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(pipe_children.echo, pipe[1])
    pipe[1].close()
    for one in OBJECTS:
        pipe[0].send(one)
        assert same(one, pipe[0].recv())
    pipe[0].close()
    if type(process).__name__ == "ForkProcess":
        process.terminate()  # it has a copy of this end, which keeps the pipe open
        process.join()
    else:
        assert finished(process) == 0


def test_order_is_kept_between_large_and_small(start: Starter, one_way: tuple[Any, Any]) -> None:
    objects = [pipe_children.pattern(size) for size in (1, 300_000, 5, 70_000, 0, 1_000_000, 9)]
    process = start(pipe_children.send_all, one_way[1], objects * 3)
    for one in objects * 3:
        assert one_way[0].recv() == one
    assert finished(process) == 0


def test_identity_within_a_message_is_kept_and_between_messages_is_not(
    pipe: tuple[Any, Any],
) -> None:
    shared = ["shared"]
    pipe[0].send([shared, shared])
    pipe[0].send(shared)
    first, second = pipe[1].recv(), pipe[1].recv()
    assert first[0] is first[1]
    assert first[0] == second
    assert first[0] is not second


def test_a_message_is_the_object_as_it_was_when_sent(pipe: tuple[Any, Any]) -> None:
    for size in (10, 100_000, 3_000_000):
        data = bytearray(size)
        pipe[0].send(data)
        data[:] = b"\x01" * size
        assert pipe[1].recv() == bytearray(size)


def test_one_way_pipes_have_a_direction(one_way: tuple[Any, Any]) -> None:
    receiver, sender = one_way
    assert (receiver.readable, receiver.writable) == (True, False)
    assert (sender.readable, sender.writable) == (False, True)
    sender.send(1)
    assert receiver.recv() == 1
    for wrong in (
        lambda: receiver.send(1),
        lambda: receiver.send_bytes(b"1"),
        lambda: receiver.send_bytes(bytes(1_000_000)),
        sender.recv,
        sender.recv_bytes,
        lambda: sender.recv_bytes_into(bytearray(10)),
        sender.poll,
        lambda: sender.poll(10),
    ):
        with pytest.raises(OSError, match="only"):
            wrong()
    sender.send(2)
    assert receiver.recv() == 2


def test_two_way_pipes_have_both(pipe: tuple[Any, Any]) -> None:
    for end in pipe:
        assert end.readable
        assert end.writable
        assert isinstance(end, Connection)


def test_a_closed_end_refuses_everything(pipe: tuple[Any, Any]) -> None:
    end = pipe[0]
    assert not end.closed
    end.close()
    end.close()
    assert end.closed
    for use in (
        lambda: end.send(1),
        lambda: end.send(bytes(1_000_000)),
        lambda: end.send_bytes(b""),
        lambda: end.send_bytes(bytes(1_000_000)),
        end.recv,
        end.recv_bytes,
        lambda: end.recv_bytes_into(bytearray(1)),
        end.poll,
        lambda: end.poll(10),
        end.fileno,
        lambda: pickle.dumps(end),
    ):
        with pytest.raises((OSError, pickle.PicklingError)) as info:
            use()
        assert "clos" in str(info.value) or isinstance(info.value, pickle.PicklingError)
    assert "closed" in repr(end)


def test_a_connection_is_a_context_manager(pipe: tuple[Any, Any]) -> None:
    with pipe[0] as end:
        assert end is pipe[0]
        end.send(1)
    assert end.closed
    assert pipe[1].recv() == 1
    with pytest.raises(EOFError):
        pipe[1].recv()


def test_a_connection_closes_when_it_is_collected() -> None:
    first, second = Pipe()
    watch = weakref.ref(first)
    del first
    gc.collect()
    assert watch() is None
    with pytest.raises(EOFError):
        second.recv()
    second.close()


def test_the_end_comes_after_everything_sent(pipe: tuple[Any, Any]) -> None:
    objects = [1, b"2", pipe_children.pattern(500_000)]
    for one in objects:
        pipe[0].send(one)
    pipe[0].close()
    for one in objects:
        assert pipe[1].poll()
        assert pipe[1].recv() == one
    for _ in range(3):
        assert pipe[1].poll()
        assert pipe[1].poll(None)
        for receive in (pipe[1].recv, pipe[1].recv_bytes):
            with pytest.raises(EOFError):
                receive()
        with pytest.raises(EOFError):
            pipe[1].recv_bytes_into(bytearray(3))


@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
def test_sending_to_a_closed_end_is_a_broken_pipe(pipe: tuple[Any, Any], size: int) -> None:
    pipe[1].close()
    for _ in range(3):
        with pytest.raises(BrokenPipeError):
            pipe[0].send(bytes(size))
        with pytest.raises(BrokenPipeError):
            pipe[0].send_bytes(bytes(size))


@pytest.mark.parametrize("size", [1, 60_000, 2_000_000])
def test_what_a_peer_sent_before_leaving_with_mail_unread_arrives(
    pipe: tuple[Any, Any], size: int
) -> None:
    """The kernel says "connection reset" first; nothing may be lost by that."""
    pipe[0].send(b"never read")
    if size > 100_000:
        pipe[0].send(bytes(size))
    objects = [pipe_children.pattern(size), "second", "third"]
    for one in objects:
        pipe[1].send(one)
    pipe[1].close()
    for one in objects:
        assert pipe[0].poll()
        assert pipe[0].recv() == one
    for _ in range(2):
        with pytest.raises(EOFError):
            pipe[0].recv()
    with pytest.raises(BrokenPipeError):
        pipe[0].send(1)


def test_the_same_between_processes(start: Starter, pipe: tuple[Any, Any]) -> None:
    objects = ["one", pipe_children.pattern(200_000), "three"]
    pipe[0].send("never read")
    process = start(pipe_children.send_and_leave_unread, pipe[1], objects)
    pipe[1].close()
    assert finished(process) == 0
    assert [pipe[0].recv() for _ in objects] == objects
    with pytest.raises(EOFError):
        pipe[0].recv()


@pytest.mark.parametrize(
    "bad",
    [
        saboteurs.LAMBDA,
        saboteurs.Unpicklable(),
        [bytes(100_000), saboteurs.Unpicklable()],
        {"a": [saboteurs.Holder(saboteurs.Unpicklable())]},
        sys._getframe(),
    ],
    ids=["lambda", "object", "after a lot", "deep", "frame"],
)
def test_what_does_not_pickle_is_an_error_of_send_alone(pipe: tuple[Any, Any], bad: Any) -> None:
    for _ in range(3):
        with pytest.raises((pickle.PicklingError, TypeError, ValueError, AttributeError)):
            pipe[0].send(bad)
        assert not pipe[1].poll()
        pipe[0].send("works")
        assert pipe[1].recv() == "works"


def test_what_cannot_be_rebuilt_is_an_error_of_recv_alone(pipe: tuple[Any, Any]) -> None:
    for filling in (b"", bytes(500_000)):
        pipe[0].send([filling, saboteurs.FailsToLoad()])
        pipe[0].send("works")
        with pytest.raises(LookupError, match="rebuilt"):
            pipe[1].recv()
        assert pipe[1].recv() == "works"


def test_bytes_that_are_no_pickle_are_an_error_of_recv(pipe: tuple[Any, Any]) -> None:
    pipe[0].send_bytes(b"no pickle")
    pipe[0].send("works")
    with pytest.raises((pickle.UnpicklingError, EOFError, KeyError, ValueError)):
        pipe[1].recv()
    assert pipe[1].recv() == "works"


def test_an_object_can_be_received_as_bytes_and_the_reverse(pipe: tuple[Any, Any]) -> None:
    """As in the standard library: send and send_bytes of a pickle are the same message."""
    for one in ("text", list(range(1000)), "x" * 300_000):
        pipe[0].send(one)
        assert pickle.loads(pipe[1].recv_bytes()) == one
        pipe[0].send_bytes(pickle.dumps(one))
        assert pipe[1].recv() == one


def test_a_reducer_may_use_the_pipe_itself(pipe: tuple[Any, Any]) -> None:
    class Chatty:
        def __reduce__(self) -> Any:
            pipe[0].send("from the inside")
            return str, ("outside",)

    pipe[0].send([Chatty()])
    assert pipe[1].recv() == "from the inside"
    assert pipe[1].recv() == ["outside"]


def test_connections_do_not_pickle_by_themselves(pipe: tuple[Any, Any]) -> None:
    with pytest.raises(pickle.PicklingError) as info:
        pickle.dumps(pipe[0])
    assert isinstance(info.value, ProcessError)


def test_cyclic_and_deep_objects(pipe: tuple[Any, Any]) -> None:
    cyclic: list[Any] = [1]
    cyclic.append(cyclic)
    pipe[0].send(cyclic)
    copy = pipe[1].recv()
    assert copy[1] is copy
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        pipe[0].send(deep)
    while deep:
        deep = deep[0]
    pipe[0].send("works")
    assert pipe[1].recv() == "works"


def test_pipes_without_end() -> None:
    """Making and dropping pipes leaves nothing: the leak check after this test is the assertion."""
    for _ in range(300):
        first, second = Pipe()
        first.send(bytes(100))
        second.recv()
        del first, second
    for _ in range(20):
        first, second = Pipe()
        first.send(bytes(1_000_000))
        second.send(bytes(1_000_000))
        second.recv()
        del first, second
