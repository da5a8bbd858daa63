"""Each class of proxies has what the type has that it stands for, or a reason why not."""

from __future__ import annotations

import array
import collections.abc
import inspect
import sys
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import processing_core
from processing_managers import (
    ArrayProxy,
    BarrierProxy,
    BaseProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    IteratorProxy,
    JoinableQueueProxy,
    ListProxy,
    LockProxy,
    NamespaceProxy,
    NotExposedError,
    QueueProxy,
    RLockProxy,
    SemaphoreProxy,
    SetProxy,
    SyncManager,
    ValueProxy,
)
from processing_managers._builtin_types import base_registry, kinds, sync_registry
from processing_managers._proxies.base import known_proxies

# What a proxy leaves out, and why.
NO_MEMORY = "the memory is the manager's"
NO_FILE = "the file is the caller's, the array the manager's"
NO_TEXT = "deprecated by Python"
NO_SUM = "slices of an array's proxy are lists; so would its sums be, which is no help"
FIXED = "its maker has chosen it"
ITS_COPY = "copy.copy makes another proxy, as of a list"
NO_CLOSE = "a manager's queue ends with its proxies; it has nothing to flush"
NO_FILE_NUMBER = "it is in another process, so there is nothing here to wait for"
NO_COROUTINE = "asyncio's threads may call the methods that wait"
LEFT_OUT: dict[type, dict[str, str]] = {
    ListProxy: {},
    DictProxy: {},
    SetProxy: {},
    ArrayProxy: {
        "__add__": NO_SUM,
        "__copy__": ITS_COPY,
        "__mul__": NO_SUM,
        "__rmul__": NO_SUM,
        "__buffer__": NO_MEMORY,
        "__release_buffer__": NO_MEMORY,
        "buffer_info": NO_MEMORY,
        "fromfile": NO_FILE,
        "tofile": NO_FILE,
        "fromunicode": NO_TEXT,
        "tounicode": NO_TEXT,
        "itemsize": FIXED,
        "typecode": FIXED,
    },
    QueueProxy: {
        **dict.fromkeys(("close", "join_thread", "joinThread", "jointhread"), NO_CLOSE),
        **dict.fromkeys(("cancel_join_thread", "cancelJoinThread"), NO_CLOSE),
        **dict.fromkeys(("cancelJoin", "canceljoin"), NO_CLOSE),
        "fileno": NO_FILE_NUMBER,
        "aget": NO_COROUTINE,
        "aput": NO_COROUTINE,
    },
}
LEFT_OUT[JoinableQueueProxy] = LEFT_OUT[QueueProxy]
STANDS_FOR: tuple[tuple[type[BaseProxy], type], ...] = (
    (ListProxy, list),
    (DictProxy, dict),
    (SetProxy, set),
    (ArrayProxy, array.array),
)
# What core makes of these is of private types.
LIKE_CORE: tuple[tuple[type[BaseProxy], str, tuple[Any, ...]], ...] = (
    (LockProxy, "Lock", ()),
    (RLockProxy, "RLock", ()),
    (SemaphoreProxy, "Semaphore", ()),
    (SemaphoreProxy, "BoundedSemaphore", ()),
    (ConditionProxy, "Condition", ()),
    (EventProxy, "Event", ()),
    (BarrierProxy, "Barrier", (2,)),
    (QueueProxy, "Queue", ()),
    (JoinableQueueProxy, "JoinableQueue", ()),
)
# What concerns the memory of an object, or its class.
NO_BEHAVIOUR = {"__slots__", "__weakref__", "__dict__", "__module__", "__abstractmethods__"}


def names_of(cls: type) -> set[str]:
    """The names that a type adds to, or changes of, those of every object."""
    return {
        name
        for base in cls.__mro__[:-1]
        for name in vars(base)
        if name not in NO_BEHAVIOUR
        and (not name.startswith("_") or (name.startswith("__") and name.endswith("__")))
    }


def check(proxy: type[BaseProxy], cls: type) -> None:
    # Every object has a comparison, a hash and so on: whether the proxy's are right is not asked
    # here. What counts is that it has its own, or the proxies' common ones.
    own = {name for base in proxy.__mro__[:-1] for name in vars(base)}
    lacking = {name for name in names_of(cls) - set(dir(object)) if not hasattr(proxy, name)}
    lacking |= {name for name in ("__eq__", "__lt__", "__hash__", "__str__") if name not in own}
    assert sorted(lacking - LEFT_OUT.get(proxy, {}).keys()) == []


