"""Owns seats in shared memory: where waiters sleep, and how they are known to live.

With pthreads a seat has a robust mutex, which its waiter holds, and a semaphore to sleep on. The
kernel makes the mutex free when the waiter's process ends. Without pthreads a seat has the number
of the process only, and its waiter looks at the ticket every few milliseconds.

A room is a block: first words for its owner, then those of Waiters, the processes, the mutexes and
semaphores. Most of it is never touched, and so takes no memory.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time

assert sys.platform != "win32"

from processing_core._memory.arena import Block, allocate
from processing_core._platform.children import has_ended
from processing_core._platform.patience import Patience
from processing_core._platform.pthreads import MUTEX_BYTES, Pthreads, pthreads
from processing_core._platform.semlocks import AVAILABLE, SEM_VALUE_MAX, SEMAPHORE, SemLock
from processing_core._serialize.packer import register_reducer
from processing_core._sync.files import FileMutex
from processing_core._sync.guards import Guard
from processing_core._sync.waiters import HEADER_WORDS, Waiters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core._sync.waiters import GuardLike, Seats

__all__ = ["OWN_WORDS", "ROOM_SEATS", "Room", "new_room"]

# Words for the owner of a room, then those of the guard.
OWN_WORDS = 6
GUARD = OWN_WORDS
ROOM_SEATS = 310
ROOM_BYTES = 32 << 10
TICKETS = GUARD + MUTEX_BYTES // 8
PROCESSES = TICKETS + HEADER_WORDS + ROOM_SEATS
ANSWERS = PROCESSES + ROOM_SEATS
RECORDS = (ANSWERS + ROOM_SEATS + 1) // 2 * 2
# At most 48 bytes of mutex and 32 of semaphore.
RECORD_BYTES = 80
SEMAPHORE_OFFSET = 48
assert 8 * RECORDS + ROOM_SEATS * RECORD_BYTES <= ROOM_BYTES

# A sleep of this length (seconds) is made of several.
LONGEST_SLEEP = 1e6
LONGEST_POLLED_SLEEP = 0.5
LOOK_SECONDS = 0.002


class Room:
    """A block with seats, as one process sees it."""

    __slots__ = ("answers", "block", "file", "guard", "processes", "waiters", "words")

    def __init__(self, block: Block, file: FileMutex | None = None, *, new: bool = False) -> None:
        self.block = block
        # What the guard is, where there are no pthreads.
        self.file = file
        self.words = block.words(0, OWN_WORDS)
        self.processes = block.words(PROCESSES, ROOM_SEATS)
        self.answers = block.words(ANSWERS, ROOM_SEATS)
        tickets = block.words(TICKETS, HEADER_WORDS + ROOM_SEATS)
        functions = pthreads()
        seats: Seats
        self.guard: GuardLike
        if file is None:
            assert functions is not None
            seats = RobustSeats(functions, block.address + 8 * RECORDS, self.processes)
            address = block.address + 8 * GUARD
            if new:
                functions.init_mutex(address)
            self.guard = Guard(functions, address)
        else:
            seats = PolledSeats(tickets, self.processes)
            file.word = block.words(GUARD, 1)
            self.guard = Guard(file, 0)
        self.waiters = Waiters(tickets, seats, ROOM_SEATS)

    def sleepers(self) -> int:
        """How many wait whose processes live, for people to read; the lock is not needed."""
        alive: dict[int, bool] = {}
        count = 0
        for seat in self.waiters.waiting():
            pid = self.processes[seat]
            if pid not in alive:
                alive[pid] = not has_ended(pid)
            count += alive[pid]
        return count


def new_room() -> Room:
    """A room in which nobody waits.

    :raises MemoryError: when there is no memory for it
    """
    file = None if pthreads() is not None and AVAILABLE else FileMutex.create()
    return Room(allocate(ROOM_BYTES), file, new=True)


class RobustSeats:
    """Seats with a mutex and a semaphore each."""

    __slots__ = ("_base", "_functions", "_patience", "_processes", "_semaphores")

    def __init__(self, functions: Pthreads, base: int, processes: memoryview) -> None:
        self._functions = functions
        self._base = base
        self._patience = Patience()
        self._processes = processes
        self._semaphores: dict[int, SemLock] = {}

    def prepare(self, seat: int) -> None:
        record = self._base + seat * RECORD_BYTES
        self._functions.init_mutex(record)
        self._functions.init_semaphore(record + SEMAPHORE_OFFSET, 0)

    def take(self, seat: int) -> bool:
        mutex = self._base + seat * RECORD_BYTES
        code = self._functions.trylock(mutex)
        if code:
            if code == errno.EOWNERDEAD:
                self._functions.consistent(mutex)
            elif code == errno.ENOTRECOVERABLE:
                # A signal handler raised before it was made consistent.
                self._functions.init_mutex(mutex)
                return self.take(seat)
            else:
                return False
        self._processes[seat] = os.getpid()
        # What is left of one who was woken, but did not sleep any more.
        acquire = self._semaphore(seat).acquire
        while acquire(False):
            pass
        return True

    def give_back(self, seat: int) -> None:
        self._functions.unlock(self._base + seat * RECORD_BYTES)

    def is_taken(self, seat: int) -> bool:
        mutex = self._base + seat * RECORD_BYTES
        code = self._functions.trylock(mutex)
        if code == errno.EOWNERDEAD:
            self._functions.consistent(mutex)
        elif code == errno.ENOTRECOVERABLE:
            return False
        elif code:
            return True
        self._functions.unlock(mutex)
        return False

    def wake(self, seat: int) -> None:
        self._semaphore(seat).release()

    def sleep(self, seat: int, timeout: float | None) -> bool:
        acquire = self._semaphore(seat).acquire
        if timeout is not None:
            if timeout == 0:
                return acquire(False)
            timeout = min(timeout, LONGEST_SLEEP)
        return self._patience.acquire(acquire, timeout)

    def _semaphore(self, seat: int) -> SemLock:
        semaphore = self._semaphores.get(seat)
        if semaphore is None:
            address = self._base + seat * RECORD_BYTES + SEMAPHORE_OFFSET
            semaphore = SemLock._rebuild(address, SEMAPHORE, SEM_VALUE_MAX, None)
            self._semaphores[seat] = semaphore
        return semaphore


class PolledSeats:
    """Seats with nothing but the number of the process that has them."""

    __slots__ = ("_mine", "_processes", "_tickets")

    def __init__(self, tickets: memoryview, processes: memoryview) -> None:
        self._tickets = tickets
        self._processes = processes
        # The threads of this process that have a seat.
        self._mine: dict[int, tuple[int, int]] = {}

    def prepare(self, seat: int) -> None:
        self._processes[seat] = 0

    def take(self, seat: int) -> bool:
        pid = self._processes[seat]
        if pid and not has_ended(pid):
            return False
        self._mine[seat] = os.getpid(), threading.get_ident()
        self._processes[seat] = os.getpid()
        return True

    def give_back(self, seat: int) -> None:
        if self._mine.get(seat) == (os.getpid(), threading.get_ident()):
            self._processes[seat] = 0
            del self._mine[seat]

    def is_taken(self, seat: int) -> bool:
        pid = self._processes[seat]
        return pid != 0 and not has_ended(pid)

    def wake(self, seat: int) -> None:
        """No effect: who sleeps looks by itself."""

    def sleep(self, seat: int, timeout: float | None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        # After a while there may be more to see than the ticket.
        look = time.monotonic() + LONGEST_POLLED_SLEEP
        while self._tickets[HEADER_WORDS + seat] and time.monotonic() < look:
            pause = LOOK_SECONDS if end is None else min(LOOK_SECONDS, end - time.monotonic())
            if pause <= 0:
                return False
            time.sleep(pause)
        return True


def _reduce(room: Room) -> tuple[object, ...]:
    return Room, (room.block, room.file)


register_reducer(Room, _reduce)
