"""Owns receivers: how the only consumer of a queue waits for it and for other things at once.

The queue's descriptor costs a system call for each message once somebody asked for it. A receiver
has it rung only while it sleeps, so messages that come while it is awake cost nothing more.
"""

from __future__ import annotations

import queue
import sys
import time
from time import perf_counter

assert sys.platform != "win32"

from processing_core._clock import checked_timeout
from processing_core._generic import TYPE_CHECKING, Container, ItemT
from processing_core._ring.channel import LOOK_SECONDS
from processing_core._ring.guards import TooLateError
from processing_core._ring.layout import (
    ATTENTION,
    FOR_MESSAGES,
    GETTERS,
    HEAD,
    PUTTERS,
    TAIL,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from processing_core._ring.messages import MessageChannel

__all__ = ["Receiver"]

# A producer is at its queue for microseconds. After so long (seconds) it is taken for stopped.
GUARD_SECONDS = 0.05


class Receiver(Container[ItemT]):
    """Gets from a queue that nobody else gets from, while something else may happen as well.

    :param channel: the queue
    :param sleep: is called with the time in seconds after which it must return; returns earlier
        when ``descriptor`` is readable or something else has happened, and true if ``get`` shall
        not go on waiting. What it raises leaves ``get``.
    :param look: whether to look at the queue, before sleeping, for as long as that has paid so far;
        other threads cannot run meanwhile

    Not for several threads at once.
    """

    __slots__ = (
        "_bell_may_be_there",
        "_channel",
        "_look",
        "_sleep",
        "_words",
        "stuck_since",
    )

    def __init__(
        self,
        channel: MessageChannel[ItemT],
        sleep: Callable[[float], bool | None],
        *,
        look: bool = True,
    ) -> None:
        self._channel = channel
        self._words = channel._words
        self._sleep = sleep
        self._look = look
        self._bell_may_be_there = False
        # Since when (time.monotonic()) it cannot listen, because a producer was stopped in the
        # middle of a put; None while it can.
        self.stuck_since: float | None = None

    @property
    def holder(self) -> int:
        """The thread (gettid(2)) that is putting a message now; 0 if none, or if unknown."""
        return self._channel._putting.holder

    @property
    def descriptor(self) -> int:
        """Readable, while ``sleep`` is called, when a message has come."""
        return self._channel._mailbox.fileno()

    def ready(self) -> bool:
        """Whether there is a message."""
        words = self._words
        return bool(words[HEAD] != words[TAIL] or self._channel._kept)

    @property
    def backlog(self) -> int:
        """How many messages there are."""
        return len(self._channel._ring) + len(self._channel._kept)

    def get(self, timeout: float | None = None) -> ItemT:
        """Remove the oldest message and return it, waiting while there is none.

        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Empty: when there was none in time, or ``sleep`` returned true

        Whatever the unpickling raises is raised here, and the message is gone.
        """
        words, channel = self._words, self._channel
        if words[HEAD] == words[TAIL] and not channel._kept and not self.wait(timeout):
            raise queue.Empty
        return channel.get(False)

    def get_many(self, most: int, timeout: float | None = None) -> list[ItemT]:
        """As get(), for up to ``most`` messages; an empty list instead of queue.Empty."""
        if not self.wait(timeout):
            return []
        return self._channel._get_many(most, 0.0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is a message; False when the time has passed or ``sleep`` said so."""
        if self.ready():
            return True
        seconds = checked_timeout(timeout)
        if seconds == 0.0:
            return False
        limit = None if seconds is None else time.monotonic() + seconds
        begun = self._channel._look() if self._look else (0, perf_counter())
        if begun is None:
            return True
        learnt = False
        while True:
            left = LOOK_SECONDS
            if limit is not None:
                left = min(left, limit - time.monotonic())
            if left <= 0:
                return False
            stop = self._listen_and_sleep(left)
            if not learnt:
                learnt = True
                self._channel._patience[FOR_MESSAGES].learn(*begun, found=False)
            if self.ready():
                return True
            if stop:
                return False

    def _listen_and_sleep(self, left: float) -> bool | None:
        channel, words = self._channel, self._words
        if words[PUTTERS] & ATTENTION:
            # The descriptor is rung always: there are no semaphores here, or somebody has asked for
            # it. Then it is readable as long as there are messages.
            return self._sleep(left)
        start = time.monotonic()
        try:
            listening = channel._putting.run(self._listen, start + GUARD_SECONDS)
            self.stuck_since = None
            return self._sleep(left) if listening else False
        except TooLateError:
            if self.stuck_since is None:
                self.stuck_since = start
            # Nobody else can put either, so there is nothing to listen for.
            self._sleep(0.0)
            return True
        finally:
            if words[GETTERS] & ATTENTION:
                try:
                    channel._putting.run(self._stop_listening, time.monotonic() + GUARD_SECONDS)
                except TooLateError:
                    self._bell_may_be_there = True  # the bell stays on, and may be rung
            else:
                self._bell_may_be_there = True  # a producer has rung

    def _listen(self) -> bool:
        """With the producers' guard: from now on who puts rings; False if there is a message."""
        if self.ready():
            return False
        if self._bell_may_be_there:
            self._channel._mailbox.empty()
            self._bell_may_be_there = False
        self._words[GETTERS] |= ATTENTION
        return True

    def _stop_listening(self) -> None:
        """With the producers' guard: nobody need ring any more."""
        if self._words[PUTTERS] & ATTENTION:
            return  # somebody has asked for the descriptor meanwhile
        if not self._words[GETTERS] & ATTENTION:
            self._bell_may_be_there = True  # a producer has rung just now
            return
        self._words[GETTERS] &= ~ATTENTION
        if self.ready():
            # What belongs to messages is in the mailbox, too, so the bell stays for the moment.
            self._bell_may_be_there = True
        else:
            self._channel._mailbox.empty()
