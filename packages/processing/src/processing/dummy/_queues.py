"""Owns queues of threads, with the methods of those of processes."""

from __future__ import annotations

import operator
import queue
import weakref

from processing.dummy._process import Process, current_process
from processing.dummy._timeouts import seconds
from processing.dummy._waiting import Watchers
from processing_core import ClosedError, InvalidArgument, InvalidType, MisuseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from typing_extensions import TypeVar

    from processing_core.abc import StartsProcesses

    ItemT = TypeVar("ItemT", default=Any)
else:
    ItemT = object

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


class _Closers:
    """The processes that have closed a queue: it stays open for the others."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Process] = weakref.WeakSet()

    def add(self) -> None:
        """The current process closes it."""
        self._all.add(current_process())

    @property
    def has_current(self) -> bool:
        """Whether the current process has closed it."""
        return bool(self._all) and current_process() in self._all

    def check(self, one: object) -> None:
        """See that the current process has not. :raises ClosedError: when it has"""
        if self.has_current:
            raise ClosedError(f"the {type(one).__name__} is closed in this process")


class Queue(queue.Queue[ItemT]):
    """A first in, first out queue of objects for any number of threads.

    :param maxsize: how many items there may be at most; 0 or less for any number
    :param max_bytes: ignored: items are not pickled
    :param ctx: ignored

    :raises InvalidType: (a TypeError) when ``maxsize`` is not a whole number

    Who gets an item gets the object itself, not a copy.
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        max_bytes: int | None = None,  # noqa: ARG002 - as queues of processes
        ctx: StartsProcesses | None = None,  # noqa: ARG002 - as queues of processes
    ) -> None:
        super().__init__(max(0, _whole(maxsize, "maxsize")))
        self._closers = _Closers()
        self._watchers = Watchers()

    def put(self, obj: ItemT, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, waiting while the queue is full.

        :param block: False to raise at once instead of waiting
        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Full: when there was no room in time
        :raises ClosedError: (a ValueError) after ``close()`` in this process
        """
        self._closers.check(self)
        super().put(obj, block, seconds(timeout))
        self._watchers.tell()

    def put_nowait(self, obj: ItemT) -> None:
        """Put an item if there is room at once. :raises queue.Full: if not"""
        self.put(obj, False)

    putNoWait = put_nowait

    def put_many(self, iterable: Iterable[ItemT]) -> None:
        """Put all items of an iterable; for queues without a limit.

        :raises MisuseError: (an AssertionError) when the queue has a limit
        """
        self._closers.check(self)
        if self.maxsize:
            raise MisuseError("put_many() is for queues without maxsize")
        # First of all, as nothing is put when the iterable raises.
        for item in [*iterable]:
            super().put(item)
        self._watchers.tell()

    putMany = put_many
    putmany = put_many

    def get(self, block: bool = True, timeout: float | None = None) -> ItemT:
        """Remove the oldest item, waiting while there is none.

        :param block: False to raise at once instead of waiting
        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Empty: when there was none in time
        :raises ClosedError: (a ValueError) after ``close()`` in this process
        """
        self._closers.check(self)
        return super().get(block, seconds(timeout))

    def get_nowait(self) -> ItemT:
        """Remove the oldest item if there is one at once. :raises queue.Empty: if not"""
        return self.get(False)

    getNoWait = get_nowait

    def get_many(self, max_items: int, timeout: float | None = None) -> list[ItemT]:
        """Remove the oldest items, at most ``max_items``, waiting only while there is none.

        Returns an empty list when the ``timeout`` (seconds; None without limit) has passed.

        :raises InvalidArgument: (a ValueError) when ``max_items`` is not positive
        """
        most = _whole(max_items, "max_items")
        if most < 1:
            raise InvalidArgument(f"max_items must be positive, not {most}")
        items: list[ItemT] = []
        try:
            items.append(self.get(True, timeout))
            while len(items) < most:
                items.append(self.get(False))
        except queue.Empty:
            return items
        return items

    def qsize(self) -> int:
        """The number of items at this moment."""
        self._closers.check(self)
        return super().qsize()

    def empty(self) -> bool:
        """Whether there is nothing to get at this moment."""
        self._closers.check(self)
        return super().empty()

    def full(self) -> bool:
        """Whether there is no room for another item at this moment."""
        self._closers.check(self)
        return super().full()

    def close(self) -> None:
        """Neither put nor get any more in this process. May be called again."""
        self._closers.add()

    def join_thread(self) -> None:
        """Return at once: what was put is in the queue. After ``close()`` only.

        :raises MisuseError: (an AssertionError) before ``close()``
        """
        if not self._closers.has_current:
            raise MisuseError("join_thread() may be called only after close()")

    joinThread = join_thread
    jointhread = join_thread

    def cancel_join_thread(self) -> None:
        """Do nothing: nobody waits for a queue at the end."""

    cancelJoin = cancel_join_thread
    canceljoin = cancel_join_thread
    cancelJoinThread = cancel_join_thread

    def task_done(self) -> None:
        """Report that an item that was got is done with.

        :raises InvalidArgument: (a ValueError) when called more often than items were put
        """
        try:
            super().task_done()
        except ValueError as error:
            raise InvalidArgument(str(error)) from None

    taskDone = task_done

    def _get_ready(self) -> bool:
        return not self.empty()

    def _get_watchers(self) -> Watchers:
        return self._watchers

    def __repr__(self) -> str:
        state = "closed" if self._closers.has_current else f"qsize={super().qsize()}"
        return f"<{type(self).__name__} {state} maxsize={self.maxsize}>"


class JoinableQueue(Queue[ItemT]):
    """A Queue whose users report when they are done with an item; others may wait for that."""

    def join(self) -> None:
        """Wait until as many items were reported done as were put."""
        super().join()


class SimpleQueue(queue.SimpleQueue[ItemT]):
    """A queue without limits and options. See Queue."""

    def __init__(self, *, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        super().__init__()
        self._closers = _Closers()
        self._watchers = Watchers()

    def put(self, obj: ItemT, block: bool = True, timeout: float | None = None) -> None:
        """Put an item. There is always room.

        :raises ClosedError: (a ValueError) after ``close()`` in this process
        """
        self._closers.check(self)
        super().put(obj, block, seconds(timeout))
        self._watchers.tell()

    def get(self, block: bool = True, timeout: float | None = None) -> ItemT:
        """Remove the oldest item, waiting while there is none. See Queue.

        :raises queue.Empty: when there was none in time
        :raises ClosedError: (a ValueError) after ``close()`` in this process
        """
        self._closers.check(self)
        return super().get(block, seconds(timeout))

    def empty(self) -> bool:
        """Whether there is nothing to get at this moment."""
        self._closers.check(self)
        return super().empty()

    def close(self) -> None:
        """Neither put nor get any more in this process. May be called again."""
        self._closers.add()

    def _get_ready(self) -> bool:
        return not self.empty()

    def _get_watchers(self) -> Watchers:
        return self._watchers

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' closed' if self._closers.has_current else ''}>"


def _whole(value: int, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidType(f"{what} must be a whole number, not {value!r}") from None


for _public in (JoinableQueue, Queue, SimpleQueue):
    _public.__module__ = "processing.dummy"
del _public
