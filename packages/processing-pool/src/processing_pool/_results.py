"""Owns the results of tasks as their submitter sees them, and how they come to be known."""

from __future__ import annotations

import _thread
import sys
import time
from functools import partial

assert sys.platform != "win32"

from processing_core import (
    InvalidArgument,
    MisuseError,
    RemoteError,
    SerializationError,
    TimeoutError,
)
from processing_core.lowlevel import load_failure, loads
from processing_pool import _wire as wire
from processing_pool.errors import TaskCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Sequence
    from typing import Any, Generic, TypeVar

    from processing_core.lowlevel import Packer
    from processing_pool._abc import Engine
    from processing_pool._functions import Function, Whole
    from processing_pool._options import Options
    from processing_pool._scheduler import Timing

    ResultT = TypeVar("ResultT")

    class Base(Generic[ResultT]):
        """The class is generic for type checkers only."""

        __slots__ = ()
else:
    from types import GenericAlias

    class Base:
        """The class is generic for type checkers only."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)


__all__ = [
    "AsyncResult",
    "Failure",
    "MapResult",
    "finish_plain",
    "open_outcome",
    "open_outcomes",
    "resolve",
    "seconds_left",
    "unreadable",
]

PENDING, DONE, FAILED = range(3)


class NotReadyError(MisuseError, ValueError):
    """The result is not there yet: an AssertionError as documented, and a ValueError."""


class Failure:
    """An exception in the place of a result."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def open_outcome(outcome: tuple[Any, ...], describe: Callable[[], str]) -> Any:
    """The value, or a Failure, that an outcome stands for which is not the value itself."""
    kind, data = outcome
    if kind == wire.PICKLED:
        try:
            return loads(data)
        except BaseException as error:  # noqa: BLE001 - unpickling runs code of others
            return unreadable(error, describe)
    found = load_failure(data, RemoteError)
    if kind == wire.UNLOADABLE:
        culprit = SerializationError(
            f"{describe()} cannot be unpickled by the worker: {type(found).__name__}: {found}"
        )
        culprit.__cause__ = found.__cause__
        return Failure(culprit)
    return Failure(found)


def open_outcomes(outcomes: Sequence[Any], index: int, describe: Callable[[int], str]) -> list[Any]:
    """The same for the outcomes of consecutive tasks."""
    return [
        open_outcome(each, partial(describe, place)) if type(each) is tuple else each
        for place, each in enumerate(outcomes, index)
    ]


def unreadable(error: BaseException, describe: Callable[[], str]) -> Failure:
    """What stands for a result that cannot be unpickled here."""
    culprit = SerializationError(
        f"the result of {describe()} cannot be unpickled: {type(error).__name__}: {error}"
    )
    culprit.__cause__ = error
    return Failure(culprit)


