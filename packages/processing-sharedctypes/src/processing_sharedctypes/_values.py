"""Owns the functions that make values and arrays, and ``synchronized``."""

from __future__ import annotations

from processing_core import InvalidType, RLock
from processing_sharedctypes._raw import new_array, new_value, value_beside
from processing_sharedctypes._synchronized import Synchronized, wrap, wrapper_of
from processing_sharedctypes._types import checked_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable
    from typing import Any, Literal, SupportsIndex, TypeAlias, TypeVar, overload

    from typing_extensions import Buffer

    from processing_core.abc import StartsProcesses
    from processing_sharedctypes._synchronized import (
        LockLike,
        SynchronizedArray,
        SynchronizedBase,
        SynchronizedString,
        SynchronizedText,
    )

    IntCode: TypeAlias = Literal["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]
    RealCode: TypeAlias = Literal["f", "d"]
    Locking: TypeAlias = Literal[True] | LockLike | None
    # What is a number of elements, or gives them.
    Source: TypeAlias = SupportsIndex | Iterable[Any] | Buffer
    SimpleT = TypeVar("SimpleT")
    CDataT = TypeVar("CDataT", bound=ctypes._CData)
else:

    def overload(function):
        return function


__all__ = ["Array", "RawArray", "RawValue", "Value", "synchronized"]


@overload
def RawValue(typecode_or_type: IntCode, *args: Any) -> ctypes._SimpleCData[int]: ...
@overload
def RawValue(typecode_or_type: RealCode, *args: Any) -> ctypes._SimpleCData[float]: ...
@overload
def RawValue(typecode_or_type: Literal["c"], *args: Any) -> ctypes._SimpleCData[bytes]: ...
@overload
def RawValue(typecode_or_type: Literal["u"], *args: Any) -> ctypes._SimpleCData[str]: ...
@overload
def RawValue(typecode_or_type: type[CDataT], *args: Any) -> CDataT: ...
@overload
def RawValue(typecode_or_type: str, *args: Any) -> Any: ...
def RawValue(typecode_or_type: Any, *args: Any) -> Any:
    """A ctypes object in shared memory, without a lock.

    :param typecode_or_type: a type code of the array module, "c", or a ctypes type
    :param args: for the constructor of the type; zeros without any

    :raises InvalidArgument: (a ValueError) for an unknown type code
    :raises InvalidType: (a TypeError) for what is neither a type code nor a ctypes type with a size
    :raises MemoryError: when there is no room for it

    What the constructor raises is raised. Pointers in it mean nothing to other processes. The
    object can be passed to children, and sent through connections and queues; the memory is freed
    when no process has it any more.
    """
    return new_value(typecode_or_type, *args)


@overload
def RawArray(
    typecode_or_type: IntCode | RealCode, size_or_initializer: Source
) -> ctypes.Array[Any]: ...
@overload
def RawArray(
    typecode_or_type: Literal["c"], size_or_initializer: Source
) -> ctypes.Array[ctypes.c_char]: ...
@overload
def RawArray(
    typecode_or_type: Literal["u"], size_or_initializer: Source
) -> ctypes.Array[ctypes.c_wchar]: ...
@overload
def RawArray(
    typecode_or_type: type[CDataT], size_or_initializer: Source
) -> ctypes.Array[CDataT]: ...
@overload
def RawArray(typecode_or_type: str, size_or_initializer: Source) -> ctypes.Array[Any]: ...
def RawArray(typecode_or_type: Any, size_or_initializer: Any) -> Any:
    """A ctypes array in shared memory, without a lock.

    :param typecode_or_type: of its elements; see RawValue
    :param size_or_initializer: the number of elements, which are zero; or an iterable of them. A
        buffer with elements of the same kind and size (a numpy array) is copied at the speed of
        memcpy.

    :raises InvalidArgument: (a ValueError) for an unknown type code, and a negative number
    :raises InvalidType: (a TypeError) for what is neither a number nor iterable, and as RawValue
    :raises MemoryError: when there is no room for it

    What ctypes raises for an element of the wrong type is raised. A large array takes memory only
    as it is written.
    """
    return new_array(typecode_or_type, size_or_initializer)


@overload
def Value(
    typecode_or_type: IntCode,
    *args: Any,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> Synchronized[int]: ...
@overload
def Value(
    typecode_or_type: RealCode,
    *args: Any,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> Synchronized[float]: ...
@overload
def Value(
    typecode_or_type: Literal["c"],
    *args: Any,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> Synchronized[bytes]: ...
@overload
def Value(
    typecode_or_type: Literal["u"],
    *args: Any,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> Synchronized[str]: ...
@overload
def Value(
    typecode_or_type: type[ctypes._SimpleCData[SimpleT]],
    *args: Any,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> Synchronized[SimpleT]: ...
@overload
def Value(
    typecode_or_type: IntCode,
    *args: Any,
    lock: Literal[False],
    ctx: StartsProcesses | None = None,
) -> ctypes._SimpleCData[int]: ...
@overload
def Value(
    typecode_or_type: RealCode,
    *args: Any,
    lock: Literal[False],
    ctx: StartsProcesses | None = None,
) -> ctypes._SimpleCData[float]: ...
@overload
def Value(
    typecode_or_type: type[CDataT],
    *args: Any,
    lock: Literal[False],
    ctx: StartsProcesses | None = None,
) -> CDataT: ...
@overload
def Value(
    typecode_or_type: str | type[Any],
    *args: Any,
    lock: bool | LockLike | None = True,
    ctx: StartsProcesses | None = None,
) -> Any: ...
def Value(
    typecode_or_type: Any,
    *args: Any,
    lock: Any = True,
    ctx: StartsProcesses | None = None,  # noqa: ARG001 - as in the standard library
) -> Any:
    """A ctypes object in shared memory, with a lock.

    :param typecode_or_type: see RawValue
    :param args: for the constructor of the type
    :param lock: True for an RLock of its own; a Lock or RLock; False for the object without a lock
    :param ctx: ignored; it works with every start method

    :raises InvalidType: (a TypeError) when ``lock`` is none of these, and as RawValue

    For the rest, see RawValue. The wrapper of a value has ``value``, that of a structure its
    fields. ``value.value += 1`` is two accesses: hold the lock (``with value:``) for that.
    """
    if lock is True or lock is None:
        cls, own = checked_type(typecode_or_type), RLock()
        obj = value_beside(own, cls, args)
        return Synchronized(obj, own) if obj is not None else wrapper_of(new_value(cls, *args), own)
    obj = new_value(typecode_or_type, *args)
    return obj if lock is False else wrap(obj, lock)


@overload
def Array(
    typecode_or_type: type[CDataT],
    size_or_initializer: Source,
    *,
    lock: Literal[False],
    ctx: StartsProcesses | None = None,
) -> ctypes.Array[CDataT]: ...
@overload
def Array(
    typecode_or_type: IntCode,
    size_or_initializer: Source,
    *,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> SynchronizedArray[int]: ...
@overload
def Array(
    typecode_or_type: RealCode,
    size_or_initializer: Source,
    *,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> SynchronizedArray[float]: ...
@overload
def Array(  # type: ignore[overload-overlap]
    typecode_or_type: Literal["c"] | type[ctypes.c_char],
    size_or_initializer: Source,
    *,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> SynchronizedString: ...
@overload
def Array(  # type: ignore[overload-overlap]
    typecode_or_type: Literal["u"] | type[ctypes.c_wchar],
    size_or_initializer: Source,
    *,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> SynchronizedText: ...
@overload
def Array(  # type: ignore[overload-overlap]
    typecode_or_type: type[ctypes._SimpleCData[SimpleT]],
    size_or_initializer: Source,
    *,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> SynchronizedArray[SimpleT]: ...
@overload
def Array(
    typecode_or_type: type[CDataT],
    size_or_initializer: Source,
    *,
    lock: Locking = True,
    ctx: StartsProcesses | None = None,
) -> SynchronizedArray[CDataT]: ...
@overload
def Array(
    typecode_or_type: str | type[Any],
    size_or_initializer: Source,
    *,
    lock: bool | LockLike | None = True,
    ctx: StartsProcesses | None = None,
) -> Any: ...
def Array(
    typecode_or_type: Any,
    size_or_initializer: Any,
    *,
    lock: Any = True,
    ctx: StartsProcesses | None = None,  # noqa: ARG001 - as in the standard library
) -> Any:
    """A ctypes array in shared memory, with a lock.

    :param typecode_or_type: of its elements; see RawValue
    :param size_or_initializer: see RawArray
    :param lock: see Value
    :param ctx: ignored; it works with every start method

    For the errors, see RawArray and Value. The wrapper is a SynchronizedArray; that of "c" has
    ``value`` and ``raw`` as well.
    """
    obj = new_array(typecode_or_type, size_or_initializer)
    if lock is True or lock is None:
        return wrapper_of(obj, RLock())
    return obj if lock is False else wrap(obj, lock)


@overload
def synchronized(
    obj: ctypes._SimpleCData[SimpleT],
    lock: LockLike | None = None,
    ctx: StartsProcesses | None = None,
) -> Synchronized[SimpleT]: ...
@overload
def synchronized(
    obj: ctypes.Array[ctypes.c_char],
    lock: LockLike | None = None,
    ctx: StartsProcesses | None = None,
) -> SynchronizedString: ...
@overload
def synchronized(
    obj: ctypes.Array[CDataT],
    lock: LockLike | None = None,
    ctx: StartsProcesses | None = None,
) -> SynchronizedArray[Any]: ...
@overload
def synchronized(
    obj: CDataT, lock: LockLike | None = None, ctx: StartsProcesses | None = None
) -> SynchronizedBase[CDataT]: ...
def synchronized(
    obj: Any,
    lock: Any = None,
    ctx: StartsProcesses | None = None,  # noqa: ARG001 - as in the standard library
) -> Any:
    """The wrapper that takes a lock for every access to a ctypes object.

    :param obj: what RawValue, RawArray or copy have made; any ctypes object
    :param lock: the Lock or RLock to use; a new RLock without one
    :param ctx: ignored

    :raises MisuseError: (an AssertionError) when it is synchronized already
    :raises InvalidType: (a TypeError) when it is no ctypes object, or ``lock`` no lock
    """
    if isinstance(lock, bool):
        raise InvalidType(f"a Lock or an RLock is needed, not {lock!r}")
    return wrap(obj, RLock() if lock is None else lock)


for _public in (Array, RawArray, RawValue, Value, synchronized):
    _public.__module__ = "processing_sharedctypes"
del _public
