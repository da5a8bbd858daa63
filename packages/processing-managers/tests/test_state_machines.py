"""The server's locks and queues by themselves, without processes, under random schedules.

Each is driven beside a model that is as plain as can be. What is compared is every answer, and who
still waits.
"""

from __future__ import annotations

import queue
import sys
from collections import deque
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from processing_core import InvalidArgument
from processing_managers._server.calls import PENDING, Call, Waiter
from processing_managers._server.locks import (
    ABANDONED,
    BoundedSemaphoreReferent,
    ConditionReferent,
    LockReferent,
    RLockReferent,
    SemaphoreReferent,
)
from processing_managers._server.queues import QueueReferent
from processing_managers.errors import NotHeldError, TooOftenError

WAITS, NOT_HELD = "waits", "not held"


class Client:
    """A process, which has threads."""

    def __init__(self) -> None:
        self.held: dict[Any, None] = {}


class Actor:
    """A thread of a client, which makes one call at a time."""

    def __init__(self, client: Client, number: int) -> None:
        self.client = client
        self.number = number
        self.call: FakeCall | None = None

    def do(self, obj: Any, name: str, *args: Any) -> Any:
        """Call a method; returns its answer, the type of what it raises, or WAITS."""
        self.call = call = FakeCall(self)
        try:
            answer = getattr(type(obj), name).function(obj, call, *args)
        except Exception as error:  # noqa: BLE001 - its type is compared
            call.fail(error)
        else:
            if answer is not PENDING:
                assert call.waiter is None
                call.finish(answer)
        return self.answer()

    def answer(self) -> Any:
        """What has become of the last call."""
        assert self.call is not None
        return self.call.outcome

    @property
    def waits(self) -> bool:
        return self.call is not None and self.call.outcome is WAITS

    def expire(self) -> None:
        """The time of the call is up, if it has a limit that still counts."""
        assert self.call is not None
        if self.call.timer is not None:
            self.call.timer.expire()

    def cancel(self) -> None:
        """As the server does when a client has ended."""
        if self.call is not None and self.call.waiter is not None:
            waiter = self.call.waiter
            waiter.leave()
            assert waiter.died is None
        self.call = None


class FakeCall(Call):
    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.session = actor.client
        self.owner = actor.number
        self.outcome: Any = WAITS
        self.timer: Waiter | None = None

    def finish(self, value: object) -> None:
        assert self.outcome is WAITS, "a call is answered once"
        assert self.waiter is None, "who is answered waits no more"
        self.outcome = value

    def fail(self, error: BaseException) -> None:
        self.finish(type(error))

    def expire_at(self, moment: float, waiter: Waiter) -> None:  # noqa: ARG002 - there is no clock
        self.timer = waiter


CLIENTS, THREADS = 3, 2
HOLDER = -1
actors = st.integers(0, CLIENTS * THREADS - 1)
LIMITS = st.sampled_from([None, 60.0])


class Machine(RuleBasedStateMachine):
    """Actors, and what the model says has become of the last call of each."""

    def __init__(self) -> None:
        super().__init__()
        clients = [Client() for _ in range(CLIENTS)]
        self.actors = [Actor(client, n) for client in clients for n in range(THREADS)]
        self.expected: dict[int, Any] = {}
        self.limited: set[int] = set()

    def idle(self, who: int) -> bool:
        return not self.actors[who].waits

    @invariant()
    def every_answer_is_the_models(self) -> None:
        got = {n: actor.answer() for n, actor in enumerate(self.actors) if actor.call is not None}
        assert got == self.expected
        for n, actor in enumerate(self.actors):
            if actor.call is not None:
                assert type(got[n]) is type(self.expected[n])


