"""Owns the queues that live in the server."""

from __future__ import annotations

from collections import deque
from queue import Empty, Full

from processing_managers._server.arguments import checked_count, checked_seconds
from processing_managers._server.calls import PENDING, Call, NoCopies, served
from processing_managers.errors import TooOftenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_managers._server.calls import Line

__all__ = ["QueueReferent"]


class QueueReferent(NoCopies):
    """A first in, first out queue, with the count of unfinished tasks of a joinable one."""

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = max(0, checked_count(maxsize, "maxsize", -(2**63)))
        self._items: deque[Any] = deque()
        self._getters: Line = {}
        self._putters: Line = {}
        self._joiners: Line = {}
        self._unfinished = 0

    @served
    def put(
        self, call: Call, item: Any, block: bool = True, timeout: float | None = None
    ) -> object:
        """Put an item, waiting while there is no room. :raises queue.Full: not in time"""
        if self._maxsize and len(self._items) >= self._maxsize:
            seconds = checked_seconds(timeout)
            if not block or seconds == 0.0:
                raise Full
            call.park(self._putters, seconds, lambda waiter: waiter.call.fail(Full()))
            assert call.waiter is not None
            call.waiter.item = item
            return PENDING
        self._add(item)
        return None

    def _add(self, item: Any) -> None:
        self._unfinished += 1
        if self._getters:
            waiter = next(iter(self._getters))
            waiter.leave()
            # What waits in get_many() has how many it takes, and gets them in a list.
            waiter.call.finish(item if waiter.item is None else [item])
        else:
            self._items.append(item)

    @served
    def get(self, call: Call, block: bool = True, timeout: float | None = None) -> object:
        """Remove the oldest item, waiting while there is none. :raises queue.Empty: not in time"""
        if not self._items:
            seconds = checked_seconds(timeout)
            if not block or seconds == 0.0:
                raise Empty
            return call.park(self._getters, seconds, lambda waiter: waiter.call.fail(Empty()))
        return self._take()

    def _take(self) -> Any:
        """Remove the oldest item; who waited for the room has it then."""
        item = self._items.popleft()
        if self._putters:
            waiter = next(iter(self._putters))
            waiter.leave()
            self._add(waiter.item)
            waiter.call.finish(None)
        return item

    @served
    def get_many(self, call: Call, max_items: int, timeout: float | None = None) -> object:
        """Remove the oldest items, at most ``max_items``, waiting while there is none; none if
        there was none in time.
        """
        most = checked_count(max_items, "max_items", 1)
        seconds = checked_seconds(timeout)
        if self._items:
            return [self._take() for _ in range(min(most, len(self._items)))]
        if seconds == 0.0:
            return []
        call.park(self._getters, seconds, lambda waiter: waiter.call.finish([]))
        assert call.waiter is not None
        call.waiter.item = most
        return PENDING

    @served
    def put_nowait(self, call: Call, item: Any) -> object:
        """Put an item. :raises queue.Full: when there is no room for it"""
        return QueueReferent.put.function(self, call, item, False)

    @served
    def get_nowait(self, call: Call) -> object:
        """Remove the oldest item. :raises queue.Empty: when there is none"""
        return QueueReferent.get.function(self, call, False)

    @served
    def put_many(self, call: Call, items: list[Any]) -> None:
        """Put all items. :raises queue.Full: when there is no room for all; then none was put"""
        del call
        # What those who wait for items get needs no room.
        if self._maxsize and len(self._items) + len(items) > self._maxsize + len(self._getters):
            raise Full
        for item in items:
            self._add(item)

    @served
    def qsize(self, call: Call) -> int:
        """How many items there are."""
        del call
        return len(self._items)

    @served
    def empty(self, call: Call) -> bool:
        """Whether there is no item."""
        del call
        return not self._items

    @served
    def full(self, call: Call) -> bool:
        """Whether there is no room for another item."""
        del call
        return 0 < self._maxsize <= len(self._items)

    @served
    def task_done(self, call: Call) -> None:
        """One of the items is done with. :raises TooOftenError: for more than there were"""
        del call
        if self._unfinished == 0:
            raise TooOftenError("task_done() called more often than there were items")
        self._unfinished -= 1
        if self._unfinished == 0:
            for waiter in list(self._joiners):
                waiter.leave()
                waiter.call.finish(None)

    @served
    def join(self, call: Call) -> object:
        """Wait until all items are done with."""
        if not self._unfinished:
            return None
        return call.park(self._joiners, None, lambda waiter: waiter.call.finish(None))

    def __repr__(self) -> str:
        return f"<Queue({len(self._items)} items, maxsize {self._maxsize})>"
