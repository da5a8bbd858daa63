"""Large messages found in the way of others: whoever is told of one gets it, whatever is first."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("packet connections exist on Linux", allow_module_level=True)

assert sys.platform == "linux"

import pipe_children
import processing_core
from children import LONG, finished
from conftest import Starter
from network_tools import connected
from pipe_children import pattern
from processing_core._connection import packet, parcels
from processing_core._cpickle import loads
from processing_core._platform.mailbox import Mailbox

LARGE = 200_000


@pytest.fixture
def sharing(one_way: tuple[Any, Any], pipe: tuple[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Two that share the receiving end, as two processes do, and the sending end."""
    pipe[0].send(one_way[0])
    with pipe[1].recv() as other:
        yield one_way[0], other, one_way[1]


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a parcel that somebody may be holding is an error."""

    def sleep(seconds: float) -> None:
        raise AssertionError("nobody is waited for")

    monkeypatch.setattr(parcels, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))


def send(sender: Any, *numbers: int) -> None:
    for number in numbers:
        sender.send((number, pattern(LARGE, number)))


def read_marker(receiver: Any) -> bytes:
    """The first half of what recv() does."""
    assert receiver.poll(LONG)
    return packet._read(receiver.fileno(), packet.READ_BYTES)


def receive_announced(receiver: Any, marker: bytes) -> Any:
    """The second half."""
    message = receiver._unwrap(marker)
    return message.load() if isinstance(message, parcels.Parcel) else loads(message)


def check(message: Any, number: int) -> None:
    assert message == (number, pattern(LARGE, number))


@pytest.mark.usefixtures("no_sleep")
def test_a_receiver_finds_what_another_had_in_its_way(sharing: tuple[Any, Any, Any]) -> None:
    first, second, sender = sharing
    send(sender, 0, 1)
    marker = read_marker(first)
    check(second.recv(), 1)
    second.close()
    check(receive_announced(first, marker), 0)


@pytest.mark.usefixtures("no_sleep")
def test_many_receivers_in_the_reverse_order(sharing: tuple[Any, Any, Any]) -> None:
    """Each finds its own among those of all others."""
    first, second, sender = sharing
    markers = []
    for number in range(0, 20, 2):
        send(sender, number, number + 1)
        markers += [read_marker(first), read_marker(first)]
        second._parcels.make_room()
    for number in reversed(range(20)):
        check(receive_announced(sharing[number % 2], markers[number]), number)


def test_one_receiver_keeps_the_order_of_senders_that_overtake_each_other(
    one_way: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sender's parcel is there first, the other's marker."""
    receiver, sender = one_way
    sender.send("before")
    write_marker = packet.PacketConnection._write_marker

    def overtaken(connection: Any, marker: bytes) -> None:
        monkeypatch.setattr(packet.PacketConnection, "_write_marker", write_marker)
        send(sender, 1)
        write_marker(connection, marker)

    monkeypatch.setattr(packet.PacketConnection, "_write_marker", overtaken)
    send(sender, 0)
    sender.send("after")
    assert receiver.recv() == "before"
    check(receiver.recv(), 1)
    check(receiver.recv(), 0)
    assert receiver.recv() == "after"
    assert not receiver.poll()


def test_a_receiver_waits_while_another_holds_its_message(sharing: tuple[Any, Any, Any]) -> None:
    first, second, sender = sharing
    send(sender, 0)
    marker = read_marker(first)
    held = second._parcels._fetch()
    with ThreadPoolExecutor(1) as threads:
        receiving = threads.submit(receive_announced, first, marker)
        with pytest.raises(TimeoutError):
            receiving.result(0.02)
        second._parcels._lay_aside(held)
        check(receiving.result(LONG), 0)


def test_what_is_lost_with_a_killed_process_is_not_waited_for_without_end(
    sharing: tuple[Any, Any, Any],
) -> None:
    first, second, sender = sharing
    send(sender, 0, 1)
    marker = read_marker(first)
    second._parcels._fetch().close()  # as the kernel does when it is killed
    check(receive_announced(first, marker), 1)
    assert not first.poll()