class Locks(Machine):
    """A condition and its lock."""

    def __init__(self) -> None:
        super().__init__()
        self.holder: int | None = None
        self.count = 0
        self.abandoned = False
        # Who waits for the lock: how often it is to have it, and what it is told then.
        self.line: dict[int, tuple[int, Any]] = {}
        self.sleepers: dict[int, int] = {}

    @initialize(recursive=st.booleans())
    def begin(self, recursive: bool) -> None:
        self.recursive = recursive
        self.lock = RLockReferent() if recursive else LockReferent()
        self.condition = ConditionReferent(self.lock)

    def client(self, who: int) -> int:
        return who // THREADS

    def holds(self, who: int) -> bool:
        """Whether it may use the condition; any thread of a process may, with a plain lock."""
        if self.holder is None:
            return False
        return who == self.holder or (
            not self.recursive and self.client(who) == self.client(self.holder)
        )

    def give(self) -> None:
        """Who is first in line gets the lock when it is free."""
        if self.holder is None and self.line:
            who = next(iter(self.line))
            self.count, told = self.line.pop(who)
            self.holder = who
            if self.abandoned:
                told = ABANDONED if told is None else (told, ABANDONED)
            elif told is None:
                told = True
            self.abandoned = False
            self.expected[who] = told

    @rule(who=actors | st.just(HOLDER), block=st.booleans(), timeout=LIMITS, through=st.booleans())
    def acquire(self, who: int, block: bool, timeout: float | None, through: bool) -> None:
        who = self.holder or 0 if who == HOLDER else who
        if not self.idle(who):
            return
        again = self.recursive and self.holder == who
        self.actors[who].do(self.condition if through else self.lock, "acquire", block, timeout)
        self.limited.discard(who)
        if again:
            self.count += 1
            self.expected[who] = True
        elif self.holder is None or block:
            self.expected[who] = WAITS
            self.line[who] = (1, None)
            if timeout is not None:
                self.limited.add(who)
            self.give()
        else:
            self.expected[who] = False

    @rule(who=actors | st.just(HOLDER))
    def release(self, who: int) -> None:
        who = self.holder or 0 if who == HOLDER else who
        if not self.idle(who):
            return
        self.actors[who].do(self.lock, "release")
        if self.holder is None or (self.recursive and self.holder != who):
            self.expected[who] = NotHeldError
            return
        self.expected[who] = None
        self.count -= 1
        if self.count == 0:
            self.holder = None
            self.give()

    @rule(who=actors | st.just(HOLDER), timeout=LIMITS)
    def wait(self, who: int, timeout: float | None) -> None:
        who = self.holder or 0 if who == HOLDER else who
        if not self.idle(who):
            return
        self.actors[who].do(self.condition, "wait", timeout)
        self.limited.discard(who)
        if not self.holds(who):
            self.expected[who] = NotHeldError
            return
        if timeout is not None:
            self.limited.add(who)
        self.sleepers[who] = self.count
        self.expected[who] = WAITS
        self.holder, self.count = None, 0
        self.give()

    @rule(timeout=LIMITS)
    def wait_with_the_lock_taken_twice(self, timeout: float | None) -> None:
        if self.recursive and self.holder is not None:
            self.acquire(self.holder, True, None, False)
            self.wait(self.holder, timeout)

    def wake(self, who: int, told: bool) -> None:
        self.line[who] = (self.sleepers.pop(who), told)
        self.limited.discard(who)
        self.give()

    @rule(who=actors | st.just(HOLDER), n=st.integers(-1, 3) | st.none())
    def notify(self, who: int, n: int | None) -> None:
        who = self.holder or 0 if who == HOLDER else who
        if not self.idle(who):
            return
        if n is None:
            self.actors[who].do(self.condition, "notify_all")
        else:
            self.actors[who].do(self.condition, "notify", n)
        if not self.holds(who):
            self.expected[who] = NotHeldError
        elif n is not None and n < 0:
            self.expected[who] = InvalidArgument
        else:
            self.expected[who] = None
            for sleeper in list(self.sleepers)[:n]:
                self.wake(sleeper, True)

    @rule(who=actors)
    def expire(self, who: int) -> None:
        if self.idle(who):
            return
        self.actors[who].expire()
        if who not in self.limited:
            return
        if who in self.sleepers:
            self.wake(who, False)
        else:
            del self.line[who]
            self.expected[who] = False

    @rule(number=st.integers(0, CLIENTS - 1))
    def die(self, number: int) -> None:
        """A process ends; another one comes."""
        mine = range(number * THREADS, (number + 1) * THREADS)
        dead = self.actors[mine[0]].client
        for who in mine:
            self.actors[who].cancel()
            self.line.pop(who, None)
            self.sleepers.pop(who, None)
            self.expected.pop(who, None)
        for lock in list(dead.held):
            lock.holder_has_died()
        assert not dead.held
        if self.holder in mine:
            self.holder, self.count, self.abandoned = None, 0, True
            self.give()
        client = Client()
        for who in mine:
            self.actors[who] = Actor(client, who % THREADS)

    @invariant()
    def the_lock_is_as_the_model_has_it(self) -> None:
        held = [n for n in range(CLIENTS) if self.actors[n * THREADS].client.held]
        assert held == ([] if self.holder is None else [self.client(self.holder)])
        shown = "unlocked" if self.holder is None else "locked"
        shown += f", {self.count}" if self.recursive else ""
        assert repr(self.condition) == (
            f"<Condition(<{self.lock.kind}({shown})>, {len(self.sleepers)})>"
        )


