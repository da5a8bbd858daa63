"""Owns clients: connecting to a listener and agreeing with it on all that it asks for."""

from __future__ import annotations

import _socket as sockets
import errno
import math
import os
import struct
import sys

from processing_core._clock import Deadline, checked_timeout
from processing_core._network import addresses
from processing_core._network.greeting import Greeting
from processing_core._network.listener import KEEPALIVE_SECONDS
from processing_core._network.manners import checked_manners
from processing_core._platform.polling import wait_for_socket
from processing_core.errors import AuthenticationError, TimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import Any

    from processing_core._connection.base import Connection
    from processing_core._network.addresses import Address

__all__ = ["HANDSHAKE_SECONDS", "Client", "Request"]

# A listener may be busy with something else before it turns to its clients.
HANDSHAKE_SECONDS = 60.0


def Client(  # noqa: N802 - the documented name
    address: Address | bytes | os.PathLike[str],
    family: str | None = None,
    authenticate: bool = False,
    authkey: bytes | str | None = None,
    *,
    timeout: float | None = None,
    ssl_context: SSLContext | None = None,
    server_hostname: str | None = None,
    compat: str | None = None,
    max_message_size: int | None = None,
    handshake_timeout: float | None = HANDSHAKE_SECONDS,
    keepalive: float | None = KEEPALIVE_SECONDS,
) -> Connection[Any, Any]:
    """Connect to the listener at an address; returns the connection.

    :param address: ``(host, port)``, a path or an abstract name: the listener's ``address``
    :param family: ``"AF_INET"``, ``"AF_INET6"`` or ``"AF_UNIX"``; None to tell from the address
    :param authenticate: whether both ends show that they know the key; also if a key is given
    :param authkey: the key, bytes or a string (which is encoded as UTF-8); None for that of the
        current process
    :param timeout: how long all of it may take, in seconds; None for no limit of its own
    :param ssl_context: a client's context, for TLS
    :param server_hostname: whom the listener's certificate must be for; None for the address's host
    :param compat: ``"multiprocessing"`` where the listener is the standard library's
    :param max_message_size: how long a received message may be, in bytes; None for 256 MiB over
        AF_INET and AF_INET6, and for no limit over AF_UNIX
    :param handshake_timeout: how long TLS and authentication may take, in seconds, the time that
        the listener needs before it turns to us included
    :param keepalive: after how many seconds without a sign of life a peer machine counts as gone;
        None for what the system does

    :raises AuthenticationError: when the listener does not know the key, says that we do not,
        never asks for one, or TLS fails
    :raises TimeoutError: when the time ran out
    :raises ConnectionError: when nobody listens there (and other OSErrors of connecting)
    :raises InvalidArgument: (a ValueError) when an argument makes no sense, an empty key included
    :raises InvalidType: (a TypeError) when an argument is of the wrong type

    A client without a key does not wait for the listener. If that asks for a key, the first
    ``recv`` raises AuthenticationError.
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
        connect(sock, request.address, request.deadline)
        limit = earlier(request.deadline, Deadline(request.greeting_seconds))
        # Under TLS what the socket has is not all that there may be, so it cannot be left to wait.
        patient = limit if ssl_context is None and sys.platform != "win32" else None
        greeting = Greeting(sock, request.manners, patient=patient)
    except BaseException as error:
        request.give_up(sock, error)
        raise
    try:
        agree(greeting, request.deadline, limit)
        return greeting.connection()
    except BaseException as error:
        request.disagree(greeting, error)
        raise


class Request:
    """What a client was asked to do, checked; see Client. The time begins now."""

    __slots__ = ("address", "deadline", "family", "greeting_seconds", "manners")

    def __init__(
        self,
        address: Address | bytes | os.PathLike[str],
        family: str | None,
        *,
        authenticate: bool,
        authkey: bytes | str | None,
        timeout: float | None,
        ssl_context: SSLContext | None,
        server_hostname: str | None,
        compat: str | None,
        max_message_size: int | None,
        handshake_timeout: float | None,
        keepalive: float | None,
    ) -> None:
        self.deadline = Deadline(checked_timeout(timeout))
        self.family = addresses.checked_family(family, address)
        self.address = addresses.normal_address(address, self.family)
        self.greeting_seconds = checked_timeout(handshake_timeout)
        if server_hostname is None and isinstance(self.address, tuple):
            server_hostname = self.address[0]
        self.manners = checked_manners(
            self.family,
            authenticate=authenticate,
            authkey=authkey,
            ssl_context=ssl_context,
            compat=compat,
            max_message_size=max_message_size,
            keepalive=keepalive,
            is_listener=False,
            hostname=server_hostname,
        )

    def socket(self) -> sockets.socket:
        """A socket that can be connected to the address.

        :raises NotImplementedError: for AF_PIPE, which needs named pipes instead
        """
        if self.family == "AF_PIPE":
            raise NotImplementedError("clients for AF_PIPE do not exist yet; use AF_INET")
        return sockets.socket(getattr(sockets, self.family), self.manners.kind)

    def give_up(self, sock: sockets.socket, error: BaseException) -> None:
        """Close a socket, whatever came in between, Ctrl-C included."""
        sock.close()
        if isinstance(error, OSError):
            error.add_note(f"the address is {addresses.shown(self.address)}")

    def disagree(self, greeting: Greeting, error: BaseException) -> None:
        """Close a greeting, whatever came in between, cancellation included.

        :raises AuthenticationError: in place of one, with the address
        """
        if not isinstance(error, AuthenticationError):
            greeting.close()
            return
        greeting.refuse()
        raise AuthenticationError(
            f"no agreement with the listener at {addresses.shown(self.address)}: {error}"
        ) from error


def connect(sock: sockets.socket, address: Address, deadline: Deadline) -> None:
    """Connect a socket. :raises TimeoutError: when the time ran out"""
    left = deadline.seconds()
    try:
        if isinstance(address, tuple):
            sock.settimeout(left)
            if left == 0:
                raise TimeoutError("no time to connect")
            sock.connect(address)
        else:
            # Where the listener's queue is full, an AF_UNIX socket that does not block could only
            # try again; one that blocks is woken.
            if left is not None and sys.platform != "win32":
                limit = max(left, 1e-3)
                whole = math.floor(limit)
                value = struct.pack("@ll", whole, int((limit - whole) * 1e6))
                sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDTIMEO, value)
            sock.connect(os.fsencode(address))
    except (sockets.timeout, BlockingIOError):
        raise TimeoutError("the listener did not accept in time") from None
    except OSError as error:
        if error.errno == errno.EPROTOTYPE:
            error.add_note("one of the two sides has compat='multiprocessing', and the other not")
        raise


def earlier(first: Deadline, second: Deadline) -> Deadline:
    """The one of two deadlines that comes first."""
    limits = [left for left in (first.seconds(), second.seconds()) if left is not None]
    return Deadline(min(limits, default=None))


def agree(greeting: Greeting, deadline: Deadline, limit: Deadline) -> None:
    """Go through with a greeting until a moment.

    :raises AuthenticationError: when it fails or takes longer than a handshake may
    :raises TimeoutError: when it was ``deadline`` that has passed
    """
    while not greeting.go_on():
        greeting.get_ready()
        left = limit.seconds()
        if wait_for_socket(greeting.socket.fileno(), left, writable=greeting.wants_to_write):
            continue
        if deadline.passed:
            raise TimeoutError("the listener did not agree in time")
        raise AuthenticationError("it took too long; perhaps it has no key, or nobody accepts")
