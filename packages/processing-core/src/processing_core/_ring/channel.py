"""Owns channels: a ring in a shared file, with its guards, its sleepers and its mailboxes.

Any number of threads of any number of processes put and get; there are no helper threads. Producers
have a mutex among themselves and consumers another, so that one producer and one consumer never
meet. Both are robust: a process that is killed at any moment leaves the channel usable.

Who has to hold both takes the consumers' first.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import weakref

assert sys.platform != "win32"

from processing_core import _lifecycle
from processing_core._clock import checked_timeout
from processing_core._platform import holds
from processing_core._platform.children import has_ended
from processing_core._platform.mailbox import Mailbox
from processing_core._platform.patience import Patience
from processing_core._platform.polling import wait_for
from processing_core._platform.pthreads import address_of, pthreads
from processing_core._platform.record_locks import RecordLock
from processing_core._platform.semlocks import SEM_VALUE_MAX, SEMAPHORE, SemLock
from processing_core._platform.shared_file import SharedFile
from processing_core._ring import layout
from processing_core._ring.blocks import BlockTable
from processing_core._ring.guards import Guard, TooLateError
from processing_core._ring.layout import (
    ATTENTION,
    BYTES_IN,
    BYTES_OUT,
    DONE,
    FOR_MESSAGES,
    FOR_REPORTS,
    FOR_ROOM,
    GETTERS,
    HEAD,
    JOINERS,
    LOW_32,
    LOW_64,
    PUTTERS,
    TAIL,
)
from processing_core._ring.parcels import Label
from processing_core._ring.ring import SPECIAL, Ring
from processing_core._ring.sleepers import Sleepers
from processing_core._ring.waiters import Waiter
from processing_core.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "BELL",
    "CROWDED_LOOK_SECONDS",
    "Channel",
    "moment",
    "patient",
]

# Address space, not memory: as much of it as is written takes memory.
FILE_BYTES = 1 << 36
LEAST_FILE_BYTES = 1 << 20
# How long a call that shall not wait waits for a guard nevertheless: its holder is at work.
AT_ONCE_SECONDS = 5.0
# A sleeper looks by itself after so long (seconds), in case one who was to wake it was killed; and
# more often if the list of sleepers is full.
LOOK_SECONDS = 1.0
CROWDED_LOOK_SECONDS = 0.01
BELL = b"!"
LONGEST_PLAIN_SECONDS = 1e6
# Two mutexes need stores to be seen in their order, which these processors promise.
ORDERED = ("x86_64", "amd64", "i386", "i586", "i686")


class Channel:
    """A channel in this process.

    There are at most ``maxsize`` messages and ``ceiling`` bytes of them; 0 for no limit.
    """

    def __init__(
        self, file: SharedFile, mailbox: Mailbox, room: Mailbox | None, maxsize: int, ceiling: int
    ) -> None:
        self._file = file
        self._mailbox = mailbox
        # Readable while there is room, once somebody waits for that by a descriptor.
        self._room = room
        self._maxsize = maxsize
        self._memory = file.map
        self._words = words = memoryview(file.map).cast("Q")
        self._ring = Ring(file.map, words, file.size, file.reserve, file.discard, ceiling or None)
        self._table = BlockTable(
            words,
            file.size,
            file.reserve,
            file.discard,
            lambda offset: holds.is_held_by_others(file.descriptor, offset),
            has_ended,
        )
        self._sleepers = [
            Sleepers(words, counter, start)
            for counter, start in zip((GETTERS, PUTTERS, JOINERS), layout.SLEEPERS, strict=True)
        ]
        self._make_guards()
        # For messages, and for room.
        self._patience = (Patience(), Patience())
        self._pid = os.getpid()
        # Where this process has holds on the blocks that it has mapped, and how often on each.
        self._holder: int | None = None
        self._mapped: dict[int, int] = {}
        self._token: int | None = None
        # Places of sleepers that could not leave, because who held the guard was stopped.
        self._left: list[list[int]] = [[], [], []]
        # Blocks that a forked child may have mapped without a hold: they stay held.
        self._pinned: set[int] = set()
        self._fence = threading.Lock()
        _channels.add(self)
        _hook_into_forks()

    def _make_guards(self) -> None:
        file = self._file
        functions = pthreads()
        self._base = 0
        # The semaphores of sleepers, each made when this process first needs it.
        self._semaphores: dict[tuple[int, int], SemLock] = {}
        if functions is not None:
            self._base = address_of(file.map)
        recover = (self._recover_putting, self._recover_getting)
        one_guard = os.uname().machine.lower() not in ORDERED
        if one_guard:
            recover = (self._recover_all, self._recover_all)
        guards = [
            Guard(
                functions or self._record_lock(byte),
                file.map,
                self._base + layout.MUTEXES[byte],
                layout.MUTEXES[byte],
                recover[byte],
            )
            for byte in range(1 if one_guard else 2)
        ]
        self._putting, self._getting = guards[0], guards[-1]
        # The same for both guards: what they lock is given by a key.
        self._trylock, self._unlock = self._putting.trylock, self._putting.unlock

    def _record_lock(self, byte: int) -> RecordLock:
        lock = RecordLock(self._file.descriptor, byte)
        lock.word = self._words[layout.USERS[byte] :][:1]
        return lock

    @classmethod
    def _create(cls, maxsize: int, ceiling: int) -> tuple[Any, ...]:
        """A new channel's file, mailboxes and limits: the arguments of __init__."""
        file = SharedFile.create("queue", FILE_BYTES, LEAST_FILE_BYTES)
        mailbox = Mailbox.create()
        try:
            room = Mailbox.create() if maxsize or ceiling else None
        except BaseException:
            mailbox.close()
            raise
        words = memoryview(file.map).cast("Q")
        Ring(file.map, words, file.size, file.reserve, file.discard).format()
        functions = pthreads()
        if functions is not None:
            base = address_of(file.map)
            for place in layout.MUTEXES:
                functions.init_mutex(base + place)
        else:
            # There are no semaphores to sleep on, so everybody waits by the descriptors.
            words[GETTERS] = words[PUTTERS] = ATTENTION
            if room is not None:
                room.put(BELL, [])
        return file, mailbox, room, maxsize, ceiling

    def __del__(self) -> None:
        for box in (getattr(self, "_mailbox", None), getattr(self, "_room", None)):
            if box is not None:
                box.close()
        holder: int | None = getattr(self, "_holder", None)
        if holder is not None:
            os.close(holder)

    # What is there

    def _has_messages(self) -> bool:
        words = self._words
        return bool(words[HEAD] >> 32 != words[TAIL] >> 32)

    def _is_full(self, weight: int = 1) -> bool:
        words = self._words
        ceiling = self._ring.ceiling
        if self._maxsize and len(self._ring) >= self._maxsize:
            return True
        return (
            ceiling is not None and (words[BYTES_IN] - words[BYTES_OUT] & LOW_64) + weight > ceiling
        )

    def _has_room(self) -> bool:
        return not self._is_full()

    # After a death, with the guard held of the one who died

    def _recover_putting(self) -> None:
        self._ring.recover(_weigh)
        self._table.recover()
        self._sleepers[FOR_MESSAGES].recover()
        self._wake(FOR_MESSAGES)
        self._ring_bells()
        if self._has_messages() and not self._words[PUTTERS] & ATTENTION:
            # Perhaps the dead had taken a receiver off the list and not rung yet. Where there is
            # none, a bell too many does no harm.
            self._mailbox.put(BELL, [])

    def _recover_getting(self) -> None:
        self._sleepers[FOR_ROOM].recover()
        self._sleepers[FOR_REPORTS].recover()
        self._wake(FOR_ROOM)
        while self._wake(FOR_REPORTS):
            continue
        self._putting.run(self._ring.give_back_unused)
        self._ring_bells()

    def _recover_all(self) -> None:
        """Where one guard is both."""
        self._recover_putting()
        for which in (FOR_ROOM, FOR_REPORTS):
            self._sleepers[which].recover()
            self._wake(which)

    # Waking

    def _semaphore(self, which: int, place: int, *, fresh: bool = False) -> SemLock | None:
        """What the sleeper at a place sleeps on; None where there is no such thing.

        ``fresh`` makes it anew, for a sleeper who has just got the place: nobody else uses it.
        """
        functions = pthreads()
        if functions is None:
            return None
        address = self._base + layout.SEMAPHORES[which] + layout.SEMAPHORE_BYTES * place
        if fresh:
            functions.init_semaphore(address, 0)
        semaphore = self._semaphores.get((which, place))
        if semaphore is None:
            semaphore = SemLock._rebuild(address, SEMAPHORE, SEM_VALUE_MAX, None)
            self._semaphores[which, place] = semaphore
        return semaphore

    def _wake(self, which: int) -> bool:
        """Wake one who sleeps, with the guard of those who do so held; False when nobody does."""
        place = self._sleepers[which].take()
        if place is None:
            return False
        semaphore = self._semaphore(which, place)
        if semaphore is not None:
            semaphore.release()
        return True

    def _wake_getters(self, count: int = 1) -> None:
        """With the producers' guard, after ``count`` messages were put: somebody waits for them."""
        waiting = self._words[GETTERS]
        if waiting & LOW_32:
            for _ in range(count):
                if not self._wake(FOR_MESSAGES):
                    break
        if waiting & ATTENTION:
            if not self._words[PUTTERS] & ATTENTION:
                self._words[GETTERS] &= ~ATTENTION
                self._mailbox.put(BELL, [])
                return
            self._order_stores()
            # If there are others, the bell was rung for them.
            if len(self._ring) <= count or not self._base:
                self._mailbox.put(BELL, [])

    def _wake_putters(self, count: int = 1) -> None:
        """With the consumers' guard, after ``count`` were got: somebody waits for that."""
        waiting = self._words[PUTTERS]
        if waiting & LOW_32:
            for _ in range(count):
                if not self._wake(FOR_ROOM):
                    break
        if waiting & ATTENTION:
            if not self._has_messages():
                self._other_guard(self._silence)
            self._order_stores()
            self._ring_bells()

    def _silence(self) -> None:
        """With both guards: if there are no messages, nobody needs what is in the mailbox."""
        if not self._has_messages():
            self._mailbox.empty()

    def _other_guard(self, function: Callable[[], None], limit: float | None = None) -> None:
        """With the consumers' guard: call a function with the producers' as well.

        :raises TooLateError: when that cannot be had before ``limit``
        """
        if self._getting is self._putting:
            function()
        else:
            self._putting.run(function, limit)

    def _ring_bells(self) -> None:
        """Make the descriptors readable that should be."""
        if self._words[GETTERS] & ATTENTION and self._has_messages():
            self._mailbox.put(BELL, [])
        if self._words[PUTTERS] & ATTENTION and self._room is not None and self._has_room():
            self._room.empty()
            self._room.put(BELL, [])

    def _silence_room(self) -> None:
        """With the producers' guard, after a commit: there may be no room any more."""
        if self._room is not None and self._words[PUTTERS] & ATTENTION and self._is_full():
            self._room.empty()
            self._order_stores()
            if self._has_room():
                self._room.put(BELL, [])

    def _order_stores(self) -> None:
        """Have what was stored seen by others before anything is read that follows."""
        with self._fence:
            return

    def _arm(self, which: int) -> int:
        """A descriptor that is readable while there are messages, or while there is room."""
        box = self._mailbox if which == FOR_MESSAGES else self._room
        assert box is not None
        words = self._words
        if not words[PUTTERS] & words[GETTERS] & ATTENTION:

            def arm_putters() -> None:
                words[PUTTERS] |= ATTENTION

            def arm_getters() -> None:
                words[GETTERS] |= ATTENTION
                self._ring_bells()

            self._getting.run(arm_putters)
            self._putting.run(arm_getters)
        return box.fileno()

    def _wait(
        self,
        attempt: Callable[[], bool],
        which: int,
        limit: float | None,
        failure: type[Exception],
        begun: tuple[int, float] | None = None,
    ) -> None:
        """Call ``attempt`` with the guard held until it succeeds, sleeping in between.

        ``begun`` is how the wait began if the caller has looked in vain: which way, and when.

        :raises failure: when that was not before ``limit`` (time.monotonic(); 0.0: at once)
        """
        waiter = Waiter(self, which)
        if begun is not None:
            waiter.begun(*begun)
        elif limit != 0.0 and which != FOR_REPORTS:
            waiter.look()
        try:
            while not waiter.own.run(attempt, patient(limit)):
                left = None if limit is None else limit - time.monotonic()
                if left is not None and left <= 0:
                    raise failure
                if waiter.register(patient(limit)):
                    self._sleep(waiter, left)
                    waiter.learn()
            waiter.done = True
        except TooLateError:
            raise failure from None
        finally:
            waiter.leave()

    def _sleep(self, waiter: Waiter, left: float | None) -> None:
        semaphore, which = waiter.semaphore, waiter.which
        pause = CROWDED_LOOK_SECONDS if self._base and semaphore is None else LOOK_SECONDS
        if left is not None:
            pause = min(pause, left)
        if semaphore is not None:
            semaphore.acquire(True, pause)
        elif which == FOR_MESSAGES:
            wait_for(self._mailbox.fileno(), pause)
        elif which == FOR_ROOM and self._room is not None:
            wait_for(self._room.fileno(), pause)
        else:
            time.sleep(min(pause, CROWDED_LOOK_SECONDS))

    # Reports

    def _all_done(self) -> bool:
        words = self._words
        return bool(words[DONE] == words[TAIL] >> 32)

    def _task_done(self) -> None:
        def report() -> bool:
            if self._all_done():
                return False
            self._words[DONE] = self._words[DONE] + 1 & LOW_32
            if self._all_done():
                while self._wake(FOR_REPORTS):
                    continue
            return True

        if not self._getting.run(report):
            raise InvalidArgument("task_done() was called more often than items were put")

    def _join(self) -> None:
        self._wait(self._all_done, FOR_REPORTS, None, queue.Empty)

    # Forks

    def _before_fork(self) -> None:
        try:
            self._token = holds.reopen(self._file.descriptor)
        except OSError:
            self._token = None  # no descriptors left; the fork shall not fail for that
        if self._token is None:
            self._pinned.update(self._mapped)
        else:
            for offset in list(self._mapped):
                holds.hold(self._token, offset)

    def _after_fork_in_parent(self) -> None:
        if self._token is not None:
            os.close(self._token)
            self._token = None

    def _after_fork_in_child(self) -> None:
        self._pid = os.getpid()
        self._left = [[], [], []]
        self._fence = threading.Lock()
        if self._holder is not None:
            os.close(self._holder)
        self._holder, self._token = self._token, None


