"""Owns the proxies of locks, semaphores, conditions, events, barriers and queues."""

from __future__ import annotations

import time
import warnings

from processing_core import OwnerDiedWarning
from processing_managers._client.generic import TYPE_CHECKING, Container, ItemT
from processing_managers._proxies.base import BaseProxy, known_proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import ClassVar

__all__ = [
    "AcquirerProxy",
    "BarrierProxy",
    "ConditionProxy",
    "EventProxy",
    "JoinableQueueProxy",
    "LockProxy",
    "QueueProxy",
    "RLockProxy",
    "SemaphoreProxy",
]

# What acquire answers to who takes a lock over from a process that has died.
ABANDONED = 2


class _Unique(BaseProxy):
    """A proxy to what has no value to be compared by: it equals proxies to the same object."""

    def __eq__(self, other: object) -> bool:
        return self._is_same(other)

    __hash__: ClassVar[None] = None  # as of all proxies


class AcquirerProxy(_Unique):
    """A proxy to something that is acquired and released, also by a ``with`` statement."""

    _exposed_: tuple[str, ...] | None = ("acquire", "release")

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire it.

        :param block: False to return at once
        :param timeout: for how many seconds to wait at most; None without limit
        :returns: whether it was had
        :raises ManagerLost: when the manager ends meanwhile

        Where a process has died that held it, an OwnerDiedWarning tells so.
        """
        limits = () if block and timeout is None else (block, timeout)
        answer = self._callmethod("acquire", limits)
        if answer == ABANDONED and answer is not True:
            warn_of_death(self)
        return bool(answer)

    def release(self) -> None:
        """Release it. :raises NotHeldError: (an AssertionError and a ValueError) when it is not"""
        self._callmethod("release")

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def warn_of_death(proxy: BaseProxy) -> None:
    """Tell that a lock was taken over from a process that has died."""
    warnings.warn(
        f"a process ended while it held {proxy!r}; what the lock guards may be half changed",
        OwnerDiedWarning,
        stacklevel=3,
    )


class LockProxy(AcquirerProxy):
    """A proxy to a lock that anybody may release."""

    _exposed_ = ("acquire", "locked", "release")

    def locked(self) -> bool:
        """Whether somebody holds it."""
        answer: bool = self._callmethod("locked")
        return answer


class RLockProxy(LockProxy):
    """A proxy to a lock that its owner, a thread of a process, may acquire again."""


class SemaphoreProxy(AcquirerProxy):
    """A proxy to a semaphore."""

    _exposed_ = ("acquire", "get_value", "release")

    def release(self, n: int = 1) -> None:
        """Release it ``n`` times.

        :raises InvalidArgument: (a ValueError) when a bounded one would get more than it had
        """
        self._callmethod("release", (n,))

    def get_value(self) -> int:
        """How often it can be acquired at this moment."""
        answer: int = self._callmethod("get_value")
        return answer

    getValue = get_value


class ConditionProxy(AcquirerProxy):
    """A proxy to a condition variable."""

    _exposed_ = ("acquire", "notify", "notify_all", "release", "wait")

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait for a notification, and acquire the lock again.

        :param timeout: for how many seconds to wait for the notification; None without limit
        :returns: whether there was one in time
        :raises NotHeldError: (an AssertionError) when the caller does not hold the lock
        """
        answer = self._callmethod("wait", (timeout,))
        if isinstance(answer, tuple):
            answer = answer[0]
            warn_of_death(self)
        return bool(answer)

    def wait_for(self, predicate: Callable[[], ItemT], timeout: float | None = None) -> ItemT:
        """Wait until ``predicate()`` is true, which is asked in this process.

        :returns: what it returned last
        """
        end = None if timeout is None else time.monotonic() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    waitFor = wait_for

    def notify(self, n: int = 1) -> None:
        """Wake ``n`` of those who wait. :raises NotHeldError: as of wait"""
        self._callmethod("notify", (n,))

    def notify_all(self) -> None:
        """Wake all who wait. :raises NotHeldError: as of wait"""
        self._callmethod("notify_all")

    notifyAll = notify_all


