"""Owns the locks, semaphores, conditions, events and barriers that live in the server.

All are state machines without a thread of their own; see calls.py. A lock belongs to the client
process that acquired it. When that ends, however it does, the lock goes to who comes next, who
learns of it by the answer ABANDONED.
"""

from __future__ import annotations

import time
from threading import BrokenBarrierError

from processing_core import InvalidArgument, InvalidType
from processing_managers._server.arguments import checked_count, checked_seconds
from processing_managers._server.calls import (
    PENDING,
    Call,
    NoCopies,
    Waiter,
    served,
    state_lock,
)
from processing_managers._server.threads import run_aside
from processing_managers.errors import NotHeldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_managers._server.calls import Line

__all__ = [
    "ABANDONED",
    "BarrierReferent",
    "BoundedSemaphoreReferent",
    "ConditionReferent",
    "EventReferent",
    "LockReferent",
    "RLockReferent",
    "SemaphoreReferent",
]

# What acquire answers, instead of True, to who takes a lock over from one who has died.
ABANDONED = 2


def late(answer: object) -> Callable[[Waiter], None]:
    """What a waiter whose time is up does: answer this."""
    return lambda waiter: waiter.call.finish(answer)


class LockReferent(NoCopies):
    """A lock that any process or thread may release."""

    kind = "Lock"

    def __init__(self) -> None:
        self._holder: tuple[Any, object] | None = None
        self._count = 0
        self._abandoned = False
        self._line: Line = {}

    @served
    def acquire(self, call: Call, block: bool = True, timeout: float | None = None) -> object:
        """Take the lock; answers whether it was had in time, and ABANDONED as locks.py tells."""
        seconds = checked_seconds(timeout)
        if seconds == 0.0:
            block = False
        who = (call.session, call.owner)
        if self._holder is None or self._may_take_again(who):
            return self.take(who)
        if not block:
            return False
        return call.park(self._line, seconds, late(False))

    def _may_take_again(self, who: tuple[object, object]) -> bool:  # noqa: ARG002 - RLock's does
        return False

    def take(self, who: tuple[Any, object], count: int = 1) -> object:
        """Give the free lock to somebody; returns what acquire answers."""
        if self._holder is None and who[0] is not None:
            who[0].held[self] = None
        self._holder = who
        self._count += count
        if self._abandoned:
            self._abandoned = False
            return ABANDONED
        return True

    @served
    def release(self, call: Call) -> None:
        """Release the lock. :raises NotHeldError: when it is not locked"""
        del call
        if self._holder is None:
            raise NotHeldError("release of a lock that is not locked")
        self.let_go()

    def let_go(self) -> int:
        """Free the lock, however often it was taken, and give it to who waits; returns how often
        that was.
        """
        count, self._count = self._count, 0
        if self._holder is not None and self._holder[0] is not None:
            self._holder[0].held.pop(self, None)
        self._holder = None
        if self._line:
            waiter = next(iter(self._line))
            waiter.leave()
            self.hand_over(waiter)
        return count

    def hand_over(self, waiter: Waiter) -> None:
        """Give the free lock to one who waited for it."""
        call = waiter.call
        answer = self.take((call.session, call.owner), waiter.count)
        if waiter.answer is None:
            call.finish(answer)
        else:
            call.finish((waiter.answer, answer) if answer == ABANDONED else waiter.answer)

    def holder_has_died(self) -> None:
        """The process that holds it has ended."""
        self._abandoned = True
        self.let_go()

    def is_held_by(self, who: tuple[object, object]) -> bool:
        """Whether it is held by this one, as a condition wants it."""
        return self._holder is not None and self._holder[0] is who[0]

    @served
    def locked(self, call: Call) -> bool:
        """Whether somebody holds it."""
        del call
        return self._holder is not None

    def __enter__(self) -> object:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{self.kind}({'locked' if self._holder else 'unlocked'})>"


