"""Owns the proxies of lists, dictionaries, namespaces, values and arrays."""

from __future__ import annotations

from collections.abc import MutableMapping, MutableSequence

from processing_managers._client.generic import (
    TYPE_CHECKING,
    Container,
    ItemT,
    KeyT,
    Mapping,
    ResultT,
    ValueT,
)
from processing_managers._proxies.base import BaseProxy, known_proxies
from processing_managers._proxies.iterating import FIRST_ITEMS, MOST_ITEMS, through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Self, SupportsIndex, overload

__all__ = [
    "ArrayProxy",
    "DictProxy",
    "ListProxy",
    "NamespaceProxy",
    "ValueProxy",
]


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
        if isinstance(index, slice):
            value = self._proxy_or_items(value)
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
        return self._backwards(len(self))

    def _backwards(self, end: int) -> Iterator[ItemT]:
        number = FIRST_ITEMS
        while end > 0:
            start = max(0, end - number)
            yield from reversed(self._callmethod("__getitem__", (slice(start, end),)))
            end = start
            number = min(number * 4, MOST_ITEMS)

    def append(self, item: ItemT) -> None:
        """As of the referent."""
        self._callmethod("append", (item,))

    def clear(self) -> None:
        """As of the referent."""
        self._callmethod("clear")

    def count(self, item: ItemT) -> int:
        """As of the referent."""
        number: int = self._callmethod("count", (item,))
        return number

    def extend(self, items: Iterable[ItemT]) -> None:
        """As of the referent."""
        self._callmethod("extend", (self._proxy_or_items(items),))

    def _proxy_or_items(self, items: Iterable[Any]) -> Any:
        items = self._operand(items)
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
        result: list[ItemT] = self._callmethod("__add__", (self._operand(items),))
        return result

    def __radd__(self, items: list[ItemT]) -> list[ItemT]:
        result: list[ItemT] = items + self._callmethod("copy")
        return result

    def __mul__(self, number: SupportsIndex) -> list[ItemT]:
        result: list[ItemT] = self._callmethod("__mul__", (number,))
        return result

    __rmul__ = __mul__

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
        "byteswap",
        "clear",
        "count",
        "extend",
        "frombytes",
        "index",
        "insert",
        "pop",
        "remove",
        "reverse",
        "set_items",
        "tobytes",
        "tolist",
    )

    def _items_of(self, items: Iterable[Any]) -> Any:
        return list(items)

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._callmethod("set_items", (index, self._proxy_or_items(value)))
        else:
            self._callmethod("__setitem__", (index, value))

    def byteswap(self) -> None:
        """As of array."""
        self._callmethod("byteswap")

    def frombytes(self, data: bytes) -> None:
        """Append the numbers that these bytes are in memory."""
        self._callmethod("frombytes", (bytes(data),))

    def fromlist(self, numbers: list[ItemT]) -> None:
        """Append the numbers of a list."""
        self.extend(numbers)

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
        return through(self, "keys")

    def __reversed__(self) -> Iterator[KeyT]:
        return through(self, "reversed")

    def __or__(self, other: dict[KeyT, ValueT] | DictProxy[KeyT, ValueT]) -> dict[KeyT, ValueT]:
        if not isinstance(other, (dict, DictProxy)):
            return NotImplemented
        result: dict[KeyT, ValueT] = self._callmethod("__or__", (self._operand(other),))
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
        def get(self, key: KeyT, default: ValueT | ResultT) -> ValueT | ResultT: ...

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

    if TYPE_CHECKING:

        @overload
        def pop(self, key: KeyT, /) -> ValueT: ...
        @overload
        def pop(self, key: KeyT, default: ValueT | ResultT, /) -> ValueT | ResultT: ...

    def pop(self, key: KeyT, /, *default: Any) -> Any:
        """As of dict."""
        return self._callmethod("pop", (key, *default))

    def popitem(self) -> tuple[KeyT, ValueT]:
        """As of dict."""
        item: tuple[KeyT, ValueT] = self._callmethod("popitem")
        return item

    if TYPE_CHECKING:

        @overload
        def setdefault(self, key: KeyT, default: None = None) -> ValueT | None: ...
        @overload
        def setdefault(self, key: KeyT, default: ValueT) -> ValueT: ...

    def setdefault(self, key: KeyT, default: Any = None) -> Any:
        """As of dict."""
        return self._callmethod("setdefault", (key, default))

    def update(self, /, *args: Any, **kwds: ValueT) -> None:
        """As of dict."""
        if args:
            given = self._operand(args[0])
            if type(given) is not dict and not isinstance(given, BaseProxy):
                given = dict(given)  # views and the like cannot be sent
            args = (given, *args[1:])
        self._callmethod("update", args, kwds)


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

known_proxies.update(
    {
        "list": ListProxy,
        "dict": DictProxy,
        "Namespace": NamespaceProxy,
        "Value": ValueProxy,
        "Array": ArrayProxy,
    }
)
