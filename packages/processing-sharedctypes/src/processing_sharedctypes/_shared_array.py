"""Owns ``SharedArray``: a numpy array in shared memory, with a lock."""

from __future__ import annotations

import ctypes
import math
import operator

from processing_core import InvalidArgument, InvalidType, RLock
from processing_core.lowlevel import register_reducer
from processing_sharedctypes._raw import new_array
from processing_sharedctypes._synchronized import SynchronizedBase, checked_lock
from processing_sharedctypes._types import checked_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, SupportsIndex

    from processing_sharedctypes._synchronized import LockLike

__all__ = ["SharedArray"]


class SharedArray(SynchronizedBase["ctypes.Array[Any]"]):
    """A numpy array in shared memory, with a lock.

    :param shape: the number of elements, or a tuple of those along each axis
    :param dtype: a type code, a ctypes type, or anything that numpy takes for a dtype
    :param lock: True for an RLock of its own; a Lock or RLock

    :raises InvalidArgument: (a ValueError) when a number in ``shape`` is negative
    :raises InvalidType: (a TypeError) for another shape, a dtype of Python objects, and when
        ``lock`` is no lock
    :raises ImportError: when numpy is not installed
    :raises MemoryError: when there is no room for it

    ``array`` is the numpy array, and knows nothing of the lock: ``with shared as array`` holds it
    and gives the array. Reading by index gives a copy, made with the lock held.
    """

    __slots__ = ("array",)

    array: Any

    def __init__(
        self,
        shape: SupportsIndex | Iterable[SupportsIndex],
        dtype: Any = "d",
        *,
        lock: LockLike | bool | None = True,
    ) -> None:
        lengths, kind = _checked_shape(shape), _checked_dtype(dtype)
        made = RLock() if lock is True or lock is None else checked_lock(lock)
        count = math.prod(lengths) * kind.itemsize
        self._fit(new_array(ctypes.c_ubyte, count), made, lengths, kind)

    def _fit(self, obj: Any, lock: Any, shape: tuple[int, ...], dtype: Any) -> None:
        import numpy as np

        super().__init__(obj, lock)
        self.array = np.frombuffer(obj, np.uint8).view(dtype).reshape(shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of elements along each axis."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def dtype(self) -> Any:
        """Numpy's type of the elements."""
        return self.array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def __enter__(self) -> Any:
        """Acquire the lock; returns the array."""
        self._lock.acquire()
        return self.array

    def __getitem__(self, place: Any) -> Any:
        import numpy as np

        with self._lock:
            found = self.array[place]
            return found.copy() if isinstance(found, np.ndarray) else found

    def __setitem__(self, place: Any, value: Any) -> None:
        with self._lock:
            self.array[place] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """For numpy: the array itself, where that is possible."""
        if dtype is None or self.array.dtype == dtype:
            return self.array.copy() if copy else self.array
        if copy is False:
            raise InvalidArgument(f"elements of type {self.dtype} cannot be seen as {dtype}")
        return self.array.astype(dtype)

    def __buffer__(self, flags: int, /) -> memoryview:
        """For memoryview, from Python 3.12 on: the memory itself."""
        return memoryview(self.array)

    def __repr__(self) -> str:
        return f"<SharedArray shape={self.shape} dtype={self.dtype}>"


def _checked_shape(shape: Any) -> tuple[int, ...]:
    try:
        lengths = tuple(map(operator.index, shape if hasattr(shape, "__iter__") else (shape,)))
    except TypeError:
        raise InvalidType(
            f"shape must be a whole number or a tuple of them, not {shape!r}"
        ) from None
    if any(length < 0 for length in lengths):
        raise InvalidArgument(f"shape must not have negative numbers, but is {shape!r}")
    return lengths


def _checked_dtype(dtype: Any) -> Any:
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError("SharedArray needs numpy, which is not installed") from error
    if isinstance(dtype, str) and len(dtype) == 1:
        # The type codes of ctypes and numpy differ: "c" and "u" are characters here.
        dtype = np.dtype("S1") if dtype == "c" else np.dtype(checked_type(dtype))
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise InvalidType(f"{dtype!r} is no type of elements: {error}") from None
    if kind.hasobject:
        raise InvalidType(f"elements of type {kind} are Python objects, which cannot be shared")
    return kind


def _rebuild(
    cls: type[SharedArray], obj: Any, lock: Any, shape: tuple[int, ...], dtype: Any
) -> SharedArray:
    made = cls.__new__(cls)
    made._fit(obj, lock, shape, dtype)
    return made


def _reduce(shared: SharedArray) -> Any:
    return _rebuild, (type(shared), shared._obj, shared._lock, shared.shape, shared.dtype)


register_reducer(SharedArray, _reduce)

SharedArray.__module__ = "processing_sharedctypes"
