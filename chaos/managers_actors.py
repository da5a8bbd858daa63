"""Owns what the clients of a manager do in the scenarios of the group `managers`.

What must not be is told to the supervisor by its number, and in words on the standard error.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import os
import pickle
import queue as exceptions
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import queue_actors
from lock_actors import FIRST, HOLDER, SECOND, Board, DeathNotes, Ending, linger, really_dead
from processing_core import current_process
from processing_managers import ManagerLost, ReferentGoneError, SyncManager
from records import Kind, Post, Reporter

__all__ = [
    "LATER_SECONDS",
    "NUMBERS",
    "Estate",
    "Things",
    "Wrong",
    "come_next",
    "hammer",
    "mourn",
    "own",
    "visit",
]

ITEM_BYTES = 50
NUMBERS = list(range(1000))
"""What is in the list that everybody reads."""

PATIENCE = 10.0
"""Seconds within which whatever is called must answer."""

LATER_SECONDS = 1.0
"""Seconds within which a call to a manager that is gone must raise."""

AGE = 30
"""After so many changes a client makes itself new objects."""


class Wrong(IntEnum):
    """What must not be."""

    ANSWER = 1
    """A call has not answered what it must."""

    INSIDE = 2
    """Two were inside of a lock at a time, or who died inside was not announced."""

    ITEM = 3
    """An item did not come."""

    LIVES = 4
    """A call to a manager that is gone did not raise the named error."""

    LATE = 5
    """A call has raised the named error, but late."""

    SUCCESSOR = 6
    """A proxy of a manager that is gone has reached another one."""


@dataclass(frozen=True)
class Things:
    """What a crowd shares, and where the manager is."""

    lock: Any
    counter: Any
    facts: Any
    queue: Any
    numbers: Any
    address: Any
    board: str


@dataclass(frozen=True)
class Estate:
    """What owners take from the others; the queue is empty."""

    lock: Any
    rlock: Any
    condition: Any
    queue: Any
    numbers: Any
    address: Any


def connected(address: Any) -> SyncManager:
    """The manager, for who has proxies of it, or the key."""
    return SyncManager.from_address(address, bytes(current_process().authkey))


class Complaints:
    """Tells the supervisor what is wrong, and the file of the standard error why."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def add(self, wrong: Wrong, why: str) -> None:
        """Something must not be."""
        self._reporter.tell(Kind.WRONG, wrong)
        print(f"{wrong.name}: {why}", file=sys.stderr, flush=True)

    def expect(self, got: object, expected: object, what: str) -> None:
        """A call has answered this, and must answer that."""
        if got != expected:
            self.add(Wrong.ANSWER, f"{what} gave {got!r:.200}, not {expected!r:.200}")


# The crowd


