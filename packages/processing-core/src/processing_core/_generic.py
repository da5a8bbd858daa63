"""Owns the base class that makes a class generic for type checkers without importing ``typing``.

Every spawned child imports the library, and ``typing`` alone costs about as much as all else that
such a child needs. At run time the base only makes ``Connection[int, str]`` a valid expression.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Generic

    from typing_extensions import TypeVar

    SendT_contra = TypeVar("SendT_contra", contravariant=True, default=Any)
    RecvT_co = TypeVar("RecvT_co", covariant=True, default=Any)

    ItemT = TypeVar("ItemT", default=Any)

    class Container(Generic[ItemT]):
        """Takes and gives objects of one type."""

    class Channel(Generic[SendT_contra, RecvT_co]):
        """Takes objects of one type and gives objects of another."""

        __slots__ = ()

else:
    from types import GenericAlias

    SendT_contra = RecvT_co = ItemT = object

    class Container:
        """Takes and gives objects of one type."""

        __class_getitem__ = classmethod(GenericAlias)

    class Channel:
        """Takes objects of one type and gives objects of another."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)
