"""Owns ctypes objects in shared memory: ``RawValue``, ``RawArray``, ``copy``, and their passing.

Such an object is one of its plain ctypes type. Its block is an attribute, so that the memory stays
as long as the object, and everything that ctypes, numpy or a memoryview has made of it.
"""

from __future__ import annotations

import ctypes
import sys

from processing_core import InvalidArgument, InvalidType
from processing_core.lowlevel import register_family_reducer
from processing_sharedctypes._memory import (
    ROOM_BYTES,
    Block,
    MemorySemaphore,
    allocate,
    allocate_filled,
    room_behind,
)
from processing_sharedctypes._types import CData, checked_length, checked_type, matches, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["copy", "keep", "new_array", "new_value", "read", "store", "value_beside"]


def new_value(typecode_or_type: object, *args: Any) -> Any:
    """See RawValue."""
    cls = checked_type(typecode_or_type)
    obj = _view(cls, allocate(ctypes.sizeof(cls)))
    if args:
        obj.__init__(*args)
    return obj


def new_array(typecode_or_type: object, size_or_initializer: Any) -> Any:
    """See RawArray."""
    cls = checked_type(typecode_or_type)
    length = checked_length(size_or_initializer)
    if length is not None:
        return _zeroed(cls, length)
    initializer = size_or_initializer
    source = _buffer(initializer)
    if source is not None and matches(source, cls):
        return _view(cls * len(source), allocate_filled(source))
    try:
        elements = initializer if hasattr(initializer, "__len__") else list(initializer)
    except TypeError:
        raise InvalidType(
            f"a number of elements, or something to take them from, is needed, not {initializer!r}"
        ) from None
    array = _zeroed(cls, len(elements))
    _fill(array, elements)
    return array


def copy(obj: Any) -> Any:
    """A new object in shared memory of the type of a ctypes object, with its contents.

    :raises InvalidType: (a TypeError) when it is none; of a synchronized one, copy ``get_obj()``
    :raises MemoryError: when there is no room for it
    """
    if not isinstance(obj, CData):
        raise InvalidType(f"a ctypes object is needed, not {obj!r}")
    cls = type(obj)
    made = _view(cls, allocate(ctypes.sizeof(cls)))
    ctypes.memmove(ctypes.addressof(made), ctypes.addressof(obj), ctypes.sizeof(cls))
    return made


def _zeroed(element: type[Any], length: int) -> Any:
    if ctypes.sizeof(element) * length > sys.maxsize:
        raise MemoryError(f"no room for {length} elements of {type_name(element)}")
    cls = element * length
    return _view(cls, allocate(ctypes.sizeof(cls)))


def _view(cls: type[Any], block: Block, offset: int = 0) -> Any:
    # The block keeps the mapping where it is. So does a buffer, which costs two objects more.
    if block.has_address:
        obj = cls.from_address(block.address + offset)
    else:
        obj = cls.from_buffer(block.map, block.offset + offset)
    obj._shared_block = block
    return obj


def value_beside(lock: Any, cls: type[Any], args: tuple[Any, ...]) -> Any:
    """A simple value in the memory of a lock that was just made; None where there is no room.

    As long as the lock is there, so is the value; who gives it away without the lock calls keep().
    """
    semaphore = room_behind(lock._semlock)
    if semaphore is None or not issubclass(cls, ctypes._SimpleCData):
        return None
    if ctypes.sizeof(cls) > ROOM_BYTES:
        return None
    obj: Any = cls.from_address(semaphore.room)
    if args:
        obj.__init__(*args)
    return obj


def keep(obj: Any, lock: Any) -> None:
    """Have an object that value_beside() has made keep its memory by itself."""
    attributes = vars(obj)
    if "_shared_block" not in attributes:
        semaphore = room_behind(getattr(lock, "_semlock", None))
        if semaphore is not None and semaphore.room == ctypes.addressof(obj):
            attributes["_shared_block"] = semaphore


