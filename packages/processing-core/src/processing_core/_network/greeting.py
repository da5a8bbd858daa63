"""Owns setting a connection up over a connected socket: TLS, the handshake, the second socket.

A greeting is taken on, step by step, whenever its socket is ready, so a listener can have many
under way; a client, which has only one, may let its reads wait. Until it has succeeded at most one
frame is read ahead, and nothing is unpickled.
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
    PROOF,
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

    from processing_core._clock import Deadline
    from processing_core._connection.base import Connection
    from processing_core._network.handshake import Handshake
    from processing_core._network.manners import Manners

__all__ = ["Greeting"]

# What a peer that was refused may have sent meanwhile; unread, it would make the kernel throw the
# refusal away.
LEFTOVER_BYTES = 64 * 1024


class Greeting:
    """One connection that is being set up. Owns the socket until ``connection`` is called.

    ``patient``: until when reads may wait by themselves, None for not at all.
    """

    __slots__ = (
        "_handshake",
        "_manners",
        "_near",
        "_parcels",
        "_parcels_due",
        "_patient",
        "_takes_turns",
        "_their_parcels",
        "_tls",
        "_tls_agreed",
        "_to_send",
        "socket",
    )

    def __init__(
        self, sock: sockets.socket, manners: Manners, *, patient: Deadline | None = None
    ) -> None:
        self.socket = sock
        self._manners = manners
        self._patient = patient
        sock.setblocking(patient is not None)
        self._near = manners.prepare(sock)
        self._tls = manners.session(sock)
        self._tls_agreed = self._tls is None
        self._handshake = manners.handshake()
        self._takes_turns = manners.is_listener and manners.context is None and not manners.standard
        self._to_send = b""
        # Of a connection in packets: whether the client's second socket is still to be sent or
        # received, our end of it, and the other's before it was sent.
        self._parcels_due = manners.in_packets
        self._parcels: sockets.socket | None = None
        self._their_parcels: sockets.socket | None = None

    @property
    def wants_to_write(self) -> bool:
        """Whether the socket was full, and is to be waited for until it is not."""
        return bool(self._to_send)

    def go_on(self) -> bool:
        """Do what is possible now; whether the connection is set up.

        :raises AuthenticationError: when it cannot be
        :raises OSError: when the socket is broken
        """
        handshake = self._handshake
        try:
            if not self._tls_agreed:
                self._agree_on_tls()
            if self._parcels_due and handshake is None:
                self._open()
            if handshake is not None and self._takes_turns:
                if not self._take_turn(handshake):
                    return False
                handshake = None
            while True:
                self._flush()
                if handshake is None or not (needed := handshake.needed):
                    break
                if self._patient is not None:
                    self.get_ready()
                    # Unlike SO_RCVTIMEO, this limit holds whatever signals come meanwhile.
                    self.socket.settimeout(self._patient.seconds())
                self._feed(self._read(needed))
        except BlockingIOError:
            return False
        except sockets.timeout as error:
            if error.errno is not None:
                raise  # not ours: the other machine is gone
            return False
        if self._parcels_due:
            raise AuthenticationError("the other end sent no socket for large messages")
        return True

    def _take_turn(self, handshake: Handshake) -> bool:
        """Read what the client has said, then speak; whether that was all.

        In this order, because over TCP what is sent acknowledges what was read, which the client
        may be waiting for. What it says next is its answer, so nobody looks for that at once.
        """
        try:
            data = self._read(handshake.needed) if handshake.needed else None
        except BlockingIOError:
            self._flush()
            return False
        self._flush()
        if data is not None:
            self._feed(data)
            self._flush()
        return not handshake.needed

    def _agree_on_tls(self) -> None:
        assert self._tls is not None
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
        if self._tls is not None:
            if self._to_send:
                data, self._to_send = self._to_send, b""
                self._tls.write(data, [])
            self._tls.flush()
        elif self._to_send:
            self._to_send = self._to_send[self._send(self._to_send) :]

    def _send(self, data: bytes) -> int:
        if self._parcels_due and kind_of(data) == PROOF:
            return self._send_parcels(data)
        return self.socket.send(data)

    def _read(self, size: int) -> bytes:
        if self._tls is not None:
            received: list[bytes] = []
            self._tls.read(received.append, size)
            return received[0] if received else b""
        if self._manners.in_packets:
            return self._read_packet()
        return self.socket.recv(size)

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
        for parcels in (self._parcels, self._their_parcels):
            if parcels is not None:
                parcels.close()

    def connection(self) -> Connection[Any, Any]:
        """The connection, once it is set up."""
        if self._patient is not None:
            self.socket.setblocking(False)
        if self._parcels is not None:
            return self._packet_connection(self._parcels)
        if self._tls is not None:
            # Only here: most programs have no use for it, and OpenSSL is dear to import.
            from processing_core._network.tls import TLSConnection

            return TLSConnection(self._tls, limit=self._manners.limit)
        return NetworkConnection(self.socket, limit=self._manners.limit, clustered=self._near)

    # Packets

    if sys.platform == "linux":

        def _open(self) -> None:
            """Without a key, the client's first packet has the second socket with it."""
            if not self._manners.is_listener:
                self._send_parcels(open_frame())
                return
            data = self._read_packet()
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

        def get_ready(self) -> None:
            """Make what will be needed, while the other end is thinking."""
            if self._parcels_due and self._parcels is None and not self._manners.is_listener:
                self._parcels, self._their_parcels = parcel_socket_pair()

        def _send_parcels(self, data: bytes) -> int:
            self.get_ready()
            assert self._their_parcels is not None
            rights.send(self.socket, data, [self._their_parcels.fileno()])
            self._their_parcels.close()
            self._parcels_due = False
            return len(data)

        def _read_packet(self) -> bytes:
            # A packet that is longer than it should be is told from one that is not.
            data, ancillary, _, _ = self.socket.recvmsg(
                FRAME_BYTES + 1, ONE_DESCRIPTOR, sockets.MSG_CMSG_CLOEXEC
            )
            for _, _, numbers in ancillary:
                (descriptor,) = struct.unpack("=i", numbers)
                self._receive_parcels(descriptor)
            return data

        def _receive_parcels(self, descriptor: int) -> None:
            if not self._parcels_due or not self._manners.is_listener:
                os.close(descriptor)
                raise AuthenticationError("the other end sent a descriptor out of turn")
            try:
                self._parcels = sockets.socket(fileno=descriptor)
            except OSError:
                os.close(descriptor)
                raise AuthenticationError("the other end sent a descriptor of no socket") from None
            self._parcels_due = False
            kind = self._parcels.family, self._parcels.type
            if kind != (sockets.AF_UNIX, sockets.SOCK_SEQPACKET):
                raise AuthenticationError("the other end sent a descriptor of another kind")

        def _packet_connection(self, parcels: sockets.socket) -> Connection[Any, Any]:
            self._parcels = None
            return PacketConnection(
                self.socket.detach(),
                parcels,
                None,
                readable=True,
                writable=True,
                limit=self._manners.limit,
            )

    else:

        def get_ready(self) -> None:
            """Make what will be needed, while the other end is thinking."""

        def _open(self) -> None:
            raise NotImplementedError

        def _send_parcels(self, data: bytes) -> int:
            raise NotImplementedError

        def _read_packet(self) -> bytes:
            raise NotImplementedError

        def _packet_connection(self, parcels: sockets.socket) -> Connection[Any, Any]:
            raise NotImplementedError


if sys.platform == "linux":
    from processing_core._connection.packet import PacketConnection
    from processing_core._connection.parcels import parcel_socket_pair
    from processing_core._platform import rights

    # Room for exactly one: the kernel closes all others.
    ONE_DESCRIPTOR = sockets.CMSG_LEN(4)
