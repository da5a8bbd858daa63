"""Owns judging what went through a queue: gaps, duplicates, disorder, and who may have caused them.

Nothing here does any input or output: it is given what was said and answers with what is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

__all__ = ["Ledger", "reconcile"]


class Ledger:
    """What producers say that they have put, and consumers that they have got.

    Every producer numbers its items from 0.
    """

    def __init__(self) -> None:
        self.got_items = 0
        self.damaged = 0
        self.duplicates = 0
        self.disorders = 0
        self._put: dict[int, int] = {}
        self._seen: dict[int, bytearray] = {}
        self._last: dict[tuple[int, int], int] = {}

    def put(self, producer: int, number: int) -> None:
        """A producer says that its item of this number is in the queue."""
        self._put[producer] = max(self._put.get(producer, 0), number + 1)

    def got(self, consumer: int, producer: int, number: int) -> None:
        """A consumer says that it has an item. Its own records come in their order."""
        self.got_items += 1
        seen = self._seen.setdefault(producer, bytearray())
        if number >= len(seen):
            seen.extend(bytes(number + 1 - len(seen)))
        if seen[number]:
            self.duplicates += 1
            return
        seen[number] = 1
        last = self._last.get((consumer, producer), -1)
        if number < last:
            self.disorders += 1
        self._last[consumer, producer] = max(last, number)

    def outstanding(self) -> int:
        """How many items are known to be put and not known to be got."""
        return max(0, sum(self._put.values()) - self.got_items)

    def missing(self) -> dict[int, list[int]]:
        """The items that were put and that nobody has got, by producer.

        The last item of a producer that was killed in the middle of a put, or before it could say
        that it was done, is expected by nobody: it may come or not.
        """
        found: dict[int, list[int]] = {}
        for producer in self._put.keys() | self._seen.keys():
            seen = self._seen.get(producer, bytearray())
            expected = max(self._put.get(producer, 0), len(seen))
            numbers = [number for number, there in enumerate(seen) if not there]
            numbers += range(len(seen), expected)
            if numbers:
                found[producer] = numbers
        return found

    def invented(self) -> list[tuple[int, int]]:
        """Items that came although their producer cannot have put them yet."""
        return [
            (producer, len(seen) - 1)
            for producer, seen in self._seen.items()
            if len(seen) > self._put.get(producer, 0) + 1
        ]

    def violations(self, killed_consumers: int) -> list[str]:
        """What cannot be explained by so many consumers having been killed.

        Each of them may have taken one item along; a killed producer explains no gap.
        """
        found = []
        missing = self.missing()
        count = sum(map(len, missing.values()))
        if count > killed_consumers:
            some = ", ".join(
                f"producer {producer}: {_abridged(numbers)}"
                for producer, numbers in sorted(missing.items())[:5]
            )
            found.append(f"{count} items missing, {killed_consumers} consumers killed: {some}")
        if self.damaged:
            found.append(f"{self.damaged} items damaged")
        if self.duplicates:
            found.append(f"{self.duplicates} items came twice")
        if self.disorders:
            found.append(f"{self.disorders} items came before an earlier one of the same producer")
        if invented := self.invented():
            found.append(f"items came that were not put: {invented[:5]}")
        return found


def _abridged(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return shown if len(numbers) <= 5 else f"{shown} and {len(numbers) - 5} more"


def reconcile(
    put: Collection[int], uncertain: Collection[int], got: Iterable[int], expect_order: bool = True
) -> list[str]:
    """What is wrong with the items got, where some puts were interrupted and may have happened."""
    items = list(got)
    counted = Counter(items)
    found = []
    if lost := sorted(set(put) - counted.keys()):
        found.append(f"{len(lost)} items lost: {_abridged(lost)}")
    if invented := sorted(counted.keys() - set(put) - set(uncertain)):
        found.append(f"{len(invented)} items came that were not put: {_abridged(invented)}")
    if twice := sorted(item for item, times in counted.items() if times > 1):
        found.append(f"{len(twice)} items came twice: {_abridged(twice)}")
    if expect_order and not twice and items != sorted(items):
        found.append("items came in another order")
    return found