class Semaphores(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.line: deque[int] = deque()

    @initialize(value=st.integers(0, 3), bounded=st.booleans())
    def begin(self, value: int, bounded: bool) -> None:
        self.value = value
        self.most = value if bounded else 10**9
        self.semaphore = (BoundedSemaphoreReferent if bounded else SemaphoreReferent)(value)

    @rule(who=actors, block=st.booleans(), timeout=LIMITS)
    def acquire(self, who: int, block: bool, timeout: float | None) -> None:
        if not self.idle(who):
            return
        self.actors[who].do(self.semaphore, "acquire", block, timeout)
        self.limited.discard(who)
        if self.value:
            self.value -= 1
            self.expected[who] = True
        elif block:
            self.line.append(who)
            self.expected[who] = WAITS
            if timeout is not None:
                self.limited.add(who)
        else:
            self.expected[who] = False

    @rule(who=actors, n=st.integers(0, 3))
    def release(self, who: int, n: int) -> None:
        if not self.idle(who):
            return
        self.actors[who].do(self.semaphore, "release", n)
        if n < 1 or self.value + n > self.most:
            self.expected[who] = InvalidArgument
            return
        self.expected[who] = None
        self.value += n
        while self.value and self.line:
            self.value -= 1
            self.expected[self.line.popleft()] = True

    @rule(who=actors)
    def expire(self, who: int) -> None:
        if not self.idle(who):
            self.actors[who].expire()
            if who in self.limited:
                self.line.remove(who)
                self.expected[who] = False

    @rule(who=actors)
    def cancel(self, who: int) -> None:
        self.actors[who].cancel()
        self.expected.pop(who, None)
        if who in self.line:
            self.line.remove(who)

    @invariant()
    def the_value_is_the_models(self) -> None:
        if self.actors:
            assert repr(self.semaphore) == f"<{self.semaphore.kind}({self.value})>"


class Queues(Machine):
    """A queue, against lists of who waits for what."""

    def __init__(self) -> None:
        super().__init__()
        self.items: deque[int] = deque()
        self.unfinished = self.next = 0
        self.getters: dict[int, int | None] = {}
        self.putters: dict[int, int] = {}
        self.joiners: set[int] = set()

    @initialize(maxsize=st.integers(-1, 3))
    def begin(self, maxsize: int) -> None:
        self.room = maxsize if maxsize > 0 else 10**9
        self.queue = QueueReferent(maxsize)

    def settle(self) -> None:
        """Those who put and who get find each other, in the order in which they came."""
        while True:
            if self.items and self.getters:
                who = next(iter(self.getters))
                many = self.getters.pop(who)
                item = self.items.popleft()
                self.expected[who] = item if many is None else [item]
            elif self.putters and len(self.items) < self.room:
                who = next(iter(self.putters))
                self.add(self.putters.pop(who))
                self.expected[who] = None
            else:
                return

    def add(self, item: int) -> None:
        self.items.append(item)
        self.unfinished += 1

    def new(self) -> int:
        self.next += 1
        return self.next

    @rule(who=actors, block=st.booleans(), timeout=LIMITS)
    def put(self, who: int, block: bool, timeout: float | None) -> None:
        if not self.idle(who):
            return
        item = self.new()
        self.actors[who].do(self.queue, "put", item, block, timeout)
        self.limited.discard(who)
        if len(self.items) < self.room:
            self.add(item)
            self.expected[who] = None
        elif block:
            self.putters[who] = item
            self.expected[who] = WAITS
            if timeout is not None:
                self.limited.add(who)
        else:
            self.expected[who] = queue.Full
        self.settle()

    @rule(who=actors, number=st.integers(0, 4))
    def put_many(self, who: int, number: int) -> None:
        if not self.idle(who):
            return
        items = [self.new() for _ in range(number)]
        self.actors[who].do(self.queue, "put_many", items)
        if len(self.items) + number > self.room + len(self.getters):
            self.expected[who] = queue.Full
            return
        self.expected[who] = None
        for item in items:
            self.add(item)
        self.settle()

    @rule(who=actors, block=st.booleans(), timeout=LIMITS)
    def get(self, who: int, block: bool, timeout: float | None) -> None:
        if not self.idle(who):
            return
        self.actors[who].do(self.queue, "get", block, timeout)
        self.limited.discard(who)
        if self.items or block:
            self.expected[who] = WAITS
            self.getters[who] = None
            if timeout is not None:
                self.limited.add(who)
            self.settle()
        else:
            self.expected[who] = queue.Empty

    @rule(who=actors, most=st.integers(0, 3), timeout=st.sampled_from([None, 0, 60.0]))
    def get_many(self, who: int, most: int, timeout: float | None) -> None:
        if not self.idle(who):
            return
        self.actors[who].do(self.queue, "get_many", most, timeout)
        self.limited.discard(who)
        if most < 1:
            self.expected[who] = InvalidArgument
        elif self.items:
            number = min(most, len(self.items))
            self.expected[who] = [self.items.popleft() for _ in range(number)]
            self.settle()
        elif timeout == 0:
            self.expected[who] = []
        else:
            self.expected[who] = WAITS
            self.getters[who] = most
            if timeout is not None:
                self.limited.add(who)

    @rule(who=actors)
    def task_done(self, who: int) -> None:
        if not self.idle(who):
            return
        self.actors[who].do(self.queue, "task_done")
        if not self.unfinished:
            self.expected[who] = TooOftenError
            return
        self.expected[who] = None
        self.unfinished -= 1
        if not self.unfinished:
            self.expected.update(dict.fromkeys(self.joiners))
            self.joiners.clear()

    @rule(who=actors)
    def join(self, who: int) -> None:
        if not self.idle(who):
            return
        self.actors[who].do(self.queue, "join")
        self.limited.discard(who)
        if self.unfinished:
            self.joiners.add(who)
            self.expected[who] = WAITS
        else:
            self.expected[who] = None

    @rule(who=actors)
    def expire(self, who: int) -> None:
        if self.idle(who):
            return
        self.actors[who].expire()
        if who not in self.limited:
            return
        if who in self.putters:
            del self.putters[who]
            self.expected[who] = queue.Full
        else:
            many = self.getters.pop(who)
            self.expected[who] = queue.Empty if many is None else []

    @rule(who=actors)
    def cancel(self, who: int) -> None:
        self.actors[who].cancel()
        self.expected.pop(who, None)
        self.getters.pop(who, None)
        self.putters.pop(who, None)
        self.joiners.discard(who)

    @invariant()
    def the_size_is_the_models(self) -> None:
        anybody = Actor(Client(), 99)
        if self.actors:
            size, limit = len(self.items), self.room
            assert anybody.do(self.queue, "qsize") == size
            assert anybody.do(self.queue, "empty") is (size == 0)
            assert anybody.do(self.queue, "full") is (size >= limit)


LIMIT = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestLocks = Locks.TestCase
TestSemaphores = Semaphores.TestCase
TestQueues = Queues.TestCase
TestLocks.settings = TestSemaphores.settings = TestQueues.settings = LIMIT
