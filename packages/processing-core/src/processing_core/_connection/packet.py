"""Owns connections over Unix sockets that keep message borders (unix(7), SOCK_SEQPACKET).

The kernel takes and gives each message whole, so processes and threads that share an end never tear
one, and one killed in the middle of a send leaves nothing half done. A message crosses in one
system call each way:

- A packet whose first byte is not ESCAPE is the message itself; so are all pickles, which begin
  with 0x80.
- ESCAPE PLAIN, then the message: it is empty or begins with ESCAPE.
- ESCAPE PARCEL, then a token: the message is too large or carries descriptors (see parcels).
- ESCAPE PERHAPS, then a token: the same, if there is such a parcel.
- ESCAPE NUDGE: a sender finds no room for a parcel, though all packets were read.
- ESCAPE KEY_WANTED ...: not from a connection; the other end asks for a key (see _network).
- An empty read is the end: the other end is closed and everything was received.

The sockets do not block. A receiver that finds nothing looks again for a few microseconds before it
sleeps, if that pays: on idle processors a sleeper is woken some sixty microseconds late, on busy
ones looking only keeps the sender from running. See Patience.
"""

from __future__ import annotations

import _socket as sockets
import errno
import math
import os
import select
import sys
from contextlib import suppress

assert sys.platform == "linux"

from processing_core._clock import Deadline, checked_timeout
from processing_core._connection.base import (
    Connection,
    checked_maxlength,
    put_into,
    selected,
    target,
    too_long,
)
from processing_core._connection.parcels import (
    TOKEN_BYTES,
    Parcel,
    ParcelSocket,
    parcel_socket_pair,
)
from processing_core._cpickle import PROTOCOL, dumps, loads
from processing_core._generic import TYPE_CHECKING, RecvT_co, SendT_contra
from processing_core._platform.awaiting import ready, wake
from processing_core._platform.mailbox import Mailbox
from processing_core._platform.patience import Patience
from processing_core._platform.polling import wait_for
from processing_core._serialize.packer import Packer, register_carrier
from processing_core._serialize.packing import LEAF_LENGTH, SCALARS, pack
from processing_core._serialize.transfer import take_descriptor
from processing_core.errors import AuthenticationError, BufferTooShort, ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Buffer

__all__ = ["PacketConnection", "packet_pipe"]

ESCAPE = 0xFF
PLAIN = b"\xff\x00"
PARCEL = b"\xff\x01"
NUDGE = b"\xff\x02"
PERHAPS = b"\xff\x03"
KEY_WANTED = b"\xff\x7f"
# A larger message goes as a parcel; a read must have room for the largest packet.
INLINE_BYTES = 64 * 1024
READ_BYTES = INLINE_BYTES + len(PLAIN)
# How long a coroutine waits for room for a parcel before it nudges.
NUDGE_SECONDS = 0.1

_read = os.read
_write = os.write


