"""Owns damaging bytes at random: what a broken or hostile peer may send in place of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

__all__ = ["Mutator"]

EXTREMES = (0, 1, -1, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1, -(2**63))
MOST_STEPS = 4
LONGEST_INSERTION = 64


class Mutator:
    """Damages bytes. ``corpus`` is what parts of others are taken from."""

    def __init__(self, chance: random.Random, corpus: Sequence[bytes]) -> None:
        self._chance = chance
        self._corpus = corpus
        self._ways = (
            self._flip,
            self._flip,
            self._replace,
            self._insert,
            self._delete,
            self._repeat,
            self._truncate,
            self._splice,
            self._number,
            self._number,
        )

    def damaged(self, data: bytes) -> bytes:
        """The same, changed in a few ways; now and then nothing but noise."""
        if self._chance.random() < 0.02:
            return self._chance.randbytes(self._chance.randrange(300))
        work = bytearray(data)
        for _ in range(self._chance.randint(1, MOST_STEPS)):
            self._chance.choice(self._ways)(work)
        return bytes(work)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The same in pieces of random lengths, as a stream may deliver it."""
        position = 0
        while position < len(data):
            size = self._chance.choice((1, 2, 7, 40, 1000, 1 << 20))
            yield data[position : position + size]
            position += size

    def _place(self, work: bytearray) -> int:
        return self._chance.randrange(len(work) + 1)

    def _flip(self, work: bytearray) -> None:
        if work:
            work[self._chance.randrange(len(work))] ^= 1 << self._chance.randrange(8)

    def _replace(self, work: bytearray) -> None:
        place = self._place(work)
        some = self._chance.randbytes(self._chance.randint(1, 8))
        work[place : place + len(some)] = some

    def _insert(self, work: bytearray) -> None:
        place = self._place(work)
        work[place:place] = self._chance.randbytes(self._chance.randint(1, LONGEST_INSERTION))

    def _delete(self, work: bytearray) -> None:
        place = self._place(work)
        del work[place : place + self._chance.randint(1, 32)]

    def _repeat(self, work: bytearray) -> None:
        place = self._place(work)
        work[place:place] = work[place : place + self._chance.randint(1, 128)]

    def _truncate(self, work: bytearray) -> None:
        del work[self._place(work) :]

    def _splice(self, work: bytearray) -> None:
        other = self._chance.choice(self._corpus)
        start = self._chance.randrange(len(other) + 1)
        place = self._place(work)
        work[place : place + self._chance.randrange(128)] = other[start : start + 128]

    def _number(self, work: bytearray) -> None:
        """What a length may be: an extreme, at the start more often than elsewhere."""
        size = self._chance.choice((1, 2, 4, 4, 8))
        value = self._chance.choice(EXTREMES) % (1 << 8 * size)
        place = 0 if self._chance.random() < 0.3 else self._place(work)
        work[place : place + size] = value.to_bytes(size, self._chance.choice(("big", "little")))
