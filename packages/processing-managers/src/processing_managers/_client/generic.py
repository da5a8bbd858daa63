"""Owns the bases that make proxies generic for type checkers without importing ``typing``."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Generic

    from typing_extensions import TypeVar

    ItemT = TypeVar("ItemT")
    KeyT = TypeVar("KeyT")
    ValueT = TypeVar("ValueT")
    ResultT = TypeVar("ResultT")

    class Container(Generic[ResultT]):
        """Takes or gives objects of one type."""

    class Mapping(Generic[KeyT, ValueT]):
        """Maps objects of one type to objects of another."""

        __slots__ = ()

else:
    from types import GenericAlias

    ItemT = KeyT = ValueT = ResultT = object

    class Container:
        """Takes or gives objects of one type."""

        __class_getitem__ = classmethod(GenericAlias)

    class Mapping:
        """Maps objects of one type to objects of another."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)


__all__ = ["TYPE_CHECKING", "Container", "ItemT", "KeyT", "Mapping", "ResultT", "ValueT"]
