"""Owns who waits for something, and who of them is woken: tickets in shared memory.

Each waiter has a seat, and a ticket: a number that grows, zero in a seat where nobody waits. The
oldest are woken first. Whoever changes anything holds the lock that belongs to the waiters. A
process may be killed after any single store or call here and leaves what the others can work with:

- A seat is taken before the ticket is written. While its process lives, ``Seats`` knows that it is
  taken; a ticket in a seat that is not is one of a waiter that was killed, and is passed over.
- A waiter is woken before its ticket is set to zero. Waking is a hint, the ticket is what counts: a
  waiter looks at it with the lock held, and goes on waiting if it is still there.
"""

from __future__ import annotations

import errno

from processing_core.errors import ProcessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol
else:
    Protocol = object

__all__ = ["HEADER_WORDS", "NESTED", "RoomLike", "Seats", "TooLateError", "Visit", "Waiters"]

# What GuardLike.lock() returns when this thread has it already: a signal handler interrupts an
# operation.
NESTED = errno.EDEADLK
# Words before the tickets: the last ticket given, and how many seats are in order.
LAST, COUNT = 0, 1
HEADER_WORDS = 2


class Seats(Protocol):
    """Where waiters sleep. A seat is of one thread while it is taken."""

    def prepare(self, seat: int) -> None:
        """Put a seat in order that was never used."""

    def take(self, seat: int) -> bool:
        """Take a seat, if it is free or of a process that has ended; nobody is woken in it yet."""

    def give_back(self, seat: int) -> None:
        """Make it free; no effect on a seat that this thread has not taken."""

    def is_taken(self, seat: int) -> bool:
        """Whether somebody who lives has taken it."""

    def wake(self, seat: int) -> None:
        """End the sleep in it, or the next."""

    def sleep(self, seat: int, timeout: float | None) -> bool:
        """Sleep until woken; False after so many seconds."""


class Visit:
    """One wait of a thread. What it says is always so, whenever a signal handler raises."""

    __slots__ = ("entered", "notified", "seat")

    def __init__(self) -> None:
        # The seat that the visitor has, or is about to take.
        self.seat: int | None = None
        # Whether it has written its ticket and not left.
        self.entered = False
        # Whether it had been notified when it left.
        self.notified = False


class Waiters:
    """The waiters at the tickets in ``words``, as many as there are seats at most."""

    __slots__ = ("_capacity", "_seats", "_tickets", "_words", "count")

    def __init__(self, words: memoryview, seats: Seats, capacity: int) -> None:
        self._words = words
        # One word: how many seats are in order, because somebody has waited there.
        self.count = words[COUNT : COUNT + 1]
        # Those of the seats that are in order, as far as this process has seen.
        self._tickets = words[:0]
        self._seats = seats
        self._capacity = capacity

    def are_there(self) -> bool:
        """Whether anybody waits, dead or alive."""
        count = self._words[COUNT]
        if count != len(self._tickets):
            self._tickets = self._words[HEADER_WORDS : HEADER_WORDS + count]
        return any(self._tickets)

    def waiting(self) -> list[int]:
        """The seats of those who wait, dead or alive, the oldest first."""
        tickets = list(self._words[HEADER_WORDS : HEADER_WORDS + self._words[COUNT]])
        return [tickets.index(ticket) for ticket in sorted(filter(None, tickets))]

    def enter(self, visit: Visit) -> None:
        """Begin to wait.

        :raises ProcessError: when there are too many who wait
        """
        words = self._words
        if not self._take_free(visit):
            count = words[COUNT]
            if count < self._capacity:
                self._seats.prepare(count)
                words[COUNT] = count + 1
            else:
                self.forget_dead()
            if not self._take_free(visit):
                raise ProcessError(f"more than {self._capacity} threads wait for the same object")
        assert visit.seat is not None
        ticket = words[LAST] + 1
        words[LAST] = ticket
        words[HEADER_WORDS + visit.seat] = ticket
        visit.entered = True

    def _take_free(self, visit: Visit) -> bool:
        words = self._words
        for seat in range(words[COUNT]):
            if not words[HEADER_WORDS + seat]:
                visit.seat = seat
                if self._seats.take(seat):
                    return True
        visit.seat = None
        return False

    def is_notified(self, visit: Visit) -> bool:
        """Whether a waiter was notified since it has entered."""
        assert visit.seat is not None
        return not self._words[HEADER_WORDS + visit.seat]

    def sleep(self, visit: Visit, timeout: float | None) -> bool:
        """Sleep until it may be worth looking; False when the time has passed. Without the lock."""
        assert visit.seat is not None
        return self._seats.sleep(visit.seat, timeout)

    def leave(self, visit: Visit) -> bool:
        """Stop waiting; whether the waiter had been notified. May be called again."""
        seat = visit.seat
        if seat is not None:
            if visit.entered:
                place = HEADER_WORDS + seat
                # No signal handler runs between these.
                visit.notified = not self._words[place]
                self._words[place] = 0
                visit.entered = False
            self._seats.give_back(seat)
            visit.seat = None
        return visit.notified

    def notify(self, number: int | None = None) -> int:
        """Wake the oldest ones, all without a number; how many there were."""
        if not self._words[COUNT]:
            return 0
        done = 0
        for seat in self.waiting():
            if done == number:
                break
            if self._seats.is_taken(seat):
                self._seats.wake(seat)
                done += 1
            self._words[HEADER_WORDS + seat] = 0
        return done

    def hint_all(self) -> None:
        """End the sleep of all who wait, without notifying them."""
        if self._words[COUNT]:
            for seat in self.waiting():
                self._seats.wake(seat)

    def notify_hinted(self) -> None:
        """Notify all who wait, after they were woken."""
        words = self._words
        for seat in range(words[COUNT]):
            if words[HEADER_WORDS + seat]:
                words[HEADER_WORDS + seat] = 0

    def forget_dead(self) -> None:
        """Take the tickets of those who have been killed while they waited."""
        for seat in self.waiting():
            if not self._seats.is_taken(seat):
                self._words[HEADER_WORDS + seat] = 0


class TooLateError(Exception):
    """A guard could not be had in time, because its holder is stopped."""


class GuardLike(Protocol):
    """The lock that belongs to the waiters of a room, where it is not a lock of the user's."""

    unlock: Callable[[], object]

    def lock(self, end: float | None = None) -> int: ...


class RoomLike(Protocol):
    """Shared memory with waiters, and words for whoever owns it."""

    waiters: Waiters
    words: memoryview
    answers: memoryview
    guard: GuardLike

    def sleepers(self) -> int:
        """How many wait whose processes live, for people to read; the lock is not needed."""
