"""Owns the proxies of pools and of their results."""

from __future__ import annotations

from processing_managers._proxies.base import BaseProxy, MakeProxyType, known_proxies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

__all__ = ["AsyncResultProxy", "PoolProxy"]

_PoolMethods: Any = MakeProxyType(
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
        "starmap_async",
        "terminate",
    ),
)


class PoolProxy(_PoolMethods):  # type: ignore[misc]  # a class that was made
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
