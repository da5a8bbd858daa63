"""Owns blocks of shared memory in which large messages cross, and their recycling.

A block is an anonymous file in memory: a page whose first word tells whether the block is in use,
then the contents. The sender keeps a few blocks and maps them, because pages that were used before
cost a fraction of fresh ones; the receiver keeps the mappings of the same blocks and sets the word
back when it has copied the contents. All of that is only for speed: a block whose user was killed
is never waited for, it is dropped and the kernel frees it with its last descriptor and mapping.
"""

from __future__ import annotations

import mmap
import os

from processing_core._platform.anonymous import anonymous_file, write_all

__all__ = ["HEADER_BYTES", "BlockReader", "BlockWriter", "Mapping"]

HEADER_BYTES = mmap.PAGESIZE
FREE, IN_USE = 0, 1

# What one side of a connection may keep in recycled blocks (bytes, and number of blocks).
KEPT_BYTES = 64 << 20
KEPT_BLOCKS = 4
# Blocks are sized in steps, so that messages of similar size find one that fits.
STEP_BYTES = 256 << 10


class Mapping:
    """A mapped block."""

    __slots__ = ("_map", "_words", "size", "view")

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._map = mmap.mmap(descriptor, size)
        self.view = memoryview(self._map)
        self._words = self.view[:8].cast("Q")

    @property
    def free(self) -> bool:
        return self._words[0] == FREE

    def mark(self, state: int) -> None:
        # One aligned store: a process killed before it leaves a block in use, never a damaged one.
        self._words[0] = state

    def close(self) -> None:
        self._words.release()
        self.view.release()
        self._map.close()


class BlockWriter:
    """The sending side: fills blocks and keeps the recycled ones. Used by one thread at a time."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[tuple[int, Mapping]] = []

    def fill(self, pieces: list[memoryview]) -> tuple[int, bool]:
        """Put the pieces into a block; returns its descriptor and whether the block is kept.

        The caller closes the descriptor of one that is not kept, once it is sent.

        :raises MemoryError: when there is no room for them
        """
        size = HEADER_BYTES + sum(map(len, pieces))
        for descriptor, mapping in self._kept:
            if mapping.size >= size and mapping.free:
                position = HEADER_BYTES
                view = mapping.view
                for piece in pieces:
                    end = position + len(piece)
                    view[position:end] = piece
                    position = end
                mapping.mark(IN_USE)
                return descriptor, True
        return self._fill_new(pieces, size)

    def _fill_new(self, pieces: list[memoryview], size: int) -> tuple[int, bool]:
        descriptor = anonymous_file("message")
        try:
            write_all(descriptor, pieces, HEADER_BYTES)
            capacity = -(-size // STEP_BYTES) * STEP_BYTES
            if not self._make_room(capacity):
                return descriptor, False
            # Every page must exist before stores go through the mapping (see write_all).
            rest = memoryview(bytes(capacity - size))
            write_all(descriptor, [rest], size)
            write_all(descriptor, [memoryview(IN_USE.to_bytes(8, "little"))], 0)
            mapping = Mapping(descriptor, capacity)
        except BaseException:
            os.close(descriptor)
            raise
        self._kept.append((descriptor, mapping))
        return descriptor, True

    def _make_room(self, size: int) -> bool:
        """Drop kept blocks until one of this size may be added; False if it is too large to keep.

        The oldest go first, in use or not: one in use lives on until its receiver has read it.
        """
        if size > KEPT_BYTES + STEP_BYTES:
            return False
        while self._kept and (
            len(self._kept) >= KEPT_BLOCKS
            or sum(mapping.size for _, mapping in self._kept) + size > KEPT_BYTES + STEP_BYTES
        ):
            self._drop(0)
        return True

    def _drop(self, index: int) -> None:
        descriptor, mapping = self._kept.pop(index)
        mapping.close()
        os.close(descriptor)

    def close(self) -> None:
        while self._kept:
            self._drop(0)


class BlockReader:
    """The receiving side: keeps the mappings of blocks that their sender keeps."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], Mapping] = {}

    def map(self, descriptor: int, *, kept: bool) -> Mapping:
        """The mapping of a block; the descriptor is closed. ``kept``: the sender will reuse it."""
        try:
            status = os.fstat(descriptor)
            identity = (status.st_dev, status.st_ino)
            mapping = self._kept.get(identity)
            if mapping is None:
                # A new file can carry the number of one that is gone only when we do not hold
                # that one mapped, so an entry never stands for another file.
                mapping = Mapping(descriptor, status.st_size)
                if kept:
                    self._remember(identity, mapping)
        finally:
            os.close(descriptor)
        return mapping

    def _remember(self, identity: tuple[int, int], mapping: Mapping) -> None:
        self._kept[identity] = mapping
        while len(self._kept) > KEPT_BLOCKS:
            self._kept.pop(next(iter(self._kept)))

    def close(self) -> None:
        self._kept.clear()