def moment(block: bool, timeout: float | None) -> float | None:
    """When a call gives up (time.monotonic()); 0.0 for at once, None for never."""
    if not block:
        return 0.0
    if type(timeout) is float and 0.0 < timeout < LONGEST_PLAIN_SECONDS:
        return time.monotonic() + timeout  # the usual case needs no closer look
    seconds = None if timeout is None else checked_timeout(timeout)
    if seconds is None:
        return None
    return time.monotonic() + seconds if seconds else 0.0


def patient(limit: float | None) -> float | None:
    """A guard is waited for a little even by those who shall not wait: its holder is at work."""
    return None if limit is None else max(limit, time.monotonic() + AT_ONCE_SECONDS)


def _weigh(kind: int, data: bytes) -> int:
    return Label.decode(data).weight if kind == SPECIAL else len(data)


_channels: weakref.WeakSet[Channel] = weakref.WeakSet()
# Those that a child which is being forked inherits, and of them those with a token for it. What
# runs after a fork copies the memory that it touches, so it does not go through the weak set.
_forking: list[Channel] = []
_with_token: list[Channel] = []


class _Hooks:
    installed = False
    lock = threading.Lock()


def _hook_into_forks() -> None:
    with _Hooks.lock:
        if not _Hooks.installed:
            _Hooks.installed = True
            _lifecycle.on_fork(_before_fork, _after_fork_in_parent, _after_fork_in_child)


def _before_fork() -> None:
    _forking[:] = _channels
    for channel in _forking:
        if channel._mapped:
            channel._before_fork()
            _with_token.append(channel)


def _after_fork_in_parent() -> None:
    _forking.clear()
    while _with_token:
        _with_token.pop()._after_fork_in_parent()


def _after_fork_in_child() -> None:
    _with_token.clear()
    while _forking:
        _forking.pop()._after_fork_in_child()