class Client:
    """One of the crowd: knows what each of its calls must answer."""

    def __init__(self, post: Post, things: Things) -> None:
        self.ending, self.reporter, self.notes = Ending(), Reporter(post), DeathNotes()
        self.complaints = Complaints(self.reporter)
        self.me: Any = post.number
        self.things = things
        self.words = Board(things.board).words
        self.chance = random.Random(post.number)
        self.manager = connected(things.address)
        self.items = 0
        self.make()

    def make(self) -> None:
        """Make objects that nobody else changes, and give up those of before."""
        self.age = 0
        self.known_list = [self.chance.randrange(100) for _ in range(5)]
        self.known_dict: dict[str, Any] = {"me": self.me}
        self.list = self.manager.list(self.known_list)
        self.dict = self.manager.dict(self.known_dict)

    def work(self) -> None:
        """Do this and that until told to end."""
        steps: list[Callable[[], int]] = [
            self.change_list,
            self.change_dict,
            self.count,
            self.pass_items,
            self.read_numbers,
            self.tell_facts,
            self.call_many,
        ]
        self.reporter.tell(Kind.HELLO)
        while not self.ending:
            before = self.notes.count
            calls = self.chance.choice(steps)()
            self.reporter.tell(Kind.DID, calls, self.notes.count - before)
            self.age += 1
            if self.age == AGE:
                self.make()
        self.things.facts.pop(self.me, None)
        self.reporter.tell(Kind.BYE)

    def change_list(self) -> int:
        """The same operations on a list of the manager and on one of our own."""
        number = self.chance.randrange(1000)
        place = self.chance.randrange(len(self.known_list))
        for obj in (self.list, self.known_list):
            obj.append(number)
            obj[place] = number + 1
            obj[1:3] = [number, number, number]
        self.complaints.expect(self.list.pop(), self.known_list.pop(), "pop")
        self.complaints.expect(self.list[place], self.known_list[place], "list[i]")
        self.complaints.expect(number in self.list, number in self.known_list, "in")
        self.complaints.expect(len(self.list), len(self.known_list), "len(list)")
        self.complaints.expect([*self.list], self.known_list, "iterating")
        return 8

    def change_dict(self) -> int:
        """As above, with dictionaries."""
        key, value = f"key {self.chance.randrange(20)}", self.chance.randbytes(10)
        for obj in (self.dict, self.known_dict):
            obj[key] = value
            obj.update(last=key)
        self.complaints.expect(self.dict[key], value, "dict[k]")
        self.complaints.expect(self.dict.get("none"), None, "get")
        self.complaints.expect(self.dict.copy(), self.known_dict, "copy")
        return 5

    def count(self) -> int:
        """Count, on the board and in the manager, inside of the lock."""
        words, counter, before = self.words, self.things.counter, self.notes.count
        self.things.lock.acquire()
        if self.notes.count > before:
            if words[HOLDER] and not really_dead(words[HOLDER]):
                self.complaints.add(Wrong.INSIDE, f"a warning, but {words[HOLDER]} lives")
            words[SECOND] = words[FIRST]
            counter.value = words[FIRST]
        elif words[HOLDER]:
            self.complaints.add(Wrong.INSIDE, f"{words[HOLDER]} is or died inside, no warning")
        elif words[FIRST] != words[SECOND]:
            self.complaints.add(Wrong.INSIDE, "somebody has changed one number of a pair")
        words[HOLDER] = os.getpid()
        words[FIRST] += 1
        value = counter.value
        counter.value = value + 1
        self.complaints.expect(value, words[SECOND], "the counter")
        linger(self.chance)
        words[SECOND] += 1
        if words[HOLDER] != os.getpid():
            self.complaints.add(Wrong.INSIDE, f"{words[HOLDER]} came in")
        words[HOLDER] = 0
        self.things.lock.release()
        return 4

    def pass_items(self) -> int:
        """Put an item and get one, so that there is always one for who waits."""
        queue, number = self.things.queue, self.items
        queue.put((self.me, number, queue_actors.payload(self.me, number, ITEM_BYTES)))
        self.reporter.tell(Kind.PUT, self.me, number)
        self.items += 1
        try:
            item = queue.get(timeout=PATIENCE)
        except exceptions.Empty:
            self.complaints.add(Wrong.ITEM, "an item is in the queue, and did not come")
            return 2
        if queue_actors.intact(item, ITEM_BYTES):
            self.reporter.tell(Kind.GOT, item[0], item[1])
        else:
            self.reporter.tell(Kind.DAMAGED)
        return 2

    def read_numbers(self) -> int:
        """Iterate over what nobody changes."""
        self.complaints.expect([*self.things.numbers], NUMBERS, "iterating over the numbers")
        return 2

    def tell_facts(self) -> int:
        """Put an object of our own where others find it, and look at that of another."""
        facts = self.things.facts
        facts[self.me] = self.manager.list([self.me] * 3)
        other = self.chance.randrange(max(1, self.me - 64), self.me + 1)
        found = facts.get(other)
        if found is not None:
            self.complaints.expect(found[:], [other] * 3, "the list of another")
        return 4

    def call_many(self) -> int:
        """A batch, and calls whose results come later."""
        with self.manager.batch() as batch:
            batch.call(self.list.append, self.age)
            results = [batch.call(self.list.__getitem__, -1), batch.call(self.list.count, -1)]
        self.known_list.append(self.age)
        self.complaints.expect([one.get() for one in results], [self.age, 0], "a batch")
        later = [self.dict.call_async("get", "me") for _ in range(5)]
        self.complaints.expect([one.get() for one in later], [self.me] * 5, "call_async")
        return 8


def hammer(post: Post, things: Things) -> None:
    """Be one of the crowd."""
    Client(post, things).work()


# Owners


def own(post: Post, estate: Estate, heirs: bool) -> None:
    """Own all that can be owned, and wait for an item that is for others."""
    reporter, chance = Reporter(post), random.Random(post.number)
    complaints = Complaints(reporter)
    reporter.tell(Kind.HELLO)
    manager = connected(estate.address)
    estate.lock.acquire()
    estate.rlock.acquire()
    estate.rlock.acquire()
    estate.condition.acquire()
    kept = [manager.list([post.number]), manager.dict(), manager.Event()]
    kept.append(manager.list(kept))
    open_iteration = iter(estate.numbers)
    complaints.expect(next(open_iteration), 0, "the first of the numbers")
    if heirs and chance.random() < 0.5:
        inherit(reporter, complaints, kept)
    reporter.tell(Kind.DID, 1)
    estate.queue.get()
    complaints.add(Wrong.ANSWER, "the queue had an item")


def inherit(reporter: Reporter, complaints: Complaints, kept: list[Any]) -> None:
    """Have a child, which has what its parent had when that is dead."""
    parent = os.getpid()
    if os.fork():
        return
    code = 1
    try:
        reporter.tell(Kind.GOT, os.getpid())
        while os.getppid() == parent:
            time.sleep(0.001)
        complaints.expect(len(kept[0]), 1, "what was inherited")
        kept[0].append("heir")
        complaints.expect(kept[0][1], "heir", "what was inherited")
        reporter.tell(Kind.DID, 1)
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not be
        complaints.add(Wrong.ANSWER, f"the heir of {parent} has nothing: {error!r}")
    finally:
        os._exit(code)


