"""Types of one's own: register, CreatorMethod, exposed methods, classes of proxies."""

from __future__ import annotations

import os
from typing import Any

import pytest

from manager_children import Counter, CounterManager, RegisteredManager
from processing_core import InvalidArgument, InvalidType
from processing_managers import (
    AutoProxy,
    BaseManager,
    BaseProxy,
    CreatorMethod,
    IteratorProxy,
    MakeProxyType,
    SyncManager,
)


def test_creator_method() -> None:
    with CounterManager() as manager:
        counter = manager.Counter(5)
        assert counter.increment(by=2) == 7
        assert counter.pid() != os.getpid()
        assert repr(counter).startswith("<Proxy[Counter] object at 0x")
        assert type(counter).__name__ == "Counter"
    assert isinstance(CounterManager.Counter, CreatorMethod)


def test_creator_method_with_a_typeid() -> None:
    class Manager(BaseManager):
        make = CreatorMethod(Counter, typeid="Other")

    with Manager() as manager:
        assert "Other" in repr(manager.make(1))


def test_creator_method_is_for_managers() -> None:
    with pytest.raises((RuntimeError, InvalidType)) as caught:

        class Wrong:
            make = CreatorMethod(Counter)

    error = caught.value
    assert "for classes of managers" in str(error.__cause__ or error)


def test_exposed_of_the_callable() -> None:
    class Exposing(Counter):
        __exposed__ = ("get",)

    class Manager(BaseManager):
        make = CreatorMethod(Exposing)

    with Manager() as manager:
        proxy = manager.make(2)
        assert proxy.get() == 2
        assert not hasattr(proxy, "increment")


class CounterProxy(BaseProxy):
    _exposed_ = ("increment", "get")

    def increment_twice(self) -> int:
        self._callmethod("increment")
        result: int = self._callmethod("increment", (), {"by": 10})
        return result


def test_class_of_proxies() -> None:
    class Manager(BaseManager):
        pass

    Manager.register("Counter", Counter, CounterProxy)
    with Manager() as manager:
        proxy = manager.Counter()  # type: ignore[attr-defined]  # it is registered
        assert isinstance(proxy, CounterProxy)
        assert proxy.increment_twice() == 11


def test_make_proxy_type() -> None:
    cls = MakeProxyType("CounterProxy", ("get", "increment"))

    class Manager(BaseManager):
        pass

    Manager.register("Counter", Counter, cls)
    with Manager() as manager:
        proxy = manager.Counter(3)  # type: ignore[attr-defined]  # it is registered
        assert type(proxy) is cls
        assert proxy.get() == 3
    with pytest.raises(InvalidType):
        MakeProxyType("a b", ())


def test_auto_proxy() -> None:
    class Manager(BaseManager):
        pass

    Manager.register("Counter", Counter, AutoProxy)
    with Manager() as manager:
        assert manager.Counter(3).get() == 3  # type: ignore[attr-defined]  # it is registered


def test_method_to_typeid() -> None:
    with RegisteredManager() as manager:
        family = manager.Family(4)
        child = family.child()
        assert "Proxy[Counter]" in repr(child)
        child.increment()
        assert child.get() == 5
        assert family.get() == 4


def test_iterators_come_as_proxies() -> None:
    with RegisteredManager() as manager:
        numbers = manager.Counter().numbers(5)
        assert isinstance(numbers, IteratorProxy)
        assert "Proxy[iter]" in repr(numbers)
        assert list(numbers) == [0, 1, 2, 3, 4]


def test_value_of_an_object_of_the_users() -> None:
    with RegisteredManager() as manager:
        proxy = manager.Counter(4)
        copy = proxy._getValue()
        assert type(copy) is Counter
        assert copy.value == 4


def test_objects_of_the_users_in_containers_are_the_same() -> None:
    with RegisteredManager() as manager:
        counter = manager.Counter(1)
        holder = manager.list([counter])
        holder[0].increment()
        assert counter.get() == 2
        del counter
        assert holder[0].get() == 2


def test_threads_of_methods() -> None:
    with RegisteredManager() as manager:
        slow = manager.Counter()
        quick = manager.Quick()
        assert quick.thread() == quick.thread()
        assert slow.thread() != quick.thread()


def test_register_in_a_subclass_leaves_the_base_alone() -> None:
    class First(SyncManager):
        pass

    class Second(First):
        pass

    Second.register("thing", Counter)
    assert not hasattr(First, "thing")
    First.register("other", Counter)
    with Second() as manager:
        assert manager.thing(1).get() == 1  # type: ignore[attr-defined]  # it is registered


def test_register_without_a_method() -> None:
    class Manager(BaseManager):
        pass

    Manager.register("hidden", Counter, create_method=False)
    assert not hasattr(Manager, "hidden")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"typeid": 3}, InvalidType, "typeid must be a string, not 3"),
        ({"typeid": "not one"}, InvalidArgument, "must be an identifier, not 'not one'"),
        ({"callable": 3}, InvalidType, "callable must be callable, not 3"),
        ({"exposed": "get"}, InvalidType, "not the string 'get'"),
        ({"exposed": [3]}, InvalidType, "3 is none"),
        ({"proxytype": 3}, InvalidType, "class of proxies, not 3"),
        ({"method_to_typeid": {"a": 1}}, InvalidType, "'a' to 1"),
        ({"blocking": "get"}, InvalidType, "not the string 'get'"),
    ],
)
def test_bad_registrations(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    class Manager(BaseManager):
        pass

    with pytest.raises(error, match=message):
        Manager.register(**{"typeid": "thing", **arguments})


def test_without_a_callable() -> None:
    class Manager(BaseManager):
        pass

    Manager.register("passed", exposed=("upper",))
    with Manager() as manager:
        assert manager.passed("text").upper() == "TEXT"  # type: ignore[attr-defined]  # registered
        with pytest.raises(InvalidArgument, match="one object"):
            manager.passed()  # type: ignore[attr-defined]  # it is registered
