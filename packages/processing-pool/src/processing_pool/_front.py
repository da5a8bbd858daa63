"""Owns the methods of pools as they are documented, in both spellings, whatever runs the tasks."""

from __future__ import annotations

import sys
import warnings

assert sys.platform != "win32"

from processing_core import MisuseError, ProcessError
from processing_pool._buffer import IMapIterator
from processing_pool._functions import Function
from processing_pool._imap import Feed
from processing_pool._options import Options, checked_options, positive
from processing_pool._results import AsyncResult, Failure, MapResult
from processing_pool._stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Any, Self, TypeVar, TypeVarTuple, overload

    from processing_pool._abc import Engine
    from processing_pool._executor import PoolExecutor
    from processing_pool._stats import PoolStats

    ItemT = TypeVar("ItemT")
    ResultT = TypeVar("ResultT")
    Ts = TypeVarTuple("Ts")
else:

    def overload(function):
        return function


__all__ = ["Front"]

# Into how many chunks per worker map cuts its items.
CHUNKS_PER_WORKER = 4


class _NotPicklableError(ProcessError, NotImplementedError):
    """Pools cannot be passed between processes."""


class _NotClosedError(MisuseError, ValueError):
    """A pool was joined that takes tasks."""


class Front:
    """What can be done with a pool."""

    _engine: Engine | None = None

    # One task

    # Without kwds the arguments are checked against the function; kwds cannot be.
    @overload
    def apply(
        self,
        func: Callable[[*Ts], ResultT],
        args: tuple[*Ts] = ...,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> ResultT: ...
    @overload
    def apply(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        args: Iterable[Any] = ...,
        kwds: Mapping[str, Any] = ...,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> ResultT: ...
    def apply(  # noqa: F811 - what the overloads are of
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},  # documented so, and only read
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> Any:
        """Run ``func(*args, **kwds)`` in a worker and return what it returns.

        If the caller is interrupted meanwhile, by Ctrl-C for one, the task is cancelled. For the
        rest see apply_async and AsyncResult.get.
        """
        result = self._called(func, args, kwds, None, None, timeout, retries)
        if not result.over:
            self._known().run(result)
        try:
            return result.get()
        finally:
            if not result.ready():
                result.cancel()

    @overload
    def apply_async(
        self,
        func: Callable[[*Ts], ResultT],
        args: tuple[*Ts] = ...,
        *,
        callback: Callable[[ResultT], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> AsyncResult[ResultT]: ...
    @overload
    def apply_async(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        args: Iterable[Any] = ...,
        kwds: Mapping[str, Any] = ...,
        callback: Callable[[ResultT], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> AsyncResult[ResultT]: ...
    def apply_async(  # noqa: F811 - what the overloads are of
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},  # documented so, and only read
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> AsyncResult[Any]:
        """Have ``func(*args, **kwds)`` run in a worker.

        :param callback: is called with the value when that is there; must be quick, since other
            results wait for it
        :param error_callback: is called with the exception if there is one instead
        :param timeout: how long the task may take, in seconds; None for what the pool says
        :param retries: how often it is run again if its worker dies; None for what the pool says
        :raises ClosedError: (a ValueError) after ``close()`` or ``terminate()``
        :raises MisuseError: (an AssertionError) in another process than the pool's

        The arguments are pickled at once. If something does not pickle, the result has the error.
        """
        result = self._called(func, args, kwds, callback, error_callback, timeout, retries)
        if not result.over:
            self._known().submit(result)
        return result

    applyAsync = apply_async

    # Many tasks

    def map(
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[ResultT]:
        """The list of ``func(item)`` for all items, in their order. See map_async."""
        return _wait_for(
            self.map_async(
                func,
                iterable,
                chunksize,
                return_exceptions=return_exceptions,
                timeout=timeout,
                retries=retries,
            )
        )

    def map_async(
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int | None = None,
        callback: Callable[[list[ResultT]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[ResultT]:
        """Have ``func(item)`` run for all items.

        :param chunksize: how many items make one task; None for a few tasks per worker, or for one
            item each if there is a time limit or there are retries. With 1 they are hardly slower
            to send, since tasks that are short travel together.
        :param return_exceptions: put the exceptions of failed tasks in their places in the list,
            instead of raising the first; then every item is a task

        For the rest see apply_async. The items are pickled when it is their turn.
        """
        return self._map(
            func,
            iterable,
            chunksize,
            callback,
            error_callback,
            starred=False,
            return_exceptions=return_exceptions,
            options=self._options(timeout, retries),
        )

    mapAsync = map_async

    def starmap(
        self,
        func: Callable[..., ResultT],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[ResultT]:
        """As map, with each item being the arguments: ``func(*item)``."""
        return _wait_for(
            self.starmap_async(
                func,
                iterable,
                chunksize,
                return_exceptions=return_exceptions,
                timeout=timeout,
                retries=retries,
            )
        )

    def starmap_async(
        self,
        func: Callable[..., ResultT],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[ResultT]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[ResultT]:
        """As map_async, with each item being the arguments: ``func(*item)``."""
        return self._map(
            func,
            iterable,
            chunksize,
            callback,
            error_callback,
            starred=True,
            return_exceptions=return_exceptions,
            options=self._options(timeout, retries),
        )

    starmapAsync = starmap_async

    def _map(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
        *,
        starred: bool,
        return_exceptions: bool,
        options: Options,
    ) -> MapResult[Any]:
        engine = self._running()
        items = iterable if type(iterable) in (tuple, range) else list(iterable)
        if chunksize is not None:
            chunk = positive(chunksize, "chunksize")
        elif options.retries or options.timeout is not None:
            chunk = 1  # each item has a limit of its own
        else:
            chunk = max(1, -(-len(items) // (CHUNKS_PER_WORKER * engine.processes)))  # type: ignore[arg-type]
        if return_exceptions:
            chunk = 1  # each item has an outcome of its own
        failure: Exception | None = None
        try:
            function = engine.functions.find(func)
        except Exception as error:  # noqa: BLE001 - pickling runs code of others
            function, failure = Function(b"", repr(func), kept=False), error
        result: MapResult[Any] = MapResult(
            engine,
            function,
            items,  # type: ignore[arg-type]
            options,
            chunk=chunk,
            starred=starred,
            return_exceptions=return_exceptions,
            callback=callback,
            error_callback=error_callback,
        )
        if not result.count:
            result._conclude()
        elif failure is not None:
            for index in range(result.count):
                result.settle(index, Failure(failure))
        else:
            engine.submit(result)
        return result

    def imap(
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> IMapIterator[ResultT]:
        """An iterator over ``func(item)`` for all items, in their order.

        :param chunksize: how many items make one task
        :param buffersize: how many items may be taken from the iterable whose results nobody has
            consumed yet; None for a few chunks per worker, and more if tasks are short

        The iterable may be endless. What it raises is raised by the iterator, after the results of
        what came before. An item that fails raises in its place, and the next follow. For the rest
        see apply_async.
        """
        return self._imap(
            func, iterable, chunksize, buffersize, self._options(timeout, retries), ordered=True
        )

    def imap_unordered(
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> IMapIterator[ResultT]:
        """As imap, with the results in the order in which they come."""
        return self._imap(
            func, iterable, chunksize, buffersize, self._options(timeout, retries), ordered=False
        )

    imapUnordered = imap_unordered

    def _imap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int,
        buffersize: int | None,
        options: Options,
        *,
        ordered: bool,
    ) -> IMapIterator[Any]:
        engine = self._running()
        chunk = positive(chunksize, "chunksize")
        most = None if buffersize is None else positive(buffersize, "buffersize")
        function = engine.functions.find(func)
        return IMapIterator(
            Feed(
                engine,
                function,
                iterable,
                options,
                chunk=chunk,
                ordered=ordered,
                buffersize=most,
            )
        )

    def stream(
        self,
        func: Callable[..., Iterable[ResultT]],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
    ) -> IMapIterator[ResultT]:
        """An iterator over the values of ``func(*args, **kwds)``, a generator that a worker runs.

        :param buffersize: how many values may be there that nobody has consumed yet, before the
            generator has to wait; None for 1000

        What the generator raises is raised after its last value. It is never tried again, since its
        values cannot be taken back. When nobody has the iterator any more, the worker is ended and
        replaced. For the rest see apply_async.
        """
        engine = self._running()
        options = self._options(timeout, 0)
        most = None if buffersize is None else positive(buffersize, "buffersize")
        function = engine.functions.find(func)
        payload = engine.functions.pack_call(function, args, kwds)  # type: ignore[arg-type]
        stream = Stream(engine, function, payload, options, most)
        engine.open(stream)
        engine.submit(stream)
        return IMapIterator(stream)

    # The pool as a whole

    def close(self) -> None:
        """Take no more tasks. The workers end when all tasks are done."""
        if self._engine is not None:
            self._engine.close()

    def terminate(self) -> None:
        """End the workers at once. Tasks that are not done fail with TaskCancelled."""
        if self._engine is not None:
            self._engine.terminate()

    def join(self) -> None:
        """Wait until the workers have ended. After ``close()`` or ``terminate()`` only.

        :raises MisuseError: (an AssertionError, and a ValueError) before that
        """
        self._join(endless=True)

    def _join(self, *, endless: bool) -> None:
        engine = self._known()
        if engine.is_foreign:
            raise MisuseError("only the process that made a pool can join it")
        if not engine.closed:
            raise _NotClosedError("a pool can be joined only after close() or terminate()")
        engine.join(endless=endless)

    def resize(self, processes: int) -> None:
        """Have another number of workers. Those that are too many end when they are done.

        :raises InvalidArgument: (a ValueError) when it is not positive
        """
        self._running().resize(positive(processes, "processes"))

    def stats(self) -> PoolStats:
        """What the pool is doing, as a snapshot."""
        return self._known().stats()

    def dump_stacks(self) -> dict[int, str]:
        """What each worker is doing at this moment: the stacks of its threads, by process id.

        The text is empty for a worker that does not answer within a second, as one that is stopped.
        """
        return self._known().dump_stacks()

    def as_executor(self) -> PoolExecutor:
        """The pool as a ``concurrent.futures.Executor``, whose shutdown closes the pool."""
        # Only here: concurrent.futures is dear to import.
        from processing_pool._executor import PoolExecutor

        return PoolExecutor(self)

    def __enter__(self) -> Self:
        self._running()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.terminate()
        try:
            self._join(endless=False)
        except BaseException:
            self.terminate()
            raise

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import asyncio

        if kind is None:
            self.close()
        else:
            self.terminate()
        try:
            await asyncio.to_thread(self._join, endless=False)
        except BaseException:
            self.terminate()
            raise

    def __del__(self) -> None:
        engine = self._engine
        if engine is None or engine.is_foreign or engine.closed:
            return
        engine.terminate()
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        engine = self._engine
        if engine is None:
            return f"<{type(self).__name__}>"
        state = "closed" if engine.closed else "running"
        return f"<{type(self).__name__} {state} processes={engine.processes}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise _NotPicklableError("pools cannot be passed between processes or pickled")

    # Inner workings

    def _running(self) -> Engine:
        engine = self._known()
        engine.check_open()
        return engine

    def _known(self) -> Engine:
        assert self._engine is not None
        return self._engine

    def _options(self, timeout: float | None, retries: int | None) -> Options:
        engine = self._running()
        if timeout is None and retries is None:
            return engine.options
        if timeout is not None:
            engine.expect_limits()
        return checked_options(engine.options, timeout, retries)

    def _called(
        self,
        func: Callable[..., Any],
        args: Iterable[Any],
        kwds: Mapping[str, Any],
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
        timeout: float | None,
        retries: int | None,
    ) -> AsyncResult[Any]:
        """The result of a call that is to be submitted, unless it has failed already."""
        engine = self._running()
        options = engine.options
        if timeout is not None or retries is not None:
            options = self._options(timeout, retries)
        try:
            function = engine.functions.find(func)
            payload = engine.functions.pack_call(function, args, kwds)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - pickling runs code of others
            function = Function(b"", repr(func), kept=False)
            failed: AsyncResult[Any] = AsyncResult(
                engine, function, (), options, callback, error_callback
            )
            failed.settle(0, Failure(error))
            return failed
        return AsyncResult(engine, function, payload, options, callback, error_callback)


def _wait_for(result: MapResult[ResultT]) -> list[ResultT]:
    """The value; if the caller is interrupted, nobody wants it any more."""
    try:
        return result.get()
    finally:
        if not result.ready():
            result.cancel()
