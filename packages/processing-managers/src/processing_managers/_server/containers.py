"""Owns the containers that live in the server: plain ones that the server knows from its own.

In a reply they stand for themselves: the client gets a proxy, so that what is nested can be changed
in place. Copies are made of plain lists, dictionaries and sets all the way down.
"""

from __future__ import annotations

import array
import copy
from itertools import islice

from processing_core import InvalidArgument, InvalidType
from processing_managers._server.arguments import checked_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, ClassVar, Self

    PlainList = list[Any]
    PlainDict = dict[Any, Any]
    PlainSet = set[Any]
    PlainArray = array.array[Any]
else:
    PlainList, PlainDict, PlainSet, PlainArray = list, dict, set, array.array

__all__ = [
    "ArrayReferent",
    "Cursor",
    "NamespaceReferent",
    "NestedDict",
    "NestedList",
    "SharedDict",
    "SharedList",
    "SharedSet",
    "ValueReferent",
    "make_dict",
    "make_list",
    "plain",
]


def plain(obj: Any, memo: dict[int, Any] | None = None) -> Any:
    """A copy in which all containers of the server are ordinary ones. Others stay what they are."""
    if memo is None:
        memo = {}
    known = memo.get(id(obj))
    if known is not None:
        return known
    if isinstance(obj, SharedList) or type(obj) is list:
        result: Any = []
        memo[id(obj)] = result
        result.extend(plain(item, memo) for item in obj)
    elif isinstance(obj, SharedDict) or type(obj) is dict:
        result = {}
        memo[id(obj)] = result
        result.update((key, plain(value, memo)) for key, value in list(obj.items()))
    elif isinstance(obj, SharedSet):
        result = set(obj)
    elif type(obj) is tuple:
        result = tuple(plain(item, memo) for item in obj)
    else:
        return obj
    memo[id(obj)] = result
    return result


class Cursor:
    """Goes through a dictionary or a set, many items at a time."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator

    def take(self, number: int) -> list[Any]:
        """The next items, at most ``number``. :raises RuntimeError: when the size has changed"""
        return list(islice(self._iterator, number))


def begin(iterator: Iterator[Any], number: int) -> tuple[list[Any], Cursor | None]:
    """The first items, and what gives the others; None if that is all."""
    cursor = Cursor(iterator)
    items = cursor.take(number)
    return items, cursor if len(items) == number else None


class SharedList(PlainList):
    """A list of the server."""

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        result: list[Any] = []
        memo[id(self)] = result
        result.extend(copy.deepcopy(item, memo) for item in self)
        return result

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return list, (list(self),)

    __hash__ = None  # as of list


class SharedDict(PlainDict):
    """A dictionary of the server."""

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        memo[id(self)] = result
        for key, value in list(self.items()):
            result[copy.deepcopy(key, memo)] = copy.deepcopy(value, memo)
        return result

    def iterate(self, how: str, number: int) -> tuple[list[Any], Cursor | None]:
        """Begin to go through the keys, forwards or backwards."""
        return begin(iter(self) if how == "keys" else reversed(self), number)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (dict(self),)

    __hash__ = None  # as of dict


class SharedSet(PlainSet):
    """A set of the server."""

    def __deepcopy__(self, memo: dict[int, Any]) -> set[Any]:
        return {copy.deepcopy(item, memo) for item in self}

    def iterate(self, how: str, number: int) -> tuple[list[Any], Cursor | None]:
        """Begin to go through the items."""
        del how
        return begin(iter(self), number)

    def copy(self) -> set[Any]:
        return set(self)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return set, (list(self),)

    def __repr__(self) -> str:
        return repr(set(self))

    __hash__ = None  # as of set


def nested(obj: Any, memo: dict[int, Any] | None = None) -> Any:
    """An object in which plain lists, dictionaries and sets are containers of the server.

    What is met several times, or within itself, becomes one container; ``memo`` has those so far.
    """
    if memo is None:
        memo = {}
    known = memo.get(id(obj))
    if known is not None:
        return known
    if type(obj) is dict:
        result: Any = NestedDict()
        memo[id(obj)] = result
        result.fill(obj, memo)
    elif type(obj) is list:
        result = memo[id(obj)] = NestedList()
        result.fill(obj, memo)
    elif type(obj) is set:
        result = memo[id(obj)] = SharedSet(obj)
    elif type(obj) is tuple:
        result = tuple(nested(item, memo) for item in obj)
    else:
        result = obj
    return result


class NestedList(SharedList):
    """A list that makes containers of the server of what is put into it."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__()
        self.fill(items, {})

    def fill(self, items: Iterable[Any], memo: dict[int, Any]) -> None:
        """Append what nested() makes of the items."""
        # A list first: the items may be this list itself, which grows.
        super().extend([nested(item, memo) for item in items])

    def append(self, item: Any) -> None:
        super().append(nested(item))

    def insert(self, index: Any, item: Any) -> None:
        super().insert(index, nested(item))

    def extend(self, items: Iterable[Any]) -> None:
        self.fill(items, {})

    def __iadd__(self, items: Iterable[Any]) -> Self:  # type: ignore[misc]  # typeshed overloads it
        self.extend(items)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            memo: dict[int, Any] = {}
            super().__setitem__(index, [nested(item, memo) for item in value])
        else:
            super().__setitem__(index, nested(value))


