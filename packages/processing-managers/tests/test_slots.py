"""Slots and the desk without a server: what comes first, that nobody waits for ever, and waking."""

from __future__ import annotations

import os
import queue
import random
import select
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing_managers import SyncManager
from processing_managers._slots import (
    MOST_IN_A_ROW,
    MOST_REQUEST_BYTES,
    Caller,
    Desk,
    Intake,
    ReplyWriter,
    Slot,
)
from processing_managers._wire import NOTHING

TIME = 20.0


def never(seconds: float) -> bool:
    raise AssertionError(f"slept for {seconds} s")


class Office:
    """A desk, and clients of it, in one process."""

    def __init__(self, clients: int, sleep: Callable[[float], bool | None] = never) -> None:
        self.intake = Intake()
        self.desk = Desk(self.intake, sleep)
        self.slots = [Slot() for _ in range(clients)]
        self.places = [self.desk.add(slot) for slot in self.slots]
        self.callers = [Caller(slot, self.intake, never) for slot in self.slots]

    def is_free(self, client: int) -> bool:
        """Whether the client's slot is."""
        return self.places[client] not in self.desk._full()


def test_a_request_and_its_reply() -> None:
    office = Office(1)
    (caller,), reply = office.callers, ReplyWriter(office.slots[0]).put
    for size in (1, 30, MOST_REQUEST_BYTES, MOST_REQUEST_BYTES + 1, 100_000):
        caller.put(b"a" * size)
        assert office.desk.get(0) == b"a" * size
        reply(b"b" * size)
        assert caller.get() == b"b" * size


def test_nothing_comes() -> None:
    office = Office(2)
    for timeout in (0, 0.001, 0.02):
        with pytest.raises(queue.Empty):
            office.desk.get(timeout)


def test_a_post_without_a_request_does_no_harm() -> None:
    office = Office(1)
    for _ in range(5):
        office.intake.semaphore.release()
    with pytest.raises(queue.Empty):
        office.desk.get(0.001)
    office.callers[0].put(b"call")
    assert office.desk.get(0) == b"call"


def test_a_request_without_a_post_is_found() -> None:
    """Its client was killed, or interrupted, in between."""
    office = Office(1)
    office.callers[0].put(b"call")
    assert office.intake.semaphore.acquire(False)
    assert office.desk.get(0.01) == b"call"
    office.intake.queue.put(b"more")
    assert office.desk.get(0.01) == b"more"


def test_the_slot_is_taken_still() -> None:
    """By a request that was abandoned, for example: the next takes the other way."""
    office = Office(1)
    office.callers[0].put(b"first")
    office.callers[0].put(b"second")
    assert sorted([office.desk.get(0), office.desk.get(0)]) == [b"first", b"second"]


def test_slots_come_and_go() -> None:
    office = Office(3)
    office.desk.remove(office.places[1])
    office.callers[1].put(b"nobody looks at it")
    office.callers[2].put(b"two")
    assert office.desk.get(0) == b"two"
    slot = Slot()
    office.desk.add(slot)  # in the place of the one that has gone
    assert len(office.desk._places) == 3
    Caller(slot, office.intake, never).put(b"new")
    assert office.desk.get(0) == b"new"
    with pytest.raises(queue.Empty):
        office.desk.get(0.001)


def test_one_that_comes_again_and_again_is_not_always_first() -> None:
    office = Office(3)
    for caller in office.callers:
        caller.put(b"others")
    served = []
    for _ in range(3 * MOST_IN_A_ROW):
        # It is always the one that has come last.
        if office.is_free(2):
            office.callers[2].put(b"again")
        served.append(office.desk.get(0))
    assert served.count(b"others") == 3


def test_a_stream_in_the_queue_does_not_keep_the_slots_waiting() -> None:
    office = Office(2)
    office.intake.put(b"stream")
    for caller in office.callers:
        caller.put(b"call")
    served = []
    for _ in range(4 * MOST_IN_A_ROW):
        office.intake.put(b"stream")
        served.append(office.desk.get(0))
    assert served.count(b"call") == 2


ACTIONS = st.lists(st.integers(0, 9), min_size=1, max_size=300)


@settings(deadline=None, max_examples=150)
@given(actions=ACTIONS, clients=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_any_order_of_events(actions: list[int], clients: int, seed: int) -> None:
    """All that was left is taken once, and a call never before what its client has sent before."""
    office = Office(clients)
    chance = random.Random(seed)  # noqa: S311 - no secret
    sent: list[list[str]] = [[] for _ in range(clients)]
    taken: list[list[str]] = [[] for _ in range(clients)]

    def take() -> None:
        client, what = office.desk.get(0).decode().split(":")
        taken[int(client)].append(what)
        if what.startswith("call"):
            before = sent[int(client)][: sent[int(client)].index(what)]
            assert set(before) <= set(taken[int(client)])

    for number, action in enumerate(actions):
        client = chance.randrange(clients)
        if action < 4 and office.is_free(client):
            sent[client].append(f"call {number}")
            office.callers[client].put(f"{client}:call {number}".encode())
        elif action < 7:
            sent[client].append(f"sent {number}")
            office.intake.put(f"{client}:sent {number}".encode())
        elif sum(map(len, sent)) > sum(map(len, taken)):
            take()
    while sum(map(len, sent)) > sum(map(len, taken)):
        take()
    assert list(map(sorted, taken)) == list(map(sorted, sent))
    with pytest.raises(queue.Empty):
        office.desk.get(0)


def sleeping_office() -> tuple[Office, threading.Event]:
    """A desk that tells when it goes to sleep."""
    asleep = threading.Event()
    poll = select.poll()

    def sleep(seconds: float) -> None:
        asleep.set()
        poll.poll(seconds * 1000)

    office = Office(2, sleep)
    poll.register(office.desk.descriptor, select.POLLIN)
    return office, asleep


@pytest.mark.parametrize("way", ["slot", "queue"])
def test_a_sleeper_is_woken(way: str) -> None:
    office, asleep = sleeping_office()
    with ThreadPoolExecutor(1) as threads:
        for _ in range(3):
            asleep.clear()
            getting = threads.submit(office.desk.get, TIME)
            assert asleep.wait(TIME)
            if way == "slot":
                office.callers[1].put(b"call")
            else:
                office.intake.put(b"call")
            if (got := getting.result(TIME)) == NOTHING:  # what has woken it
                got = office.desk.get(TIME)
            assert got == b"call"


def test_an_abandoned_call_that_the_server_has_not_seen_takes_nothing(manager: SyncManager) -> None:
    """The server is stopped while a call is left for it and interrupted."""

    class StopError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StopError

    items, numbers = manager.Queue(), manager.list([5])
    assert manager.process is not None
    pid = manager.process.pid
    assert pid is not None
    assert numbers[0] == 5
    before = signal.signal(signal.SIGALRM, stop)
    try:
        for number in range(5):
            os.kill(pid, signal.SIGSTOP)
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                with pytest.raises(StopError):
                    items.get()
            finally:
                os.kill(pid, signal.SIGCONT)
            items.put(number)
            assert items.get(timeout=TIME) == number
            assert numbers[0] == 5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
