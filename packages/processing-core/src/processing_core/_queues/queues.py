"""Owns the queues: the documented methods, in both spellings, and how they travel."""

from __future__ import annotations

import operator
import queue
import sys

assert sys.platform != "win32"

from processing_core._generic import TYPE_CHECKING, ItemT
from processing_core._platform.awaiting import ready
from processing_core._platform.mailbox import Mailbox
from processing_core._platform.shared_file import SharedFile
from processing_core._ring.channel import moment
from processing_core._ring.layout import FOR_MESSAGES, FOR_ROOM
from processing_core._ring.messages import MessageChannel
from processing_core._serialize.packer import Packer, register_carrier
from processing_core._serialize.transfer import take_descriptor
from processing_core.errors import InvalidArgument, InvalidType, MisuseError, SharingError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from processing_core.abc import StartsProcesses

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


def _reduce(one: Any, packer: Packer) -> tuple[Any, ...]:
    if one._closed:
        one._check_open()
    file = packer.attach(one._file.descriptor)
    boxes = [
        [packer.attach(descriptor) for descriptor in box.descriptors] if box is not None else None
        for box in (one._mailbox, one._room)
    ]
    return _rebuild, (type(one), file, one._file.size, *boxes, one._maxsize, one._ring.ceiling or 0)


def _rebuild(
    cls: type[Any],
    file: int,
    size: int,
    mailbox: list[int],
    room: list[int] | None,
    maxsize: int,
    ceiling: int,
) -> Any:
    shared = SharedFile(take_descriptor(file), size)
    first = Mailbox([take_descriptor(index) for index in mailbox])
    second = None if room is None else Mailbox([take_descriptor(index) for index in room])
    one = object.__new__(cls)
    MessageChannel.__init__(one, shared, first, second, maxsize, ceiling)
    return one


