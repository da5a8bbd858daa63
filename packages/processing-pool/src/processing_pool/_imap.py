"""Owns imap: items are taken from an iterable as there is room, and results come one by one.

Items of a builtin container are taken by who consumes the results, since that cannot block; those
of other iterables by a thread, as their ``__next__`` may.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from itertools import islice

assert sys.platform != "win32"

from processing_core import ClosedError
from processing_pool import _wire as wire
from processing_pool._buffer import Buffer
from processing_pool._results import Failure, open_outcomes
from processing_pool._scheduler import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from processing_pool._abc import Engine
    from processing_pool._functions import Function
    from processing_pool._options import Options

__all__ = ["Feed"]

# Without ``buffersize`` as many tasks are in flight as take the workers so long (seconds), at least
# so many per worker, and at most so many altogether.
BUFFER_SECONDS = 0.03
LEAST_PER_WORKER = 4
MOST_TASKS = 8192
# How often the thread looks whether it is still needed (seconds).
LOOK_SECONDS = 5.0
# Taking an item from an iterator of these types cannot block.
QUICK = frozenset((
    list, tuple, range, set, frozenset, dict, str, bytes, type({}.keys()), type({}.values()),
    type({}.items()), deque,
))  # fmt: skip


class Feed(Buffer):
    """The work of one imap: takes items, has tasks made of them, keeps the results.

    The consumer's thread, the one that takes items and the pool's use it at the same time.
    """

    single = False
    grants = None

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
        super().__init__(engine)
        self.function = function
        self.timing = function.timing if chunk == 1 else function.chunk_timing
        self.kind = wire.ITEMS if chunk == 1 else wire.CHUNKS
        self.retries = options.retries
        self.timeout = options.timeout
        self.bulky = False
        self.most = buffersize
        self._chunk = chunk
        self._ordered = ordered
        self._items: dict[int, Any] = {}
        self._submitted = 0
        self._arrived: dict[int, Any] = {}
        self._next = 0  # the task whose result comes next, if ordered
        self._settled = 0  # tasks whose results the consumer may have
        self._consumed = 0  # of those, how many it has taken; a little behind
        self._all_taken = False
        self._without_bound = False
        self._iterator = iter(iterable)
        self._room: threading.Semaphore | None = None
        self._quick = type(iterable) in QUICK
        # Only one thread takes items at a time.
        self._taking = threading.Lock()
        engine.open(self)
        if self._quick:
            self._refill()
        else:
            self._room = threading.Semaphore(0)
            threading.Thread(target=self._take_on, name="PoolFeed", daemon=True).start()

    # Taking items

    @property
    def is_taking(self) -> bool:
        """Whether there may be more items to submit."""
        return not self._all_taken and not self.over

    def _free(self) -> int:
        """How many more tasks may be in flight or wait for the consumer."""
        if self._without_bound:
            return MOST_TASKS
        if self.most is not None:
            bound = max(1, self.most // self._chunk)
        else:
            workers = self._engine.processes
            bound = LEAST_PER_WORKER * workers
            cost = self.timing.cost
            if cost is not None:
                bound = max(bound, min(MOST_TASKS, int(BUFFER_SECONDS * workers / cost)))
        return bound - (self._submitted - self._consumed)

    def _refill(self) -> None:
        """Take as many items as there is room for."""
        with self._taking:
            count = self._free()
            if count > 0 and not self._all_taken:
                self._take(count)

    def _take(self, count: int) -> None:
        """Take items for up to so many tasks."""
        first = self._submitted
        taken = 0
        error: BaseException | None = None
        ended = False
        try:
            while taken < count and not ended:
                part = list(islice(self._iterator, self._chunk if self._chunk > 1 else count))
                if self._chunk == 1:
                    self._items.update(zip(range(first, first + len(part)), part, strict=True))
                    taken = len(part)
                    ended = taken < count
                elif part:
                    self._items[first + taken] = part
                    taken += 1
                else:
                    ended = True
        except BaseException as problem:  # noqa: BLE001 - it is the consumer's
            error, ended = problem, True
        with self._lock:
            if self._all_taken:
                return  # it was broken off meanwhile
            self._submitted = first + taken
            if ended:
                self._all_taken = True
                self._error = error
        if taken:
            self._engine.submit(Span(self, first, taken))
        if ended:
            self._iterator = iter(())
            self._end()

    def _take_on(self) -> None:
        """What the thread does: take items one by one, so that none waits for the next."""
        room = self._room
        assert room is not None
        while self.is_taking:
            if self._free() <= 0:
                room.acquire(timeout=LOOK_SECONDS)
            else:
                self._take(1)

    def _end(self) -> None:
        """There are no more items."""
        self._notify()
        self._engine.wake()

    def take_all(self, *, endless: bool) -> None:
        """The pool is waited for, so no consumer can be: submit the rest now.

        An iterable that may be endless is broken off, unless that is asked for.
        """
        if not self.is_taking:
            return
        if self._quick or endless:
            self._without_bound = True
            while self._quick and self.is_taking:
                self._refill()
        else:
            with self._lock:
                self._all_taken = True
                self._error = ClosedError("the pool was closed before the iterable was at its end")
            self._end()
        if self._room is not None:
            self._room.release()

    # For the scheduler and the engine

    def items(self, first: int, count: int) -> Sequence[Any]:
        known = self._items
        return [known.get(place) for place in range(first, first + count)]

    def describe(self, index: int = 0) -> str:
        """The task in words, cut to size."""
        try:
            item = self._items[index]
        except KeyError:
            return self.function.name
        return self.function.describe_item([item], 0, 1)

    def accept(self, index: int, outcomes: Sequence[Any], *, plain: bool) -> None:
        """The outcomes of its tasks from ``index`` on."""
        self._keep(index, outcomes if plain else open_outcomes(outcomes, index, self.describe))

    def settle(self, index: int, value: Any) -> None:
        """The value of one of its tasks, or the Failure."""
        self._keep(index, [value])

    def _keep(self, index: int, values: Sequence[Any]) -> None:
        with self._lock:
            if self.over:
                return
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
        # The values before the count: whoever finds that all are settled finds them all.
        if self._chunk == 1:
            self._values.extend(values)
        else:
            for part in values:
                if type(part) is Failure:
                    self._values.append(part)
                else:
                    self._values.extend(part)
        self._settled += len(values)

    def break_off(self, error: BaseException) -> None:
        """No more results will come, because of the error."""
        with self._lock:
            if not self._all_taken or self._submitted != self._settled:
                self._all_taken = True
                self._settled = self._submitted
                self._error = error
        self._end()
        if self._room is not None:
            self._room.release()

    # For the consumer

    def _is_at_end(self) -> bool:
        return self._all_taken and self._settled >= self._submitted

    def _go_on(self, values: int | None) -> None:
        if values is None:
            self._consumed = self._settled
        else:
            self._consumed = min(self._settled, self._consumed + max(1, values // self._chunk))
        if not self.is_taking:
            return
        if self._room is not None:
            self._room.release()
        elif values is None or self._free() >= LEAST_PER_WORKER * self._engine.processes:
            self._refill()
