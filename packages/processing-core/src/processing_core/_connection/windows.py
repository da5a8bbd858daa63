"""Owns connections on Windows: over message pipes, in which the system keeps messages whole.

A message is one message of the pipe, with these exceptions (as in packet, none is ever empty,
because looking for a message would take an empty one away):

- ESCAPE PLAIN, then the message: it is empty or begins with ESCAPE.
- ESCAPE LONG, then the length as eight bytes, big-endian: the message follows in pieces of at most
  PIECE_BYTES, each a message of the pipe. The system keeps a copy of what is under way, so one
  piece of any length would be too much for it.

Threads may share an end. Processes that share one need a lock between them for messages longer than
READ_BYTES (receivers) or PIECE_BYTES (senders); shorter ones are never torn. A send that an
exception from a signal handler ends in the middle of pieces closes the connection.
"""

from __future__ import annotations

import sys
import threading

assert sys.platform == "win32"

from processing_core._clock import Deadline, checked_timeout
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
from processing_core._platform import winapi, windows_pipes
from processing_core._serialize.packer import Packer, register_carrier
from processing_core._serialize.transfer import take_descriptor
from processing_core.errors import SerializationError

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Buffer

__all__ = ["PipeConnection", "windows_pipe"]

ESCAPE = 0xFF
PLAIN = b"\xff\x00"
LONG = b"\xff\x02"
LENGTH_BYTES = 8
PIECE_BYTES = 1 << 20
READ_BYTES = 64 * 1024


class PipeConnection(Connection[SendT_contra, RecvT_co]):
    """A connection over an end of a message pipe.

    ``peer`` is the handle of the process at the other end, if that is known: its end ends a send
    that waits for it to read.
    """

    __slots__ = ("_handle", "_peer", "_receiving", "_sending")

    def __init__(
        self, handle: int, *, readable: bool, writable: bool, peer: int | None = None
    ) -> None:
        super().__init__(readable=readable, writable=writable)
        self._handle: int | None = handle
        self._peer = peer
        # Held while a message is sent, however long that takes.
        self._sending = threading.Lock()
        # Held only while a message is taken that is there: waiting for one must be open to Ctrl-C,
        # which waiting for a lock is not on Windows.
        self._receiving = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether this end was closed."""
        return self._handle is None

    def fileno(self) -> int:
        """The handle of the pipe."""
        if self._handle is None:
            raise OSError("the connection is closed")
        return self._handle

    def close(self) -> None:
        """Close this end; happens also when the connection is collected. May be called again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            winapi.CloseHandle(handle)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    # Sending

    def send(self, obj: SendT_contra) -> None:
        """Send an object that can be pickled. See Connection.send."""
        self._usable_for(receiving=False)
        packer = Packer(out_of_band=False)
        packer.dump(obj)
        if packer.descriptors:
            raise SerializationError(
                "connections and sockets cannot be sent through a connection on Windows; "
                "pass them to a child when it is started"
            )
        self._send(memoryview(b"".join(packer.pieces)))

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send the bytes of a buffer. See Connection.send_bytes."""
        self._usable_for(receiving=False)
        self._send(selected(buf, offset, size))

    sendBytes = sendbytes = send_bytes

    def _send(self, message: memoryview) -> None:
        with self._sending:
            if len(message) > PIECE_BYTES:
                self._send_long(message)
            elif not message or message[0] == ESCAPE:
                self._write(PLAIN + bytes(message))
            else:
                self._write(message)

    def _send_long(self, message: memoryview) -> None:
        self._write(LONG + len(message).to_bytes(LENGTH_BYTES, "big"))
        try:
            for start in range(0, len(message), PIECE_BYTES):
                self._write(message[start : start + PIECE_BYTES])
        except BaseException:
            # The receiver waits for pieces: let it see the end instead of taking others for them.
            self.close()
            raise

    def _write(self, data: bytes | memoryview) -> None:
        windows_pipes.write(self.fileno(), data, self._peer)

    # Receiving

    def recv(self) -> RecvT_co:
        """Receive an object. See Connection.recv."""
        return loads(self._receive(None))  # type: ignore[no-any-return]

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive a message as bytes. See Connection.recv_bytes."""
        return bytes(self._receive(checked_maxlength(maxlength)))

    recvBytes = recvbytes = recv_bytes

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive a message into a writable buffer. See Connection.recv_bytes_into."""
        space = target(buf, offset)
        return put_into(bytes(self._receive(None)), space)

    recvBytesInto = recvbytes_into = recv_bytes_into

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive. See Connection.poll."""
        deadline = Deadline(checked_timeout(timeout))
        self._usable_for(receiving=True)
        return windows_pipes.wait_for_message(self.fileno(), deadline)

    def _receive(self, maxlength: int | None) -> bytes | bytearray:
        """The next message, waiting until there is one."""
        while True:
            self._usable_for(receiving=True)
            handle = self.fileno()
            with self._receiving:
                size = windows_pipes.next_size(handle)
                if size:
                    return self._take(handle, size, maxlength)
            windows_pipes.wait_for_message(handle, Deadline(None))

    def _take(self, handle: int, size: int, maxlength: int | None) -> bytes | bytearray:
        """Take the next message, whose first piece has ``size`` bytes."""
        # More is asked for than seems to be there, in case another process is faster.
        data, left = windows_pipes.read(handle, max(size, READ_BYTES))
        while left:
            more, left = windows_pipes.read(handle, left)
            data += more
        if data[0] == ESCAPE:
            if data.startswith(LONG):
                return self._take_long(handle, int.from_bytes(data[len(LONG) :], "big"), maxlength)
            data = data[len(PLAIN) :]
        if maxlength is not None and len(data) > maxlength:
            raise too_long(len(data), maxlength)
        return data

    @staticmethod
    def _take_long(handle: int, length: int, maxlength: int | None) -> bytearray:
        """Take the pieces of a long message; of one that is too long nothing is kept."""
        wanted = maxlength is None or length <= maxlength
        message = bytearray(length if wanted else 0)
        done = 0
        while done < length:
            piece, _ = windows_pipes.read(handle, PIECE_BYTES)
            if wanted:
                message[done : done + len(piece)] = piece
            done += len(piece)
        if not wanted and maxlength is not None:
            raise too_long(length, maxlength)
        return message


def windows_pipe(duplex: bool) -> tuple[PipeConnection[Any, Any], PipeConnection[Any, Any]]:
    """Two connected ends; without ``duplex`` the first only receives and the second only sends."""
    first, second = windows_pipes.message_pipe(duplex)
    return (
        PipeConnection(first, readable=True, writable=duplex),
        PipeConnection(second, readable=duplex, writable=True),
    )


def _rebuild(index: int, readable: bool, writable: bool) -> object:
    return PipeConnection(take_descriptor(index), readable=readable, writable=writable)


def _reduce(connection: PipeConnection[Any, Any], packer: Packer) -> tuple[Any, ...]:
    index = packer.attach(connection.fileno())
    return _rebuild, (index, connection.readable, connection.writable)


register_carrier(PipeConnection, _reduce)
