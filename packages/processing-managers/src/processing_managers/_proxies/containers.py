"""Owns the proxies of lists, dictionaries, sets, namespaces, values and arrays."""

from __future__ import annotations

from collections.abc import MutableMapping, MutableSequence, MutableSet

from processing_managers._client.generic import (
    TYPE_CHECKING,
    Container,
    ItemT,
    KeyT,
    Mapping,
    ValueT,
)
from processing_managers._proxies.base import BaseProxy, known_proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Self, SupportsIndex, overload

__all__ = [
    "ArrayProxy",
    "CursorProxy",
    "DictProxy",
    "ListProxy",
    "NamespaceProxy",
    "SetProxy",
    "ValueProxy",
]

# How many items are fetched at first, and at most, while somebody iterates.
FIRST_ITEMS, MOST_ITEMS = 64, 4096


class CursorProxy(BaseProxy):
    """A proxy to what goes through a dictionary or a set."""

    _exposed_ = ("take",)

    def take(self, number: int) -> list[Any]:
        """The next items, at most ``number``; none at the end."""
        items: list[Any] = self._callmethod("take", (number,))
        return items


def _through(proxy: BaseProxy, how: str) -> Iterator[Any]:
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


class _Sequence(BaseProxy, Container[ItemT]):
    """What proxies of lists and of arrays share."""

    def __len__(self) -> int:
        length: int = self._callmethod("__len__")
        return length

    def __contains__(self, item: object) -> bool:
        found: bool = self._callmethod("__contains__", (item,))
        return found

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: SupportsIndex) -> ItemT: ...
        @overload
        def __getitem__(self, index: slice) -> list[ItemT]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return self._callmethod("__getitem__", (index,))

    if TYPE_CHECKING:

        @overload
        def __setitem__(self, index: SupportsIndex, value: ItemT) -> None: ...
        @overload
        def __setitem__(self, index: slice, value: Iterable[ItemT]) -> None: ...

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        if isinstance(index, slice) and not isinstance(value, BaseProxy):
            value = self._items_of(value)
        self._callmethod("__setitem__", (index, value))

    def _items_of(self, items: Iterable[Any]) -> Any:
        return items if isinstance(items, (list, tuple)) else list(items)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        self._callmethod("__delitem__", (index,))

    def __iter__(self) -> Iterator[ItemT]:
        # By position, as an iterator of a list does; what is appended meanwhile is met, too.
        start, number = 0, FIRST_ITEMS
        while items := self._callmethod("__getitem__", (slice(start, start + number),)):
            yield from items
            start += len(items)
            number = min(number * 4, MOST_ITEMS)

    def __reversed__(self) -> Iterator[ItemT]:
        end, number = len(self), FIRST_ITEMS
        while end > 0:
            start = max(0, end - number)
            yield from reversed(self._callmethod("__getitem__", (slice(start, end),)))
            end = start
            number = min(number * 4, MOST_ITEMS)

    def append(self, item: ItemT) -> None:
        """As of the referent."""
        self._callmethod("append", (item,))

    def count(self, item: ItemT) -> int:
        """As of the referent."""
        number: int = self._callmethod("count", (item,))
        return number

    def extend(self, items: Iterable[ItemT]) -> None:
        """As of the referent."""
        self._callmethod("extend", (self._proxy_or_items(items),))

    def _proxy_or_items(self, items: Iterable[Any]) -> Any:
        return items if isinstance(items, BaseProxy) else self._items_of(items)

    def index(self, item: ItemT, start: SupportsIndex = 0, stop: SupportsIndex = 2**63 - 1) -> int:
        """As of the referent."""
        position: int = self._callmethod("index", (item, start, stop))
        return position

    def insert(self, index: SupportsIndex, item: ItemT) -> None:
        """As of the referent."""
        self._callmethod("insert", (index, item))

    def pop(self, index: SupportsIndex = -1) -> ItemT:
        """As of the referent."""
        item: ItemT = self._callmethod("pop", (index,))
        return item

    def remove(self, item: ItemT) -> None:
        """As of the referent."""
        self._callmethod("remove", (item,))

    def reverse(self) -> None:
        """As of the referent."""
        self._callmethod("reverse")

    def __iadd__(self, items: Iterable[ItemT]) -> Self:
        self.extend(items)
        return self

    def __imul__(self, number: SupportsIndex) -> Self:
        self._callmethod("__imul__", (number,))
        return self