def come_next(post: Post, lock: Any) -> None:
    """Take over the lock of who is about to die; tell of how many warnings there were."""
    reporter, notes = Reporter(post), DeathNotes()
    complaints = Complaints(reporter)
    reporter.tell(Kind.HELLO)
    complaints.expect(lock.acquire(timeout=PATIENCE), True, "acquire")
    reporter.tell(Kind.DID, 1, notes.count)
    complaints.expect(notes.count, 1, "the number of warnings")
    lock.release()
    reporter.tell(Kind.BYE)


# When the manager is killed


def pending_calls(estate: Estate, manager: SyncManager) -> list[Callable[[], object]]:
    """Ways to be in a call when the manager goes. None of them returns before."""

    def forever(call: Callable[[], object]) -> Callable[[], object]:
        def again_and_again() -> None:
            while True:
                call()

        return again_and_again

    def many() -> None:
        with manager.batch() as batch:
            for _ in range(20):
                batch.call(estate.numbers.count, 1)

    return [
        estate.lock.acquire,
        lambda: estate.lock.acquire(timeout=600),
        estate.queue.get,
        lambda: estate.queue.get(timeout=600),
        lambda: estate.queue.call_async("get").get(),
        manager.Event().wait,
        manager.Barrier(2).wait,
        forever(lambda: [*estate.numbers]),
        forever(lambda: estate.numbers[5]),
        forever(lambda: manager.list([1])),
        forever(many),
    ]


def mourn(post: Post, estate: Estate) -> None:
    """Be in calls when the manager is killed; call afterwards; meet its successor."""
    ending, reporter, chance = Ending(), Reporter(post), random.Random(post.number)
    complaints = Complaints(reporter)
    reporter.tell(Kind.HELLO)
    manager = connected(estate.address)
    mine, token = manager.list([1]), pickle.dumps(estate.numbers)
    calls = chance.sample(pending_calls(estate, manager), 3)
    moments: list[int] = []

    def call_until_lost(call: Callable[[], object]) -> None:
        try:
            call()
        except ManagerLost:
            moments.append(time.monotonic_ns())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not be
            complaints.add(Wrong.LIVES, f"a pending call raised {error!r}")
        else:
            complaints.add(Wrong.LIVES, "a pending call returned")

    threads = [threading.Thread(target=call_until_lost, args=(one,)) for one in calls]
    for thread in threads:
        thread.start()
    reporter.tell(Kind.PUT, 1)
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
        reporter.tell(Kind.DID, 0)  # the others may take their time to come
    for moment in moments:
        reporter.tell(Kind.DID, 1, moment)
    later: list[tuple[str, Callable[[], object]]] = [
        ("list[i]", lambda: mine[0]),
        ("list[i] of another", lambda: estate.numbers[0]),
        ("len", lambda: len(mine)),
        ("acquire", estate.lock.acquire),
        ("get", estate.queue.get),
        ("pickling", lambda: pickle.dumps(mine)),
        ("making", manager.list),
        ("info", manager.info),
        ("iterating", lambda: [*estate.numbers]),
        ("call_async", lambda: estate.numbers.call_async("count", 1).get()),
    ]
    check_lost(complaints, later)
    while not ending:
        time.sleep(0.001)
        reporter.tell(Kind.DID, 0)
    # There is a successor at the address.
    check_lost(complaints, later)
    check_successor(complaints, estate.address, token)
    reporter.tell(Kind.BYE)


def check_lost(complaints: Complaints, later: list[tuple[str, Callable[[], object]]]) -> None:
    """Every call raises the named error at once."""
    for what, call in later:
        begin = time.monotonic()
        try:
            call()
        except ManagerLost:
            if (seconds := time.monotonic() - begin) > LATER_SECONDS:
                complaints.add(Wrong.LATE, f"{what}: {seconds:.1f} s after the call")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
            complaints.add(Wrong.LIVES, f"{what} raised {error!r}")
        else:
            complaints.add(Wrong.LIVES, f"{what} returned")


def check_successor(complaints: Complaints, address: Any, token: bytes) -> None:
    """A manager that was started anew works, and knows nothing of the tokens of before."""
    manager = connected(address)
    numbers = manager.list([7])
    complaints.expect(numbers[:], [7], "a list of the successor")
    try:
        found = pickle.loads(token)[:]
    except (ManagerLost, ReferentGoneError):
        return
    complaints.add(Wrong.SUCCESSOR, f"an old proxy gave {found!r:.100}")


# Sieges


def visit(post: Post, address: Any, key: bytes, tls: Any) -> None:
    """Come, use the manager, go, and come again."""
    ending, reporter = Ending(), Reporter(post)
    complaints = Complaints(reporter)
    reporter.tell(Kind.HELLO)
    while not ending:
        begin = time.monotonic()
        manager = SyncManager.from_address(address, key, ssl_context=tls)
        numbers = manager.list([post.number])
        numbers.append(0)
        complaints.expect(numbers[:], [post.number, 0], "a list")
        del numbers, manager
        seconds = time.monotonic() - begin
        if seconds > PATIENCE:
            complaints.add(Wrong.LATE, f"served after {seconds:.1f} s")
        reporter.tell(Kind.DID, 1, int(seconds * 1000))
    reporter.tell(Kind.BYE)
