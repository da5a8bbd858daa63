"""A process that is killed in the middle of a send or receive leaves the pipe usable."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import pipe_children
import processing_core
from children import finished
from conftest import Starter
from pipe_children import pattern
from processing_testkit import wait_until

SIZES = [10, 40_000, 100_000, 3_000_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("received", [0, 1, 7])
def test_a_sender_killed_in_the_middle(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any], size: int, received: int
) -> None:
    """Whole messages or nothing; the next sender's messages are not disturbed.

    The last message of the killed one may come late, after those of others, but then whole.
    """
    process = start(pipe_children.flood, one_way[1], pipe[1], size)
    assert pipe[0].recv() == process.pid
    for number in range(received):
        assert one_way[0].recv() == (number, pattern(size))
    process.kill()
    assert finished(process) == -9
    # Another takes over, through the same ends.
    sender = threading.Thread(target=one_way[1].send, args=("after it",))
    sender.start()
    number = received
    while (message := one_way[0].recv()) != "after it":
        assert message == (number, pattern(size))
        number += 1
    sender.join()
    for message in ("small", pattern(2_000_000)):
        sender = threading.Thread(target=one_way[1].send, args=(message,))
        sender.start()
        received_now = one_way[0].recv()
        if received_now == (number, pattern(size)):
            number += 1
            received_now = one_way[0].recv()
        assert received_now == message
        sender.join()
    if one_way[0].poll():
        assert one_way[0].recv() == (number, pattern(size))
    assert not one_way[0].poll()


@pytest.mark.parametrize("size", SIZES)
def test_the_end_comes_after_a_killed_sender(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any], size: int
) -> None:
    process = start(pipe_children.flood_bytes, one_way[1], pipe[1], size)
    assert pipe[0].recv() == process.pid
    one_way[1].close()
    assert one_way[0].recv_bytes() == pattern(size)
    process.kill()
    for message in iter_to_end(one_way[0].recv_bytes):
        assert message == pattern(size)
    assert finished(process) == -9


@pytest.mark.parametrize("size", SIZES)
def test_one_of_several_senders_is_killed(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any], size: int
) -> None:
    """The other goes on; all of its messages arrive, in order."""
    victim = start(pipe_children.flood, one_way[1], pipe[1], size)
    assert pipe[0].recv() == victim.pid
    other = start(pipe_children.produce, one_way[1], 5, [size] * 20)
    one_way[1].close()
    numbers = []
    for message in iter_to_end(one_way[0].recv):
        if len(message) == 3:
            assert message == (5, message[1], pattern(size, 5))
            numbers.append(message[1])
        else:
            assert message[1] == pattern(size)
        victim.kill()
    assert numbers == list(range(20))
    assert finished(victim) == -9
    assert finished(other) == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_receiver_killed_in_the_middle(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any], size: int
) -> None:
    """It loses what was in its hands, and nobody waits for it."""
    process = start(pipe_children.receive_without_end, one_way[0], pipe[1])
    assert pipe[0].recv() == process.pid
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            one_way[1].send(pattern(size))

    sender = threading.Thread(target=send)
    sender.start()
    process.join(0.02)  # any moment will do
    process.kill()
    assert finished(process) == -9
    stop.set()
    while sender.is_alive():
        if one_way[0].poll(0.01):
            assert one_way[0].recv() == pattern(size)
    while one_way[0].poll():
        assert one_way[0].recv() == pattern(size)
    for message in ("small", pattern(2_000_000)):
        sender = threading.Thread(target=one_way[1].send, args=(message,))
        sender.start()
        assert one_way[0].recv() == message
        sender.join()


def test_the_last_receiver_is_killed(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any]
) -> None:
    """A sender that waits for room in a pipe nobody will read learns of it."""
    process = start(pipe_children.receive_without_end, one_way[0], pipe[1])
    assert pipe[0].recv() == process.pid
    one_way[0].close()
    os.kill(process.pid or 0, signal.SIGSTOP)
    outcome: list[BaseException] = []

    def send() -> None:
        try:
            while True:
                one_way[1].send(pattern(50_000))
        except OSError as error:
            outcome.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    sender.join(0.1)
    process.kill()
    sender.join(20)
    assert not sender.is_alive()
    assert isinstance(outcome[0], BrokenPipeError)
    assert finished(process) == -9


@pytest.mark.parametrize("size", SIZES)
def test_killed_again_and_again(start_method: str, size: int) -> None:
    """Many kills at many moments; the pipe is the same one all the time."""
    if start_method == "spawn":
        pytest.skip("the start method makes no difference to the pipe; two of them are enough")
    receiver, sender = processing_core.Pipe(duplex=False)
    ready, report = processing_core.Pipe(duplex=False)
    with receiver, sender, ready, report:
        for round_ in range(12):
            process = processing_core.Process(
                target=pipe_children.flood, args=(sender, report, size), context=start_method
            )
            process.start()
            ready.recv()
            for _ in range(round_ % 4):
                assert receiver.recv()[1] == pattern(size)
            process.kill()
            assert finished(process) == -9
            while receiver.poll():
                assert receiver.recv()[1] == pattern(size)
        thread = threading.Thread(target=sender.send, args=(pattern(1_000_000),))
        thread.start()
        assert receiver.recv() == pattern(1_000_000)
        thread.join()


def test_an_interrupt_ends_a_blocking_receive(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any]
) -> None:
    """SIGINT raises KeyboardInterrupt at once, and the connection works on."""
    process = start(pipe_children.interrupted_receive, one_way[0], pipe[1])
    pid = pipe[0].recv()
    wait_until_asleep(pid)
    os.kill(pid, signal.SIGINT)
    assert pipe[0].recv() == "interrupted"
    one_way[1].send("still works")
    assert pipe[0].recv() == "still works"
    assert finished(process) == 0


def test_an_interrupt_ends_a_blocking_send(
    start: Starter, one_way: tuple[Any, Any], pipe: tuple[Any, Any]
) -> None:
    """What was sent before arrives; the message in hand is not sent, or whole."""
    process = start(pipe_children.interrupted_send, one_way[1], pipe[1])
    pid = pipe[0].recv()
    wait_until_asleep(pid)
    os.kill(pid, signal.SIGINT)
    sent = pipe[0].recv()
    received = 0
    while one_way[0].poll():
        assert one_way[0].recv_bytes() == pattern(1000)
        received += 1
    assert received in (sent, sent + 1)
    pipe[0].send("end")
    assert finished(process) == 0


def test_an_interrupt_ends_join_and_wait_and_poll() -> None:
    """All that blocks in the main thread gives way to Ctrl-C."""

    def blocker(connection: Any) -> None:
        connection.recv()

    for use in ("join", "wait", "poll"):
        ours, theirs = processing_core.Pipe()
        process = processing_core.Process(target=blocker, args=(theirs,), context="fork")
        process.start()
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        blocks: dict[str, Callable[[], object]] = {
            "join": lambda: process.join(20),  # noqa: B023 - used in this turn
            "wait": lambda: processing_core.wait([process.sentinel, ours], 20),  # noqa: B023
            "poll": lambda: ours.poll(20),  # noqa: B023
        }
        with pytest.raises(KeyboardInterrupt):
            blocks[use]()
        timer.join()
        ours.send(None)
        assert finished(process) == 0
        ours.close()
        theirs.close()


def iter_to_end(receive: Callable[[], Any]) -> Iterator[Any]:
    """What is received until the end of the file."""
    with contextlib.suppress(EOFError):
        while True:
            yield receive()


def wait_until_asleep(pid: int) -> None:
    """Until a process waits in the kernel for something, seen twice in a row."""
    seen = [0]

    def asleep() -> bool:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        seen[0] = seen[0] + 1 if state == "S" else 0
        return seen[0] >= 3

    wait_until(asleep)