class RLockReferent(LockReferent):
    """A lock that its owner, a thread of a process, may take again and alone may release."""

    kind = "RLock"

    def _may_take_again(self, who: tuple[object, object]) -> bool:
        return self._holder == who

    @served
    def release(self, call: Call) -> None:
        """Release the lock once. :raises NotHeldError: for everybody but its owner"""
        if self._holder != (call.session, call.owner):
            raise NotHeldError("release of an RLock by a thread that does not hold it")
        if self._count > 1:
            self._count -= 1
        else:
            self.let_go()

    def is_held_by(self, who: tuple[object, object]) -> bool:
        return self._holder == who

    def __repr__(self) -> str:
        return f"<{self.kind}({'locked' if self._holder else 'unlocked'}, {self._count})>"


class ConditionReferent(NoCopies):
    """A condition variable with a lock of this server."""

    def __init__(self, lock: LockReferent | None = None) -> None:
        if lock is None:
            lock = RLockReferent()
        if not isinstance(lock, LockReferent):
            raise InvalidType(f"the lock of a condition must be of the same manager, not {lock!r}")
        self._lock = lock
        self._sleepers: Line = {}

    @served
    def acquire(self, call: Call, block: bool = True, timeout: float | None = None) -> object:
        """Take the lock, as its own acquire does."""
        return type(self._lock).acquire.function(self._lock, call, block, timeout)

    @served
    def release(self, call: Call) -> None:
        """Release the lock, as its own release does."""
        type(self._lock).release.function(self._lock, call)

    @served
    def wait(self, call: Call, timeout: float | None = None) -> object:
        """Release the lock and wait for a notification; answers, with the lock held again, whether
        there was one in time. Where the lock was ABANDONED meanwhile, a second answer says so.
        """
        who = (call.session, call.owner)
        self._check(who)
        seconds = checked_seconds(timeout)
        call.park(self._sleepers, seconds, lambda waiter: self._return(waiter, False))
        assert call.waiter is not None
        call.waiter.count = self._lock.let_go()
        return PENDING

    def _return(self, sleeper: Waiter, answer: bool) -> None:
        """Have one who has slept get its lock back, and then the answer."""
        waiter = Waiter(sleeper.call, self._lock._line, late(answer))
        waiter.count, waiter.answer = sleeper.count, answer
        if self._lock._holder is None:
            waiter.leave()
            self._lock.hand_over(waiter)

    @served
    def notify(self, call: Call, n: int = 1) -> None:
        """Wake at most ``n`` of those who wait."""
        self._check((call.session, call.owner))
        self._wake(checked_count(n, "n", 0))

    @served
    def notify_all(self, call: Call) -> None:
        """Wake all who wait."""
        self._check((call.session, call.owner))
        self._wake(len(self._sleepers))

    def _wake(self, number: int) -> None:
        for waiter in list(self._sleepers)[:number]:
            waiter.leave()
            self._return(waiter, True)

    def _check(self, who: tuple[object, object]) -> None:
        if not self._lock.is_held_by(who):
            raise NotHeldError("the lock of a condition must be held by who waits or notifies")

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """In the server's process: wait until the predicate is true, or the time has passed."""
        seconds = checked_seconds(timeout)
        end = None if seconds is None else time.monotonic() + seconds
        while not (result := predicate()):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return result

    def __enter__(self) -> object:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Condition({self._lock!r}, {len(self._sleepers)})>"


class SemaphoreReferent(NoCopies):
    """A semaphore. What a process has acquired that ended does not come back by itself."""

    kind = "Semaphore"

    def __init__(self, value: int = 1) -> None:
        self._value = checked_count(value, "the value of a semaphore", 0)
        self._line: Line = {}

    @served
    def acquire(self, call: Call, block: bool = True, timeout: float | None = None) -> object:
        """Take one; answers whether it was had in time."""
        seconds = checked_seconds(timeout)
        if self._value:
            self._value -= 1
            return True
        if not block or seconds == 0.0:
            return False
        return call.park(self._line, seconds, late(False))

    @served
    def release(self, call: Call, n: int = 1) -> None:
        """Give ``n``, to those who wait first."""
        del call
        self._check(checked_count(n, "n", 1))
        self._value += n
        while self._line and self._value:
            waiter = next(iter(self._line))
            waiter.leave()
            self._value -= 1
            waiter.call.finish(True)

    def _check(self, n: int) -> None:
        """Whether so many may be given."""

    @served
    def get_value(self, call: Call) -> int:
        """How many can be taken at this moment."""
        del call
        return self._value

    def __enter__(self) -> object:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{self.kind}({self._value})>"


