"""Owns slots: how a reply gets to the thread that waits for it, in a fraction of a queue's time.

A slot is a piece of memory for one short reply, a semaphore, and a queue for what does not fit: a
long reply, and a short one while the memory is taken. The server leaves a reply in either and posts
the semaphore. Posts are only hints to look: whoever takes a reply looks at the memory and at the
queue, so one that was lost to an exception of a signal handler costs a moment and no reply.

The client waits by looking at the semaphore for a while, if that has paid so far, and then sleeps
on it, where nothing else wakes it. If there is no reply after DOZE_SECONDS it asks, by a word of
the memory, to be nudged through the queue, whose descriptor it can wait for together with the one
that tells of the server's end.
"""

from __future__ import annotations

import queue
import sys
import threading

from processing_core import Semaphore, SimpleQueue

assert sys.platform != "win32"

from processing_core.lowlevel import Block, Patience, Receiver, allocate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ReplyReader", "ReplyWriter", "Slot"]

BLOCK_BYTES = 1024
# Words of the block: the length of the reply in it, plus one, or 0; and whether the client wants to
# be nudged. The reply begins behind them.
LENGTH, NUDGE, START = 0, 1, 16
MOST_BYTES = BLOCK_BYTES - START
NUDGED = b""
DOZE_SECONDS = 0.02


class Slot:
    """What both sides have of a slot. It can be put on queues and passed to children."""

    __slots__ = ("block", "queue", "semaphore")

    def __init__(
        self,
        block: Block | None = None,
        semaphore: Semaphore | None = None,
        more: SimpleQueue[Any] | None = None,
    ) -> None:
        self.block = allocate(BLOCK_BYTES) if block is None else block
        self.semaphore = Semaphore(0) if semaphore is None else semaphore
        self.queue: SimpleQueue[Any] = SimpleQueue() if more is None else more

    def __reduce__(self) -> tuple[Any, ...]:
        return Slot, (self.block, self.semaphore, self.queue)


class ReplyWriter:
    """The server's side. For any thread of it."""

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
        with self._lock:
            # What is stored last makes the reply the client's.
            if type(message) is bytes and len(message) <= MOST_BYTES and not words[LENGTH]:
                self._memory[START : START + len(message)] = message
                words[LENGTH] = len(message) + 1
            else:
                self._put(message)
        self._post()
        # The post, as every operation on a semaphore that counts, is seen before this is read.
        if words[NUDGE]:
            self._put(NUDGED)


class ReplyReader:
    """The client's side, for one thread. ``sleep`` is as of Receiver."""

    __slots__ = ("_acquire", "_fence", "_memory", "_patience", "_receiver", "_slot", "_words")

    def __init__(
        self,
        slot: Slot,
        sleep: Callable[[float], bool | None],
    ) -> None:
        self._slot = slot
        self._words = slot.block.words()
        self._memory = slot.block.view()
        self._acquire = slot.semaphore.acquire
        self._receiver: Receiver[Any] = Receiver(slot.queue, sleep)
        self._patience = Patience(long_looks=False)
        self._fence = threading.Lock()

    @property
    def descriptor(self) -> int:
        """As of Receiver."""
        return self._receiver.descriptor

    def get(self) -> Any:
        """Wait for a reply and return it.

        :raises queue.Empty: when ``sleep`` has returned true and there is none
        """
        words = self._words
        while True:
            acquired = self._patience.acquire(self._acquire, DOZE_SECONDS)
            length = words[LENGTH]
            if length:
                message = self._memory[START : START + length - 1].tobytes()
                words[LENGTH] = 0
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
            if self._acquire(False) or words[LENGTH]:
                return NUDGED
            return self._receiver.get()
        except queue.Empty:
            if words[LENGTH]:
                return NUDGED  # the server's last reply
            raise
        finally:
            words[NUDGE] = 0
