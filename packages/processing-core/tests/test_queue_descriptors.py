"""Items that carry descriptors, which go beside the ring: nobody gets those of others."""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

import queue_children
from children import LONG
from processing_core import Lock, Queue, get_context, wait
from processing_core.queues import Full
from processing_testkit import wait_until

assert sys.platform != "win32"

from processing_core._ring.parcels import new_token


@pytest.fixture
def files() -> list[Any]:
    """Sockets with something to read in each."""
    made = []
    for number in range(6):
        ours, theirs = socket.socketpair()
        ours.send(str(number).encode())
        ours.close()
        made.append(theirs)
    return made


def read_and_close(received: list[socket.socket]) -> list[bytes]:
    found = []
    for one in received:
        found.append(one.recv(10))
        one.close()
    return found


def test_descriptors_that_a_killed_producer_left_are_not_taken_for_others(files: list[Any]) -> None:
    """It was killed between their sending and the message, and the next one has its number."""
    queue: Queue[Any] = Queue()
    strange = os.open(os.devnull, os.O_RDONLY)
    try:
        for number, file in enumerate(files):
            assert queue._mailbox.put(new_token(number, 1, 7), [strange])
            queue.put(file)
    finally:
        os.close(strange)
    assert read_and_close([queue.get() for _ in files]) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    read_and_close(files)


def test_a_consumer_that_is_killed_takes_nothing_of_others(files: list[Any]) -> None:
    """It was killed before, or after, it has removed the message; its descriptors are there."""
    queue: Queue[Any] = Queue()
    for file in files:
        queue.put(file)
    # Before: it has looked, and nothing has changed.
    queue._getting.run(lambda: queue._accept(next(iter(queue._ring.records()))[1]))
    assert queue._accepted is not None
    queue._accepted.drop()
    assert read_and_close([queue.get()]) == [b"0"]
    # After: the message is gone, what was in the mailbox is not.
    queue._getting.run(lambda: queue._ring.pop(lambda _: 0))
    assert read_and_close([queue.get() for _ in range(4)]) == [b"2", b"3", b"4", b"5"]
    assert queue._mailbox.peek() is None
    read_and_close(files)


def test_a_mailbox_full_of_what_was_left_is_emptied(files: list[Any]) -> None:
    queue: Queue[Any] = Queue()
    with open(os.devnull) as strange:  # noqa: PTH123
        attempt = 0
        while queue._mailbox.put(new_token(0, 1, attempt), [strange.fileno()]):
            attempt += 1
    assert attempt > 100
    queue.put(files[0], timeout=LONG)
    assert read_and_close([queue.get(timeout=LONG)]) == [b"0"]
    read_and_close(files)


def test_a_full_mailbox_is_waited_for() -> None:
    queue: Queue[Any] = Queue()
    lock = Lock()
    count = 0
    with suppress(Full):
        while True:
            queue.put(lock, block=False)
            count += 1
    assert count > 100
    with pytest.raises(Full):
        queue.put(lock, timeout=0.05)
    thread = threading.Thread(target=queue.put, args=(lock,))
    thread.start()
    for _ in range(count + 1):
        assert queue.get(timeout=LONG)._semlock is lock._semlock
    thread.join()
    assert queue.empty()


def test_a_bell_does_not_silence_what_is_about_to_be_put() -> None:
    """Somebody waits by the descriptor, and a consumer finds nothing while a producer puts."""
    queue: Queue[Any] = Queue()
    assert not wait([queue], 0)  # armed now
    lock, put = Lock(), queue._mailbox.put
    queue.put(1)
    emptied = []

    def put_and_let_the_consumer_run(token: bytes, descriptors: list[int]) -> bool:
        done = put(token, descriptors)
        if not descriptors:
            return done  # a bell
        consumer = threading.Thread(target=lambda: emptied.append(queue.get()))
        consumer.start()
        consumer.join(0.1)  # it waits for us, or is done
        return done

    queue._mailbox = SimpleNamespace(  # type: ignore[assignment]
        put=put_and_let_the_consumer_run,
        **{name: getattr(queue._mailbox, name) for name in ("peek", "drop", "empty", "close")},
    )
    queue.put(lock)
    assert queue.get(timeout=LONG)._semlock is lock._semlock
    wait_until(lambda: emptied == [1])


@pytest.mark.deadline(90)
def test_killed_users_of_descriptors_cost_only_what_was_in_their_hands() -> None:
    fork = get_context("fork")
    rng = random.Random()  # noqa: S311
    for _ in range(25):
        queue: Queue[Any] = Queue()
        victims = [
            fork.Process(target=queue_children.pass_locks_around, args=(queue, rng.random()))
            for _ in range(3)
        ]
        for process in victims:
            process.start()
        time.sleep(rng.uniform(0.0, 0.03))  # when they are killed is left to chance
        for process in victims:
            process.kill()
            process.join()
        count = queue.qsize()
        for _ in range(count):
            with queue.get(timeout=LONG):
                pass
        assert queue.empty()
