"""Owns imap: items are taken from an iterable as there is room, and results come one by one.

Items of a sized builtin container are taken by who consumes the results, since that cannot block;
those of other iterables by a thread, as their ``__next__`` may.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
import weakref
from collections import deque
from itertools import islice

assert sys.platform != "win32"

from processing_core import ClosedError, MisuseError, SerializationError, TimeoutError
from processing_pool import _wire as wire
from processing_pool._results import Base, Failure, open_outcome, seconds_left
from processing_pool._scheduler import Span
from processing_pool.errors import TaskCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from typing import Any, TypeVar

    from processing_pool._engine import Engine
    from processing_pool._functions import Function, Options

    ResultT = TypeVar("ResultT")

__all__ = ["Feed", "IMapIterator"]

# Without ``buffersize`` as many tasks are in flight as take the workers so long (seconds), at least
# so many per worker, and at most so many altogether.
BUFFER_SECONDS = 0.03
LEAST_PER_WORKER = 4
MOST_TASKS = 8192
# Taking an item from an iterator of these types cannot block.
QUICK = frozenset((
    list, tuple, range, set, frozenset, dict, str, bytes, type({}.keys()), type({}.values()),
    type({}.items()), deque,
))  # fmt: skip


class Feed:
    """The work of one imap: takes items, has tasks made of them, keeps the results for the consumer.

    The consumer's thread, the one that takes items and the pool's use it at the same time.
    """

    single = False

    def __init__(
        self,
        engine: Engine,
        function: Function,
        iterable: Iterable[Any],
        options: Options,
        *,
        chunk: int,
        ordered: bool,
        buffersize: int | None,
    ) -> None:
        self.function = function
        self.timing = function.timing if chunk == 1 else function.chunk_timing
        self.kind = wire.ITEMS if chunk == 1 else wire.CHUNKS
        self.retries = options.retries
        self.timeout = options.timeout
        self.bulky = False
        self.over = False
        self._engine = engine
        self._chunk = chunk
        self._ordered = ordered
        self._most = None if buffersize is None else max(1, buffersize // chunk)
        # Guards what follows; nobody blocks while holding it.
        self._lock = threading.Lock()
        self._items: dict[int, Any] = {}
        self._submitted = 0
        self._arrived: dict[int, Any] = {}
        self._next = 0  # the task whose result comes next, if ordered
        self._results: deque[Any] = deque()
        self._settled = 0  # tasks whose results the consumer may have
        self._consumed = 0  # of those, how many it has taken; a little behind
        self._all_taken = False
        self._error: BaseException | None = None
        self._consumer: Any = None
        self._callbacks: list[Any] = []
        self._iterator = iter(iterable)
        self._room: threading.Semaphore | None = None
        engine.open.add(self)
        self.quick = type(iterable) in QUICK
        if self.quick:
            self.refill()
        else:
            self._room = threading.Semaphore(0)
            threading.Thread(target=self._take_on, name="PoolFeed", daemon=True).start()

    # Taking items

    @property
    def _bound(self) -> int:
        """How many tasks may be in flight or wait for the consumer."""
        if self._most is not None:
            return self._most
        workers = self._engine.processes
        least = LEAST_PER_WORKER * workers
        cost = self.timing.cost
        if cost is None:
            return least
        return max(least, min(MOST_TASKS, int(BUFFER_SECONDS * workers / cost)))

    def _free(self) -> int:
        return self._bound - (self._submitted - self._consumed)

    def refill(self) -> None:
        """Take as many items as there is room for."""
        count = self._free()
        if count > 0 and not self._all_taken:
            self._take(count)

    def _take(self, count: int) -> None:
        """Take items for up to so many tasks."""
        first = self._submitted
        taken = 0
        try:
            if self._chunk == 1:
                items = list(islice(self._iterator, count))
                taken = len(items)
                self._items.update(zip(range(first, first + taken), items, strict=True))
            else:
                while taken < count:
                    items = list(islice(self._iterator, self._chunk))
                    if not items:
                        break
                    self._items[first + taken] = items
                    taken += 1
            ended = taken < count
        except BaseException as error:  # noqa: BLE001 - it is the consumer's
            self._end(error)
            return
        if taken:
            self._submitted = first + taken
            self._engine.submit(Span(self, first, taken))
        if ended:
            self._end(None)

    def _take_on(self) -> None:
        """What the thread does: take items one by one, so that none waits for the next."""
        assert self._room is not None
        engine = self._engine
        while not self.over and not self._all_taken:
            if self._free() <= 0 and not engine.closed:
                self._room.acquire(timeout=1.0)
                continue
            if engine.closed and self._free() <= 0:
                self._end(ClosedError("the pool was closed before the iterable was at its end"))
                return
            self._take(1)

    def _end(self, error: BaseException | None) -> None:
        """There are no more items."""
        with self._lock:
            self._all_taken = True
            self._error = error
            self._iterator = iter(())
        self._notify()

    # For the scheduler and the engine

    def items(self, first: int, count: int) -> Sequence[Any]:
        known = self._items
        return [known[place] for place in range(first, first + count)]

    def describe(self, index: int = 0) -> str:
        """The task in words, cut to size."""
        try:
            item = self._items[index]
        except KeyError:
            return self.function.name
        return self.function.describe_item([item], 0, 1)

    def accept(self, index: int, outcomes: Sequence[Any], *, plain: bool) -> None:
        """The outcomes of its tasks from ``index`` on."""
        if not plain:
            outcomes = [
                open_outcome(each, lambda place=place: self.describe(place))  # type: ignore[misc]
                if type(each) is tuple
                else each
                for place, each in enumerate(outcomes, index)
            ]
        self._keep(index, outcomes)

    def settle(self, index: int, value: Any) -> None:
        """The value of one of its tasks, or the Failure."""
        self._keep(index, [value])

    def _keep(self, index: int, values: Sequence[Any]) -> None:
        if self.over:
            return
        with self._lock:
            for place in range(index, index + len(values)):
                self._items.pop(place, None)
            if not self._ordered:
                self._hand_over(values)
            elif index == self._next and not self._arrived:
                self._hand_over(values)
                self._next += len(values)
            else:
                self._arrived.update(zip(range(index, index + len(values)), values, strict=True))
                while self._next in self._arrived:
                    self._hand_over([self._arrived.pop(self._next)])
                    self._next += 1
        self._notify()

    def _hand_over(self, values: Sequence[Any]) -> None:
        self._settled += len(values)
        if self._chunk == 1:
            self._results.extend(values)
            return
        for part in values:
            if type(part) is Failure:
                self._results.append(part)
            else:
                self._results.extend(part)

    def break_off(self, error: BaseException) -> None:
        """No more results will come."""
        with self._lock:
            if not self._all_taken or self._submitted != self._settled:
                self._all_taken = True
                self._settled = self._submitted
                self._error = error
                self._iterator = iter(())
        self._notify()

    def _notify(self) -> None:
        consumer = self._consumer
        if consumer is not None:
            try:
                consumer.release()
            except RuntimeError:
                pass  # it has been woken already
        while self._callbacks:
            self._callbacks.pop()()

    # For the consumer

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing to come any more."""
        return self._all_taken and self._settled >= self._submitted and not self._results

    def take(self, timeout: float | None) -> Any:
        """The next value or Failure. :raises StopIteration: TimeoutError:"""
        limit = None if timeout is None else time.monotonic() + seconds_left(timeout)
        while True:
            try:
                return self._results.popleft()
            except IndexError:
                pass
            self._consumed = self._settled
            self._go_on()
            if self.exhausted:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                raise StopIteration
            self._sleep(limit)

    def _go_on(self) -> None:
        """Have more items taken."""
        if self.quick:
            self.refill()
        elif self._room is not None:
            self._room.release()

    def _sleep(self, limit: float | None) -> None:
        if self._engine.is_current_thread:
            raise MisuseError("a callback cannot wait for a result: results come after it returns")
        lock = _thread.allocate_lock()
        lock.acquire()
        self._consumer = lock
        try:
            if self._results or self.exhausted:
                return
            left = -1.0 if limit is None else limit - time.monotonic()
            if limit is not None and left <= 0:
                raise TimeoutError("no result in time")
            lock.acquire(True, left)
        finally:
            self._consumer = None

    def count_consumed(self, values: int) -> None:
        """The consumer has taken so many values since it was last told."""
        self._consumed = min(self._settled, self._consumed + max(1, values // self._chunk))
        if self._free() > self._bound // 2 and not self._all_taken:
            self._go_on()

    def abandon(self) -> None:
        """Nobody consumes the results any more."""
        self.over = True
        self.break_off(TaskCancelled("the iterator was closed"))
        self._results.clear()
        if self._room is not None:
            self._room.release()
        self._engine.withdraw(self)


# How many values the consumer takes before it tells the feed, if there are so many.
TELL_EVERY = 16


class IMapIterator(Base["ResultT"]):
    """The results of imap, for one consumer: an iterator whose ``next`` takes a timeout.

    Also an asynchronous iterator. When nobody has it any more, what is not done is dropped.
    """

    __slots__ = ("__weakref__", "_every", "_feed", "_lock", "_untold")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._untold = 0
        self._every = min(TELL_EVERY, feed._most or TELL_EVERY)
        self._lock = threading.Lock()
        weakref.finalize(self, _abandon, feed).atexit = False

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
        with self._lock:
            value = self._feed.take(timeout)
            self._untold += 1
            if self._untold >= self._every:
                untold, self._untold = self._untold, 0
                self._feed.count_consumed(untold)
        if type(value) is Failure:
            raise value.error
        result: ResultT = value
        return result

    def close(self) -> None:
        """Drop what is not done and not consumed; no more values come."""
        self._feed.abandon()

    def __aiter__(self) -> IMapIterator[ResultT]:
        return self

    async def __anext__(self) -> ResultT:
        import asyncio

        while True:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()

            def tell(loop: Any = loop, future: Any = future) -> None:
                try:
                    loop.call_soon_threadsafe(_resolve, future)
                except RuntimeError:
                    return  # the loop is closed, so nobody waits

            self._feed._callbacks.append(tell)
            try:
                return self.next(0)
            except TimeoutError:
                await future
            except StopIteration:
                raise StopAsyncIteration from None

    def __reduce__(self) -> tuple[Any, ...]:
        raise SerializationError("an iterator of results belongs to the process of its pool")


def _resolve(future: Any) -> None:
    if not future.done():
        future.set_result(None)


def _abandon(feed: Feed) -> None:
    if not feed.exhausted:
        feed.abandon()


IMapIterator.__module__ = "processing_pool"
