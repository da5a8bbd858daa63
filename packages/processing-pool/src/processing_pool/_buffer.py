"""Owns the iterators that a pool gives out, and where results wait for their consumer."""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
import time
import weakref
from collections import deque

assert sys.platform != "win32"

from processing_core import MisuseError, SerializationError, TimeoutError
from processing_pool._results import Base, Failure, resolve, seconds_left
from processing_pool.errors import TaskCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any, TypeVar

    from processing_pool._abc import Engine

    ResultT = TypeVar("ResultT")

__all__ = ["Buffer", "IMapIterator"]

# How many values the consumer takes before it tells the producer, if so many are in flight.
TELL_EVERY = 16


class Buffer:
    """Values, or Failures, between the pool's thread and one consumer.

    What produces them extends this class: ``_go_on`` is called when the consumer has taken some,
    ``_is_at_end`` says whether none will be added any more.
    """

    most: int | None = None
    """How many values may wait for the consumer, if that is fixed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Nobody wants the values any more.
        self.over: bool = False
        # Guards what several threads change; nobody blocks while holding it.
        self._lock = threading.Lock()
        self._values: deque[Any] = deque()
        # What is raised after the last value.
        self._error: BaseException | None = None
        self._consumer: Any = None
        self._callbacks: list[Callable[[], object]] = []

    def _is_at_end(self) -> bool:
        raise NotImplementedError

    def _go_on(self, values: int | None) -> None:
        """So many values were taken; None for all that there were."""
        raise NotImplementedError

    def break_off(self, error: BaseException) -> None:
        """No more values will come, because of the error."""
        raise NotImplementedError

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing to come any more."""
        # In this order: at the end, nothing is added any more.
        return self._is_at_end() and not self._values

    def take(self, timeout: float | None) -> Any:
        """The next value or Failure. :raises StopIteration: :raises TimeoutError:"""
        limit = None if timeout is None else time.monotonic() + seconds_left(timeout)
        while True:
            try:
                return self._values.popleft()
            except IndexError:
                pass
            self._go_on(None)
            if self.exhausted:
                error, self._error = self._error, None
                if error is not None:
                    return Failure(error)
                raise StopIteration
            self._sleep(limit)

    def count_taken(self, values: int) -> None:
        """The consumer has taken so many values since it was last told."""
        self._go_on(values)

    def call_back(self, function: Callable[[], object]) -> None:
        """Have it called, once, when there is something new."""
        self._callbacks.append(function)

    def abandon(self) -> None:
        """Nobody wants the values any more."""
        if self.over or self.exhausted:
            return
        self.over = True
        self.break_off(TaskCancelled("the iterator was closed"))
        self._values.clear()
        if not self._engine.is_foreign:
            self._engine.withdraw(self)

    def _notify(self) -> None:
        consumer = self._consumer
        if consumer is not None:
            with contextlib.suppress(RuntimeError):  # it has been woken already
                consumer.release()
        while self._callbacks:
            self._callbacks.pop()()

    def _sleep(self, limit: float | None) -> None:
        if self._engine.is_current_thread:
            raise MisuseError("a callback cannot wait for a result: results come after it returns")
        lock = _thread.allocate_lock()
        lock.acquire()
        self._consumer = lock
        try:
            if self._values or self.exhausted:
                return
            left = -1.0 if limit is None else limit - time.monotonic()
            if limit is not None and left <= 0:
                raise TimeoutError("no result in time")
            lock.acquire(True, left)
        finally:
            self._consumer = None


class IMapIterator(Base["ResultT"]):
    """The results of imap, or the values of a stream, for one consumer.

    An iterator whose ``next`` takes a timeout, and an asynchronous iterator. When nobody has it any
    more, what is not done is dropped.
    """

    __slots__ = ("__weakref__", "_buffer", "_every", "_finalizer", "_lock", "_untold")

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._untold = 0
        self._every = min(TELL_EVERY, buffer.most or TELL_EVERY)
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, buffer.abandon)
        self._finalizer.atexit = False

    def __iter__(self) -> IMapIterator[ResultT]:
        return self

    def __next__(self) -> ResultT:
        return self.next()

    def next(self, timeout: float | None = None) -> ResultT:
        """The next value, waiting for it.

        :param timeout: for how many seconds to wait at most; None without limit
        :raises TimeoutError: when it was not there in time; another call may get it
        :raises StopIteration: when there are no more

        What a task or the iterable raised is raised here.
        """
        return self._open(self._take(timeout))

    def _take(self, timeout: float | None) -> Any:
        with self._lock:
            value = self._buffer.take(timeout)
            self._untold += 1
            if self._untold >= self._every:
                untold, self._untold = self._untold, 0
                self._buffer.count_taken(untold)
        return value

    @staticmethod
    def _open(value: Any) -> ResultT:
        if type(value) is Failure:
            raise value.error
        result: ResultT = value
        return result

    def close(self) -> None:
        """Drop what is not done and not consumed; no more values come."""
        self._finalizer()

    def __aiter__(self) -> IMapIterator[ResultT]:
        return self

    async def __anext__(self) -> ResultT:
        import asyncio

        loop = asyncio.get_running_loop()
        while True:
            future: asyncio.Future[None] = loop.create_future()

            def tell(future: asyncio.Future[None] = future) -> None:
                try:
                    loop.call_soon_threadsafe(resolve, future)
                except RuntimeError:
                    return  # the loop is closed, so nobody waits

            # Before looking: what comes after that is told.
            self._buffer.call_back(tell)
            try:
                value = self._take(0)
            except TimeoutError:
                await future
            except StopIteration:
                raise StopAsyncIteration from None
            else:
                return self._open(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'exhausted' if self._buffer.exhausted else 'running'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise SerializationError("an iterator of results belongs to the process of its pool")


IMapIterator.__module__ = "processing_pool"
