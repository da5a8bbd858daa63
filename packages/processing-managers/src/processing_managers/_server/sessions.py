"""Owns what the server knows of its clients: sessions, links and tickets.

A session is a client process: what it refers to, and which locks it holds. A link is a thread of
it. A ticket holds a reference for a proxy that is on its way to another process, or for all proxies
of a process that forks.
"""

from __future__ import annotations

import os
import time
from functools import partial

from processing_core.lowlevel import Packer
from processing_managers._server.calls import Call, Waiter, state_lock
from processing_managers._server.threads import run_aside
from processing_managers._wire import REPLY, Shipment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from typing import Any

    from processing_managers._server.locks import LockReferent

__all__ = ["TICKET_SECONDS", "Link", "RemoteCall", "Session", "Ticket", "new_number"]

# How long a ticket is good for when the process that took it has ended.
TICKET_SECONDS = 600.0
# Up to so many timers are not worth a look for those that are not needed any more.
FEW_TIMERS = 64


def new_number() -> int:
    """A number that nobody else has."""
    return int.from_bytes(os.urandom(8), "little")


class Session:
    """A client process."""

    def __init__(self, number: int, description: dict[str, Any]) -> None:
        self.number = number
        self.description = description
        self.references: dict[int, int] = {}
        self.held: dict[LockReferent, None] = {}
        self.links: dict[int, Link] = {}
        # How many connections there are, or may be in a moment, that are to be links.
        self.expected = 0
        self.tickets: set[Ticket] = set()
        self.calls = 0
        self.since = time.time()
        self.ended = False


class Ticket:
    """References for who comes with its number."""

    __slots__ = ("idents", "limit", "number", "session")

    def __init__(self, number: int, idents: dict[int, int], session: Session) -> None:
        self.number = number
        self.idents = idents
        self.session = session
        # When it is void, once its session has ended.
        self.limit: float | None = None


class Link:
    """A thread of a client: where its replies go, and its calls that have no reply yet.

    ``owner`` is what locks know the thread by. ``may_block`` tells that ``put`` may, because nobody
    reads there. ``place`` is where requests may be left for the desk, if anywhere.
    """

    __slots__ = (
        "calls",
        "may_block",
        "number",
        "owner",
        "place",
        "put",
        "queued",
        "session",
        "spare",
    )

    def __init__(
        self,
        number: int,
        owner: int,
        session: Session,
        put: Callable[[Any], None],
        *,
        may_block: bool,
    ) -> None:
        self.number = number
        self.owner = owner
        self.may_block = may_block
        self.session = session
        self.put = put
        self.place: Any = None
        self.calls: dict[int, RemoteCall] = {}
        # One that is not in use.
        self.spare: RemoteCall | None = None
        # For each object the calls that must come one after the other, while the first is done.
        self.queued: dict[int, deque[Callable[[], None]]] = {}

    def reply(self, serial: int, status: int, body: bytes | Packer = b"") -> None:
        """Send a reply; who has gone meanwhile does not get it."""
        trailer = REPLY.pack(serial, status)
        message = body + trailer if type(body) is bytes else Shipment(body, trailer)  # type: ignore[arg-type]  # a Packer
        self.put(message)


class RemoteCall(Call):
    """A call from a client; ``done`` gets its outcome."""

    __slots__ = ("_link", "_timers", "done", "serial")

    def __init__(self, link: Link, timers: Timers) -> None:
        self.waiter = None
        self._link = link
        self._timers = timers
        self.serial = 0
        self.done: Callable[[Any, BaseException | None], None]

    if not TYPE_CHECKING:
        # Few methods ask for these.
        session = property(lambda self: self._link.session)
        owner = property(lambda self: self._link.owner)

    def remember(self) -> None:
        """The answer was put off: the link has to know, if it still waits for somebody."""
        if self.waiter is not None:
            self._link.calls[self.serial] = self

    def finish(self, value: object) -> None:
        self._finish(value, None)

    def fail(self, error: BaseException) -> None:
        self._finish(None, error)

    def _finish(self, value: object, error: BaseException | None) -> None:
        link = self._link
        link.calls.pop(self.serial, None)
        if link.may_block:
            run_aside(partial(self.done, value, error))
        else:
            self.done(value, error)

    def expire_at(self, moment: float, waiter: Waiter) -> None:
        self._timers.add(moment, waiter)


class Timers:
    """The times at which waiters expire.

    :ivar moments: empty when there are none
    :param was_set: is called when there is a new one that comes first
    """

    def __init__(self, was_set: Callable[[], None]) -> None:
        self._was_set = was_set
        # A moment, a number that no other has, and a list with the waiter. Who waits no longer has
        # left its list empty; those are swept away when there may be many.
        self.moments: list[tuple[float, int, list[Waiter]]] = []
        self._count = 0
        self._most = FEW_TIMERS

    def add(self, moment: float, waiter: Waiter) -> None:
        """Have a waiter expire at a moment (of time.monotonic())."""
        # Only here: a server whose clients set no limits does not need it.
        from heapq import heapify, heappush

        with state_lock:
            heap = self.moments
            self._count += 1
            waiter.alarm = [waiter]
            timer = (moment, self._count, waiter.alarm)
            if len(heap) < self._most:
                heappush(heap, timer)
            else:
                swept = [*(one for one in heap if one[2]), timer]
                heapify(swept)
                heap[:] = swept  # in one step: others look at it without the lock
                self._most = max(FEW_TIMERS, 2 * len(heap))
            first = heap[0][2] is waiter.alarm
        if first:
            self._was_set()

    def __len__(self) -> int:
        """How many there are, with some of those who wait no longer."""
        return len(self.moments)

    def seconds(self) -> float | None:
        """How long it is to the first; None when there is none."""
        heap = self.moments
        return max(0.0, heap[0][0] - time.monotonic()) if heap else None

    def expire(self) -> None:
        """Have those expire whose time has come."""
        heap = self.moments
        if not heap or heap[0][0] > time.monotonic():
            return
        from heapq import heappop  # as above

        with state_lock:
            now = time.monotonic()
            while heap and heap[0][0] <= now:
                alarm = heappop(heap)[2]
                if alarm:
                    alarm[0].expire()
