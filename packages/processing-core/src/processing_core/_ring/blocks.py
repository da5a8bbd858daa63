"""Owns blocks: memory of a channel's file in which large messages cross, and their recycling.

Callers hold the producers' mutex, but for ``accept``, ``map`` and ``release``, which concern only
blocks that are theirs; and only while they look and mark: a block is filled and read without it. A
table says of each block where it is, which message it belongs to and which process uses it. A block
is free when its message is not in the queue (any more) and its user has given it back or has ended,
so nothing has to be done when a process is killed. Blocks that are free keep their pages up to a
limit, because pages that were used before cost a fraction of fresh ones.

A block that is mapped by its receiver, instead of copied, is marked as such. Then the kernel tells
whether anybody still has it (see ``_platform.holds``), forked children included.
"""

from __future__ import annotations

from processing_core._ring.layout import (
    BLOCKS,
    ENTRY_WORDS,
    HEAD,
    LOW_32,
    MOST_BLOCKS,
    TABLE,
    TAIL,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

__all__ = ["BlockTable"]

# Flags beside the user's pid: the block was mapped by a receiver; its pages were filled before.
MAPPED = 1 << 62
WARM = 1 << 61
PID = LOW_32

STEP_BYTES = 64 << 10
# What free blocks may keep together.
KEPT_BYTES = 64 << 20


def rounded(size: int) -> int:
    """Sizes go in steps of at most an eighth, so that messages of similar size share blocks."""
    step = max(STEP_BYTES, 1 << max(0, size.bit_length() - 4))
    return -(-size // step) * step


class BlockTable:
    """The table in the words of a file of ``size`` bytes, of which blocks use the second half."""

    __slots__ = ("_discard", "_is_gone", "_is_held", "_reserve", "_size", "_words")

    def __init__(
        self,
        words: MutableSequence[int] | memoryview,
        size: int,
        reserve: Callable[[int, int], None],
        discard: Callable[[int, int], None],
        is_held: Callable[[int], bool],
        is_gone: Callable[[int], bool],
    ) -> None:
        self._words = words
        self._size = size
        self._reserve = reserve
        self._discard = discard
        self._is_held = is_held
        self._is_gone = is_gone

    def take(self, size: int, pid: int) -> tuple[int, bool]:
        """A block of at least this size, which from now on is the process's.

        Returns its number, and whether its pages were filled before.

        :raises MemoryError: when there is no room for one
        """
        size = rounded(size)
        index = self._find_free(size, 2 * size)
        if index is None:
            try:
                index = self._add(size)
            except MemoryError:
                # Rather one that is too large, or whatever the others leave.
                self.trim(0)
                index = self._find_free(size, self._size)
                if index is None:
                    index = self._add(size)
        entry = TABLE + ENTRY_WORDS * index
        words = self._words
        warm = words[entry + 3] & WARM
        if not warm:
            self._reserve(words[entry], words[entry + 1])
        words[entry + 2] = 0
        words[entry + 3] = pid | WARM
        return index, bool(warm)

    def _find_free(self, least: int, most: int) -> int | None:
        words = self._words
        count = words[BLOCKS]
        for patient in (False, True):
            for index in range(count):
                if least <= words[TABLE + ENTRY_WORDS * index + 1] <= most and self.is_free(
                    index, ask=patient
                ):
                    return index
        return None

    def _add(self, size: int) -> int:
        words = self._words
        count = words[BLOCKS]
        entry = TABLE + ENTRY_WORDS * count
        start = words[entry - 4] + words[entry - 3] if count else self._size // 2
        if count == MOST_BLOCKS or start + size > self._size:
            raise MemoryError(f"no room for a message of {size} bytes in the queue")
        words[entry], words[entry + 1], words[entry + 2], words[entry + 3] = start, size, 0, 0
        words[BLOCKS] = count + 1
        return int(count)

    def is_free(self, index: int, *, ask: bool = True) -> bool:
        """Whether nobody needs the block; ``ask``: users who have not said so may have ended."""
        words = self._words
        entry = TABLE + ENTRY_WORDS * index
        if self.is_queued(index):
            return False
        user = words[entry + 3]
        if user & MAPPED:
            return not self._is_held(words[entry])
        return not user & PID or (ask and self._is_gone(user & PID))

    def is_queued(self, index: int) -> bool:
        """Whether the block's message is in the queue."""
        words = self._words
        number = words[TABLE + ENTRY_WORDS * index + 2]
        if not number:
            return False
        first = words[HEAD] >> 32
        stored = (words[TAIL] >> 32) - first & LOW_32
        return bool((number - 1 - first & LOW_32) < stored)

    def place(self, index: int) -> tuple[int, int]:
        """Offset and size of a block."""
        entry = TABLE + ENTRY_WORDS * index
        return self._words[entry], self._words[entry + 1]

    def assign(self, index: int) -> None:
        """The block's message is the next to be put; it is in the queue once TAIL says so."""
        self._words[TABLE + ENTRY_WORDS * index + 2] = (self._words[TAIL] >> 32) + 1

    def accept(self, index: int, pid: int) -> None:
        """The process is about to get the block's message."""
        self._words[TABLE + ENTRY_WORDS * index + 3] = pid | WARM

    def map(self, index: int) -> None:
        """The process that uses the block has a hold on it from now on, which alone counts."""
        self._words[TABLE + ENTRY_WORDS * index + 3] |= MAPPED

    def release(self, index: int) -> None:
        """The process that uses the block is done with it."""
        self._words[TABLE + ENTRY_WORDS * index + 3] = WARM

    def trim(self, keep: int = KEPT_BYTES) -> None:
        """Give pages of free blocks back until they have at most ``keep`` bytes."""
        words = self._words
        for index in range(words[BLOCKS]):
            entry = TABLE + ENTRY_WORDS * index
            size = words[entry + 1]
            if words[entry + 3] & WARM and self.is_free(index, ask=keep == 0):
                if size > keep:
                    # Cold before it is discarded, so that one who is killed leaves it no worse.
                    words[entry + 3] &= ~WARM & ((1 << 64) - 1)
                    self._discard(words[entry], size)
                else:
                    keep -= size

    def recover(self) -> None:
        """Forget the messages of blocks that are not in the queue: killed before they were put."""
        words = self._words
        for index in range(words[BLOCKS]):
            if not self.is_queued(index):
                words[TABLE + ENTRY_WORDS * index + 2] = 0
