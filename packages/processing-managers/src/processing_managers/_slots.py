"""Owns slots: how a request gets to the server and its reply back, in a fraction of a queue's time.

A slot is a piece of memory for one short request and one short reply of a thread of a client, with
a semaphore for the thread, and a queue for replies that do not fit, and for those that come while
the memory is taken. The server has an intake, of which all clients know: its semaphore, its queue
for what does not fit into a slot, and two words of memory.

Who leaves something posts the semaphore of the other side. Posts are only hints to look: whoever
takes something looks at all places where it may be, so a post that was lost to a signal handler's
exception or to SIGKILL costs a moment, and nothing else.

Both sides wait by looking at their semaphore for a while, if that has paid so far, and then sleep
on it, where nothing else wakes them. If nothing has come after DOZE_SECONDS they ask, by a word of
memory, to be nudged through their queue, whose descriptor they can wait for together with others.

What is in the queue of the intake comes first, as it may be from before what is in the same
client's slot. Lest a stream of it keeps the slots waiting, the server notes after MOST_IN_A_ROW
messages which slots are full: it serves these once all is done that is in the queue by then.
"""

from __future__ import annotations

import queue
import sys
import threading

from processing_core import Semaphore, SimpleQueue
from processing_managers._wire import NOTHING

assert sys.platform != "win32"

from processing_core.lowlevel import Block, Patience, Receiver, allocate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    # What the server has of a slot: its words, its memory, and the slot.
    Place: TypeAlias = "tuple[memoryview, memoryview, Slot]"

__all__ = ["Caller", "Desk", "Intake", "ReplyWriter", "Slot"]

# A slot has two halves, of which the first is written by the server: where the reply is, and the
# words for its length plus one, or 0; for whether the client wants to be nudged, which it writes;
# and for the slot's number at the desk.
HALF_BYTES = 1024
REPLY_LENGTH, NUDGE, NUMBER, REPLY_START = 0, 1, 2, 24
# The second is written by the client: the length of the request, or 0, and the request.
REQUEST_LENGTH, REQUEST_START = HALF_BYTES // 8, HALF_BYTES + 8
MOST_REPLY_BYTES = HALF_BYTES - REPLY_START
MOST_REQUEST_BYTES = HALF_BYTES - 8
# Of the intake: whether the server wants to be nudged, and, in a cache line of its own, the number
# of the slot that was filled last.
ASLEEP, FILLED, INTAKE_BYTES = 0, 8, 128
NUDGED = b""
DOZE_SECONDS = 0.02
# How many requests may be served in a row that come first, while others wait.
MOST_IN_A_ROW = 16


class Slot:
    """What both sides have of a slot. It can be put on queues and passed to children."""

    __slots__ = ("block", "queue", "semaphore")

    def __init__(
        self,
        block: Block | None = None,
        semaphore: Semaphore | None = None,
        more: SimpleQueue[Any] | None = None,
    ) -> None:
        self.block: Block = allocate(2 * HALF_BYTES) if block is None else block
        self.semaphore: Semaphore = Semaphore(0) if semaphore is None else semaphore
        self.queue: SimpleQueue[Any] = SimpleQueue() if more is None else more

    def __reduce__(self) -> tuple[Any, ...]:
        return Slot, (self.block, self.semaphore, self.queue)


class Intake:
    """What all know of a server. It can be sent through connections and passed to children."""

    __slots__ = ("block", "put", "queue", "semaphore")

    def __init__(
        self,
        block: Block | None = None,
        semaphore: Semaphore | None = None,
        requests: SimpleQueue[Any] | None = None,
    ) -> None:
        self.block: Block = allocate(INTAKE_BYTES) if block is None else block
        self.semaphore: Semaphore = Semaphore(0) if semaphore is None else semaphore
        self.queue: SimpleQueue[Any] = SimpleQueue() if requests is None else requests
        put, post = self.queue.put, self.semaphore.release

        def put_and_post(message: object) -> None:
            put(message)
            post()

        self.put: Callable[[object], None] = put_and_post

    def __reduce__(self) -> tuple[Any, ...]:
        return Intake, (self.block, self.semaphore, self.queue)


