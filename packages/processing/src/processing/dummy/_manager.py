"""Owns managers without a process: what they make are plain objects of this one."""

from __future__ import annotations

import array
import builtins
import operator
import types

from processing.dummy import _locks, _meetings, _queues
from processing_core import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Generic, Self, TypeVar, overload

    T = TypeVar("T")
    K = TypeVar("K")
    V = TypeVar("V")
    PlainArray = array.array[Any]
else:
    from types import GenericAlias

    T = object
    PlainArray = array.array

    class Generic:
        """Makes ``LocalValue[int]`` a valid expression."""

        __class_getitem__ = classmethod(GenericAlias)


__all__ = ["LocalArray", "LocalManager", "LocalNamespace", "LocalValue", "Manager"]

# What a type code of ctypes is in the array module, where that is another.
ARRAY_CODES = {"c": "b"}


class LocalNamespace(types.SimpleNamespace):
    """An object with attributes, as a manager has it."""

    def __repr__(self) -> str:
        shown = sorted(f"{name}={value!r}" for name, value in vars(self).items())
        return f"Namespace({', '.join(shown)})"


class LocalValue(Generic[T]):
    """One value, as a manager has it."""

    def __init__(self, typecode: object, value: T) -> None:
        self._typecode = typecode
        self.value: T = value

    def get(self) -> T:
        """The value."""
        return self.value

    def set(self, value: T) -> None:
        """Change the value."""
        self.value = value

    def __repr__(self) -> str:
        return f"Value({self._typecode!r}, {self.value!r})"


class LocalArray(PlainArray):
    """An array of numbers, as a manager has it: its slices are lists."""

    if not TYPE_CHECKING:

        def __getitem__(self, place):
            item = super().__getitem__(place)
            return item.tolist() if isinstance(place, slice) else item

        def __setitem__(self, place, value):
            if isinstance(place, slice):
                value = array.array(self.typecode, value)
            super().__setitem__(place, value)

    def clear(self) -> None:
        """Remove all numbers, which arrays themselves can only since Python 3.13."""
        del self[:]

    def __repr__(self) -> str:
        return f"array({self.typecode!r}, {self.tolist()!r})"