def test_what_comes_back_too_late_is_received_all_the_same(
    sharing: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a process that was stopped for long."""
    first, second, sender = sharing
    send(sender, 0)
    marker = read_marker(first)
    held = second._parcels._fetch()
    sender.send("next")
    monkeypatch.setattr(parcels, "LOOKS", 3)
    assert receive_announced(first, marker) == "next"
    second._parcels._lay_aside(held)
    second.close()
    assert not first.poll()
    assert first.poll(LONG)
    check(first.recv(), 0)
    assert not first.poll()


def test_the_end_is_not_told_while_there_is_something(sharing: tuple[Any, Any, Any]) -> None:
    first, second, sender = sharing
    send(sender, 0, 1)
    marker = read_marker(first)
    check(second.recv(), 1)
    sender.close()
    with ThreadPoolExecutor(1) as threads:
        at_end = threads.submit(second.recv)
        with pytest.raises(TimeoutError):
            at_end.result(0.02)
        check(receive_announced(first, marker), 0)
        with pytest.raises(EOFError):
            at_end.result(LONG)


def test_a_parcel_whose_marker_is_lost_comes_before_the_end(
    sharing: tuple[Any, Any, Any],
) -> None:
    first, second, sender = sharing
    send(sender, 0, 1)
    read_marker(first)
    check(second.recv(), 1)
    sender.close()
    check(first.recv(), 0)
    for receiver in (first, second):
        with pytest.raises(EOFError):
            receiver.recv()


@pytest.mark.usefixtures("no_sleep")
def test_a_message_that_was_perhaps_sent_is_not_waited_for(one_way: tuple[Any, Any]) -> None:
    os.write(one_way[1].fileno(), packet.PERHAPS + bytes(parcels.TOKEN_BYTES))
    one_way[1].send("next")
    assert one_way[0].recv() == "next"


@pytest.fixture
def full_box(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """No box has room; returns what makes it have."""
    put = Mailbox.put
    monkeypatch.setattr(Mailbox, "put", lambda *_: False)
    return lambda: monkeypatch.setattr(Mailbox, "put", put)


def test_a_box_without_room(
    sharing: tuple[Any, Any, Any], full_box: Callable[[], None], pipe: tuple[Any, Any]
) -> None:
    """What does not fit is kept for later, and left to others at the end."""
    first, second, sender = sharing
    send(sender, 0, 1)
    markers = [read_marker(first) for _ in range(2)]
    check(receive_announced(second, markers[1]), 1)
    check(receive_announced(second, markers[0]), 0)
    send(sender, 2, 3)
    marker = read_marker(first)
    check(second.recv(), 3)
    full_box()
    second.close()
    check(receive_announced(first, marker), 2)


@pytest.mark.usefixtures("full_box")
def test_an_orphan_that_has_no_room_in_the_box(sharing: tuple[Any, Any, Any]) -> None:
    first, second, sender = sharing
    send(sender, 0, 1)
    read_marker(first)
    check(second.recv(), 1)
    assert second.poll(LONG)
    check(second.recv(), 0)
    assert not second.poll()


@pytest.mark.usefixtures("full_box")
def test_a_forked_child_closes_what_its_parent_keeps(
    sharing: tuple[Any, Any, Any], pipe: tuple[Any, Any]
) -> None:
    """Then it does not hold the other end of a pipe open that was sent in there."""
    first, second, sender = sharing
    ours, theirs = processing_core.Pipe()
    sender.send(theirs)
    theirs.close()
    marker = read_marker(first)
    second._parcels.make_room()
    process = processing_core.Process(
        target=pipe_children.receive_then_wait, args=(second, pipe[1]), context="fork"
    )
    process.start()
    sender.send("for the child")
    assert pipe[0].recv() == "for the child"
    send(sender, 1)
    check(pipe[0].recv(), 1)
    with receive_announced(second, marker) as theirs:
        theirs.send("from there")
    assert ours.recv() == "from there"
    with pytest.raises(EOFError):
        ours.recv()
    ours.close()
    pipe[0].send("end")
    assert finished(process) == 0


def test_no_nudge_before_everything_was_read(one_way: tuple[Any, Any]) -> None:
    """It would be left behind, for poll() to find, if the sender were killed."""
    receiver, sender = one_way
    send(sender, 0, 1)
    sender._nudge()
    check(receiver.recv(), 0)
    sender._nudge()
    check(receiver.recv(), 1)
    assert not receiver.poll()


def test_messages_that_nobody_asks_for_do_not_stop_senders(sharing: tuple[Any, Any, Any]) -> None:
    """They fill the socket, and the one whose they are does not take them out."""
    first, second, sender = sharing
    send(sender, 0, 1)
    markers = [read_marker(first) for _ in range(2)]
    sending = threading.Thread(target=send, args=(sender, 2, 3, 4))
    sending.start()
    for number in (2, 3, 4):
        check(second.recv(), number)
    sending.join(LONG)
    for number in (0, 1):
        check(receive_announced(first, markers[number]), number)


def test_receivers_that_stop_one_after_the_other(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any]
) -> None:
    """Each of many processes receives a few large messages and is gone; no message is."""
    consumers = [start(pipe_children.receive_some, one_way[0], pipe[1], 3) for _ in range(6)]
    producers = [
        start(pipe_children.produce, one_way[1], name, [70_000 + name] * 6) for name in range(3)
    ]
    received = [message for _ in consumers for message in pipe[0].recv()]
    assert sorted(received) == sorted(
        (name, number, 70_000 + name) for name in range(3) for number in range(6)
    )
    assert [finished(process) for process in consumers + producers] == [0] * 9


# Ends of listeners and clients, which have a box only from when another process may share them


@pytest.fixture
def local() -> Iterator[tuple[Any, Any]]:
    with connected("AF_UNIX") as ends:
        for end in ends:
            assert isinstance(end, packet.PacketConnection)
            assert end._parcels._box is None
        yield ends


@pytest.mark.usefixtures("no_sleep")
def test_an_end_that_nobody_shares_keeps_what_is_in_its_way(local: tuple[Any, Any]) -> None:
    receiver, sender = local
    send(sender, *range(2))
    first = read_marker(receiver)
    second = read_marker(receiver)
    check(receive_announced(receiver, second), 1)
    check(receive_announced(receiver, first), 0)
    assert receiver._parcels._box is None


@pytest.mark.usefixtures("no_sleep")
def test_what_was_in_the_way_is_found_by_those_who_share_the_end_later(
    local: tuple[Any, Any], pipe: tuple[Any, Any]
) -> None:
    receiver, sender = local
    send(sender, *range(2))
    first = read_marker(receiver)
    second = read_marker(receiver)
    check(receive_announced(receiver, second), 1)
    pipe[0].send(receiver)
    assert receiver._parcels._box is not None
    with pipe[1].recv() as other:
        check(receive_announced(other, first), 0)


def _receive_first(receiver: Any, first: bytes, answer: Any) -> None:
    check(receive_announced(receiver, first), 0)
    answer.send("received")


def test_a_forked_child_finds_what_its_parent_had_in_its_way(local: tuple[Any, Any]) -> None:
    receiver, sender = local
    send(sender, *range(2))
    first = read_marker(receiver)
    second = read_marker(receiver)
    check(receive_announced(receiver, second), 1)
    context = processing_core.get_context("fork")
    here, there = context.Pipe()
    with here, there:
        process = context.Process(target=_receive_first, args=(receiver, first, there))
        process.start()
        assert receiver._parcels._box is not None
        assert here.recv() == "received"
        assert finished(process) == 0
    send(sender, 2)
    check(receiver.recv(), 2)