class ReplyWriter:
    """The server's way of answering. For any thread of it."""

    __slots__ = ("_lock", "_memory", "_post", "_put", "_slot", "_words")

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._words = slot.block.words()
        self._memory = slot.block.view()
        self._post = slot.semaphore.release
        self._put = slot.queue.put
        self._lock = threading.Lock()

    def put(self, message: Any) -> None:
        """Leave a reply."""
        words = self._words
        self._lock.acquire()
        try:
            # What is stored last makes the reply the client's.
            if (
                type(message) is bytes
                and len(message) <= MOST_REPLY_BYTES
                and not words[REPLY_LENGTH]
            ):
                self._memory[REPLY_START : REPLY_START + len(message)] = message
                words[REPLY_LENGTH] = len(message) + 1
            else:
                self._put(message)
        finally:
            self._lock.release()
        self._post()
        # The post, as every operation on a semaphore that counts, is seen before this is read.
        if words[NUDGE]:
            self._put(NUDGED)


class Desk:
    """Where the server takes requests. For one thread; ``add`` and ``remove`` for any.

    ``sleep`` is as of Receiver.
    """

    __slots__ = (
        "_acquire",
        "_fence",
        "_in_a_row",
        "_intake",
        "_next",
        "_noted",
        "_patience",
        "_places",
        "_receiver",
        "_until_noted",
        "_words",
    )

    def __init__(self, intake: Intake, sleep: Callable[[float], bool | None]) -> None:
        self._intake = intake
        self._words = intake.block.words()
        self._acquire = intake.semaphore.acquire
        self._receiver: Receiver[Any] = Receiver(intake.queue, sleep, look=False)
        self._patience = Patience()
        self._fence = threading.Lock()
        # By the numbers of the slots; None where there is none (any more).
        self._places: list[Place | None] = []
        # Where to look first, if nobody tells.
        self._next = 0
        # How many requests have come first in a row.
        self._in_a_row = 0
        # Slots that were full when there were so many messages in the queue that come before.
        self._noted: list[Place] = []
        self._until_noted = 0

    @property
    def descriptor(self) -> int:
        """As of Receiver."""
        return self._receiver.descriptor

    def add(self, slot: Slot) -> Place:
        """Look at a slot from now on. Calls of this and of ``remove`` are not to meet."""
        place = slot.block.words(), slot.block.view(), slot
        places = self._places
        if None in places:
            number = places.index(None)
            places[number] = place
        else:
            number = len(places)
            places.append(place)
        place[0][NUMBER] = number
        return place

    def remove(self, place: Place) -> None:
        """Do not look at it any more."""
        if place in self._places:
            self._places[self._places.index(place)] = None

    def get(self, timeout: float | None = None) -> Any:
        """Wait for a request and return it.

        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Empty: when there was none in time, or ``sleep`` returned true

        Whatever the unpickling raises is raised here, and the request is gone.
        """
        seconds = DOZE_SECONDS if timeout is None else min(timeout, DOZE_SECONDS)
        may_be_there = self._acquire(False) or self._patience.acquire(self._acquire, seconds)
        while True:
            if self._receiver.ready():
                return self._from_queue()
            message = self._from_slots()
            if message is not None:
                return message
            if may_be_there:
                may_be_there = self._patience.acquire(self._acquire, seconds)
            elif timeout is not None and timeout <= DOZE_SECONDS:
                raise queue.Empty
            else:
                self._sleep(None if timeout is None else timeout - DOZE_SECONDS)
                may_be_there = True

    def take_from(self, place: Place) -> bytes | None:
        """Take what is in a slot out of its turn."""
        words, memory, _ = place
        length = words[REQUEST_LENGTH]
        if not length:
            return None
        message = memory[REQUEST_START : REQUEST_START + length].tobytes()
        words[REQUEST_LENGTH] = 0
        return message

    def _from_queue(self) -> Any:
        """With a message in the queue: the next that is to be served."""
        if self._noted:
            if not self._until_noted:
                message = self.take_from(self._noted.pop(0))
                if message is not None:
                    return message
            else:
                self._until_noted -= 1
        else:
            self._in_a_row += 1
            if self._in_a_row > MOST_IN_A_ROW:
                self._in_a_row = 0
                self._noted = self._full()
                self._until_noted = self._receiver.backlog - 1
        return self._receiver.get(0)

    def _from_slots(self) -> bytes | None:
        """With no message in the queue: what is in a slot."""
        if self._noted:
            self._noted = []
        places, number = self._places, self._words[FILLED]
        if self._in_a_row < MOST_IN_A_ROW and number < len(places):
            place = places[number]
            # The hot path: the words are looked at here.
            if place is not None and (length := place[0][REQUEST_LENGTH]):
                self._in_a_row += 1
                message = place[1][REQUEST_START : REQUEST_START + length].tobytes()
                place[0][REQUEST_LENGTH] = 0
                return message
        # Whoever has filled one last is not to be served for ever.
        self._in_a_row = 0
        start = self._next
        for number in (*range(start, len(places)), *range(start)):
            place = places[number]
            if place is not None and place[0][REQUEST_LENGTH]:
                self._next = number + 1
                return self.take_from(place)
        return None

    def _full(self) -> list[Place]:
        return [p for p in self._places if p is not None and p[0][REQUEST_LENGTH]]

    def _sleep(self, timeout: float | None) -> None:
        """Sleep until there may be a request. :raises queue.Empty: as of ``get``"""
        words = self._words
        words[ASLEEP] = 1
        try:
            with self._fence:  # the word is seen before the slots are looked at
                pass
            if not self._full() and not self._receiver.wait(timeout):
                raise queue.Empty
        finally:
            words[ASLEEP] = 0


