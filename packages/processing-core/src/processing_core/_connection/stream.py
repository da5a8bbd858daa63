"""Owns connections over byte streams (stream sockets), for systems without packet sockets.

Each message is a header and its bytes: the length as four bytes, big-endian and signed, or -1 and
then the length as eight. That is also what the standard library's connections exchange.

A lock for each direction keeps the messages of this process's threads whole. Processes that share
an end need a lock between them.
"""

from __future__ import annotations

import os
import struct
import sys
import threading

assert sys.platform != "win32"

from processing_core._clock import checked_timeout
from processing_core._connection.base import (
    Connection,
    checked_maxlength,
    put_into,
    selected,
    target,
    too_long,
)
from processing_core._cpickle import loads
from processing_core._generic import TYPE_CHECKING, RecvT_co, SendT_contra
from processing_core._platform.awaiting import wake
from processing_core._platform.polling import wait_for
from processing_core._serialize.packer import Packer, register_carrier
from processing_core._serialize.transfer import take_descriptor
from processing_core.errors import SerializationError

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Buffer

__all__ = ["StreamConnection", "stream_pipe"]

SHORT = struct.Struct("!i")
LONG = struct.Struct("!iQ")
LONGEST_SHORT = 2**31 - 1
# One write for header and body up to here; beyond, joining them costs more than a second write.
JOINED_BYTES = 16 * 1024
READ_BYTES = 1 << 20


class StreamConnection(Connection[SendT_contra, RecvT_co]):
    """A connection over a connected stream socket."""

    __slots__ = ("_fd", "_pid", "_receiving", "_sending")

    def __init__(self, descriptor: int, *, readable: bool, writable: bool) -> None:
        super().__init__(readable=readable, writable=writable)
        self._fd = descriptor
        self._new_locks()

    def _new_locks(self) -> None:
        self._pid = os.getpid()
        self._sending = threading.Lock()
        self._receiving = threading.Lock()

    def _ready(self, *, receiving: bool) -> threading.Lock:
        """The lock of a direction that may be used; a fork leaves other threads' locks behind."""
        self._usable_for(receiving)
        if self._pid != os.getpid():
            self._new_locks()
        return self._receiving if receiving else self._sending

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
        fd, self._fd = self._fd, -1
        if fd >= 0:
            wake(fd)
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def send(self, obj: SendT_contra) -> None:
        """Send an object that can be pickled. See Connection.send."""
        lock = self._ready(receiving=False)
        packer = Packer(out_of_band=False)
        packer.dump(obj)
        if packer.descriptors:
            raise SerializationError(
                "connections and sockets cannot be sent through a byte stream; "
                "pass them to a child when it is started"
            )
        with lock:
            self._write_message(packer.pieces)

    def recv(self) -> RecvT_co:
        """Receive an object. See Connection.recv."""
        with self._ready(receiving=True):
            data = self._read_message(None)
        return loads(data)  # type: ignore[no-any-return]

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send the bytes of a buffer. See Connection.send_bytes."""
        lock = self._ready(receiving=False)
        view = selected(buf, offset, size)
        with lock:
            self._write_message([view])

    sendBytes = sendbytes = send_bytes

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive a message as bytes. See Connection.recv_bytes.

        A message that is too long is not read: this end can receive no more.
        """
        maxlength = checked_maxlength(maxlength)
        with self._ready(receiving=True):
            return bytes(self._read_message(maxlength))

    recvBytes = recvbytes = recv_bytes

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive a message into a writable buffer. See Connection.recv_bytes_into."""
        space = target(buf, offset)
        with self._ready(receiving=True):
            size = self._read_size()
            if size <= len(space):
                self._fill(space[:size])
                return size
            message = bytearray(size)
            self._fill(memoryview(message))
        return put_into(bytes(message), space)

    recvBytesInto = recvbytes_into = recv_bytes_into

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive. See Connection.poll."""
        timeout = checked_timeout(timeout)
        self._usable_for(receiving=True)
        return wait_for(self._fd, timeout)

    def _write_message(self, pieces: list[bytes] | list[memoryview]) -> None:
        size = sum(map(len, pieces))
        header = SHORT.pack(size) if size <= LONGEST_SHORT else LONG.pack(-1, size)
        try:
            if size <= JOINED_BYTES:
                self._write_all(b"".join([header, *pieces]))
            else:
                self._write_all(header)
                for piece in pieces:
                    self._write_all(piece)
        except ConnectionError as error:
            raise BrokenPipeError(
                error.errno, "the other end of the connection is closed"
            ) from None

    def _write_all(self, data: bytes | memoryview) -> None:
        done = os.write(self._fd, data)
        if done < len(data):
            rest = memoryview(data)[done:]
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def _read_size(self) -> int:
        head = self._read(SHORT.size, at_border=True)
        (size,) = SHORT.unpack(head)
        if size >= 0:
            return int(size)
        return int.from_bytes(self._read(LONG.size - SHORT.size), "big")

    def _read_message(self, maxlength: int | None) -> bytearray:
        size = self._read_size()
        if maxlength is not None and size > maxlength:
            # The rest of the stream cannot be told from messages any more.
            self._readable = False
            raise too_long(size, maxlength)
        return self._read(size)

    def _read(self, size: int, *, at_border: bool = False) -> bytearray:
        data = bytearray(size)
        self._fill(memoryview(data), at_border=at_border)
        return data

    def _fill(self, space: memoryview, *, at_border: bool = False) -> None:
        whole = len(space)
        while space:
            try:
                count = os.readv(self._fd, [space[:READ_BYTES]])
            except ConnectionResetError:
                count = 0
            if not count:
                if at_border and len(space) == whole:
                    raise EOFError("the other end of the connection is closed")
                raise EOFError("the other end of the connection closed in the middle of a message")
            space = space[count:]


def stream_pipe(duplex: bool) -> tuple[StreamConnection[Any, Any], StreamConnection[Any, Any]]:
    """Two connected ends; without ``duplex`` the first only receives and the second only sends."""
    import _socket as sockets

    ends = []
    for end in sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM):
        end.setblocking(True)
        os.set_inheritable(end.fileno(), False)
        ends.append(end.detach())
    return (
        StreamConnection(ends[0], readable=True, writable=duplex),
        StreamConnection(ends[1], readable=duplex, writable=True),
    )


def _rebuild(index: int, readable: bool, writable: bool) -> object:
    return StreamConnection(take_descriptor(index), readable=readable, writable=writable)


def _reduce(connection: StreamConnection[Any, Any], packer: Packer) -> tuple[Any, ...]:
    index = packer.attach(connection.fileno())
    return _rebuild, (index, connection.readable, connection.writable)


register_carrier(StreamConnection, _reduce)
