"""Owns the types of elements: type codes, what may be shared, and which buffers match an array."""

from __future__ import annotations

import ctypes
import operator
import sys

from processing_core import InvalidArgument, InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TYPECODES", "checked_length", "checked_type", "matches", "type_name"]

# Those of the array module, and "c".
TYPECODES: dict[str, type[Any]] = {
    "c": ctypes.c_char,
    "u": ctypes.c_wchar,
    "b": ctypes.c_byte,
    "B": ctypes.c_ubyte,
    "h": ctypes.c_short,
    "H": ctypes.c_ushort,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}
# The base of all ctypes types, which has no public name.
CData: type[Any] = ctypes.Structure.__mro__[1]

# Format characters (PEP 3118, the struct module) by the kind of their elements. A byte is a number
# for a bytes object and a character for ctypes. Whole numbers of one size are stored alike, and
# ctypes takes those that are out of range modulo that size, as copying does.
_KINDS = dict.fromkeys("bBhHiIlLqQnN", "integer") | dict.fromkeys("fdge", "real")
_KINDS |= {"?": "truth", "c": "byte"}
_NATIVE = "@=<" if sys.byteorder == "little" else "@=>!"


def checked_type(typecode_or_type: object) -> type[Any]:
    """The ctypes type that is meant.

    :raises InvalidArgument: (a ValueError) for an unknown type code
    :raises InvalidType: (a TypeError) when it is neither a type code nor a type with a size
    """
    if isinstance(typecode_or_type, str):
        found = TYPECODES.get(typecode_or_type)
        if found is not None:
            return found
        codes = " ".join(TYPECODES)
        raise InvalidArgument(
            f"unknown type code {typecode_or_type!r}; there are {codes}, and ctypes types"
        )
    if not (isinstance(typecode_or_type, type) and issubclass(typecode_or_type, CData)):
        raise InvalidType(f"a type code or a ctypes type is needed, not {typecode_or_type!r}")
    try:
        ctypes.sizeof(typecode_or_type)
    except TypeError:
        raise InvalidType(f"{type_name(typecode_or_type)} is abstract: it has no size") from None
    return typecode_or_type


def checked_length(size: object) -> int | None:
    """The number of elements that is meant; None when it is something to take elements from.

    :raises InvalidArgument: (a ValueError) when it is negative
    """
    # Arrays of one element can be an index, too.
    if not isinstance(size, int) and (not hasattr(size, "__index__") or hasattr(size, "__len__")):
        return None
    length = operator.index(size)
    if length < 0:
        raise InvalidArgument(f"the number of elements must not be negative, but is {length}")
    return length


def type_name(cls: type) -> str:
    """The name of a type, for people to read."""
    return cls.__name__ if cls.__module__ in ("ctypes", "_ctypes") else f"{cls.__qualname__}"


def matches(view: memoryview, element: type[Any]) -> bool:
    """Whether what a buffer consists of is stored as elements of this type are: copying will do."""
    shape: tuple[int, ...] = ()
    inner: Any = element
    while issubclass(inner, ctypes.Array):
        shape += (inner._length_,)
        inner = inner._type_
    code = getattr(inner, "_type_", None)
    wanted = _KINDS.get(code) if isinstance(code, str) else None
    if wanted is None or not view.c_contiguous:
        return False
    letter = view.format
    if len(letter) == 2 and letter[0] in _NATIVE:
        letter = letter[1]
    given = _KINDS.get(letter)
    if view.itemsize != ctypes.sizeof(inner) or not view.shape or view.shape[1:] != shape:
        return False
    return given == wanted or (wanted == "byte" and letter == "B")