class ListProxy(_Sequence[ItemT]):
    """A proxy to a list. Slices and sums are lists; iterating fetches many items at a time."""

    _exposed_ = (
        "__add__",
        "__contains__",
        "__delitem__",
        "__getitem__",
        "__imul__",
        "__len__",
        "__mul__",
        "__setitem__",
        "append",
        "clear",
        "copy",
        "count",
        "extend",
        "index",
        "insert",
        "pop",
        "remove",
        "reverse",
        "sort",
    )

    def __add__(self, items: list[ItemT] | ListProxy[ItemT]) -> list[ItemT]:
        result: list[ItemT] = self._callmethod("__add__", (items,))
        return result

    def __radd__(self, items: list[ItemT]) -> list[ItemT]:
        result: list[ItemT] = items + self._callmethod("copy")
        return result

    def __mul__(self, number: SupportsIndex) -> list[ItemT]:
        result: list[ItemT] = self._callmethod("__mul__", (number,))
        return result

    __rmul__ = __mul__

    def clear(self) -> None:
        """As of list."""
        self._callmethod("clear")

    def copy(self) -> list[ItemT]:
        """A list of the items; nested containers are still those of the manager."""
        result: list[ItemT] = self._callmethod("copy")
        return result

    def sort(self, *, key: Callable[[ItemT], Any] | None = None, reverse: bool = False) -> None:
        """As of list; ``key`` is sent to the manager, so it must be something that pickles."""
        self._callmethod("sort", (), {"key": key, "reverse": reverse})


class ArrayProxy(_Sequence[ItemT]):
    """A proxy to an array of numbers."""

    _exposed_ = (
        "__contains__",
        "__delitem__",
        "__getitem__",
        "__imul__",
        "__len__",
        "__setitem__",
        "append",
        "count",
        "extend",
        "index",
        "insert",
        "pop",
        "remove",
        "reverse",
        "set_items",
        "tobytes",
        "tolist",
    )

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return self._callmethod("__getitem__", (index,))

    def _items_of(self, items: Iterable[Any]) -> Any:
        return list(items)

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._callmethod("set_items", (index, self._proxy_or_items(value)))
        else:
            self._callmethod("__setitem__", (index, value))

    def tolist(self) -> list[ItemT]:
        """The numbers as a list."""
        result: list[ItemT] = self._callmethod("tolist")
        return result

    def tobytes(self) -> bytes:
        """The memory of the array."""
        result: bytes = self._callmethod("tobytes")
        return result


