"""Owns the methods of pools for one task, in both spellings, whatever runs it."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from processing_pool._functions import Function
from processing_pool._life import Life
from processing_pool._options import Options, checked_options
from processing_pool._results import AsyncResult, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar, TypeVarTuple, overload

    ResultT = TypeVar("ResultT")
    Ts = TypeVarTuple("Ts")
else:

    def overload(function):
        return function


__all__ = ["Calls"]


class Calls(Life):
    """A pool, apart from its calls for many tasks."""

    # A tuple of arguments is checked against the function; a list, and kwds, cannot be.
    @overload
    def apply(
        self,
        func: Callable[[], ResultT],
        args: tuple[()] = ...,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> ResultT: ...
    @overload
    def apply(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[[*Ts], ResultT],
        args: tuple[*Ts],
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> ResultT: ...
    @overload
    def apply(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        args: list[Any],
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> ResultT: ...
    @overload
    def apply(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        args: Iterable[Any],
        kwds: Mapping[str, Any],
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> ResultT: ...
    @overload
    def apply(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        *,
        kwds: Mapping[str, Any],
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
        func: Callable[[], ResultT],
        args: tuple[()] = ...,
        *,
        callback: Callable[[ResultT], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> AsyncResult[ResultT]: ...
    @overload
    def apply_async(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[[*Ts], ResultT],
        args: tuple[*Ts],
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
        args: list[Any],
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
        args: Iterable[Any],
        kwds: Mapping[str, Any],
        callback: Callable[[ResultT], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> AsyncResult[ResultT]: ...
    @overload
    def apply_async(  # noqa: F811 - an overload, though not typing's
        self,
        func: Callable[..., ResultT],
        *,
        kwds: Mapping[str, Any],
        callback: Callable[[ResultT], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
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
        :param timeout: how long the task may take, in seconds, with what a fresh worker imports for
            it; None for what the pool says
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

    # Inner workings

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