class NestedDict(SharedDict):
    """A dictionary that makes containers of the server of the values that are put into it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.update(*args, **kwargs)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, nested(value))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return super().setdefault(key, default) if key in self else self._insert(key, default)

    def _insert(self, key: Any, value: Any) -> Any:
        self[key] = value
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.fill(dict(*args, **kwargs), {})

    def fill(self, items: dict[Any, Any], memo: dict[int, Any]) -> None:
        """Add what nested() makes of the values."""
        super().update({key: nested(value, memo) for key, value in items.items()})

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]  # typeshed overloads it
        self.update(other)
        return self


def make_list(items: Iterable[Any] = (), *, nested: bool = False) -> SharedList:
    """What ``manager.list`` makes."""
    return NestedList(items) if nested else SharedList(items)


def make_dict(*args: Any, **kwargs: Any) -> SharedDict:
    """What ``manager.dict`` makes; ``nested=True`` alone is not a key."""
    deep = kwargs.pop("nested", False) if kwargs.get("nested") is True else False
    return NestedDict(*args, **kwargs) if deep else SharedDict(*args, **kwargs)


class NamespaceReferent:
    """An object with attributes."""

    def __init__(self, /, **attributes: Any) -> None:
        for name in attributes:
            if name.startswith("_"):
                raise InvalidArgument(f"the name {name!r} begins with '_', which is for proxies")
        self.__dict__.update(attributes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NamespaceReferent):
            return NotImplemented
        return vars(self) == vars(other)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        shown = sorted(f"{name}={value!r}" for name, value in vars(self).items())
        return f"Namespace({', '.join(shown)})"


# What a type code of ctypes is in the array module, where that is another.
ARRAY_CODES = {"c": "b"}


class ValueReferent:
    """One value."""

    def __init__(self, typecode: Any, value: Any, lock: object = True) -> None:
        del lock  # of no use: the server does one call at a time
        self._typecode = typecode
        self.value = value

    def get(self) -> Any:
        """The value."""
        return self.value

    def set(self, value: Any) -> None:
        """Change the value."""
        self.value = value

    def __repr__(self) -> str:
        return f"Value({self._typecode!r}, {self.value!r})"


class ArrayReferent(PlainArray):
    """An array of numbers."""

    def __new__(cls, typecode: str, sequence: Any, lock: object = True) -> Self:
        del lock  # as above
        if not isinstance(typecode, str):
            raise InvalidType(f"the type code must be a string, not {typecode!r}")
        if isinstance(sequence, int):
            sequence = [0] * checked_count(sequence, "the number of items", 0)
        return super().__new__(cls, ARRAY_CODES.get(typecode, typecode), sequence)

    def set_items(self, index: slice, items: Any) -> None:
        """Assign to a slice."""
        self[index] = array.array(self.typecode, items)

    def clear(self) -> None:
        """Remove all numbers, which arrays themselves can only since Python 3.13."""
        del self[:]

    def extend(self, items: Any) -> None:
        super().extend(array.array(self.typecode, items))

    def __getitem__(self, index: Any) -> Any:
        # What is sliced is for clients, who get lists.
        item = super().__getitem__(index)
        return item.tolist() if isinstance(index, slice) else item

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return array.array, (self.typecode, list(self))

    def __repr__(self) -> str:
        return f"array({self.typecode!r}, {self.tolist()!r})"