class LocalManager:
    """What makes the objects that a SyncManager makes, but plain ones of this process.

    There is nothing to start or to shut down, so that those methods do nothing. Threads may use the
    objects as far as they may use lists and dictionaries.
    """

    @property
    def address(self) -> None:
        """None: nobody can connect to it."""

    def start(
        self,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        """Call the initializer; there is nothing else to start."""
        if initializer is not None:
            initializer(*initargs)

    def shutdown(self) -> None:
        """Do nothing: the objects live as long as they are used."""

    def join(self, timeout: float | None = None) -> None:
        """Do nothing: there is nothing to wait for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    # The methods are named like builtins, which annotations after them name by their module.

    if TYPE_CHECKING:

        @overload
        def list(self, *, nested: bool = False) -> builtins.list[Any]: ...
        @overload
        def list(self, sequence: Iterable[T], /, *, nested: bool = False) -> builtins.list[T]: ...

    def list(self, *args: Any, nested: bool = False) -> builtins.list[Any]:  # noqa: ARG002
        """A list of the items of a sequence.

        :param nested: without effect: plain objects in it can be changed in place
        """
        return builtins.list(*args)

    if TYPE_CHECKING:

        @overload
        def dict(self, /) -> builtins.dict[Any, Any]: ...
        @overload
        def dict(self, /, **kwds: V) -> builtins.dict[str, V]: ...
        @overload
        def dict(self, mapping: builtins.dict[K, V], /) -> builtins.dict[K, V]: ...
        @overload
        def dict(self, pairs: Iterable[tuple[K, V]], /) -> builtins.dict[K, V]: ...
        @overload
        def dict(self, /, *args: Any, **kwds: Any) -> builtins.dict[Any, Any]: ...

    def dict(self, /, *args: Any, **kwds: Any) -> builtins.dict[Any, Any]:
        """A dictionary, made as ``dict`` makes it; ``nested=True`` is without effect."""
        if kwds.get("nested") is True:
            del kwds["nested"]
        return builtins.dict(*args, **kwds)

    def set(self, items: Iterable[T] = (), /) -> builtins.set[T]:
        """A set of items."""
        return builtins.set(items)

    def Namespace(self, /, **attributes: Any) -> LocalNamespace:  # noqa: N802 - documented name
        """An object with these attributes, and others by assignment.

        :raises InvalidArgument: (a ValueError) when a name begins with an underscore
        """
        for name in attributes:
            if name.startswith("_"):
                raise InvalidArgument(f"the name {name!r} begins with '_', which is for proxies")
        return LocalNamespace(**attributes)

    def Value(  # noqa: N802 - documented name
        self,
        typecode: object,
        value: T,
        lock: object = True,  # noqa: ARG002
    ) -> LocalValue[T]:
        """A value. ``typecode`` is shown only, and ``lock`` is not needed."""
        return LocalValue(typecode, value)

    def Array(  # noqa: N802 - documented name
        self,
        typecode: str,
        sequence: Iterable[Any] | int,
        lock: object = True,  # noqa: ARG002
    ) -> LocalArray:
        """An array of numbers of one type; of zeros where their number is given.

        :raises InvalidArgument: (a ValueError) when the number is negative
        """
        if isinstance(sequence, int):
            number = operator.index(sequence)
            if number < 0:
                raise InvalidArgument(f"the number of items must not be negative, not {number}")
            sequence = [0] * number
        return LocalArray(ARRAY_CODES.get(typecode, typecode), sequence)

    def Lock(self) -> _locks.Lock:  # noqa: N802 - documented name
        """A lock that anybody may release."""
        return _locks.Lock()

    def RLock(self) -> _locks.RLock:  # noqa: N802 - documented name
        """A lock that its owner may acquire again."""
        return _locks.RLock()

    def Semaphore(self, value: int = 1) -> _locks.Semaphore:  # noqa: N802 - documented name
        """A semaphore."""
        return _locks.Semaphore(value)

    def BoundedSemaphore(self, value: int = 1) -> _locks.BoundedSemaphore:  # noqa: N802 - documented name
        """A semaphore that never gets more than it had."""
        return _locks.BoundedSemaphore(value)

    def Condition(  # noqa: N802 - documented name
        self, lock: _locks.Lock | _locks.RLock | None = None
    ) -> _locks.Condition:
        """A condition variable."""
        return _locks.Condition(lock)

    def Event(self) -> _meetings.Event:  # noqa: N802 - documented name
        """An event."""
        return _meetings.Event()

    def Barrier(  # noqa: N802 - documented name
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> _meetings.Barrier:
        """A barrier."""
        return _meetings.Barrier(parties, action, timeout)

    def Queue(self, maxsize: int = 0) -> _queues.Queue[Any]:  # noqa: N802 - documented name
        """A first in, first out queue of at most ``maxsize`` items; of any number if that is 0."""
        return _queues.Queue(maxsize)

    def JoinableQueue(self, maxsize: int = 0) -> _queues.JoinableQueue[Any]:  # noqa: N802 - documented name
        """A queue that can be joined."""
        return _queues.JoinableQueue(maxsize)

    def Pool(self, *args: Any, **kwds: Any) -> Any:  # noqa: N802 - documented name
        """A pool of threads. The arguments are those of ``processing.dummy.Pool``."""
        # Only here: most managers make none.
        import processing.dummy

        return processing.dummy.Pool(*args, **kwds)


def Manager(ctx: object = None) -> LocalManager:  # noqa: ARG001, N802 - the documented name
    """A manager of plain objects of this process. ``ctx`` is ignored."""
    return LocalManager()


for _public in (LocalArray, LocalManager, LocalNamespace, LocalValue, Manager):
    _public.__module__ = "processing.dummy"
del _public
