"""Owns messages that do not fit the ring, or carry descriptors: how they lie in blocks.

The ring has a record for such a message, which says in which block it is, how long its parts are
(the pickle, then the buffers beside it) and how many descriptors are in the mailbox. A message
without a block has its pickle in the record.
"""

from __future__ import annotations

import mmap
import struct
import sys

assert sys.platform != "win32"

from processing_core._cpickle import loads
from processing_core._platform.anonymous import write_all
from processing_core._serialize.transfer import Arrival, arriving
from processing_core.errors import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = [
    "NO_BLOCK",
    "Label",
    "Mapped",
    "Parcel",
    "aligned",
    "fill",
    "is_of_later",
    "map_privately",
    "new_token",
]

# block, number of descriptors, their token, number of parts; then the parts' sizes
_HEAD = struct.Struct("=II12sI")
# What tells the descriptors of a message from others: the number of the message, the process that
# puts it, and its how manieth attempt this is. One that was killed may leave some under the number
# that the next message gets.
_TOKEN = struct.Struct("=III")
_SIZE = struct.Struct("=Q")
NO_BLOCK = 0xFFFFFFFF
# Buffers begin at multiples of this, for the sake of vector instructions.
ALIGNMENT = 64
# Buffers that have less together are copied: a mapping costs some system calls.
MAPPED_BYTES = 256 << 10


def aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT


class Label:
    """What the record of such a message says."""

    __slots__ = ("block", "descriptors", "inline", "sizes", "token")

    def __init__(
        self,
        block: int,
        descriptors: int,
        sizes: Sequence[int],
        inline: bytes = b"",
        token: bytes = b"",
    ) -> None:
        self.block = block
        self.descriptors = descriptors
        self.sizes = sizes
        self.inline = inline
        self.token = token

    def encode(self) -> bytes:
        head = _HEAD.pack(self.block, self.descriptors, self.token, len(self.sizes))
        return b"".join([head, *map(_SIZE.pack, self.sizes), self.inline])

    @classmethod
    def decode(cls, data: bytes) -> Label:
        block, descriptors, token, count = _HEAD.unpack_from(data)
        end = _HEAD.size + _SIZE.size * count
        sizes = [size for (size,) in _SIZE.iter_unpack(data[_HEAD.size : end])]
        return cls(block, descriptors, sizes, data[end:], token)

    @property
    def weight(self) -> int:
        """What the message counts for, in bytes."""
        return sum(self.sizes)

    @property
    def room(self) -> int:
        """How large a block has to be."""
        position = 0
        for size in self.sizes:
            position = aligned(position) + size
        return position


def new_token(number: int, pid: int, attempt: int) -> bytes:
    """The token of the descriptors of a message with this number."""
    return _TOKEN.pack(number, pid, attempt & 0xFFFFFFFF)


def is_of_later(found: bytes, token: bytes) -> bool:
    """Whether what was found in the mailbox belongs to a later message than the token does."""
    if len(found) != _TOKEN.size:
        return False
    theirs, _, _ = _TOKEN.unpack(found)
    ours, _, _ = _TOKEN.unpack(token)
    return 0 < int(theirs - ours) & 0xFFFFFFFF < 1 << 31


def fill(
    memory: mmap.mmap, descriptor: int, offset: int, parts: Sequence[Sequence[Any]], *, warm: bool
) -> None:
    """Write the parts, each in pieces, to a block at ``offset`` of the file.

    Pages that are not there yet are written by the kernel, which need not clear them before.
    """
    position = 0
    for part in parts:
        position = aligned(position)
        pieces = [memoryview(piece).cast("B") for piece in part]
        if warm:
            for piece in pieces:
                start = offset + position
                memory[start : start + len(piece)] = piece
                position += len(piece)
        else:
            position = write_all(descriptor, pieces, offset + position) - offset


class Mapped(mmap.mmap):
    """A block as its receiver has it without a copy: what it writes there is its own."""

    __slots__ = ("__dict__",)

    when_gone: Callable[[], None] | None = None

    def __del__(self) -> None:
        if self.when_gone is not None:
            self.when_gone()


class Parcel:
    """A message that was taken out of the queue and is still to be rebuilt."""

    __slots__ = ("arrival", "in_mailbox", "label")

    def __init__(self, label: Label, descriptors: list[int] | None) -> None:
        self.label = label
        # Whether the oldest in the mailbox is what belongs to it.
        self.in_mailbox = descriptors is not None
        self.arrival = Arrival(descriptors or [])

    def load(self, memory: memoryview, map_block: Callable[[int], Any]) -> Any:
        """Rebuild the object. ``memory`` is the block's; ``map_block(size)`` maps it, or is None.

        The caller gives the block back unless it was mapped.
        """
        if self.label.descriptors and not self.in_mailbox:
            raise SerializationError("the descriptors of an item are lost")
        if self.label.block == NO_BLOCK:
            with arriving(self.arrival):
                return loads(self.label.inline)
        sizes = self.label.sizes
        places = []
        position = 0
        for size in sizes:
            position = aligned(position)
            places.append((position, position + size))
            position += size
        buffers: list[Any] = []
        if len(sizes) > 1:
            mapped = map_block(position) if sum(sizes[1:]) >= MAPPED_BYTES else None
            if mapped is not None:
                view = memoryview(mapped)
                buffers = [view[start:end] for start, end in places[1:]]
            else:
                buffers = [bytearray(memory[start:end]) for start, end in places[1:]]
        with arriving(self.arrival), memory[: sizes[0]] as main:
            return loads(main, buffers=buffers)

    def drop(self) -> None:
        """Close the descriptors: another process has the message."""
        self.arrival.close()


def page_aligned(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def map_privately(descriptor: int, offset: int, size: int) -> Mapped | None:
    """Map a part of the file, what is written to it being private; None where that cannot be."""
    try:
        return Mapped(descriptor, page_aligned(size), access=mmap.ACCESS_COPY, offset=offset)
    except OSError:
        return None  # no more descriptors, mappings or address space: a copy will do