class AsyncResult(Base["ResultT"]):
    """The result of ``apply_async``, which may not be there yet. Any thread may use it."""

    __slots__ = (
        "_callback",
        "_engine",
        "_error_callback",
        "_options",
        "_state",
        "_value",
        "_waiters",
        "bulky",
        "function",
        "payload",
        "timing",
    )

    # It is its own span: one task that waits.
    first: int = 0
    count: int = 1
    attempts: int = 0
    alone: bool = False
    single: bool = True
    kind: int = wire.CALLS
    grants: None = None

    def __init__(
        self,
        engine: Engine,
        function: Function,
        payload: tuple[Any, ...] | bytes | Packer | Whole | None,
        options: Options,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        self._engine = engine
        self.function: Function = function
        self.payload: tuple[Any, ...] | bytes | Packer | Whole | None = payload
        self._options = options
        self._callback = callback
        self._error_callback = error_callback
        self._state = PENDING
        self._value: Any = None
        self._waiters: list[Callable[[], object]] | None = None
        # What the scheduler asks most often.
        self.timing: Timing = function.timing
        self.bulky: bool = type(payload) is not tuple and type(payload) is not bytes

    # What the scheduler asks

    @property
    def work(self) -> Any:
        return self

    @property
    def over(self) -> bool:
        return self._state != PENDING

    @property
    def retries(self) -> int:
        return self._options.retries

    @property
    def timeout(self) -> float | None:
        return self._options.timeout

    def describe(self, index: int = 0) -> str:
        """The task in words, cut to size."""
        del index
        return self.function.describe_call(self.payload)

    # How the engine tells what has become of it

    def accept(self, index: int, outcomes: Sequence[Any], *, plain: bool) -> None:
        """The outcomes of its tasks from ``index`` on."""
        del index
        value = outcomes[0]
        if not plain and type(value) is tuple:
            value = open_outcome(value, self.describe)
        self.settle(0, value)

    def settle(self, index: int, value: Any) -> None:
        """The value of one of its tasks, or the Failure."""
        del index
        if type(value) is Failure:
            self._finish(FAILED, value.error)
        else:
            self._finish(DONE, value)

    def _finish(self, state: int, value: Any) -> bool:
        """The end; false if there was one before."""
        with self._engine.deciding:
            if self._state != PENDING:
                return False
            self._value = value
            self._state = state
        callback = self._callback if state == DONE else self._error_callback
        self.payload = ()
        # The state was stored first: who registers and finds it unchanged is found here.
        waiters = self._waiters
        try:
            if callback is not None:
                try:
                    callback(value)
                except BaseException:  # noqa: BLE001 - it is to be seen, and the pool goes on
                    sys.excepthook(*sys.exc_info())
                self._callback = self._error_callback = None
        finally:
            if waiters is not None or self._waiters is not None:
                self._wake()
        return True

    def _wake(self) -> None:
        waiters = self._waiters
        while waiters:
            waiters.pop()()

    # What the user asks

    def ready(self) -> bool:
        """Whether the result is there, be it a value or an error."""
        return self._state != PENDING

    def successful(self) -> bool:
        """Whether the task has returned rather than raised.

        :raises MisuseError: (both an AssertionError and a ValueError) when that is not known yet
        """
        if self._state == PENDING:
            raise NotReadyError(f"{self!r} is not ready")
        return self._state == DONE

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the result is there, at most ``timeout`` seconds; None without limit.

        :raises InvalidArgument: (a ValueError) when the timeout is NaN
        :raises MisuseError: (an AssertionError) when called by a callback, for which it would never
            come
        """
        if self._state != PENDING:
            return
        left = seconds_left(timeout)
        if self._engine.is_current_thread:
            raise MisuseError("a callback cannot wait for a result: results come after it returns")
        lock = _thread.allocate_lock()
        lock.acquire()
        if self._on_ready(lock.release):
            try:
                lock.acquire(True, left)
            finally:
                self._forget(lock.release)

    def _on_ready(self, function: Callable[[], object]) -> bool:
        """Have it called when the result is there; false if that is so already."""
        with self._engine.deciding:
            if self._state != PENDING:
                return False
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(function)
        return True

    def _forget(self, function: Callable[[], object]) -> None:
        with self._engine.deciding:
            if self._waiters is not None and function in self._waiters:
                self._waiters.remove(function)

    def get(self, timeout: float | None = None) -> ResultT:
        """The value that the task returned, waiting for it.

        :param timeout: for how many seconds to wait at most; None without limit
        :raises TimeoutError: when it was not there in time
        :raises WorkerLost: when the worker died that ran the task
        :raises TaskTimeout: when the task took longer than its own time limit
        :raises TaskCancelled: when it was cancelled, or the pool terminated

        What the task raised is raised here, with a RemoteTraceback as its cause.
        """
        if self._state == PENDING:
            self.wait(timeout)
        # Read once: the result may come at any moment.
        state = self._state
        if state == DONE:
            value: ResultT = self._value
            return value
        if state == PENDING:
            raise TimeoutError(f"no result after {timeout} seconds")
        raise self._value

    def cancel(self) -> bool:
        """Have the task not run, or ended if it runs, together with its worker.

        Returns whether it was in time; then ``get()`` raises TaskCancelled.
        """
        if not self._finish(FAILED, TaskCancelled(f"{self.describe()} was cancelled")):
            return False
        self._engine.withdraw(self)
        return True

    @property
    def pid(self) -> int | None:
        """The id of the process that runs the task at this moment, None if none does."""
        found = None if self._state != PENDING else self._engine.where(self)
        return None if found is None else found[0]

    @property
    def started(self) -> bool:
        """Whether the task is running or done."""
        return self._state != PENDING or self._engine.where(self) is not None

    @property
    def elapsed(self) -> float | None:
        """For how many seconds the task has been running, None if it is not."""
        found = None if self._state != PENDING else self._engine.where(self)
        return None if found is None else max(0.0, time.monotonic() - found[1])

    def __await__(self) -> Generator[Any, None, ResultT]:
        return self._arrival().__await__()

    async def _arrival(self) -> ResultT:
        import asyncio

        if self._state == PENDING:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()

            def tell() -> None:
                try:
                    loop.call_soon_threadsafe(resolve, future)
                except RuntimeError:
                    return  # the loop is closed, so nobody waits

            if self._on_ready(tell):
                try:
                    await future
                except asyncio.CancelledError:
                    self.cancel()
                    raise
        return self.get(0)

    def __repr__(self) -> str:
        state = ("pending", "done", "failed")[self._state]
        return f"<{type(self).__name__} {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise SerializationError(f"{self!r} belongs to the process whose pool it came from")


def finish_plain(works: Sequence[AsyncResult[Any]], values: Sequence[Any], deciding: Any) -> None:
    """Set the values of many results at once."""
    noticed = []
    with deciding:
        for work, value in zip(works, values, strict=True):
            if work._state != PENDING:
                continue
            if work._callback is not None or work._error_callback is not None:
                noticed.append((work, value))
                continue
            work._value = value
            work._state = DONE
            work.payload = ()
            if work._waiters is not None:
                noticed.append((work, None))
    for work, value in noticed:
        if work._state == PENDING:
            work._finish(DONE, value)
        else:
            work._wake()


def resolve(future: asyncio.Future[None]) -> None:
    """Have it be done, if nobody was faster."""
    if not future.done():
        future.set_result(None)


class MapResult(AsyncResult["list[ResultT]"]):
    """The results of ``map_async``: a list, or the error of the first task that failed."""

    __slots__ = (
        "_chunk",
        "_items",
        "_left",
        "_results",
        "_return_exceptions",
        "kind",
    )

    single: bool = False

    def __init__(
        self,
        engine: Engine,
        function: Function,
        items: Sequence[Any],
        options: Options,
        *,
        chunk: int,
        starred: bool,
        return_exceptions: bool = False,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> None:
        super().__init__(engine, function, None, options, callback, error_callback)
        self._items = items
        self._chunk = chunk
        alone, together = (
            (wire.STARRED, wire.STARRED_CHUNKS) if starred else (wire.ITEMS, wire.CHUNKS)
        )
        self.kind: int = alone if chunk == 1 else together
        self._left = -(-len(items) // chunk)
        self._results: list[Any] = [None] * self._left
        self._return_exceptions = return_exceptions
        self.bulky: bool = False
        self.timing: Timing = function.timing if chunk == 1 else function.chunk_timing

    @property
    def count(self) -> int:  # type: ignore[override]
        """How many tasks there are."""
        return len(self._results)

    def items(self, first: int, count: int) -> Sequence[Any]:
        """What these tasks are given."""
        if self._chunk == 1:
            return self._items[first : first + count]
        size = self._chunk
        return [
            self._items[place * size : (place + 1) * size] for place in range(first, first + count)
        ]

    def describe(self, index: int = 0) -> str:
        if not self._items:
            return self.function.name
        return self.function.describe_item(self._items, index, self._chunk)

    def accept(self, index: int, outcomes: Sequence[Any], *, plain: bool) -> None:
        if not plain:
            outcomes = open_outcomes(outcomes, index, self.describe)
        self._results[index : index + len(outcomes)] = outcomes
        self._count_down(len(outcomes))

    def settle(self, index: int, value: Any) -> None:
        self._results[index] = value
        self._count_down(1)

    def _count_down(self, count: int) -> None:
        self._left -= count
        if self._left == 0 and self._state == PENDING:
            self._conclude()

    def _conclude(self) -> None:
        results = self._results
        if self._chunk > 1:
            flat: list[Any] = []
            for part in results:
                if type(part) is Failure:
                    flat.append(part)
                else:
                    flat += part
            results = flat
        failed = Failure in set(map(type, results))
        self._items = ()
        if failed and not self._return_exceptions:
            first = next(each for each in results if type(each) is Failure)
            self._finish(FAILED, first.error)
            return
        if failed:
            results = [each.error if type(each) is Failure else each for each in results]
        self._finish(DONE, results)
        self._results = []

    def _finish(self, state: int, value: Any) -> bool:
        done = super()._finish(state, value)
        if done:
            self._items = ()
        return done


def seconds_left(timeout: float | None) -> float:
    """The timeout as locks take it: -1 for none, never negative otherwise.

    :raises InvalidArgument: (a ValueError) when it is NaN
    """
    if timeout is None:
        return -1
    if timeout != timeout:  # noqa: PLR0124 - only NaN is
        raise InvalidArgument("the timeout must not be NaN")
    return min(max(0.0, timeout), _thread.TIMEOUT_MAX)


for _public in (AsyncResult, MapResult):
    _public.__module__ = "processing_pool"
del _public