class DictProxy(BaseProxy, Mapping[KeyT, ValueT]):
    """A proxy to a dictionary.

    ``keys``, ``values`` and ``items`` are lists of what there is at the moment of the call.
    """

    _exposed_ = (
        "__contains__",
        "__delitem__",
        "__getitem__",
        "__len__",
        "__or__",
        "__setitem__",
        "clear",
        "copy",
        "get",
        "items",
        "iterate",
        "keys",
        "pop",
        "popitem",
        "setdefault",
        "update",
        "values",
    )

    def __len__(self) -> int:
        length: int = self._callmethod("__len__")
        return length

    def __contains__(self, key: object) -> bool:
        found: bool = self._callmethod("__contains__", (key,))
        return found

    def __getitem__(self, key: KeyT) -> ValueT:
        value: ValueT = self._callmethod("__getitem__", (key,))
        return value

    def __setitem__(self, key: KeyT, value: ValueT) -> None:
        self._callmethod("__setitem__", (key, value))

    def __delitem__(self, key: KeyT) -> None:
        self._callmethod("__delitem__", (key,))

    def __iter__(self) -> Iterator[KeyT]:
        return _through(self, "keys")

    def __reversed__(self) -> Iterator[KeyT]:
        return _through(self, "reversed")

    def __or__(self, other: dict[KeyT, ValueT] | DictProxy[KeyT, ValueT]) -> dict[KeyT, ValueT]:
        if not isinstance(other, (dict, BaseProxy)):
            return NotImplemented
        result: dict[KeyT, ValueT] = self._callmethod("__or__", (other,))
        return result

    def __ror__(self, other: dict[KeyT, ValueT]) -> dict[KeyT, ValueT]:
        if not isinstance(other, dict):
            return NotImplemented
        result: dict[KeyT, ValueT] = other | self._callmethod("copy")
        return result

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]  # takes more than __or__, as dict
        self.update(other)
        return self

    def clear(self) -> None:
        """As of dict."""
        self._callmethod("clear")

    def copy(self) -> dict[KeyT, ValueT]:
        """A dictionary of the items; nested containers are still those of the manager."""
        result: dict[KeyT, ValueT] = self._callmethod("copy")
        return result

    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        """As of dict: an ordinary dictionary."""
        return dict.fromkeys(keys, value)

    if TYPE_CHECKING:

        @overload
        def get(self, key: KeyT, default: None = None) -> ValueT | None: ...
        @overload
        def get(self, key: KeyT, default: ValueT) -> ValueT: ...

    def get(self, key: KeyT, default: Any = None) -> Any:
        """As of dict."""
        return self._callmethod("get", (key, default))

    def items(self) -> list[tuple[KeyT, ValueT]]:
        """The keys with their values."""
        result: list[tuple[KeyT, ValueT]] = self._callmethod("items")
        return result

    def keys(self) -> list[KeyT]:
        """The keys."""
        result: list[KeyT] = self._callmethod("keys")
        return result

    def values(self) -> list[ValueT]:
        """The values."""
        result: list[ValueT] = self._callmethod("values")
        return result

    def pop(self, key: KeyT, *default: Any) -> Any:
        """As of dict."""
        return self._callmethod("pop", (key, *default))

    def popitem(self) -> tuple[KeyT, ValueT]:
        """As of dict."""
        item: tuple[KeyT, ValueT] = self._callmethod("popitem")
        return item

    def setdefault(self, key: KeyT, default: Any = None) -> Any:
        """As of dict."""
        return self._callmethod("setdefault", (key, default))

    def update(self, *args: Any, **kwds: ValueT) -> None:
        """As of dict."""
        if args and not isinstance(args[0], (dict, BaseProxy)):
            args = (dict(*args),)
        self._callmethod("update", args, kwds)


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
        return _through(self, "keys")

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
            for other in others
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
        return self._callmethod(name, (other,))

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

    __ror__, __rand__, __rxor__ = __or__, __and__, __xor__

    def _in_place(self, name: str, other: Any) -> Any:
        if not isinstance(other, (set, frozenset, SetProxy)):
            return NotImplemented
        self._callmethod(name, (other,))
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


class NamespaceProxy(BaseProxy):
    """A proxy to an object with attributes.

    Names that begin with an underscore are the proxy's own, all others the referent's.
    """

    _exposed_ = ("__delattr__", "__getattribute__", "__setattr__")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattr__(name)
        return self._callmethod("__getattribute__", (name,))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._callmethod("__setattr__", (name, value))

    def __delattr__(self, name: str) -> None:
        if name.startswith("_"):
            object.__delattr__(self, name)
        else:
            self._callmethod("__delattr__", (name,))


class ValueProxy(BaseProxy, Container[ItemT]):
    """A proxy to a value."""

    _exposed_ = ("get", "set")

    def get(self) -> ItemT:
        """The value."""
        value: ItemT = self._callmethod("get")
        return value

    def set(self, value: ItemT) -> None:
        """Change the value."""
        self._callmethod("set", (value,))

    @property
    def value(self) -> ItemT:
        """The value; assigning changes it in the manager."""
        return self.get()

    @value.setter
    def value(self, value: ItemT) -> None:
        self.set(value)

    def _getvalue(self) -> ItemT:
        return self.get()

    _getValue = _getvalue


MutableSequence.register(ListProxy)
MutableSequence.register(ArrayProxy)
MutableMapping.register(DictProxy)
MutableSet.register(SetProxy)

known_proxies.update(
    {
        "list": ListProxy,
        "dict": DictProxy,
        "set": SetProxy,
        "Namespace": NamespaceProxy,
        "Value": ValueProxy,
        "Array": ArrayProxy,
        "cursor": CursorProxy,
    }
)
