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
import sys
import time

assert sys.platform != "win32"

from processing_core._platform.anonymous import anonymous_file, write_all

__all__ = ["HEADER_BYTES", "BlockReader", "BlockWriter", "Mapping"]

HEADER_BYTES = mmap.PAGESIZE
FREE, IN_USE = 0, 1

# What one side of a connection may keep in recycled blocks: number, bytes, share of the memory.
KEPT_BLOCKS = 4
KEPT_BYTES = 64 << 20
KEPT_SHARE = 1 / 64
# How fast fresh pages are filled, roughly (bytes per second): waiting for a kept block that long
# costs no more than a new one would.
FRESH_RATE = 2 << 30
LOOK_SECONDS = 100e-6
# A block that is in use for longer than this may never come back (seconds).
STALE_SECONDS = 1.0
# Blocks are sized in steps, so that messages of similar size find one that fits.
STEP_BYTES = 256 << 10


def kept_bytes() -> int:
    """How much one side may keep in blocks, on this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(KEPT_BYTES, int(memory * KEPT_SHARE))


class Mapping:
    """A mapped block."""

    __slots__ = ("_map", "_words", "filled_at", "size", "view")

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._map = mmap.mmap(descriptor, size)
        self.view = memoryview(self._map)
        self._words = self.view[:8].cast("Q")
        self.filled_at = time.monotonic()

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
        found = self._free_block(size)
        if found is None:
            return self._fill_new(pieces, size)
        descriptor, mapping = found
        position, view = HEADER_BYTES, mapping.view
        for piece in pieces:
            end = position + len(piece)
            view[position:end] = piece
            position = end
        mapping.filled_at = time.monotonic()
        mapping.mark(IN_USE)
        return descriptor, True

    def _free_block(self, size: int) -> tuple[int, Mapping] | None:
        """A kept block of this size that is free, if need be and it pays after a wait."""
        fitting = [block for block in self._kept if block[1].size >= size]
        end = None
        while fitting:
            for block in fitting:
                if block[1].free:
                    return block
            if self._has_room(size):
                return None
            if end is None:
                end = time.monotonic() + size / FRESH_RATE
            if time.monotonic() > end:
                return None
            time.sleep(LOOK_SECONDS)
        return None

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

    def _has_room(self, size: int) -> bool:
        """Whether a block of this size may be added to those kept."""
        # Every block has a little more than its contents.
        limit = kept_bytes() + KEPT_BLOCKS * STEP_BYTES
        total = sum(mapping.size for _, mapping in self._kept) + size
        return len(self._kept) < KEPT_BLOCKS and total <= limit

    def _make_room(self, size: int) -> bool:
        """Drop kept blocks until one of this size may be added; False if that cannot be.

        Those that are free go first. One in use goes only when it was for long: its receiver may
        have been killed, and if not, the block lives on until it is read.
        """
        if size > kept_bytes() + STEP_BYTES:
            return False
        long_ago = time.monotonic() - STALE_SECONDS
        while not self._has_room(size):
            droppable = [
                index
                for index, (_, mapping) in enumerate(self._kept)
                if mapping.free or mapping.filled_at < long_ago
            ]
            if not droppable:
                return False
            self._drop(droppable[0])
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
