"""Owns going through a dictionary or a set of a manager, many items at a time."""

from __future__ import annotations

from processing_managers._proxies.base import BaseProxy, known_proxies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["FIRST_ITEMS", "MOST_ITEMS", "CursorProxy", "through"]

# How many items are fetched at first, and at most, while somebody iterates.
FIRST_ITEMS, MOST_ITEMS = 64, 4096


class CursorProxy(BaseProxy):
    """A proxy to what goes through a dictionary or a set."""

    _exposed_ = ("take",)

    def take(self, number: int) -> list[Any]:
        """The next items, at most ``number``; none at the end."""
        items: list[Any] = self._callmethod("take", (number,))
        return items


def through(proxy: BaseProxy, how: str) -> Iterator[Any]:
    """Go through a dictionary or a set.

    :raises RuntimeError: when its size changes between two of the requests that this takes
    """
    items, cursor = proxy._callmethod("iterate", (how, FIRST_ITEMS))
    yield from items
    number = FIRST_ITEMS
    while cursor is not None:
        number = min(number * 4, MOST_ITEMS)
        items = cursor.take(number)
        yield from items
        if len(items) < number:
            return


known_proxies["cursor"] = CursorProxy
