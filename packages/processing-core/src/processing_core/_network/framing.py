"""Owns how messages are cut out of a stream of bytes. No I/O here.

Each message is a header and its bytes: the length as four bytes, big-endian and signed, or -1 and
then the length as eight. That is also what the standard library's connections exchange.
"""

from __future__ import annotations

import errno
import struct

from processing_core._network.handshake import FRAME_BYTES, is_frame, out_of_place

__all__ = ["Inbox", "header"]

SHORT = struct.Struct("!i")
LONG = struct.Struct("!iQ")
LONGEST_SHORT = 2**31 - 1


def header(size: int) -> bytes:
    """What precedes a message of this many bytes."""
    return SHORT.pack(size) if size <= LONGEST_SHORT else LONG.pack(-1, size)


class Inbox:
    """Received bytes that nobody has taken yet.

    ``received`` grows as bytes arrive and never by what a header announces. ``limit`` is how long
    a message may be, None for no limit.
    """

    __slots__ = ("limit", "received", "span")

    def __init__(self, received: bytes = b"", limit: int | None = None) -> None:
        self.received = bytearray(received)
        self.limit = limit
        # Where the first message begins and ends, once missing() has returned 0.
        self.span = (0, 0)

    def whole(self) -> bool:
        """Whether the first message is there, quickly; False also if that takes a closer look."""
        received = self.received
        have = len(received)
        if have < 4:
            return False
        (size,) = SHORT.unpack_from(received)
        if 0 <= size <= have - 4 and (self.limit is None or size <= self.limit):
            self.span = (4, size + 4)
            return True
        return False

    def missing(self) -> int:
        """How many bytes at least have to come until the first message is whole; 0 if it is.

        :raises OSError: when it is longer than the limit, or is no message
        :raises AuthenticationError: when the other end asks for a handshake instead
        """
        received = self.received
        have = len(received)
        if have < 4:
            return 4 - have
        (size,) = SHORT.unpack_from(received)
        start = 4
        if size < 0:
            if size != -1:
                return self._missing_of_handshake()
            if have < LONG.size:
                return LONG.size - have
            _, size = LONG.unpack_from(received)
            start = LONG.size
        if self.limit is not None and size > self.limit:
            raise OSError(
                errno.EMSGSIZE,
                f"a message of {size} bytes is longer than max_message_size={self.limit}; "
                "the connection is closed",
            )
        end: int = start + size
        if end > have:
            return end - have
        self.span = (start, end)
        return 0

    def _missing_of_handshake(self) -> int:
        received = self.received
        if not is_frame(received):
            raise OSError(
                errno.EBADMSG, "what was received is no message; the connection is closed"
            )
        if len(received) < FRAME_BYTES:
            return FRAME_BYTES - len(received)
        raise out_of_place(bytes(received[:FRAME_BYTES]))

    def take(self) -> bytes | memoryview:
        """Take the first message out, once it is whole."""
        received = self.received
        start, end = self.span
        if end == len(received):
            self.received = bytearray()
            return memoryview(received)[start:]
        message = bytes(memoryview(received)[start:end])
        del received[:end]
        return message