class BoundedSemaphoreReferent(SemaphoreReferent):
    """A semaphore that never gets more than it had."""

    kind = "BoundedSemaphore"

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._most = self._value

    def _check(self, n: int) -> None:
        if self._value + n > self._most:
            raise InvalidArgument("BoundedSemaphore released too many times")


class EventReferent(NoCopies):
    """An event."""

    def __init__(self) -> None:
        self._flag = False
        self._line: Line = {}

    @served
    def is_set(self, call: Call) -> bool:
        """Whether it is set."""
        del call
        return self._flag

    @served
    def set(self, call: Call) -> None:
        """Set it, and wake all who wait."""
        del call
        self._flag = True
        for waiter in list(self._line):
            waiter.leave()
            waiter.call.finish(True)

    @served
    def clear(self, call: Call) -> None:
        """Make it unset."""
        del call
        self._flag = False

    @served
    def wait(self, call: Call, timeout: float | None = None) -> object:
        """Wait until it is set; answers whether it was in time."""
        seconds = checked_seconds(timeout)
        if self._flag or seconds == 0.0:
            return self._flag
        return call.park(self._line, seconds, late(False))

    def __repr__(self) -> str:
        return f"<Event({'set' if self._flag else 'unset'})>"


class BarrierReferent(NoCopies):
    """A barrier: waits until a number of parties have come, and then lets all of them go on.

    The action is called in a thread of the server before they do.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        if action is not None and not callable(action):
            raise InvalidType(f"the action must be callable, not {action!r}")
        self._parties = checked_count(parties, "the number of parties", 1)
        self._action = action
        self._timeout = checked_seconds(timeout)
        self._broken = False
        # Those who have come. They are waiters no more, but not answered, during the action.
        self._line: Line = {}

    @served
    def wait(self, call: Call, timeout: float | None = None) -> object:
        """Wait for the others; answers a number from 0 to parties - 1, another for each.

        :raises BrokenBarrierError: when it is broken, or the time has passed for somebody
        """
        if self._broken:
            raise BrokenBarrierError("the barrier is broken")
        seconds = self._timeout if timeout is None else checked_seconds(timeout)
        call.park(self._line, seconds, lambda _: self._late(call))
        assert call.waiter is not None
        call.waiter.died = self._break
        if len(self._line) == self._parties:
            self._complete()
        return PENDING

    def _late(self, call: Call) -> None:
        self._break()
        call.fail(BrokenBarrierError("not all parties have come in time"))

    def _complete(self) -> None:
        calls = [waiter.call for waiter in self._line]
        for waiter in list(self._line):
            waiter.leave()
        if self._action is None:
            self._let_go(calls)
        else:
            run_aside(lambda: self._act(calls))

    def _act(self, calls: list[Call]) -> None:
        error: BaseException | None = None
        try:
            assert self._action is not None
            self._action()
        except BaseException as problem:  # noqa: BLE001 - it goes to the one who came last
            error = problem
        with state_lock:
            if error is None:
                self._let_go(calls)
                return
            self._break()
            calls.pop().fail(error)
            for call in calls:
                call.fail(BrokenBarrierError("the barrier's action has raised an exception"))

    def _let_go(self, calls: list[Call]) -> None:
        for number, call in enumerate(calls):
            call.finish(number)

    def _break(self) -> None:
        self._broken = True
        for waiter in list(self._line):
            waiter.leave()
            waiter.call.fail(BrokenBarrierError("the barrier was broken"))

    @served
    def abort(self, call: Call) -> None:
        """Break it: all who wait, and who come, get BrokenBarrierError."""
        del call
        self._break()

    @served
    def reset(self, call: Call) -> None:
        """Make it as new; those who wait get BrokenBarrierError."""
        del call
        self._break()
        self._broken = False

    @served
    def state(self, call: Call) -> tuple[int, int, bool]:
        """The number of parties, how many of them wait, and whether it is broken."""
        del call
        return self._parties, len(self._line), self._broken

    def __repr__(self) -> str:
        state = "broken" if self._broken else f"{len(self._line)} of {self._parties} wait"
        return f"<Barrier({state})>"
