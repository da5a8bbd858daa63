"""Owns the proxy of sets."""

from __future__ import annotations

from collections.abc import MutableSet

from processing_managers._client.generic import TYPE_CHECKING, Container, ItemT
from processing_managers._proxies.base import BaseProxy, known_proxies
from processing_managers._proxies.iterating import through

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self

__all__ = ["SetProxy"]


class SetProxy(BaseProxy, Container[ItemT]):
    """A proxy to a set. Results of operators are sets."""

    _exposed_ = (
        "__and__",
        "__contains__",
        "__len__",
        "__or__",
        "__rsub__",
        "__sub__",
        "__xor__",
        "add",
        "clear",
        "copy",
        "difference",
        "difference_update",
        "discard",
        "intersection",
        "intersection_update",
        "isdisjoint",
        "issubset",
        "issuperset",
        "iterate",
        "pop",
        "remove",
        "symmetric_difference",
        "symmetric_difference_update",
        "union",
        "update",
    )

    def __len__(self) -> int:
        length: int = self._callmethod("__len__")
        return length

    def __contains__(self, item: object) -> bool:
        found: bool = self._callmethod("__contains__", (item,))
        return found

    def __iter__(self) -> Iterator[ItemT]:
        return through(self, "keys")

    def add(self, item: ItemT) -> None:
        """As of set."""
        self._callmethod("add", (item,))

    def clear(self) -> None:
        """As of set."""
        self._callmethod("clear")

    def copy(self) -> set[ItemT]:
        """A set of the items."""
        result: set[ItemT] = self._callmethod("copy")
        return result

    def discard(self, item: ItemT) -> None:
        """As of set."""
        self._callmethod("discard", (item,))

    def pop(self) -> ItemT:
        """As of set."""
        item: ItemT = self._callmethod("pop")
        return item

    def remove(self, item: ItemT) -> None:
        """As of set."""
        self._callmethod("remove", (item,))

    def _with(self, name: str, others: tuple[Iterable[Any], ...]) -> Any:
        sent = [
            other if isinstance(other, (set, frozenset, list, tuple, BaseProxy)) else list(other)
            for other in map(self._operand, others)
        ]
        return self._callmethod(name, tuple(sent))

    def union(self, *others: Iterable[ItemT]) -> set[ItemT]:
        """As of set."""
        result: set[ItemT] = self._with("union", others)
        return result

    def intersection(self, *others: Iterable[Any]) -> set[ItemT]:
        """As of set."""
        result: set[ItemT] = self._with("intersection", others)
        return result

    def difference(self, *others: Iterable[Any]) -> set[ItemT]:
        """As of set."""
        result: set[ItemT] = self._with("difference", others)
        return result

    def symmetric_difference(self, other: Iterable[ItemT]) -> set[ItemT]:
        """As of set."""
        result: set[ItemT] = self._with("symmetric_difference", (other,))
        return result

    def update(self, *others: Iterable[ItemT]) -> None:
        """As of set."""
        self._with("update", others)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """As of set."""
        self._with("intersection_update", others)

    def difference_update(self, *others: Iterable[Any]) -> None:
        """As of set."""
        self._with("difference_update", others)

    def symmetric_difference_update(self, other: Iterable[ItemT]) -> None:
        """As of set."""
        self._with("symmetric_difference_update", (other,))

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """As of set."""
        answer: bool = self._with("isdisjoint", (other,))
        return answer

    def issubset(self, other: Iterable[Any]) -> bool:
        """As of set."""
        answer: bool = self._with("issubset", (other,))
        return answer

    def issuperset(self, other: Iterable[Any]) -> bool:
        """As of set."""
        answer: bool = self._with("issuperset", (other,))
        return answer

    def _operator(self, name: str, other: Any) -> Any:
        if not isinstance(other, (set, frozenset, SetProxy)):
            return NotImplemented
        return self._callmethod(name, (self._operand(other),))

    def __or__(self, other: Any) -> set[ItemT]:
        result: set[ItemT] = self._operator("__or__", other)
        return result

    def __and__(self, other: Any) -> set[ItemT]:
        result: set[ItemT] = self._operator("__and__", other)
        return result

    def __sub__(self, other: Any) -> set[ItemT]:
        result: set[ItemT] = self._operator("__sub__", other)
        return result

    def __xor__(self, other: Any) -> set[ItemT]:
        result: set[ItemT] = self._operator("__xor__", other)
        return result

    def __rsub__(self, other: Any) -> set[ItemT]:
        result: set[ItemT] = self._operator("__rsub__", other)
        return result

    __ror__ = __or__
    __rand__ = __and__
    __rxor__ = __xor__

    def _in_place(self, name: str, other: Any) -> Any:
        if not isinstance(other, (set, frozenset, SetProxy)):
            return NotImplemented
        self._callmethod(name, (self._operand(other),))
        return self

    def __ior__(self, other: Any) -> Self:
        result: Self = self._in_place("update", other)
        return result

    def __iand__(self, other: Any) -> Self:
        result: Self = self._in_place("intersection_update", other)
        return result

    def __isub__(self, other: Any) -> Self:
        result: Self = self._in_place("difference_update", other)
        return result

    def __ixor__(self, other: Any) -> Self:
        result: Self = self._in_place("symmetric_difference_update", other)
        return result


MutableSet.register(SetProxy)

known_proxies["set"] = SetProxy
