"""What the tests of listeners and clients share."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

assert sys.platform != "win32", "no test uses it there"

import pytest

from processing_core import Connection
from processing_core._network.connection import NetworkConnection
from processing_core.connection import Client, Listener

KEY = b"the key of the tests"
TIME = 30.0
RESET = struct.pack("@ii", 1, 0)  # SO_LINGER: closing sends a reset

Ends = tuple[Connection[Any, Any], Connection[Any, Any]]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


FAMILIES = [
    "AF_UNIX",
    "AF_INET",
    pytest.param("AF_INET6", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6")),
]


@contextlib.contextmanager
def in_thread(function: Callable[..., Any], *args: Any, **options: Any) -> Iterator[Future[Any]]:
    """Run a function beside the block; the thread has ended after it."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(function, *args, **options)


@contextlib.contextmanager
def connected(
    family: str = "AF_INET", *, server: dict[str, Any] | None = None, **options: Any
) -> Iterator[Ends]:
    """Both ends of a connection: the listener's, the client's."""
    with Listener(None, family, **{**options, **(server or {})}) as listener:
        with in_thread(listener.accept, TIME) as accepted:
            theirs = Client(listener.address, family, timeout=TIME, **options)
            ours = accepted.result(TIME)
        del accepted
    with ours, theirs:
        yield ours, theirs


@contextlib.contextmanager
def raw_end(
    limit: int | None = None,
) -> Iterator[tuple[NetworkConnection[Any, Any], socket.socket]]:
    """A connection, and the bare TCP socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        bare = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    with bare:
        connection = NetworkConnection[Any, Any](_raw(accepted), limit=limit)
        with connection:
            bare.settimeout(TIME)
            yield connection, bare


def _raw(sock: socket.socket) -> Any:
    import _socket

    return _socket.socket(fileno=sock.detach())


def bare_socket(listener: Listener) -> socket.socket:
    """A bare socket that is connected to a listener."""
    address = listener.address
    sock = socket.socket(getattr(socket, listener._manners.family), listener._manners.kind)
    sock.settimeout(TIME)
    sock.connect(address)
    return sock


def reset(sock: socket.socket) -> None:
    """Close a TCP socket so that the other end gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
