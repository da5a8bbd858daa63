"""Owns the programs that are interrupted: operation after operation, with Ctrl-C at any instant.

The signal raises only while an operation runs, so that no interrupt meets the bookkeeping. On the
interpreters that there are, none can come between the return of a method written in Python and the
next statement; so the operations are written out, without a common function around them.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import json
import queue as exceptions
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from records import Kind, Post, Reporter

__all__ = ["use_locks", "use_queue"]

MOMENT = 0.002


class Armed:
    """Whether an interrupt raises now, and how often it has."""

    def __init__(self) -> None:
        self.on = False
        self.raised = 0

    def install(self) -> None:
        """From now on it is this that SIGINT does."""
        signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if self.on:
            self.on = False
            self.raised += 1
            raise KeyboardInterrupt


def begin(post: Post) -> tuple[Reporter, Armed]:
    """Be ready for interrupts, and say so."""
    reporter, armed = Reporter(post), Armed()
    armed.install()
    reporter.tell(Kind.HELLO)
    return reporter, armed


def use_queue(
    post: Post,
    queue: Any,
    goal: int,
    seed: int,
    result: str,
) -> None:
    """Put and get until so many operations were interrupted; then write down what went through."""
    reporter, armed = begin(post)
    chance = random.Random(seed)
    put: list[int] = []
    uncertain: list[int] = []
    got: list[int] = []
    number = rounds = 0
    while armed.raised < goal:
        rounds += 1
        # Some wait without limit: it is for the interrupt to end that.
        timeout = None if chance.random() < 0.05 else chance.uniform(0, MOMENT)
        if chance.random() < 0.5:
            number += 1
            try:
                armed.on = True
                queue.put(number, True, timeout)
                armed.on = False
                put.append(number)
            except exceptions.Full:
                armed.on = False
            except KeyboardInterrupt:
                uncertain.append(number)
        else:
            try:
                armed.on = True
                item = queue.get(True, timeout)
                armed.on = False
                got.append(item)
            except exceptions.Empty:
                armed.on = False
            except KeyboardInterrupt:
                pass
        if rounds % 20 == 0:
            reporter.tell(Kind.DID, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            got.append(queue.get(True, 0.2))
        except exceptions.Empty:
            break
    written = {"put": put, "uncertain": uncertain, "got": got, "interrupted": armed.raised}
    Path(result).write_text(json.dumps(written))
    reporter.tell(Kind.BYE)


def is_free(lock: Any) -> bool:
    """Whether a lock can be had, as another thread sees it: its owner always gets an RLock."""
    answers: list[bool] = []

    def look() -> None:
        answers.append(lock.acquire(False))
        if answers[0]:
            lock.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return answers[0]


class LockUser:
    """Does the operations; every method is interrupted or not, and leaves everything free."""

    def __init__(self, armed: Armed, locks: dict[str, Any], condition: Any, event: Any) -> None:
        self.armed = armed
        self.locks = locks
        self.condition = condition
        self.event = event
        self.wrong: dict[str, int] = {}
        self.taken_all_the_same = 0
        """How often acquire() has both acquired and raised, which a caller cannot tell."""

    def note(self, what: str) -> None:
        """Something that must not be."""
        self.wrong[what] = self.wrong.get(what, 0) + 1

    def enter(self, name: str) -> None:
        """Enter and leave a `with` block."""
        lock, armed = self.locks[name], self.armed
        try:
            armed.on = True
            with lock:
                pass
            armed.on = False
        except KeyboardInterrupt:
            if not is_free(lock):
                self.note(f"a with block that was interrupted leaves the {name} taken")
                lock.release()

    def acquire(self, name: str) -> None:
        """Acquire and release by the methods."""
        lock, armed = self.locks[name], self.armed
        try:
            armed.on = True
            lock.acquire(True, MOMENT)
            armed.on = False
        except KeyboardInterrupt:
            if is_free(lock):
                return
            self.taken_all_the_same += 1
        try:
            armed.on = True
            lock.release()
            armed.on = False
        except KeyboardInterrupt:
            if not is_free(lock):
                lock.release()
        if not is_free(lock):
            self.note(f"the {name} stays taken after release")

    def block(self, name: str) -> None:
        """Wait for a lock that is taken."""
        lock, armed = self.locks[name], self.armed
        if name.endswith("RLock"):
            return  # its owner may have it again
        lock.acquire()
        try:
            armed.on = True
            if lock.acquire(True, MOMENT):
                armed.on = False
                self.note(f"the {name} was acquired twice")
            armed.on = False
        except KeyboardInterrupt:
            pass
        lock.release()
        if not is_free(lock):
            self.note(f"the {name} stays taken after an interrupted acquire")

    def wait(self) -> None:
        """Wait for a notify that does not come."""
        condition, armed = self.condition, self.armed
        with condition:
            try:
                armed.on = True
                condition.wait(MOMENT)
                armed.on = False
            except KeyboardInterrupt:
                if is_free(condition):
                    self.note("an interrupted wait() returns without the lock")
            condition.notify_all()
        if not is_free(condition):
            self.note("the condition's lock stays taken after a wait")

    def wait_for_event(self) -> None:
        """Wait for an event that nobody sets; set and clear it."""
        event, armed = self.event, self.armed
        try:
            armed.on = True
            event.wait(MOMENT)
            event.set()
            event.clear()
            armed.on = False
        except KeyboardInterrupt:
            pass
        event.set()
        if not event.is_set() or not event.wait(1):
            self.note("an event that was set is not")
        event.clear()


def use_locks(
    post: Post,
    locks: dict[str, Any],
    condition: Any,
    event: Any,
    goal: int,
    seed: int,
    result: str,
) -> None:
    """Use the locks until so many operations were interrupted; then write down what was wrong."""
    reporter, armed = begin(post)
    chance = random.Random(seed)
    user = LockUser(armed, locks, condition, event)
    with_name: tuple[Callable[[str], None], ...] = (user.enter, user.acquire, user.block)
    others: tuple[Callable[[], None], ...] = (user.wait, user.wait_for_event)
    names = list(locks)
    rounds = 0
    while armed.raised < goal:
        rounds += 1
        if chance.random() < 0.7:
            chance.choice(with_name)(chance.choice(names))
        else:
            chance.choice(others)()
        if rounds % 20 == 0:
            reporter.tell(Kind.DID, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    written = {"wrong": user.wrong, "taken": user.taken_all_the_same, "interrupted": armed.raised}
    Path(result).write_text(json.dumps(written))
    reporter.tell(Kind.BYE)
