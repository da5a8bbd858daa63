"""Owns which parts of a range are in use, without touching the memory itself.

A process allocates only from ranges of its own, so nothing here is shared and nothing can be left
half done by a process that is killed. Sizes are rounded up to classes; a part that is freed is kept
for the next of its class. Every method may be called by any thread, by a signal handler and by a
finalizer that interrupts another method: all state changes are single atomic steps (list.append,
list.pop, and an addition without a call in between).
"""

from __future__ import annotations

__all__ = ["GRAIN", "Allocator", "rounded"]

# A cache line: parts that different processes write shall not share one.
GRAIN = 64
# Sizes up to this are multiples of GRAIN, larger ones powers of two.
FINE_BYTES = 512
# Small parts are cut from pieces of this size.
PIECE_BYTES = 4096


def rounded(size: int) -> int:
    """The size of the class that ``size`` belongs to."""
    if size <= FINE_BYTES:
        return -(-size // GRAIN) * GRAIN or GRAIN
    return 1 << (size - 1).bit_length()


class Allocator:
    """Parts of the range from 0 to ``capacity``."""

    __slots__ = ("capacity", "end", "free")

    def __init__(self, capacity: int) -> None:
        self.capacity: int = capacity
        # Everything from here on was never given out.
        self.end: int = 0
        # Offsets of free parts by their size, the most recently freed last.
        self.free: dict[int, list[int]] = {}

    def take(self, size: int) -> int | None:
        """The offset of a free part of a rounded size, of those that were in use before."""
        parts = self.free.get(size)
        if parts:
            try:
                return parts.pop()
            except IndexError:
                return None  # another thread was faster
        return None

    def extend(self, size: int) -> int | None:
        """The offset of a part that was never in use; None when the range is exhausted.

        To be called with a lock held. A piece of several small parts leaves the others as free.
        """
        count = min(max(1, PIECE_BYTES // size), (self.capacity - self.end) // size)
        if not count:
            return None
        self.end += count * size
        start = self.end - count * size
        if count > 1:
            parts = self.free.setdefault(size, [])
            # The lowest shall be taken first.
            parts.extend(range(start + (count - 1) * size, start, -size))
        return start

    def give_back(self, offset: int, size: int) -> None:
        """A part is free again."""
        self.free.setdefault(size, []).append(offset)

    @property
    def used(self) -> int:
        """Bytes in use."""
        return self.end - sum(size * len(parts) for size, parts in self.free.items())