def place_of(obj: Any) -> tuple[Block, int] | None:
    """The block of an object that was made here, and where the object is in it; None for others,
    and for parts of objects.
    """
    keeper = vars(obj).get("_shared_block") if hasattr(obj, "__dict__") else None
    if keeper is None:
        return None
    block: Block = keeper.block if isinstance(keeper, MemorySemaphore) else keeper
    return block, ctypes.addressof(obj) - block.address if block.has_address else 0


def block_of(array: Any) -> Block | None:
    """The block of an array that was made here; None for others."""
    place = place_of(array)
    return None if place is None else place[0]


# Elements in and out


def read(array: Any, place: slice) -> memoryview | bytes:
    """What is in a slice of an array, as bytes."""
    start, stop, step = place.indices(len(array))
    block = block_of(array)
    if step == 1 and block is not None:
        size = ctypes.sizeof(array._type_)
        begin = block.offset + start * size
        return memoryview(block.map)[begin : begin + max(0, stop - start) * size]
    return memoryview(array)[place].tobytes()


def _buffer(obj: object) -> memoryview | None:
    try:
        return memoryview(obj)  # type: ignore[arg-type]
    except TypeError:
        return None


def store(array: Any, place: slice, values: Iterable[Any]) -> None:
    """Assign to a slice of an array.

    :raises InvalidArgument: (a ValueError) when there are more or fewer values than places
    :raises TypeError: when a value is not of the array's type; those before it were assigned
    """
    start, stop, step = place.indices(len(array))
    source = _buffer(values)
    block = block_of(array)
    if source is not None and step == 1 and block is not None and matches(source, array._type_):
        _check_length(len(source), max(0, stop - start))
        _copy_in(block, start * ctypes.sizeof(array._type_), source)
        return
    elements = values if hasattr(values, "__len__") else list(values)
    _check_length(len(elements), len(range(start, stop, step)))  # type: ignore[arg-type]
    if isinstance(elements, (list, tuple, bytes, str)):
        array[place] = elements
    else:
        array[place] = list(elements)


def _check_length(given: int, wanted: int) -> None:
    if given != wanted:
        raise InvalidArgument(f"{given} values cannot be assigned to {wanted} elements")


def _fill(array: Any, elements: Any) -> None:
    if issubclass(array._type_, (ctypes.Structure, ctypes.Union, ctypes.Array)):
        # As in a call of the type, a tuple stands for what its constructor takes.
        array.__init__(*elements)
    else:
        array[:] = elements if isinstance(elements, (list, tuple, bytes, str)) else list(elements)


def _copy_in(block: Block, position: int, source: memoryview) -> None:
    """Copy a contiguous buffer into a block."""
    if not source.nbytes:
        return
    begin = block.offset + position
    if not source.readonly:
        # The buffer may be a part of the very array. Bytes of their own cannot overlap it.
        address = ctypes.addressof(ctypes.c_char.from_buffer(source))
        target = ctypes.addressof(ctypes.c_char.from_buffer(block.map, begin))
        if abs(address - target) < source.nbytes:
            block.map[begin : begin + source.nbytes] = source.tobytes()
            return
    block.map[begin : begin + source.nbytes] = source


# Passing


def _describe(cls: type[Any]) -> Any:
    """What a type can be found or made by: itself, or for an array its elements and length."""
    if issubclass(cls, ctypes.Array):
        module = sys.modules.get(cls.__module__)
        if getattr(module, cls.__name__, None) is not cls:
            element: Any = cls._type_
            return _describe(element), cls._length_
    return cls


def _find(description: Any) -> type[Any]:
    if isinstance(description, tuple):
        element, length = description
        made: type[Any] = _find(element) * length
        return made
    cls: type[Any] = description
    return cls


def _reduce(obj: Any) -> Any:
    place = place_of(obj)
    if place is None:
        return NotImplemented
    return _rebuild, (_describe(type(obj)), *place)


def _rebuild(description: Any, block: Block, offset: int) -> Any:
    return _view(_find(description), block, offset)


register_family_reducer(CData, _reduce)

copy.__module__ = "processing_sharedctypes"
