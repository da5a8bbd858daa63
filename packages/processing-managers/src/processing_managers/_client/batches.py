"""Owns calls that are not waited for one by one: results that come later, and batches."""

from __future__ import annotations

import threading
from collections import deque

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
    from processing_managers._wire import BatchedCall

    P = ParamSpec("P")

__all__ = ["Batch", "CallResult", "post"]


class _Failed:
    """The outcome of a call that has raised something."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Posted:
    """Which reply a call waits for, in which thread, and which object it is of."""

    __slots__ = ("ident", "link", "serial", "thread")

    def __init__(self, ident: int, link: Link, serial: int) -> None:
        self.ident = ident
        self.link = link
        self.serial = serial
        self.thread = threading.get_ident()


class CallResult(Container[ResultT]):
    """The result of a call that is still on its way.

    It belongs to the thread that made the call.
    """

    # A batch has many, so neither is there before it is needed: what came of the call, and how it
    # was sent, if not in a batch.
    __slots__ = ("_outcome", "_posted")

    _outcome: Any
    _posted: _Posted

    @property
    def ident(self) -> int:
        """The number of the object that the call is of; not in a batch."""
        return self._posted.ident

    def set(self, value: Any, error: Exception | None) -> None:
        """The library has got the result."""
        self._outcome = value if error is None else _Failed(error)

    @property
    def ready(self) -> bool:
        """Whether the result is there already; get() waits for it otherwise."""
        return hasattr(self, "_outcome")

    def get(self) -> ResultT:
        """The result, waiting for it if need be.

        :raises MisuseError: within the batch that has not been sent yet, and in another thread
        :raises ManagerLost: when the manager ends before it has answered

        What the method raised is raised here, each time.
        """
        if not self.ready:
            self._wait()
        outcome = self._outcome
        if type(outcome) is _Failed:
            raise outcome.error
        result: ResultT = outcome
        return result

    def _wait(self) -> None:
        if not hasattr(self, "_posted"):
            raise MisuseError("the batch has not been sent yet, so there is no result")
        link, serial = self._posted.link, self._posted.serial
        if threading.get_ident() != self._posted.thread:
            raise MisuseError("only the thread that made a call can wait for its result")
        link.pending.pop(serial, None)
        try:
            value = link.wait_for(serial)
        except Exception as error:  # noqa: BLE001 - it is raised by get()
            self.set(None, error)
        except BaseException:  # Ctrl-C: the call goes on
            link.pending[serial] = self
            raise
        else:
            self.set(value, None)

    def __repr__(self) -> str:
        if not self.ready:
            return f"<{type(self).__name__} pending>"
        outcome = self._outcome
        return f"<{type(self).__name__} {outcome.error if type(outcome) is _Failed else outcome!r}>"


# In C, for the many results of a batch.
_set_outcome = CallResult._outcome.__set__  # of the slot's descriptor


def post(
    session: Session, ident: int, name: str, args: tuple[Any, ...], kwds: dict[str, Any]
) -> CallResult[Any]:
    """Call a method without waiting for its result."""
    link = session.link()
    result: CallResult[Any] = CallResult()
    serial = link.post(ident, name, args, kwds, ORDERED)
    result._posted = _Posted(ident, link, serial)
    link.pending[serial] = result
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
        self._calls: list[BatchedCall] = []
        # The object and the method of the last call: for a series of them it is pickled, and looked
        # up by the server, once.
        self._last: tuple[int, str] = (-1, "")
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
            ident, name = target._ident, method.__name__
        except AttributeError:
            raise InvalidType(f"a batch takes methods of proxies, not {method!r}") from None
        last = self._last
        if last[0] != ident or last[1] != name:
            last = self._last = ident, name
        self._calls.append((last, args, kwds) if kwds else (last, args))
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
        deque(map(_set_outcome, results, values), 0)
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