class Caller:
    """The client's side, for one thread. ``sleep`` is as of Receiver."""

    __slots__ = (
        "_acquire",
        "_fence",
        "_intake",
        "_intake_words",
        "_memory",
        "_patience",
        "_post",
        "_receiver",
        "_slot",
        "_words",
    )

    def __init__(self, slot: Slot, intake: Intake, sleep: Callable[[float], bool | None]) -> None:
        self._slot = slot
        self._words = slot.block.words()
        self._memory = slot.block.view()
        self._acquire = slot.semaphore.acquire
        self._intake = intake
        self._intake_words = intake.block.words()
        self._post = intake.semaphore.release
        self._receiver: Receiver[Any] = Receiver(slot.queue, sleep)
        self._patience = Patience(long_looks=False)
        self._fence = threading.Lock()

    @property
    def descriptor(self) -> int:
        """As of Receiver."""
        return self._receiver.descriptor

    def put(self, message: bytes) -> None:
        """Leave a request, in the slot if it fits and if that is free."""
        words = self._words
        size = len(message)
        if size > MOST_REQUEST_BYTES or words[REQUEST_LENGTH]:
            self._intake.put(message)
            return
        self._memory[REQUEST_START : REQUEST_START + size] = message
        # This makes the request the server's.
        words[REQUEST_LENGTH] = size
        intake_words = self._intake_words
        intake_words[FILLED] = words[NUMBER]
        self._post()
        # As for replies.
        if intake_words[ASLEEP]:
            self._intake.put(NOTHING)

    def get(self) -> Any:
        """Wait for a reply and return it.

        :raises queue.Empty: when ``sleep`` has returned true and there is none
        """
        words = self._words
        while True:
            acquired = self._patience.acquire(self._acquire, DOZE_SECONDS)
            length = words[REPLY_LENGTH]
            if length:
                message = self._memory[REPLY_START : REPLY_START + length - 1].tobytes()
                words[REPLY_LENGTH] = 0
                return message
            if self._receiver.ready():
                message = self._receiver.get(0)
                if message != NUDGED:
                    return message
            elif not acquired:
                message = self._wait_for_nudge()
                if message != NUDGED:
                    return message

    def _wait_for_nudge(self) -> Any:
        """Sleep until there may be a reply; one that came through the queue is returned."""
        words = self._words
        words[NUDGE] = 1
        try:
            with self._fence:  # the word is seen before the semaphore is looked at
                pass
            if self._acquire(False) or words[REPLY_LENGTH]:
                return NUDGED
            return self._receiver.get()
        except queue.Empty:
            if words[REPLY_LENGTH]:
                return NUDGED  # the server's last reply
            raise
        finally:
            words[NUDGE] = 0
