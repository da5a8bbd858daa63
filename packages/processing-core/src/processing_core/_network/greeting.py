"""Owns setting a connection up over a connected socket: TLS, the handshake, the second socket.

Nothing here waits: a greeting is taken on, step by step, whenever its socket is ready, so a
listener can have many under way. Until it has succeeded at most one frame is read ahead, and
nothing is unpickled.
"""

from __future__ import annotations

import _socket as sockets
import os
import struct
import sys

from processing_core._network.connection import NetworkConnection
from processing_core._network.handshake import (
    FRAME_BYTES,
    NO_KEY,
    NOT_UNDERSTOOD,
    OPEN,
    PREFACE,
    REFUSAL,
    kind_of,
    open_frame,
    refusal,
    refused,
)
from processing_core.errors import AuthenticationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_core._connection.base import Connection
    from processing_core._network.manners import Manners

__all__ = ["Greeting"]

# What a peer that was refused may have sent meanwhile; unread, it would make the kernel throw the
# refusal away.
LEFTOVER_BYTES = 64 * 1024


class Greeting:
    """One connection that is being set up. Owns the socket until ``connection`` is called."""

    def __init__(self, sock: sockets.socket, manners: Manners) -> None:
        self.socket = sock
        self._manners = manners
        manners.prepare(sock)
        self._tls = manners.session(sock)
        self._tls_agreed = self._tls is None
        self._handshake = manners.handshake()
        self._to_send = b""
        # The second socket of a connection in packets; its client makes the pair.
        self._parcels: int | None = None

    @property
    def wants_to_write(self) -> bool:
        """Whether the socket was full, and is to be waited for until it is not."""
        return bool(self._to_send)

    def go_on(self) -> bool:
        """Do all that is possible now; whether the connection is set up.

        :raises AuthenticationError: when it cannot be
        :raises OSError: when the socket is broken
        """
        try:
            self._agree_on_tls()
            while True:
                self._flush()
                if self._handshake is None or not (needed := self._handshake.needed):
                    break
                self._feed(self._read(needed))
            return self._exchange_parcels()
        except BlockingIOError:
            return False

    def _agree_on_tls(self) -> None:
        if self._tls is None or self._tls_agreed:
            return
        try:
            self._tls.handshake()
        except BlockingIOError:
            raise
        except OSError as error:  # ssl.SSLError is one, too
            raise AuthenticationError(f"no TLS: {error}") from error
        self._tls_agreed = True

    def _flush(self) -> None:
        if self._handshake is not None:
            self._to_send += self._handshake.outgoing()
        if self._to_send:
            if self._tls is not None:
                data, self._to_send = self._to_send, b""
                self._tls.write(data, [])
            else:
                self._to_send = self._to_send[self.socket.send(self._to_send) :]
        if self._tls is not None:
            self._tls.flush()

    def _read(self, size: int) -> bytes:
        if self._tls is not None:
            received = bytearray()
            self._tls.read_into(received, size)
            return bytes(received)
        # A packet that is longer than it should be is told from one that is not.
        return self.socket.recv(size + 1 if self._manners.in_packets else size)

    def _feed(self, data: bytes) -> None:
        assert self._handshake is not None
        if not data:
            raise AuthenticationError("the other end closed the connection")
        self._handshake.feed(data)

    def refuse(self) -> None:
        """Tell the other end why, as far as that needs no waiting, and close the socket."""
        try:
            self._flush()
            if self._tls is not None:
                self._tls.say_goodbye()
            self.socket.shutdown(sockets.SHUT_WR)
            self.socket.recv(LEFTOVER_BYTES)
        except OSError:
            pass  # it is gone, or does not listen: it will see the end
        finally:
            self.close()

    def close(self) -> None:
        """Give everything up."""
        self.socket.close()
        if self._parcels is not None:
            os.close(self._parcels)
            self._parcels = None

    def connection(self) -> Connection[Any, Any]:
        """The connection, once it is set up."""
        if self._parcels is not None:
            return self._packet_connection(self._parcels)
        if self._tls is not None:
            # Only here: see session().
            from processing_core._network.tls import TLSConnection

            return TLSConnection(self._tls, limit=self._manners.limit)
        return NetworkConnection(self.socket, limit=self._manners.limit)

    # Packets

    if sys.platform == "linux":

        def _exchange_parcels(self) -> bool:
            if not self._manners.in_packets:
                return True
            if self._manners.is_listener:
                self._receive_parcels()
            else:
                self._send_parcels()
            return True

        def _send_parcels(self) -> None:
            ours, theirs = parcel_socket_pair()
            try:
                self.socket.sendmsg(
                    [open_frame()],
                    [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, struct.pack("=i", theirs))],
                )
            except BaseException:
                os.close(ours)
                raise
            finally:
                os.close(theirs)
            self._parcels = ours

        def _receive_parcels(self) -> None:
            data, descriptors, complete = rights.receive(self.socket, FRAME_BYTES + 1)
            try:
                self._check_opening(data)
                if len(descriptors) != 1 or not complete:
                    raise AuthenticationError("the other end sent no socket for large messages")
                self._parcels = descriptors.pop()
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            check_parcel_socket(self._parcels)

        def _check_opening(self, data: bytes) -> None:
            if not data:
                raise AuthenticationError("the other end closed the connection")
            kind = kind_of(data) if len(data) == FRAME_BYTES else None
            if kind == OPEN:
                return
            if kind == REFUSAL:
                raise refused(data)
            self._to_send = refusal(NO_KEY if kind == PREFACE else NOT_UNDERSTOOD)
            if kind == PREFACE:
                raise AuthenticationError(
                    "the client wants to authenticate, and this listener has no key"
                )
            raise AuthenticationError("the other end speaks another protocol")

        def _packet_connection(self, parcels: int) -> Connection[Any, Any]:
            box = Mailbox.create()
            self._parcels = None
            return PacketConnection(
                self.socket.detach(),
                parcels,
                box,
                readable=True,
                writable=True,
                limit=self._manners.limit,
            )

    else:

        def _exchange_parcels(self) -> bool:
            return True

        def _packet_connection(self, parcels: int) -> Connection[Any, Any]:
            raise NotImplementedError


if sys.platform == "linux":
    from processing_core._connection.packet import PacketConnection
    from processing_core._connection.parcels import parcel_socket_pair
    from processing_core._platform import rights
    from processing_core._platform.mailbox import Mailbox

    def check_parcel_socket(descriptor: int) -> None:
        """:raises AuthenticationError: when it is not the end of a pair as we make them"""
        sock = sockets.socket(fileno=os.dup(descriptor))
        try:
            if (sock.family, sock.type) != (sockets.AF_UNIX, sockets.SOCK_SEQPACKET):
                raise AuthenticationError("the other end sent a socket of another kind")
        finally:
            sock.close()
