"""Owns the proxies of pools and of their results."""

from __future__ import annotations

from processing_managers._proxies.base import BaseProxy, MakeProxyType, known_proxies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Self, TypeVar

    from processing_managers._proxies.base import IteratorProxy

    ResultT = TypeVar("ResultT")

__all__ = ["AsyncResultProxy", "PoolProxy"]

if TYPE_CHECKING:

    class _PoolMethods(BaseProxy):
        """What the class below has; the options are those of the pool's methods."""

        def apply(
            self,
            func: Callable[..., ResultT],
            args: Iterable[Any] = ...,
            kwds: Mapping[str, Any] = ...,
            **options: Any,
        ) -> ResultT: ...
        def apply_async(
            self,
            func: Callable[..., Any],
            args: Iterable[Any] = ...,
            kwds: Mapping[str, Any] = ...,
            **options: Any,
        ) -> AsyncResultProxy: ...

        applyAsync = apply_async

        def map(
            self,
            func: Callable[[Any], ResultT],
            iterable: Iterable[Any],
            chunksize: int | None = None,
            **options: Any,
        ) -> list[ResultT]: ...
        def map_async(
            self,
            func: Callable[[Any], Any],
            iterable: Iterable[Any],
            chunksize: int | None = None,
            **options: Any,
        ) -> AsyncResultProxy: ...

        mapAsync = map_async

        def starmap(
            self,
            func: Callable[..., ResultT],
            iterable: Iterable[Iterable[Any]],
            chunksize: int | None = None,
            **options: Any,
        ) -> list[ResultT]: ...
        def starmap_async(
            self,
            func: Callable[..., Any],
            iterable: Iterable[Iterable[Any]],
            chunksize: int | None = None,
            **options: Any,
        ) -> AsyncResultProxy: ...

        starmapAsync = starmap_async

        def imap(
            self,
            func: Callable[[Any], Any],
            iterable: Iterable[Any],
            chunksize: int = 1,
            **options: Any,
        ) -> IteratorProxy: ...
        def imap_unordered(
            self,
            func: Callable[[Any], Any],
            iterable: Iterable[Any],
            chunksize: int = 1,
            **options: Any,
        ) -> IteratorProxy: ...

        imapUnordered = imap_unordered

        def close(self) -> None: ...
        def join(self) -> None: ...
        def terminate(self) -> None: ...
else:
    _PoolMethods = MakeProxyType(
        "_PoolMethods",
        (
            "apply",
            "applyAsync",
            "apply_async",
            "close",
            "imap",
            "imapUnordered",
            "imap_unordered",
            "join",
            "map",
            "mapAsync",
            "map_async",
            "starmap",
            "starmapAsync",
            "starmap_async",
            "terminate",
        ),
    )


class PoolProxy(_PoolMethods):
    """A proxy to a pool of worker processes; used by ``with`` it is terminated at the end."""

    # It can be found by its name, so it need not be made when it is unpickled.
    _made_from = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()


class AsyncResultProxy(BaseProxy):
    """A proxy to the result of a task."""

    _exposed_ = ("get", "ready", "successful", "wait")

    def get(self, timeout: float | None = None) -> Any:
        """The result; raises what the task raised, or TimeoutError after ``timeout`` seconds."""
        return self._callmethod("get", (timeout,))

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the task is done, for ``timeout`` seconds at most."""
        self._callmethod("wait", (timeout,))

    def ready(self) -> bool:
        """Whether the task is done."""
        answer: bool = self._callmethod("ready")
        return answer

    def successful(self) -> bool:
        """Whether the task has raised nothing.

        :raises MisuseError: (an AssertionError, and a ValueError) when it is not done
        """
        answer: bool = self._callmethod("successful")
        return answer


known_proxies.update({"Pool": PoolProxy, "AsyncResult": AsyncResultProxy})
