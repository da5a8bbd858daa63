"""Owns how messages are cut out of a stream of bytes. No I/O here.

Each message is a header and its bytes: the length as four bytes, big-endian and signed, or -1 and
then the length as eight. That is also what the standard library's connections exchange.

A receiver may be interrupted anywhere, by a signal handler that raises, and must not lose its
place. So every change of an inbox is a single operation in C: one on the list of what was received,
or one store.
"""

from __future__ import annotations

import errno
import struct

from processing_core._network.handshake import FRAME_BYTES, is_frame, out_of_place
from processing_core._platform.pages import private_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["READ_BYTES", "SHORT_HEADER_BYTES", "Inbox", "header", "short_header"]

SHORT = struct.Struct("!i")
LONG = struct.Struct("!iQ")
LONGEST_SHORT = 2**31 - 1
# One read takes up to so much. What is missing of a message, if it is more, is read straight into
# the memory where the message stays; up to LARGE_READ_BYTES by one read.
READ_BYTES = 64 * 1024
LARGE_READ_BYTES = 1024 * 1024
# The memory for such a message: so much at first, and then so many times what has arrived. What a
# header announces is only its bound.
FIRST_BYTES = 1024 * 1024
GROWTH = 8
# How many reads are counted one by one before their sum is taken.
MOST_COUNTS = 64

SHORT_HEADER_BYTES = SHORT.size

_unpack_size = SHORT.unpack_from
# What precedes a message of up to LONGEST_SHORT bytes.
short_header = SHORT.pack


def header(size: int) -> bytes:
    """What precedes a message of this many bytes."""
    return SHORT.pack(size) if size <= LONGEST_SHORT else LONG.pack(-1, size)


class LargeMessage:
    """A message of ``size`` bytes that is being received into memory of its own.

    ``counts`` are the lengths of what is there, in turn: who reads into ``space()`` appends to it.
    """

    __slots__ = ("_head", "_memory", "counts", "size")

    def __init__(self, head: bytes, size: int, begun: bytes) -> None:
        self._head = head
        self.size = size
        self.counts = [len(begun)]
        self._reserve(min(size, max(FIRST_BYTES, GROWTH * len(begun))), begun)

    def _reserve(self, size: int, begun: bytes | memoryview) -> None:
        contents, view = private_space(size)
        view[: len(begun)] = begun
        # One store: a view must not outlive the contents that it is of.
        self._memory = contents, view

    @property
    def missing(self) -> int:
        """How many bytes have to come."""
        return self.size - sum(self.counts)

    def space(self) -> memoryview:
        """Where the next bytes belong; not empty unless all are there."""
        if len(self.counts) > MOST_COUNTS:
            self.counts[:] = [sum(self.counts)]
        filled = sum(self.counts)
        view = self._memory[1]
        if filled == len(view) < self.size:
            self._reserve(min(self.size, GROWTH * filled), view)
            view = self._memory[1]
        return view[filled : filled + LARGE_READ_BYTES]

    @property
    def received(self) -> bytes:
        """All that has come, the header included."""
        return self._head + bytes(self._memory[1][: sum(self.counts)])

    def take(self) -> bytes | bytearray:
        """The whole message, to be called once."""
        return self._memory[0]


class Inbox:
    """Received bytes that nobody has taken yet.

    Memory is taken as bytes arrive and never for what a header announces. ``limit`` is how long a
    message may be, None for no limit.
    """

    __slots__ = ("_pieces", "_span", "limit")

    def __init__(self, received: bytes = b"", limit: int | None = None) -> None:
        # First how much is taken of what follows: pieces of the stream in turn, as they were read.
        # While a large message is being received, it alone follows.
        self._pieces: list[Any] = [0, bytes(received)]
        self.limit = limit
        # Where the first message begins and ends, once missing() has returned 0.
        self._span = (0, 0)

    @property
    def received(self) -> bytes:
        """All that nobody has taken yet."""
        taken, first, *rest = self._pieces
        if isinstance(first, LargeMessage):
            return first.received
        return b"".join([first[taken:], *rest])

    def add(self, data: bytes) -> None:
        """Add received bytes; where they belong to a large message, no more than it lacks."""
        large = self.large()
        while large is not None and data:
            space = large.space()
            count = min(len(space), len(data))
            space[:count] = data[:count]
            large.counts.append(count)
            data = data[count:]
        if data:
            self._pieces.append(data)

    @property
    def pieces(self) -> list[Any]:
        """Where what was read may be appended while there is no large message."""
        return self._pieces

    @property
    def is_empty(self) -> bool:
        """Whether nothing was received that nobody has taken."""
        pieces = self._pieces
        return len(pieces) == 2 and type(pieces[1]) is bytes and pieces[0] == len(pieces[1])

    def large(self) -> LargeMessage | None:
        """The large message that is being received."""
        first = self._pieces[1]
        return first if type(first) is LargeMessage else None

    def next(self) -> bytes | None:
        """Take the first message out, quickly; None also if that takes a closer look."""
        pieces = self._pieces
        if len(pieces) != 2:
            return None
        taken, piece = pieces
        start = taken + 4
        if type(piece) is not bytes or len(piece) < start:
            return None
        (size,) = _unpack_size(piece, taken)
        end = start + size
        if size < 0 or end > len(piece) or (self.limit is not None and size > self.limit):
            return None
        pieces[0] = end
        message: bytes = piece[start:end]
        return message

    def missing(self) -> int:
        """How many bytes at least have to come until the first message is whole; 0 if it is.

        :raises OSError: when it is longer than the limit, or is no message
        :raises AuthenticationError: when the other end asks for a handshake instead
        """
        pieces = self._pieces
        taken, piece = pieces[:2]
        if type(piece) is LargeMessage:
            return piece.missing
        if taken == len(piece):
            pieces[:2] = [0] if len(pieces) > 2 else [0, b""]
            taken, piece = pieces[:2]
        if len(pieces) > 2:
            piece = b"".join([piece[taken:], *pieces[2:]])
            taken = 0
            pieces[:] = [0, piece]
        have: int = len(piece) - taken
        if have < 4:
            return 4 - have
        (size,) = SHORT.unpack_from(piece, taken)
        start = 4
        if size < 0:
            if size != -1:
                return self._missing_of_handshake(piece[taken:])
            if have < LONG.size:
                return LONG.size - have
            _, size = LONG.unpack_from(piece, taken)
            start = LONG.size
        if self.limit is not None and size > self.limit:
            raise OSError(
                errno.EMSGSIZE,
                f"a message of {size} bytes is longer than max_message_size={self.limit}; "
                "the connection is closed",
            )
        end: int = start + size
        if end > have:
            if end - have > READ_BYTES:
                begins = taken + start
                pieces[:] = [0, LargeMessage(piece[taken:begins], size, piece[begins:])]
            return end - have
        self._span = (taken + start, taken + end)
        return 0

    def _missing_of_handshake(self, received: bytes) -> int:
        if not is_frame(received):
            raise OSError(
                errno.EBADMSG, "what was received is no message; the connection is closed"
            )
        if len(received) < FRAME_BYTES:
            return FRAME_BYTES - len(received)
        raise out_of_place(received[:FRAME_BYTES])

    def take(self) -> bytes | bytearray:
        """Take the first message out, once missing() has returned 0."""
        pieces = self._pieces
        piece = pieces[1]
        if isinstance(piece, LargeMessage):
            pieces[:] = [0, b""]
            return piece.take()
        start, end = self._span
        pieces[0] = end
        message: bytes = piece[start:end]
        return message
