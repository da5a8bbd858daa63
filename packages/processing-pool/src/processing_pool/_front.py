"""Owns the methods of pools for many tasks, in both spellings, whatever runs them."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from processing_pool._buffer import IMapIterator
from processing_pool._calls import Calls
from processing_pool._functions import Function
from processing_pool._imap import Feed
from processing_pool._options import Options, positive
from processing_pool._results import Failure, MapResult
from processing_pool._stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal, TypeVar, TypeVarTuple, overload

    from processing_pool._executor import PoolExecutor

    ItemT = TypeVar("ItemT")
    ResultT = TypeVar("ResultT")
    Ts = TypeVarTuple("Ts")
else:

    def overload(function):
        return function


__all__ = ["Front"]

# Into how many chunks per worker map cuts its items.
CHUNKS_PER_WORKER = 4


class Front(Calls):
    """What can be done with a pool."""

    @overload
    def map(
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int | None = None,
        *,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[ResultT]: ...
    @overload
    def map(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int | None = None,
        *,
        return_exceptions: bool,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[ResultT | BaseException]: ...
    def map(  # noqa: F811 - what the overloads are of
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[Any]:
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

    @overload
    def map_async(
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int | None = None,
        callback: Callable[[list[ResultT]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[ResultT]: ...
    @overload
    def map_async(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[[ItemT], ResultT],
        iterable: Iterable[ItemT],
        chunksize: int | None = None,
        callback: Callable[[list[ResultT | BaseException]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: bool,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[ResultT | BaseException]: ...
    def map_async(  # noqa: F811 - what the overloads are of
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[Any]:
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

    @overload
    def starmap(
        self,
        func: Callable[..., ResultT],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[ResultT]: ...
    @overload
    def starmap(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        return_exceptions: bool,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[ResultT | BaseException]: ...
    def starmap(  # noqa: F811 - what the overloads are of
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> list[Any]:
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

    @overload
    def starmap_async(
        self,
        func: Callable[..., ResultT],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[ResultT]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[ResultT]: ...
    @overload
    def starmap_async(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[ResultT | BaseException]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: bool,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[ResultT | BaseException]: ...
    def starmap_async(  # noqa: F811 - what the overloads are of
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        return_exceptions: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> MapResult[Any]:
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

    @overload
    def stream(
        self,
        func: Callable[[], Iterable[ResultT]],
        args: tuple[()] = ...,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
    ) -> IMapIterator[ResultT]: ...
    @overload
    def stream(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[[*Ts], Iterable[ResultT]],
        args: tuple[*Ts],
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
    ) -> IMapIterator[ResultT]: ...
    @overload
    def stream(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., Iterable[ResultT]],
        args: list[Any],
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
    ) -> IMapIterator[ResultT]: ...
    @overload
    def stream(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., Iterable[ResultT]],
        args: Iterable[Any],
        kwds: Mapping[str, Any],
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
    ) -> IMapIterator[ResultT]: ...
    @overload
    def stream(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., Iterable[ResultT]],
        *,
        kwds: Mapping[str, Any],
        buffersize: int | None = None,
        timeout: float | None = None,
    ) -> IMapIterator[ResultT]: ...
    def stream(  # noqa: F811 - what the overloads are of
        self,
        func: Callable[..., Iterable[Any]],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
    ) -> IMapIterator[Any]:
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

    def as_executor(self) -> PoolExecutor:
        """The pool as a ``concurrent.futures.Executor``, whose shutdown closes the pool."""
        # Only here: concurrent.futures is dear to import.
        from processing_pool._executor import PoolExecutor

        return PoolExecutor(self)


def _wait_for(result: MapResult[ResultT]) -> list[ResultT]:
    """The value; if the caller is interrupted, nobody wants it any more."""
    try:
        return result.get()
    finally:
        if not result.ready():
            result.cancel()
