"""Owns the way from a process to the one that handles its records: a queue, and what tells whether
that process is still there.
"""

from __future__ import annotations

import os
import select
import sys
from collections import deque
from time import monotonic

assert sys.platform != "win32"

from processing_core import MisuseError, Queue
from processing_core.lowlevel import Packer, register_carrier, take_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Route"]

# How often (seconds) a sender looks whether there is somebody to send to.
LOOK_SECONDS = 0.01
# More records than this wait for a handler that is slower than those who log.
MOST_WAITING = 20_000
WAIT_MILLISECONDS = 10


class Route:
    """One end for every process that sends.

    :param queue: takes bytes objects
    :param lifeline: the read end of a pipe that nobody writes to, and whose write end only the
        receiving process has
    :param outputs: the write ends of the pipes that stdout and stderr are replaced by; or none
    """

    def __init__(self, queue: Queue[bytes], lifeline: int, outputs: tuple[int, ...] = ()) -> None:
        self.queue = queue
        self.lifeline = lifeline
        self.outputs = outputs
        self._look_at = 0.0
        self._poll: select.poll | None = None
        # What a signal handler or a finalizer sends while its thread is sending something else.
        self._deferred: deque[tuple[int, bytes]] = deque()

    def send(self, data: bytes) -> bool:
        """Hand a message over; False if the receiver has ended or does not receive any more.

        Once it returns true the message arrives, whatever happens to this process. Waits while very
        many are waiting already, but not for a receiver that has ended.
        """
        now = monotonic()
        if now >= self._look_at and not self._look(now):
            return False
        try:
            self.queue.put(data)
        except MisuseError:
            # It interrupts this very thread in the middle of put(), after which this is sent.
            self._deferred.append((os.getpid(), data))
            return True
        except BaseException:
            self._send_deferred()
            raise
        if self._deferred:
            self._send_deferred()
        return True

    def _send_deferred(self) -> None:
        while self._deferred:
            try:
                pid, data = self._deferred.popleft()
            except IndexError:
                return  # another thread was faster
            try:
                if pid == os.getpid():  # if not, the process that has forked this one sends it
                    self.queue.put(data)
            except MisuseError:
                self._deferred.appendleft((pid, data))
                return

    def is_open(self) -> bool:
        """Whether there is somebody to send to."""
        return not self._hangs_up(0)

    def _look(self, now: float) -> bool:
        if self._hangs_up(0):
            return False
        while self.queue.qsize() > MOST_WAITING:
            if self._hangs_up(WAIT_MILLISECONDS):
                return False
        self._look_at = now + LOOK_SECONDS
        return True

    def _hangs_up(self, milliseconds: int) -> bool:
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.lifeline, 0)  # a hang-up is told of in any case
        try:
            return bool(self._poll.poll(milliseconds))
        except RuntimeError:
            # Another thread of this process is asking the same; one answer will do.
            return False

    def close(self) -> None:
        """Give the descriptors back."""
        for descriptor in (self.lifeline, *self.outputs):
            os.close(descriptor)
        self.outputs = ()


def _reduce(route: Route, packer: Packer) -> tuple[Any, ...]:
    outputs = [packer.attach(descriptor) for descriptor in route.outputs]
    return _rebuild, (route.queue, packer.attach(route.lifeline), outputs)


def _rebuild(queue: Queue[bytes], lifeline: int, outputs: list[int]) -> Route:
    return Route(
        queue, take_descriptor(lifeline), tuple(take_descriptor(index) for index in outputs)
    )


register_carrier(Route, _reduce)