class PacketConnection(Connection[SendT_contra, RecvT_co]):
    """A connection on Linux: a socket for messages and one for parcels.

    ``box`` is None where it is made when it is needed (see ParcelSocket). ``limit`` is how long a
    received parcel may be (bytes); what fits into a packet always may.
    """

    __slots__ = ("_fd", "_in", "_limit", "_out", "_parcels", "_patience")

    def __init__(
        self,
        messages: int,
        parcels: sockets.socket,
        box: Mailbox | None,
        *,
        readable: bool,
        writable: bool,
        limit: int | None = None,
    ) -> None:
        super().__init__(readable=readable, writable=writable)
        # _in and _out are -1 where the end is closed or lacks the direction, so that the hot path
        # needs no check of its own: the system call fails and the slow path finds out why.
        self._fd = messages
        self._in = messages if readable else -1
        self._out = messages if writable else -1
        self._parcels = ParcelSocket(parcels, box, receives=readable)
        self._patience = Patience()
        self._limit = limit

    @property
    def closed(self) -> bool:
        """Whether this end was closed."""
        return self._fd < 0

    def fileno(self) -> int:
        """The descriptor that becomes readable when a message, or the end, is there to receive."""
        if self._fd < 0:
            raise OSError("the connection is closed")
        return self._fd

    def close(self) -> None:
        """Close this end; happens also when the connection is collected. May be called again."""
        fd, self._fd, self._in, self._out = self._fd, -1, -1, -1
        if fd >= 0:
            wake(fd)
            wake(self._parcels.fileno())
            os.close(fd)
            self._parcels.close()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd={self._fd}"
        return f"<{type(self).__name__} {state}{_direction(self._readable, self._writable)}>"

    # Sending

    def send(self, obj: SendT_contra) -> None:
        """Send an object that can be pickled. See Connection.send."""
        if self._out < 0:
            self._usable_for(receiving=False)
        cls = type(obj)
        if cls in SCALARS or ((cls is bytes or cls is str) and len(obj) <= LEAF_LENGTH):  # type: ignore[arg-type]
            data = dumps(obj, PROTOCOL)
            if len(data) > INLINE_BYTES:
                self._send_parcel([[data]], [])
                return
        elif (packed := self._pack(obj)) is not None:
            data = packed
        else:
            return
        try:
            _write(self._out, data)
        except OSError as error:
            self._write_after(error, data)

    def _pack(self, obj: SendT_contra) -> bytes | None:
        """The packet for an object; None if it had to go as a parcel and is sent."""
        packed = pack(obj)
        if isinstance(packed, Packer):
            parts = [packed.pieces, *([view] for view in packed.buffers)]
            self._send_parcel(parts, packed.descriptors)
            return None
        if len(packed) > INLINE_BYTES:
            self._send_parcel([[packed]], [])
            return None
        return packed

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send the bytes of a buffer. See Connection.send_bytes."""
        if type(buf) is not bytes or offset != 0 or size is not None:
            view = selected(buf, offset, size)
            if len(view) > INLINE_BYTES:
                self._usable_for(receiving=False)
                self._send_parcel([[view]], [])
                return
            buf = bytes(view)
        if len(buf) > INLINE_BYTES:
            self._usable_for(receiving=False)
            self._send_parcel([[buf]], [])
            return
        data = buf if buf and buf[0] != ESCAPE else PLAIN + buf
        try:
            _write(self._out, data)
        except OSError as error:
            self._write_after(error, data)

    sendBytes = sendbytes = send_bytes

    def _send_parcel(self, parts: list[Any], descriptors: list[int]) -> None:
        token = os.urandom(TOKEN_BYTES)
        try:
            self._parcels.send(token, parts, descriptors, self._nudge)
            self._write_marker(PARCEL + token)
        except (MemoryError, ProcessError):
            raise  # nothing was sent
        except ConnectionError as error:
            raise BrokenPipeError(
                error.errno, "the other end of the connection is closed"
            ) from None
        except BaseException:
            # A signal handler raised. The parcel may be sent, and then the message shall arrive.
            with suppress(OSError):
                _write(self._out, PERHAPS + token)
            raise

    def _write_marker(self, marker: bytes) -> None:
        try:
            _write(self._out, marker)
        except OSError as error:
            self._write_after(error, marker)

    def _nudge(self) -> None:
        """Have a receiver make room if there is none although it has read everything.

        Not before that: it will come to the markers of the parcels itself. A nudge behind them
        would be left in the pipe if the sender is killed, and poll() would take it for a message.
        """
        if not _unread(self._out):
            with suppress(BlockingIOError):  # others have sent something by now
                _write(self._out, NUDGE)

    def _write_after(self, error: OSError, data: bytes) -> None:
        """Write a packet after a first attempt has failed."""
        self._usable_for(receiving=False)
        while isinstance(error, BlockingIOError):
            wait_for(self._out, writable=True)
            try:
                _write(self._out, data)
            except OSError as again:
                error = again
            else:
                return
        if isinstance(error, ConnectionError):
            raise BrokenPipeError(
                error.errno, "the other end of the connection is closed"
            ) from None
        raise error

    # Receiving

    def recv(self) -> RecvT_co:
        """Receive an object. See Connection.recv."""
        try:
            data = _read(self._in, READ_BYTES)
        except OSError as error:
            data = self._read_after(error)
        if not data or data[0] == ESCAPE:
            message = self._unwrap(data)
            if isinstance(message, Parcel):
                return message.load()  # type: ignore[no-any-return]
            data = message
        return loads(data)  # type: ignore[no-any-return]

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive a message as bytes. See Connection.recv_bytes."""
        if maxlength is not None:
            maxlength = checked_maxlength(maxlength)
        try:
            data = _read(self._in, READ_BYTES)
        except OSError as error:
            data = self._read_after(error)
        if not data or data[0] == ESCAPE:
            message = self._unwrap_bytes(data)
            if isinstance(message, Parcel):
                return parcel_bytes(message, maxlength)
            data = message
        if maxlength is not None and len(data) > maxlength:
            raise too_long(len(data), maxlength)
        return data

    recvBytes = recvbytes = recv_bytes

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive a message into a writable buffer. See Connection.recv_bytes_into."""
        space = target(buf, offset)
        try:
            data = _read(self._in, READ_BYTES)
        except OSError as error:
            data = self._read_after(error)
        if not data or data[0] == ESCAPE:
            message = self._unwrap_bytes(data)
            if isinstance(message, Parcel):
                if message.size > len(space):
                    raise BufferTooShort(message.bytes())
                return message.copy_into(space)
            data = message
        return put_into(data, space)

    recvBytesInto = recvbytes_into = recv_bytes_into

    def _unwrap(self, data: bytes, *, wait: bool = True) -> bytes | Parcel:
        """The message that a packet stands for which is not the message itself.

        :raises BlockingIOError: without ``wait``, when no message is there
        """
        while True:
            if not data:
                if (token := self._parcels.orphan_at_end()) is None:
                    raise EOFError("the other end of the connection is closed")
                data = PERHAPS + token
            if data[0] != ESCAPE:
                return data
            if data.startswith(PLAIN):
                return data[len(PLAIN) :]
            if data == NUDGE:
                self._parcels.make_room()
            elif data.startswith(KEY_WANTED):
                self.close()
                raise AuthenticationError("the other end asks for a key, and this end has none")
            else:
                token, announced = data[len(PARCEL) :], data.startswith(PARCEL)
                if (parcel := self._parcels.receive(token, announced=announced)) is not None:
                    return self._within_limit(parcel)
            # No message, or one lost with a process that was killed: read on.
            try:
                data = _read(self._in, READ_BYTES) if wait else self._read_now()
            except OSError as error:
                if not wait:
                    raise
                data = self._read_after(error)

    def _within_limit(self, parcel: Parcel) -> Parcel:
        """:raises OSError: when the parcel is longer than it may be; the connection is closed"""
        if self._limit is not None and parcel.total > self._limit:
            size = parcel.total
            parcel.release()
            self.close()
            raise OSError(
                errno.EMSGSIZE,
                f"a message of {size} bytes is longer than max_message_size={self._limit}; "
                "the connection is closed",
            )
        return parcel

    def _unwrap_bytes(self, data: bytes, *, wait: bool = True) -> bytes | Parcel:
        """As _unwrap, for a receiver that asks for bytes: an object's buffers are in its pickle."""
        message = self._unwrap(data, wait=wait)
        if isinstance(message, Parcel) and message.has_buffers:
            return dumps(message.load(), PROTOCOL)
        return message

    def _read_after(self, error: OSError) -> bytes:
        """Read a packet after a first attempt has failed, waiting until there is one."""
        self._usable_for(receiving=True)
        while True:
            if isinstance(error, BlockingIOError):
                if (token := self._wait_for_packet()) is not None:
                    return PERHAPS + token
            elif not isinstance(error, ConnectionResetError):
                raise error
            # A peer that closed its end with messages unread makes the kernel report a reset once,
            # before what that peer had sent; reading again gives that, and then the end.
            try:
                return _read(self._in, READ_BYTES)
            except OSError as again:
                error = again

    def _wait_for_packet(self) -> bytes | None:
        """Wait for a packet; returns the token of an orphan when that is found instead."""
        poller = select.poll()
        poller.register(self._in, select.POLLIN)
        if (seconds := self._parcels.until_look()) is None:
            self._patience.wait(poller.poll)
            return None
        limit = math.ceil(seconds * 1000)
        self._patience.wait(lambda now: poller.poll(limit if now is None else now))
        return None if poller.poll(0) else self._parcels.orphan()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive. See Connection.poll."""
        timeout = checked_timeout(timeout)
        self._usable_for(receiving=True)
        deadline = Deadline(timeout)
        while True:
            seconds, until_look = deadline.seconds(), self._parcels.until_look()
            if until_look is not None:
                seconds = until_look if seconds is None else min(seconds, until_look)
            if wait_for(self._in, seconds) or self._parcels.orphan() is not None:
                return True
            if deadline.passed:
                return False

    # For coroutines

    async def asend(self, obj: SendT_contra) -> None:
        """Send an object, for asyncio. See Connection.asend."""
        self._usable_for(receiving=False)
        packed = pack(obj)
        if isinstance(packed, Packer):
            parts = [packed.pieces, *([view] for view in packed.buffers)]
            await self._asend_parcel(parts, packed.descriptors)
        elif len(packed) > INLINE_BYTES:
            await self._asend_parcel([[packed]], [])
        else:
            await self._asend_packet(packed)

    async def asend_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send the bytes of a buffer, for asyncio. See Connection.asend_bytes."""
        view = selected(buf, offset, size)
        self._usable_for(receiving=False)
        if len(view) > INLINE_BYTES:
            await self._asend_parcel([[view]], [])
        else:
            data = bytes(view)
            await self._asend_packet(data if data and data[0] != ESCAPE else PLAIN + data)

    async def _asend_packet(self, data: bytes) -> None:
        while True:
            self._usable_for(receiving=False)
            try:
                _write(self._out, data)
            except BlockingIOError:
                await ready(self._out, writable=True)
            except ConnectionError as error:
                raise BrokenPipeError(
                    error.errno, "the other end of the connection is closed"
                ) from None
            else:
                return

    async def _asend_parcel(self, parts: list[Any], descriptors: list[int]) -> None:
        token = os.urandom(TOKEN_BYTES)
        while not self._sent_parcel(token, parts, descriptors):
            if self._parcels.has_room():
                await ready(self._out, writable=True)
            else:
                await ready(self._parcels.fileno(), writable=True, limit=NUDGE_SECONDS)
                self._usable_for(receiving=False)
                if not self._parcels.has_room():
                    self._nudge()
            self._usable_for(receiving=False)
        try:
            await self._asend_packet(PARCEL + token)
        except BaseException:
            # Another sender has filled the socket, and we are cancelled. As in _send_parcel.
            with suppress(OSError):
                _write(self._out, PERHAPS + token)
            raise

    def _sent_parcel(self, token: bytes, parts: list[Any], descriptors: list[int]) -> bool:
        """Send a parcel if there is room for it and its marker; whether there was."""
        if not self._parcels.has_room() or not wait_for(self._out, 0, writable=True):
            return False
        try:
            self._parcels.send(token, parts, descriptors, _give_up)
        except BlockingIOError:
            return False  # another sender was faster
        except ConnectionError as error:
            raise BrokenPipeError(
                error.errno, "the other end of the connection is closed"
            ) from None
        return True

    async def arecv(self) -> RecvT_co:
        """Receive an object, for asyncio. See Connection.arecv."""
        message = await self._areceive(self._unwrap)
        if isinstance(message, Parcel):
            return message.load()  # type: ignore[no-any-return]
        return loads(message)  # type: ignore[no-any-return]

    async def arecv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive a message as bytes, for asyncio. See Connection.arecv_bytes."""
        maxlength = checked_maxlength(maxlength)
        message = await self._areceive(self._unwrap_bytes)
        if isinstance(message, Parcel):
            return parcel_bytes(message, maxlength)
        if maxlength is not None and len(message) > maxlength:
            raise too_long(len(message), maxlength)
        return message

    async def _areceive(self, unwrap: Callable[..., bytes | Parcel]) -> bytes | Parcel:
        while True:
            try:
                data = self._read_now()
                return unwrap(data, wait=False) if not data or data[0] == ESCAPE else data
            except BlockingIOError:
                await ready(self._in, limit=self._parcels.until_look())

    def _read_now(self) -> bytes:
        """Read a packet. :raises BlockingIOError: when there is none"""
        while True:
            self._usable_for(receiving=True)
            try:
                return _read(self._in, READ_BYTES)
            except ConnectionResetError:
                continue  # see _read_after
            except BlockingIOError:
                if (token := self._parcels.orphan()) is None:
                    raise
                return PERHAPS + token


def _give_up() -> None:
    """What a coroutine does in place of waiting for room."""
    raise BlockingIOError


def parcel_bytes(parcel: Parcel, maxlength: int | None) -> bytes:
    """The bytes of a parcel. :raises OSError: when there are more than ``maxlength``"""
    if maxlength is not None and parcel.size > maxlength:
        size = parcel.size
        parcel.release()
        raise too_long(size, maxlength)
    return parcel.bytes()


def _unread(descriptor: int) -> bool:
    """Whether the other end of a socket has something to read (unix(7), SIOCOUTQ)."""
    import fcntl
    import termios

    count = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(count, sys.byteorder) > 0


def _direction(readable: bool, writable: bool) -> str:
    if readable and writable:
        return ""
    return " receives" if readable else " sends"


def packet_pipe(duplex: bool) -> tuple[PacketConnection[Any, Any], PacketConnection[Any, Any]]:
    """Two connected ends; without ``duplex`` the first only receives and the second only sends."""
    opened: list[Mailbox | sockets.socket] = []
    try:
        boxes = [Mailbox.create()]
        opened += boxes
        if duplex:
            boxes.append(Mailbox.create())
            opened += boxes[1:]
        messages = _message_socket_pair()
        opened += messages
        parcels = parcel_socket_pair()
    except OSError:
        for one in opened:
            one.close()
        raise
    return (
        PacketConnection(
            messages[0].detach(), parcels[0], boxes[0], readable=True, writable=duplex
        ),
        PacketConnection(
            messages[1].detach(),
            parcels[1],
            boxes[1] if duplex else None,
            readable=duplex,
            writable=True,
        ),
    )


def _message_socket_pair() -> tuple[sockets.socket, sockets.socket]:
    pair = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
    for end in pair:
        end.setblocking(False)
    return pair


def _rebuild(indices: list[int], readable: bool, writable: bool, limit: int | None) -> object:
    messages, parcels, *box = map(take_descriptor, indices)
    return PacketConnection(
        messages,
        sockets.socket(sockets.AF_UNIX, sockets.SOCK_SEQPACKET, 0, parcels),
        Mailbox(box) if box else None,
        readable=readable,
        writable=writable,
        limit=limit,
    )


def _reduce(connection: PacketConnection[Any, Any], packer: Packer) -> tuple[Any, ...]:
    descriptors = [connection.fileno(), *connection._parcels.descriptors]
    indices = [packer.attach(descriptor) for descriptor in descriptors]
    return _rebuild, (indices, connection.readable, connection.writable, connection._limit)


register_carrier(PacketConnection, _reduce)
