"""Owns how connections are to be set up: what listeners and clients were told, checked."""

from __future__ import annotations

import _socket as sockets
import sys

from processing_core._clock import checked_timeout
from processing_core._network.addresses import (
    checked_compat,
    checked_context,
    checked_key,
    checked_size,
    default_size_limit,
)
from processing_core._network.challenge import StandardHandshake
from processing_core._network.handshake import ClientHandshake, ListenerHandshake
from processing_core.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext

    from processing_core._network.handshake import Handshake
    from processing_core._network.tls import TLSSession

__all__ = ["Manners", "checked_manners"]

KEEPALIVE_PROBES = 4
# None for those that the platform does not have.
KEEPALIVE_OPTIONS = tuple(
    getattr(sockets, name, None)
    for name in (
        "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE",
        "TCP_KEEPINTVL",
        "TCP_KEEPCNT",
        "TCP_USER_TIMEOUT",
    )
)


class Manners:
    """How the connections of a listener, or of a client, are set up."""

    def __init__(
        self,
        family: str,
        *,
        key: bytes | None,
        standard: bool,
        context: SSLContext | None,
        hostname: str | None,
        limit: int | None,
        keepalive: float | None,
        is_listener: bool,
    ) -> None:
        self.family = family
        self.key = key
        self.standard = standard
        self.context = context
        self.hostname = hostname
        self.limit = limit
        self.keepalive = keepalive
        self.is_listener = is_listener
        # On Linux two ends of this library speak in packets, as a pipe does, with a second socket
        # for large messages and descriptors.
        self.in_packets = family == "AF_UNIX" and not standard and sys.platform == "linux"

    @property
    def kind(self) -> int:
        """The kind of the sockets."""
        if sys.platform != "win32" and self.in_packets:
            return sockets.SOCK_SEQPACKET
        return sockets.SOCK_STREAM

    def handshake(self) -> Handshake | None:
        if self.key is None:
            return None
        if self.standard:
            return StandardHandshake(self.key, is_listener=self.is_listener)
        if self.is_listener:
            return ListenerHandshake(self.key)
        return ClientHandshake(self.key)

    def session(self, sock: sockets.socket) -> TLSSession | None:
        if self.context is None:
            return None
        # Only here: most programs have no use for it, and OpenSSL is dear to import.
        from processing_core._network.tls import TLSSession

        return TLSSession(sock, self.context, is_server=self.is_listener, hostname=self.hostname)

    def is_near(self, sock: sockets.socket) -> bool:
        """Whether both ends of a socket are known to be of this library and on this machine."""
        if self.family not in ("AF_INET", "AF_INET6") or self.standard:
            return False
        try:
            return bool(sock.getpeername()[0] == sock.getsockname()[0])
        except OSError:
            return False  # the other end has left already

    def prepare(self, sock: sockets.socket) -> bool:
        """Set a connected socket's options; whether both ends are near (see ``is_near``)."""
        if self.family not in ("AF_INET", "AF_INET6"):
            return False
        near = self.is_near(sock)
        if not near:
            sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        if self.keepalive is not None:
            keep_alive(sock, self.keepalive)
        return near


def checked_manners(
    family: str,
    *,
    authenticate: bool,
    authkey: bytes | str | None,
    ssl_context: SSLContext | None,
    compat: str | None,
    max_message_size: int | None,
    keepalive: float | None,
    is_listener: bool,
    hostname: str | None = None,
) -> Manners:
    """Check what the caller of Listener or Client gave; see there.

    :raises InvalidArgument: when an argument makes no sense
    :raises InvalidType: when one is of the wrong type
    """
    limit = checked_size(max_message_size)
    keepalive = checked_timeout(keepalive)
    if keepalive == 0:
        raise InvalidArgument("keepalive must be a positive number of seconds, or None")
    return Manners(
        family,
        key=checked_key(authenticate, authkey),
        standard=checked_compat(compat),
        context=checked_context(ssl_context, family),
        hostname=hostname,
        limit=default_size_limit(family) if limit is None else limit,
        keepalive=keepalive,
        is_listener=is_listener,
    )


def keep_alive(sock: sockets.socket, seconds: float) -> None:
    """Have the kernel end a connection whose peer has given no sign of life for so long.

    Half of the time nothing is asked, in the other half KEEPALIVE_PROBES times. Sent bytes that
    nobody acknowledges end it after the same time.
    """
    sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
    idle = max(1, round(seconds / 2))
    interval = max(1, round(seconds / 2 / KEEPALIVE_PROBES))
    values = (idle, interval, KEEPALIVE_PROBES, round(seconds * 1000))
    for option, value in zip(KEEPALIVE_OPTIONS, values, strict=True):
        if option is not None:
            sock.setsockopt(sockets.IPPROTO_TCP, option, value)
