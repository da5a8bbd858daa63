"""Owns clients for asyncio: connecting and agreeing with a listener on an event loop's thread."""

from __future__ import annotations

import _socket as sockets
import errno
import os
from contextlib import suppress

from processing_core._clock import Deadline
from processing_core._network.client import HANDSHAKE_SECONDS, Request
from processing_core._network.greeting import Greeting
from processing_core._network.listener import KEEPALIVE_SECONDS
from processing_core._platform.awaiting import ready
from processing_core.errors import AuthenticationError, TimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import Any

    from processing_core._connection.base import Connection
    from processing_core._network.addresses import Address

__all__ = ["open_connection"]

# What connect(2) says of a connection that is on its way.
UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK)
# No descriptor tells when the queue of an AF_UNIX listener has room: the pause before a new try.
FULL_QUEUE_SECONDS = 0.005


async def open_connection(
    address: Address | bytes | os.PathLike[str],
    family: str | None = None,
    authenticate: bool = False,
    authkey: bytes | str | None = None,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - the same as Client's
    ssl_context: SSLContext | None = None,
    server_hostname: str | None = None,
    compat: str | None = None,
    max_message_size: int | None = None,
    handshake_timeout: float | None = HANDSHAKE_SECONDS,
    keepalive: float | None = KEEPALIVE_SECONDS,
) -> Connection[Any, Any]:
    """As ``Client``, for asyncio: connect to the listener at an address; returns the connection.

    The parameters and errors are those of ``Client``. Takes no thread, but for finding the address
    of a host that is given by name, as asyncio itself does. When it is cancelled, nothing stays
    open. The connection is for ``await connection.arecv()`` and ``asend``, and an asynchronous
    context manager that closes it.
    """
    request = Request(
        address,
        family,
        authenticate=authenticate,
        authkey=authkey,
        timeout=timeout,
        ssl_context=ssl_context,
        server_hostname=server_hostname,
        compat=compat,
        max_message_size=max_message_size,
        handshake_timeout=handshake_timeout,
        keepalive=keepalive,
    )
    sock = request.socket()
    try:
        sock.setblocking(False)
        await _connect(sock, request.address, request.deadline)
        greeting = Greeting(sock, request.manners)
    except BaseException as error:
        request.give_up(sock, error)
        raise
    try:
        greeting.get_ready()
        await _agree(greeting, request.deadline, Deadline(request.greeting_seconds))
        return greeting.connection()
    except BaseException as error:
        request.disagree(greeting, error)
        raise


async def _connect(sock: sockets.socket, address: Address, deadline: Deadline) -> None:
    """Connect a socket. :raises TimeoutError: when the time ran out"""
    import asyncio

    where: Any = os.fsencode(address) if isinstance(address, str) else await _resolved(address)
    while (number := sock.connect_ex(where)) == errno.EAGAIN and isinstance(where, bytes):
        if deadline.passed:
            raise TimeoutError("the listener did not accept in time")
        await asyncio.sleep(FULL_QUEUE_SECONDS)
    if number in UNDER_WAY:
        await ready(sock.fileno(), writable=True, limit=deadline.seconds())
        try:
            sock.getpeername()
        except OSError:
            number = sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
            if not number:
                raise TimeoutError("the listener did not accept in time") from None
        else:
            number = 0
    if number:
        error = OSError(number, os.strerror(number))
        if number == errno.EPROTOTYPE:
            error.add_note("one of the two sides has compat='multiprocessing', and the other not")
        raise error


async def _resolved(address: Any) -> Any:
    """The address with a number for a host that is given by name."""
    import asyncio

    host, port = address[:2]
    family = sockets.AF_INET6 if ":" in host or len(address) == 4 else sockets.AF_INET
    with suppress(OSError):  # a name
        sockets.inet_pton(family, host)
        return address
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, family=family, type=sockets.SOCK_STREAM
    )
    return found[0][4]


async def _agree(greeting: Greeting, deadline: Deadline, greeting_deadline: Deadline) -> None:
    """Go through with a greeting. See agree() in client."""
    while not greeting.go_on():
        if deadline.passed:
            raise TimeoutError("the listener did not agree in time")
        if greeting_deadline.passed:
            raise AuthenticationError("it took too long; perhaps it has no key, or nobody accepts")
        limits = [deadline.seconds(), greeting_deadline.seconds()]
        left = min((limit for limit in limits if limit is not None), default=None)
        await ready(greeting.socket.fileno(), writable=greeting.wants_to_write, limit=left)
