"""Owns what references in messages are unpickled as: proxies in clients, the objects in servers."""

from __future__ import annotations

from processing_core import RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class FindsObjects(Protocol):
        """What a server offers to those who unpickle in its process."""

        def referent(self, ident: int) -> Any: ...

        def claim_here(self, ident: int, ticket: int) -> Any: ...


__all__ = ["arrive", "make_proxies_by", "referent", "servers"]

# The servers of this process, by their numbers.
servers: dict[int, FindsObjects] = {}

_make_proxy: Callable[..., Any] | None = None


def make_proxies_by(function: Callable[..., Any]) -> None:
    """Have ``function`` make the proxies that come in replies."""
    global _make_proxy  # noqa: PLW0603 - set once, by the module of clients
    _make_proxy = function


def arrive(server: int, typeid: str, ident: int, exposed: tuple[str, ...] | None) -> Any:
    """A proxy that comes in a reply; the server has counted it already."""
    if _make_proxy is None:
        raise RemoteError("a reply of a manager was unpickled by something that is not its client")
    return _make_proxy(server, typeid, ident, exposed)


def referent(server: int, ident: int) -> Any:
    """The object that a proxy in a request stands for."""
    if server not in servers:
        raise RemoteError("a request to a manager was unpickled by something that is not it")
    return servers[server].referent(ident)