@pytest.mark.parametrize(("proxy", "cls"), STANDS_FOR)
def test_containers_have_all_that_theirs_have(proxy: type[BaseProxy], cls: type) -> None:
    check(proxy, cls)


@pytest.mark.parametrize(("proxy", "name", "args"), LIKE_CORE)
def test_locks_and_queues_have_all_that_those_of_core_have(
    proxy: type[BaseProxy], name: str, args: tuple[Any, ...]
) -> None:
    likeness = getattr(processing_core, name)(*args)
    check(proxy, type(likeness))
    for method in names_of(type(likeness)):
        theirs, ours = getattr(likeness, method), getattr(proxy, method, None)
        if ours is None or method.startswith("_") or not callable(theirs):
            continue
        expected = [*inspect.signature(theirs).parameters]
        parameters = [*inspect.signature(ours).parameters][1:]
        assert parameters[: len(expected)] == expected, method
        extra = [*inspect.signature(ours).parameters.values()][len(expected) + 1 :]
        assert all(one.default is not one.empty for one in extra), method


@pytest.mark.parametrize("proxy", LEFT_OUT)
def test_what_is_left_out_is_really_left_out(proxy: type[BaseProxy]) -> None:
    assert [name for name in LEFT_OUT[proxy] if hasattr(proxy, name)] == []


def test_proxies_are_of_the_abstract_types() -> None:
    assert issubclass(ListProxy, collections.abc.MutableSequence)
    assert issubclass(ArrayProxy, collections.abc.MutableSequence)
    assert issubclass(DictProxy, collections.abc.MutableMapping)
    assert issubclass(SetProxy, collections.abc.MutableSet)
    assert issubclass(IteratorProxy, collections.abc.Iterator)
    for proxy in known_proxies.values():
        assert proxy.__hash__ is None


@pytest.mark.parametrize(
    ("proxy", "abstract"),
    [
        (ListProxy, collections.abc.MutableSequence),
        (ArrayProxy, collections.abc.MutableSequence),
        (DictProxy, collections.abc.MutableMapping),
        (SetProxy, collections.abc.MutableSet),
    ],
)
def test_proxies_have_what_the_abstract_types_promise(proxy: type, abstract: type) -> None:
    assert sorted(name for name in names_of(abstract) if not hasattr(proxy, name)) == []


def test_what_proxies_may_call_is_what_their_classes_expose() -> None:
    registry = {**base_registry(), **sync_registry()}
    # Pools are another distribution's.
    assert registry.keys() == known_proxies.keys() - {"Pool", "AsyncResult"}
    for typeid, registration in registry.items():
        assert registration.exposed == known_proxies[typeid]._exposed_, typeid
    assert set(kinds().values()) <= registry.keys()


def test_every_method_of_a_proxy_is_one_of_its_referent(manager: SyncManager) -> None:
    made: list[Any] = [
        manager.list(),
        manager.dict(),
        manager.set(),
        manager.Namespace(),
        manager.Value("i", 0),
        manager.Array("i", 1),
        manager.Lock(),
        manager.RLock(),
        manager.Semaphore(),
        manager.BoundedSemaphore(),
        manager.Condition(),
        manager.Event(),
        manager.Barrier(1),
        manager.Queue(),
        manager.JoinableQueue(),
    ]
    types = sync_registry()
    assert {proxy._token.typeid for proxy in made} == types.keys() - {"iter", "cursor"}
    for proxy in made:
        make = types[proxy._token.typeid].make
        assert make is not None
        cls: Any = make if isinstance(make, type) else type(make())
        assert type(proxy)._exposed_ is not None
        for name in type(proxy)._exposed_:
            assert hasattr(cls, name), (cls, name)
        with pytest.raises(NotExposedError, match="'__class__'"):
            proxy._callmethod("__class__")


def test_the_classes_are_generic() -> None:
    for cls in (ListProxy, SetProxy, ArrayProxy, ValueProxy, QueueProxy, JoinableQueueProxy):
        generic: Any = cls
        assert generic[int].__origin__ is cls
    assert DictProxy[str, int].__args__ == (str, int)  # type: ignore[attr-defined]  # at run time
    assert not hasattr(NamespaceProxy, "__class_getitem__")
