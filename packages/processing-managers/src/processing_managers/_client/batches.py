"""Owns calls that are not waited for one by one: results that come later, and batches."""

from __future__ import annotations

import threading

from processing_core import ClosedError, InvalidType, MisuseError, RemoteError
from processing_core.lowlevel import load_failure, loads
from processing_managers._client.generic import TYPE_CHECKING, Container, ResultT
from processing_managers._wire import FAILURE, ORDERED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, ParamSpec, Self

    from processing_managers._client.links import Link
    from processing_managers._client.sessions import Session

    P = ParamSpec("P")

__all__ = ["Batch", "CallResult", "post"]


class CallResult(Container[ResultT]):
    """The result of a call that is still on its way.

    It belongs to the thread that made the call.
    """

    # Most results never have another link, thread or error, and a batch has many.
    ident = 0
    _link: Link | None = None
    _serial = 0
    _thread = 0
    _ready = False
    _value: Any = None
    _error: Exception | None = None

    def set(self, value: Any, error: Exception | None) -> None:
        """The library has got the result."""
        self._value, self._error, self._ready = value, error, True

    @property
    def ready(self) -> bool:
        """Whether the result is there already; get() waits for it otherwise."""
        return self._ready

    def get(self) -> ResultT:
        """The result, waiting for it if need be.

        :raises MisuseError: within the batch that has not been sent yet, and in another thread
        :raises ManagerLost: when the manager ends before it has answered

        What the method raised is raised here, each time.
        """
        if not self._ready:
            self._wait()
        if self._error is not None:
            raise self._error
        result: ResultT = self._value
        return result

    def _wait(self) -> None:
        link = self._link
        if link is None:
            raise MisuseError("the batch has not been sent yet, so there is no result")
        if threading.get_ident() != self._thread:
            raise MisuseError("only the thread that made a call can wait for its result")
        link.pending.pop(self._serial, None)
        try:
            value = link.wait_for(self._serial)
        except Exception as error:  # noqa: BLE001 - it is raised by get()
            self.set(None, error)
        except BaseException:  # Ctrl-C: the call goes on
            link.pending[self._serial] = self
            raise
        else:
            self.set(value, None)

    def __repr__(self) -> str:
        if not self._ready:
            return f"<{type(self).__name__} pending>"
        return (
            f"<{type(self).__name__} {self._error if self._error is not None else self._value!r}>"
        )


def post(
    session: Session, ident: int, name: str, args: tuple[Any, ...], kwds: dict[str, Any]
) -> CallResult[Any]:
    """Call a method without waiting for its result."""
    link = session.link()
    result: CallResult[Any] = CallResult()
    result.ident = ident
    result._link = link
    result._thread = threading.get_ident()
    result._serial = link.post(ident, name, args, kwds, ORDERED)
    link.pending[result._serial] = result
    return result


class Batch:
    """Collects calls and sends them all at once, at the end of the ``with`` block.

    The calls are done one after the other, in their order, whatever becomes of the earlier ones.

    :param raise_errors: whether the first exception of a call is raised at the end of the block;
        otherwise only ``get`` of its result raises it
    """

    def __init__(self, session: Session, *, raise_errors: bool = True) -> None:
        self._session = session
        self._raise_errors = raise_errors
        self._calls: list[tuple[int, str, tuple[Any, ...], dict[str, Any]]] = []
        self._results: list[CallResult[Any]] = []
        self._closed = False

    def call(
        self, method: Callable[P, ResultT], /, *args: P.args, **kwds: P.kwargs
    ) -> CallResult[ResultT]:
        """Add a call of a proxy's method; its result is there after the block.

        :param method: a method of a proxy of this manager, ``proxy.append`` for example
        :raises InvalidType: (a TypeError) when it is something else
        :raises ClosedError: (a ValueError) after the block
        """
        if self._closed:
            raise ClosedError("the batch was sent already")
        try:
            target: Any = method.__self__  # type: ignore[attr-defined]  # it is told otherwise
            if target._session is not self._session:
                raise InvalidType(f"{target!r} is of another manager than the batch")
            self._calls.append((target._ident, method.__name__, args, kwds))
        except AttributeError:
            raise InvalidType(f"a batch takes methods of proxies, not {method!r}") from None
        result: CallResult[ResultT] = CallResult()
        self._results.append(result)
        return result

    def __len__(self) -> int:
        return len(self._calls)

    def send(self) -> None:
        """Send the calls and wait for all results. At the end of the block it is done by itself.

        :raises ManagerLost: when the manager ends meanwhile
        """
        if self._closed:
            return
        self._closed = True
        calls, self._calls = self._calls, []
        results, self._results = self._results, []
        if not calls:
            return
        link = self._session.link()
        self._session.flush()
        try:
            outcomes = link.wait_for(link.post_batch(calls))
        except Exception as error:
            for result in results:
                result.set(None, error)
            raise
        values, others = outcomes
        for result, value in zip(results, values, strict=True):
            result._value = value
            result._ready = True
        first: Exception | None = None
        for place, (status, data) in others.items():
            failure = self._give(results[place], status, data)
            first = first or failure
        if first is not None and self._raise_errors:
            raise first

    def _give(self, result: CallResult[Any], status: int, data: bytes) -> Exception | None:
        """Give a result what is not plain; returns the exception if it is one."""
        value: Any = None
        error: Exception | None = None
        if status == FAILURE:
            failure = load_failure(data, RemoteError)
            if isinstance(failure, Exception):
                error = failure
            else:
                error = RemoteError(f"the method has raised {failure!r}")
        else:
            try:
                value = loads(data)
            except Exception as problem:  # noqa: BLE001 - it is raised by get()
                error = problem
        result.set(value, error)
        return error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.send()
        else:
            self._closed = True  # nothing of what did not come to its end is done
