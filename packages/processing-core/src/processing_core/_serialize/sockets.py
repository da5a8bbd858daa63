"""Owns how sockets travel: as a descriptor and what Python knows beside it."""

from __future__ import annotations

from _socket import socket as raw_socket

from processing_core._serialize.transfer import take_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["raw_socket", "reduce_socket"]


def reduce_socket(sock: Any, attach: Callable[[int], int]) -> Any:
    """Reduce a ``socket.socket``; other kinds (TLS) hold state that no descriptor carries."""
    if type(sock).__module__ != "socket":
        return NotImplemented
    index = attach(sock.fileno())
    return _rebuild_socket, (index, sock.family, sock.type, sock.proto, sock.gettimeout())


def _rebuild_socket(
    index: int, family: int, kind: int, proto: int, timeout: float | None
) -> object:
    import socket  # only here: dear to import, and loaded anyway where sockets are used

    sock = socket.socket(family, kind, proto, fileno=take_descriptor(index))
    sock.settimeout(timeout)
    return sock
