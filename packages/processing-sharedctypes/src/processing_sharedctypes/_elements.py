"""Owns what a slice of an array of numbers is: an array that takes the place of a list."""

from __future__ import annotations

from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generic, SupportsIndex, TypeVar

    NumberT = TypeVar("NumberT", int, float)

    class _Base(array[NumberT], Generic[NumberT]):
        """What type checkers see."""
else:
    from types import GenericAlias

    NumberT = object

    class _Base(array):
        """Makes ``Elements[int]`` a valid expression."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)


__all__ = ["Elements"]


class Elements(_Base[NumberT]):
    """A copy of elements: an ``array.array``, made at the speed of memcpy, that acts as a list.

    It compares equal to a list of the same numbers, looks like one, and concatenates with one.
    Those who want a list for something else, as json does, make one: ``elements.tolist()``.
    """

    __slots__ = ()

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list):
            return self.tolist() == other
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return repr(self.tolist())

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return type(self)(self.typecode, found) if isinstance(place, slice) else found

    def __add__(self, other: Any) -> Any:
        if isinstance(other, (list, array)):
            return [*self, *other]
        return NotImplemented

    def __radd__(self, other: Any) -> Any:
        if isinstance(other, list):
            return [*other, *self]
        return NotImplemented

    def __mul__(self, number: SupportsIndex) -> Any:
        return self.tolist() * number

    __rmul__ = __mul__

    def copy(self) -> Any:
        """As a list's."""
        return self[:]

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        """As a list's."""
        self[:] = type(self)(self.typecode, sorted(self, key=key, reverse=reverse))

    def clear(self) -> None:
        """As a list's."""
        del self[:]
