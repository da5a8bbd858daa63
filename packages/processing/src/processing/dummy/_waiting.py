"""Owns waiting for several things of this process at once: ``wait``, and how it is woken."""

from __future__ import annotations

import queue
from time import monotonic

from processing.dummy._timeouts import seconds
from processing_core import InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol, TypeAlias, TypeVar

    # What is put there wakes one who waits. Nothing else can be done in the middle of a collection
    # of garbage, which may close a connection.
    Bell: TypeAlias = queue.SimpleQueue[None]

    class Waitable(Protocol):
        """A connection, a listener, a queue, or the sentinel of a process."""

        def _get_ready(self) -> bool: ...
        def _get_watchers(self) -> Watchers: ...

    WaitableT = TypeVar("WaitableT", bound=Waitable)


__all__ = ["Sentinel", "Watchers", "wait"]


class Watchers:
    """Those who wait for something, among other things."""

    __slots__ = ("_bells",)

    def __init__(self) -> None:
        self._bells: list[Bell] = []

    def tell(self) -> None:
        """It may have become ready."""
        for bell in tuple(self._bells):
            bell.put(None)

    def add(self, bell: Bell) -> None:
        """Somebody begins to wait."""
        self._bells.append(bell)

    def remove(self, bell: Bell) -> None:
        """Somebody waits no more."""
        self._bells.remove(bell)


class Sentinel:
    """What is ready when a process has ended."""

    __slots__ = ("_ended", "_watchers")

    def __init__(self) -> None:
        self._ended = False
        self._watchers = Watchers()

    def _end(self) -> None:
        """The process has ended."""
        self._ended = True
        self._watchers.tell()

    def _get_ready(self) -> bool:
        return self._ended

    def _get_watchers(self) -> Watchers:
        return self._watchers


def wait(object_list: Iterable[WaitableT], timeout: float | None = None) -> list[WaitableT]:
    """Wait until at least one of the objects is ready; return those that are, in their order.

    :param object_list: connections, listeners and queues of this package, and sentinels of its
        processes. A connection is ready when it can receive or its other end is closed.
    :param timeout: for how many seconds at most; None without limit

    The list is empty when the time ran out.

    :raises InvalidType: (a TypeError) when an object is none of these
    :raises OSError: when a connection or a listener is closed
    """
    left = seconds(timeout)
    end = None if left is None else monotonic() + left
    objects = list(object_list)
    if not objects and end is None:
        return []  # nothing could ever end the wait
    for each in objects:
        if not hasattr(each, "_get_watchers"):
            raise InvalidType(f"only objects of processing.dummy can be waited for, not {each!r}")
    bell: Bell = queue.SimpleQueue()
    watched = [each._get_watchers() for each in objects]
    for watchers in watched:
        watchers.add(bell)
    try:
        while True:
            ready = [each for each in objects if each._get_ready()]
            if ready or (left is not None and left <= 0):
                return ready
            try:
                bell.get(True, left)
            except queue.Empty:
                left = 0.0
            else:
                left = None if end is None else max(0.0, end - monotonic())
    finally:
        for watchers in watched:
            watchers.remove(bell)


for _public in (Sentinel, wait):
    _public.__module__ = "processing.dummy"
del _public