class EventProxy(_Unique):
    """A proxy to an event."""

    _exposed_ = ("clear", "is_set", "set", "wait")

    def is_set(self) -> bool:
        """Whether it is set."""
        answer: bool = self._callmethod("is_set")
        return answer

    isSet = is_set

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._callmethod("set")

    def clear(self) -> None:
        """Make it unset."""
        self._callmethod("clear")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; returns whether it was within ``timeout`` seconds."""
        answer: bool = self._callmethod("wait", (timeout,))
        return answer


class BarrierProxy(_Unique):
    """A proxy to a barrier."""

    _exposed_ = ("abort", "reset", "state", "wait")

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the other parties; returns a number from 0 to parties - 1, another for each.

        :raises threading.BrokenBarrierError: when it is broken, by whatever means: a party's
            process that ends while it waits breaks it
        """
        number: int = self._callmethod("wait", (timeout,))
        return number

    def abort(self) -> None:
        """Break it."""
        self._callmethod("abort")

    def reset(self) -> None:
        """Make it as new; who waits gets BrokenBarrierError."""
        self._callmethod("reset")

    def _state(self) -> tuple[int, int, bool]:
        state: tuple[int, int, bool] = self._callmethod("state")
        return state

    @property
    def parties(self) -> int:
        """How many it waits for."""
        return self._state()[0]

    @property
    def n_waiting(self) -> int:
        """How many wait at this moment."""
        return self._state()[1]

    nWaiting = n_waiting

    @property
    def broken(self) -> bool:
        """Whether it is broken."""
        return self._state()[2]


class QueueProxy(_Unique, Container[ItemT]):
    """A proxy to a first in, first out queue."""

    _exposed_ = (
        "empty",
        "full",
        "get",
        "get_many",
        "get_nowait",
        "join",
        "put",
        "put_many",
        "put_nowait",
        "qsize",
        "task_done",
    )

    def put(self, obj: ItemT, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, waiting while the queue is full.

        :param block: False to raise at once instead of waiting
        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Full: when there was no room in time
        """
        limits = () if block and timeout is None else (block, timeout)
        self._callmethod("put", (obj, *limits))

    def get(self, block: bool = True, timeout: float | None = None) -> ItemT:
        """Remove the oldest item and return it, waiting while there is none.

        :param block: False to raise at once instead of waiting
        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Empty: when there was no item in time
        """
        limits = () if block and timeout is None else (block, timeout)
        item: ItemT = self._callmethod("get", limits)
        return item

    def put_nowait(self, obj: ItemT) -> None:
        """As ``put(obj, block=False)``."""
        self._callmethod("put_nowait", (obj,))

    putNoWait = put_nowait

    def get_nowait(self) -> ItemT:
        """As ``get(block=False)``."""
        item: ItemT = self._callmethod("get_nowait")
        return item

    getNoWait = get_nowait

    def get_many(self, max_items: int, timeout: float | None = None) -> list[ItemT]:
        """Remove the oldest items, at most ``max_items``, waiting only while there is none.

        Returns an empty list when ``timeout`` (seconds; None without limit) has passed.

        :raises InvalidArgument: (a ValueError) when ``max_items`` is not positive
        """
        items: list[ItemT] = self._callmethod("get_many", (max_items, timeout))
        return items

    def put_many(self, iterable: Iterable[ItemT]) -> None:
        """Put all items in one request. :raises queue.Full: when not all fit; none was put then"""
        self._callmethod("put_many", (list(iterable),))

    putMany = put_many
    putmany = put_many

    def qsize(self) -> int:
        """How many items there are."""
        size: int = self._callmethod("qsize")
        return size

    def empty(self) -> bool:
        """Whether there is no item."""
        answer: bool = self._callmethod("empty")
        return answer

    def full(self) -> bool:
        """Whether there is no room for another item."""
        answer: bool = self._callmethod("full")
        return answer

    def task_done(self) -> None:
        """An item that was got is done with.

        :raises TooOftenError: (an AssertionError and a ValueError) for more than there were
        """
        self._callmethod("task_done")

    taskDone = task_done

    def join(self) -> None:
        """Wait until all items are done with."""
        self._callmethod("join")


class JoinableQueueProxy(QueueProxy[ItemT]):
    """A proxy to a joinable queue."""


known_proxies.update(
    {
        "Lock": LockProxy,
        "RLock": RLockProxy,
        "Semaphore": SemaphoreProxy,
        "BoundedSemaphore": SemaphoreProxy,
        "Condition": ConditionProxy,
        "Event": EventProxy,
        "Barrier": BarrierProxy,
        "Queue": QueueProxy,
        "JoinableQueue": JoinableQueueProxy,
    }
)
