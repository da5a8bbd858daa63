"""Owns wrappers: ctypes objects with a lock, which is taken for every access.

A wrapper has nothing but the object and the lock. ``acquire``, ``release`` and the ``with``
statement are the lock's own: found by code in C and, if the lock is one of processing-core, run in
C, so that no signal handler comes between.
"""

from __future__ import annotations

import ctypes
import weakref
from operator import attrgetter

from processing_core import InvalidType, MisuseError, SharingError
from processing_core.lowlevel import register_family_reducer
from processing_sharedctypes._elements import Elements
from processing_sharedctypes._raw import keep, read, store
from processing_sharedctypes._types import CData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableSequence
    from types import TracebackType
    from typing import Any, Generic, NoReturn, Protocol, SupportsIndex, TypeVar, overload

    from typing_extensions import Buffer

    ObjectT = TypeVar("ObjectT")
    ElementT = TypeVar("ElementT")

    class LockLike(Protocol):
        """What an object may be synchronized by."""

        def acquire(self, block: bool = ..., timeout: float | None = ..., /) -> bool: ...
        def release(self) -> None: ...
        def __enter__(self) -> bool: ...
        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
            /,
        ) -> None: ...

else:
    # typing takes longer to import than all of this package.
    from types import GenericAlias

    ElementT = ObjectT = object

    class Generic:
        """Makes ``Synchronized[int]`` a valid expression."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)

    def overload(function):
        return function


__all__ = [
    "Synchronized",
    "SynchronizedArray",
    "SynchronizedBase",
    "SynchronizedString",
    "SynchronizedText",
    "checked_lock",
    "wrap",
    "wrapper_of",
]

# ctypes' codes of numbers that the array module has as well, under the same names.
_ARRAY_CODES = frozenset("bBhHiIlLqQfd")


class SynchronizedBase(Generic[ObjectT]):
    """A ctypes object and the lock by which it is synchronized.

    Every access acquires the lock; ``with`` holds it for several. All threads and processes that
    were given the wrapper may use it.
    """

    __slots__ = ("__weakref__", "_lock", "_obj")

    def __init__(self, obj: ObjectT, lock: LockLike) -> None:
        self._obj = obj
        self._lock = lock

    if TYPE_CHECKING:

        def acquire(self, block: bool = True, timeout: float | None = None) -> bool: ...
        def release(self) -> None: ...
        def __enter__(self) -> bool: ...
        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
            /,
        ) -> None: ...
    else:
        acquire = property(attrgetter("_lock.acquire"), doc="The lock's acquire.")
        release = property(attrgetter("_lock.release"), doc="The lock's release.")
        __enter__ = property(attrgetter("_lock.__enter__"))
        __exit__ = property(attrgetter("_lock.__exit__"))

    def get_obj(self) -> ObjectT:
        """The ctypes object within, access to which is not synchronized."""
        return self._obj

    getobj = get_obj

    def get_lock(self) -> LockLike:
        """The lock."""
        return self._lock

    getlock = get_lock

    def __reduce__(self) -> NoReturn:
        raise SharingError(
            f"a {type(self).__name__} can be passed to a child process, and sent through "
            "connections and queues, but it cannot be pickled otherwise"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} wrapper for {self._obj!r}>"


class Synchronized(SynchronizedBase["ctypes._SimpleCData[ElementT]"], Generic[ElementT]):
    """A synchronized value."""

    __slots__ = ()

    def get_obj(self) -> ctypes._SimpleCData[ElementT]:
        # It may be in the memory of the lock.
        keep(self._obj, self._lock)
        return self._obj

    getobj = get_obj

    @property
    def value(self) -> ElementT:
        """The value."""
        with self._lock:
            return self._obj.value

    @value.setter
    def value(self, value: ElementT) -> None:
        with self._lock:
            self._obj.value = value


class SynchronizedArray(SynchronizedBase["ctypes.Array[Any]"], Generic[ElementT]):
    """A synchronized array.

    A slice is a copy, made at the speed of memcpy: of numbers an ``array.array`` that acts as a
    list, of characters bytes or a str, of anything else a list. To a slice may be assigned what has
    as many elements; a buffer with elements of the same kind and size (a numpy array) is copied.
    ``numpy.asarray(array)`` shares the memory, and does not know of the lock.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._obj)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, place: SupportsIndex) -> ElementT: ...
        @overload
        def __getitem__(self, place: slice) -> MutableSequence[ElementT]: ...
        def __getitem__(self, place: Any) -> Any: ...
        @overload
        def __setitem__(self, place: SupportsIndex, value: ElementT) -> None: ...
        @overload
        def __setitem__(self, place: slice, value: Iterable[ElementT] | Buffer) -> None: ...
        def __setitem__(self, place: Any, value: Any) -> None: ...
    else:

        def __getitem__(self, place):
            with self._lock:
                if type(place) is slice:
                    return _copy_out(self._obj, place)
                return self._obj[place]

        def __setitem__(self, place, value):
            with self._lock:
                if type(place) is slice:
                    store(self._obj, place, value)
                else:
                    self._obj[place] = value

    def __iter__(self) -> Iterator[ElementT]:
        """Over the elements as they are at the beginning, all at the same moment."""
        return iter(self[:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """For numpy: an array that shares the memory, where that is possible."""
        import numpy as np

        shared = np.asarray(self._obj)
        if dtype is None or shared.dtype == dtype:
            return shared.copy() if copy else shared
        if copy is False:
            raise InvalidType(f"elements of type {shared.dtype} cannot be seen as {dtype}")
        return shared.astype(dtype)

    def __buffer__(self, flags: int, /) -> memoryview:
        """For memoryview, from Python 3.12 on: the memory itself."""
        return memoryview(self._obj)


class _Characters(SynchronizedArray[ElementT], Generic[ElementT]):
    """A synchronized array of characters, of whatever width."""

    __slots__ = ()

    if TYPE_CHECKING:
        # A slice of characters cannot be changed.
        def __getitem__(  # type: ignore[override]
            self, place: SupportsIndex | slice
        ) -> ElementT: ...

    @property
    def value(self) -> ElementT:
        """The characters before the first NUL. What is assigned gets a NUL if there is room."""
        with self._lock:
            contents: ElementT = self._obj.value
            return contents

    @value.setter
    def value(self, value: ElementT) -> None:
        with self._lock:
            self._obj.value = value


class SynchronizedString(_Characters[bytes]):
    """A synchronized array of characters, which is bytes of a limited length."""

    __slots__ = ()

    @property
    def raw(self) -> bytes:
        """All characters. The rest stays as it is when fewer are assigned."""
        with self._lock:
            return self._obj.raw

    @raw.setter
    def raw(self, value: bytes) -> None:
        with self._lock:
            self._obj.raw = value

    rawvalue = raw


class SynchronizedText(_Characters[str]):
    """A synchronized array of wide characters, which is a str of a limited length."""

    __slots__ = ()


def _copy_out(array: Any, place: slice) -> Any:
    code = getattr(array._type_, "_type_", None)
    if not isinstance(code, str) or code not in _ARRAY_CODES:
        return array[place]
    elements: Elements[Any] = Elements(code)
    elements.frombytes(read(array, place))
    return elements


# Structures


def _field(name: str) -> property:
    def get(self: SynchronizedBase[Any]) -> Any:
        with self._lock:
            return getattr(self._obj, name)

    def put(self: SynchronizedBase[Any], value: Any) -> None:
        with self._lock:
            setattr(self._obj, name, value)

    return property(get, put)


# The class of wrappers for each type of structures, as long as that type exists.
_classes: weakref.WeakKeyDictionary[type[Any], type[SynchronizedBase[Any]]] = (
    weakref.WeakKeyDictionary()
)


def _structure_class(cls: type[Any]) -> type[SynchronizedBase[Any]]:
    made = _classes.get(cls)
    if made is None:
        names = {field[0] for base in cls.__mro__ for field in vars(base).get("_fields_", ())}
        names |= {name for base in cls.__mro__ for name in vars(base).get("_anonymous_", ())}
        members: dict[str, Any] = {name: _field(name) for name in names}
        members["__slots__"] = ()
        members["__module__"] = __name__
        made = _classes[cls] = type(f"Synchronized{cls.__name__}", (SynchronizedBase,), members)
    return made


def checked_lock(lock: Any) -> LockLike:
    """The lock. :raises InvalidType: (a TypeError) when it is none"""
    if not all(hasattr(lock, name) for name in ("acquire", "release", "__enter__", "__exit__")):
        raise InvalidType(f"a Lock or an RLock is needed, not {lock!r}")
    checked: LockLike = lock
    return checked


def wrap(obj: Any, lock: LockLike) -> Any:
    """The wrapper for a ctypes object.

    :raises MisuseError: (an AssertionError) when it is synchronized already
    :raises InvalidType: (a TypeError) when it is no ctypes object, or the lock no lock
    """
    if isinstance(obj, SynchronizedBase):
        raise MisuseError(f"{obj!r} is synchronized already")
    if not isinstance(obj, CData):
        raise InvalidType(f"a ctypes object is needed, not {obj!r}")
    return wrapper_of(obj, checked_lock(lock))


def wrapper_of(obj: Any, lock: LockLike) -> Any:
    """The wrapper for what is known to be a ctypes object, and a lock."""
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized(obj, lock)
    if isinstance(obj, ctypes.Array):
        return _ARRAYS.get(obj._type_, SynchronizedArray)(obj, lock)
    if isinstance(obj, (ctypes.Structure, ctypes.Union)):
        return _structure_class(type(obj))(obj, lock)
    return SynchronizedBase(obj, lock)


_ARRAYS: dict[type[Any], type[SynchronizedArray[Any]]] = {
    ctypes.c_char: SynchronizedString,
    ctypes.c_wchar: SynchronizedText,
}


def _reduce(wrapper: SynchronizedBase[Any]) -> Any:
    return wrap, (wrapper.get_obj(), wrapper._lock)


register_family_reducer(SynchronizedBase, _reduce)


for _public in (
    Synchronized,
    SynchronizedArray,
    SynchronizedBase,
    SynchronizedString,
    SynchronizedText,
):
    _public.__module__ = "processing_sharedctypes"
del _public
