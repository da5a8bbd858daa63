"""Owns SyncManager, the manager of containers, locks and queues, and Manager()."""

from __future__ import annotations

import builtins

from processing_managers._client.generic import TYPE_CHECKING
from processing_managers._manager import BaseManager
from processing_managers._proxies.base import BaseProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar, overload

    from processing_core.context import BaseContext
    from processing_managers._proxies.containers import (
        ArrayProxy,
        DictProxy,
        ListProxy,
        NamespaceProxy,
        ValueProxy,
    )
    from processing_managers._proxies.locks import (
        BarrierProxy,
        ConditionProxy,
        EventProxy,
        JoinableQueueProxy,
        LockProxy,
        QueueProxy,
        RLockProxy,
        SemaphoreProxy,
    )
    from processing_managers._proxies.pools import PoolProxy
    from processing_managers._proxies.sets import SetProxy
    from processing_managers._registry import Registration

    T = TypeVar("T")
    K = TypeVar("K")
    V = TypeVar("V")

__all__ = ["Manager", "SyncManager"]

# What containers are made of as it is.
PLAIN = (list, tuple, dict, set, frozenset, str, bytes, range)


class SyncManager(BaseManager):
    """A manager of lists, dictionaries, sets, namespaces, values, arrays, locks and queues.

    Each method makes an object in the manager's process and returns a proxy to it. A proxy that is
    put into a container stands there for its referent: what the one shows the other shows, too.
    """

    def _registrations(self) -> builtins.dict[str, Registration]:
        # Only here: clients do not need what a server needs.
        from processing_managers import _builtin_types

        return {**_builtin_types.sync_registry(), **super()._registrations()}

    def _sent(self, args: tuple[Any, ...], make: Callable[[Any], Any]) -> tuple[Any, ...]:
        """The arguments of a container, in which what may not pickle has become a plain one."""
        if not args or type(args[0]) in PLAIN:
            return args
        first = args[0]
        if not isinstance(first, BaseProxy):
            first = make(first)
        elif first._session is not self._connected():
            first = first._getvalue()  # a manager never waits for another one
        return (first, *args[1:])

    # The methods are named like builtins, which annotations after them name by their module.

    if TYPE_CHECKING:

        @overload
        def list(self) -> ListProxy[Any]: ...
        @overload
        def list(self, sequence: Iterable[T], /, *, nested: bool = False) -> ListProxy[T]: ...
        @overload
        def list(self, *, nested: bool) -> ListProxy[Any]: ...

    def list(self, *args: Any, **kwds: Any) -> ListProxy[Any]:
        """A list of the items of a sequence.

        :param nested: whether plain lists, dictionaries and sets that are put into it become the
            manager's, too, so that they can be changed in place
        """
        proxy: ListProxy[Any] = self._create("list", *self._sent(args, builtins.list), **kwds)
        return proxy

    if TYPE_CHECKING:

        @overload
        def dict(self, /) -> DictProxy[Any, Any]: ...
        @overload
        def dict(self, /, **kwds: V) -> DictProxy[str, V]: ...
        @overload
        def dict(self, mapping: builtins.dict[K, V], /) -> DictProxy[K, V]: ...
        @overload
        def dict(self, pairs: Iterable[tuple[K, V]], /) -> DictProxy[K, V]: ...
        @overload
        def dict(self, /, *args: Any, **kwds: Any) -> DictProxy[Any, Any]: ...

    def dict(self, /, *args: Any, **kwds: Any) -> DictProxy[Any, Any]:
        """A dictionary, made as ``dict`` makes it.

        :param nested: True makes plain lists, dictionaries and sets that are put into it the
            manager's, too, so that ``d["a"]["b"] = 1`` is seen by all
        """
        proxy: DictProxy[Any, Any] = self._create("dict", *self._sent(args, builtins.dict), **kwds)
        return proxy

    def set(self, items: Iterable[T] = (), /) -> SetProxy[T]:
        """A set of items."""
        proxy: SetProxy[T] = self._create("set", *self._sent((items,), builtins.list))
        return proxy

    def Namespace(self, /, **attributes: Any) -> NamespaceProxy:  # noqa: N802 - documented name
        """An object with these attributes, and others by assignment."""
        proxy: NamespaceProxy = self._create("Namespace", **attributes)
        return proxy

    def Value(  # noqa: N802 - documented name
        self, typecode: object, value: T, lock: object = True
    ) -> ValueProxy[T]:
        """A value. ``typecode`` is shown only, and ``lock`` is not needed."""
        proxy: ValueProxy[T] = self._create("Value", typecode, value, bool(lock))
        return proxy

    def Array(  # noqa: N802 - documented name
        self, typecode: str, sequence: Iterable[T] | int, lock: object = True
    ) -> ArrayProxy[T]:
        """An array of numbers of one type; of zeros where their number is given."""
        given = sequence if isinstance(sequence, int) else [*sequence]
        proxy: ArrayProxy[T] = self._create("Array", typecode, given, bool(lock))
        return proxy

    def Lock(self) -> LockProxy:  # noqa: N802 - documented name
        """A lock that anybody may release."""
        proxy: LockProxy = self._create("Lock")
        return proxy

    def RLock(self) -> RLockProxy:  # noqa: N802 - documented name
        """A lock that its owner may acquire again."""
        proxy: RLockProxy = self._create("RLock")
        return proxy

    def Semaphore(self, value: int = 1) -> SemaphoreProxy:  # noqa: N802 - documented name
        """A semaphore."""
        proxy: SemaphoreProxy = self._create("Semaphore", value)
        return proxy

    def BoundedSemaphore(self, value: int = 1) -> SemaphoreProxy:  # noqa: N802 - documented name
        """A semaphore that never gets more than it had."""
        proxy: SemaphoreProxy = self._create("BoundedSemaphore", value)
        return proxy

    def Condition(  # noqa: N802 - documented name
        self, lock: LockProxy | RLockProxy | None = None
    ) -> ConditionProxy:
        """A condition variable with a lock of this manager."""
        proxy: ConditionProxy = self._create("Condition", lock)
        return proxy

    def Event(self) -> EventProxy:  # noqa: N802 - documented name
        """An event."""
        proxy: EventProxy = self._create("Event")
        return proxy

    def Barrier(  # noqa: N802 - documented name
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> BarrierProxy:
        """A barrier; ``action`` is called in the manager's process."""
        proxy: BarrierProxy = self._create("Barrier", parties, action, timeout)
        return proxy

    def Queue(self, maxsize: int = 0) -> QueueProxy[Any]:  # noqa: N802 - documented name
        """A first in, first out queue of at most ``maxsize`` items; of any number if that is 0."""
        proxy: QueueProxy[Any] = self._create("Queue", maxsize)
        return proxy

    def JoinableQueue(  # noqa: N802 - documented name
        self, maxsize: int = 0
    ) -> JoinableQueueProxy[Any]:
        """A queue that can be joined."""
        proxy: JoinableQueueProxy[Any] = self._create("JoinableQueue", maxsize)
        return proxy

    def Pool(self, *args: Any, **kwds: Any) -> PoolProxy:  # noqa: N802 - documented name
        """A pool of worker processes, which are children of the manager's process.

        The arguments are those of ``processing_pool.Pool``.

        :raises UnknownTypeError: when processing-pool is not installed
        """
        proxy: PoolProxy = self._create("Pool", *args, **kwds)
        return proxy


def Manager(ctx: BaseContext | None = None) -> SyncManager:  # noqa: N802 - the documented name
    """A SyncManager that is started.

    :param ctx: the context whose start method starts its process
    """
    manager = SyncManager(ctx=ctx)
    manager.start()
    return manager