class _Shared(MessageChannel[ItemT]):
    """What all queues share: making, closing, travelling."""

    def empty(self) -> bool:
        """Whether there is nothing to get at this moment; exact."""
        self._check_open()
        return not self._kept and not self._has_messages()

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to get.

        For ``wait``, ``select`` and event loops. Several processes may wait for it: each finds out
        with ``get(block=False)`` whether it was the fastest.
        """
        self._check_open()
        return self._arm(FOR_MESSAGES)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        register_carrier(cls, _reduce)

    def __reduce__(self) -> tuple[Any, ...]:
        raise SharingError(
            f"a {type(self).__name__} can be passed to a child when it is started or sent through "
            "a connection or a queue, but not pickled otherwise"
        )


class Queue(_Shared[ItemT]):
    """A first in, first out queue of objects for any number of processes and threads.

    :param maxsize: how many items there may be at most; 0 or less for any number
    :param max_bytes: how much their pickles and buffers may take together, in bytes, those of bytes
        objects being what they are; None for as much as there is memory
    :param ctx: ignored; a queue works with every start method

    :raises InvalidType: (a TypeError) when a limit is not a number
    :raises InvalidArgument: (a ValueError) when ``max_bytes`` is not positive
    :raises MemoryError: when there is no room for a queue
    :raises OSError: when this process has no descriptors left

    Items are pickled by ``put`` itself, in the calling thread; there is no other. Items of one
    producer come in the order in which it has put them. Nothing waits for a process that was
    killed, and nothing but the item in its hands is lost with it. All methods may be called by any
    thread. A queue can be passed to children and sent through connections and queues.
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        max_bytes: int | None = None,
        ctx: StartsProcesses | None = None,  # noqa: ARG002 - as in the standard library
    ) -> None:
        super().__init__(*self._create(_limit(maxsize, "maxsize"), _ceiling(max_bytes)))

    def put_nowait(self, obj: ItemT) -> None:
        """Put an item if there is room at once. :raises queue.Full: if not"""
        self.put(obj, False)

    putNoWait = put_nowait

    def put_many(self, iterable: Iterable[ItemT]) -> None:
        """Put all items of an iterable, much faster than one by one; for queues without a limit.

        If an item does not pickle, or there is no memory, nothing is put; only items that are large
        or carry descriptors are put one by one.

        :raises MisuseError: (an AssertionError) when the queue has a limit
        """
        self._check_open()
        if self._maxsize or self._ring.ceiling is not None:
            raise MisuseError("put_many() is for queues without maxsize and max_bytes")
        self._put_many(iterable)

    putMany = put_many
    putmany = put_many

    def get_nowait(self) -> ItemT:
        """Remove the oldest item if there is one at once. :raises queue.Empty: if not"""
        return self.get(False)

    getNoWait = get_nowait

    def get_many(self, max_items: int, timeout: float | None = None) -> list[ItemT]:
        """Remove the oldest items, at most ``max_items``, waiting only while there is none.

        Returns an empty list when the ``timeout`` (seconds; None without limit) has passed.

        :raises InvalidArgument: (a ValueError) when ``max_items`` is not positive
        """
        self._check_open()
        most = _whole(max_items, "max_items")
        if most < 1:
            raise InvalidArgument(f"max_items must be positive, not {most}")
        return self._get_many(most, moment(True, timeout))

    async def aget(self) -> ItemT:
        """As get(), for asyncio. Takes no thread; when it is cancelled no item is lost."""
        while True:
            try:
                return self.get(False)
            except queue.Empty:
                await ready(self.fileno())

    async def aput(self, obj: ItemT) -> None:
        """As put(), for asyncio. Takes no thread; when it is cancelled nothing was put."""
        while True:
            try:
                return self.put(obj, False)
            except queue.Full:
                await ready(self._arm(FOR_ROOM))

    def qsize(self) -> int:
        """The number of items at this moment; exact."""
        self._check_open()
        return len(self._ring) + len(self._kept)

    def full(self) -> bool:
        """Whether there is no room for another item at this moment; exact."""
        self._check_open()
        return self._is_full()

    def join_thread(self) -> None:
        """Return at once: there is no thread, what was put is in the queue. After ``close()`` only.

        :raises MisuseError: (an AssertionError) before ``close()``
        """
        if not self._closed:
            raise MisuseError("join_thread() may be called only after close()")

    joinThread = join_thread
    jointhread = join_thread

    def cancel_join_thread(self) -> None:
        """Do nothing: a process that has put items never waits for anybody at its end."""

    cancelJoin = cancel_join_thread
    canceljoin = cancel_join_thread
    cancelJoinThread = cancel_join_thread

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"qsize={self.qsize()}"
        return f"<{type(self).__name__} {state} maxsize={self._maxsize}>"


class JoinableQueue(Queue[ItemT]):
    """A Queue whose users report when they are done with an item; others may wait for that."""

    def task_done(self) -> None:
        """Report that an item that was got is done with.

        :raises InvalidArgument: (a ValueError) when called more often than items were put
        """
        self._task_done()

    taskDone = task_done

    def join(self) -> None:
        """Wait until as many items were reported done as were put."""
        self._join()


class SimpleQueue(_Shared[ItemT]):
    """A queue without limits and options. See Queue."""

    def __init__(self, *, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        super().__init__(*self._create(0, 0))

    @property
    def _reader(self) -> _Reader:
        """What the executors of concurrent.futures wait for and receive from."""
        return _Reader(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' closed' if self._closed else ''}>"


class _Reader:
    """A queue as if it were the end of a pipe that is read by nobody else."""

    def __init__(self, queue: SimpleQueue[Any]) -> None:
        self.fileno = queue.fileno
        self.recv = queue.get


def _whole(value: int, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidType(f"{what} must be a whole number, not {value!r}") from None


def _limit(maxsize: int, what: str) -> int:
    limit = max(0, _whole(maxsize, what))
    # More than the counters can tell apart are no limit.
    return limit if limit < 1 << 31 else 0


def _ceiling(max_bytes: int | None) -> int:
    if max_bytes is None:
        return 0
    ceiling = _whole(max_bytes, "max_bytes")
    if ceiling < 1:
        raise InvalidArgument(f"max_bytes must be positive, not {ceiling}")
    return ceiling


for _public in (JoinableQueue, Queue, SimpleQueue):
    _public.__module__ = "processing_core"
del _public
