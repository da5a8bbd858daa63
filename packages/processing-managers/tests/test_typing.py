"""What type checkers must see; mypy reads it, and it also runs."""

from __future__ import annotations

import sys
from typing import Any, assert_type

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

from processing_managers import (
    ArrayProxy,
    BarrierProxy,
    BaseManager,
    ConditionProxy,
    DictProxy,
    EventProxy,
    JoinableQueueProxy,
    ListProxy,
    LockProxy,
    Manager,
    NamespaceProxy,
    QueueProxy,
    RLockProxy,
    SemaphoreProxy,
    SetProxy,
    SyncManager,
    ValueProxy,
)


def test_managers() -> None:
    manager = Manager()
    assert_type(manager, SyncManager)
    with manager as entered:
        assert_type(entered, SyncManager)
    assert isinstance(manager, BaseManager)
    assert manager.process is not None
    manager.process.close()


def test_lists(manager: SyncManager) -> None:
    numbers = manager.list([1, 2])
    assert_type(numbers, ListProxy[int])
    assert_type(manager.list(), ListProxy[Any])
    assert_type(manager.list(["a"], nested=True), ListProxy[str])
    assert_type(numbers[0], int)
    assert_type(numbers[:], list[int])
    assert_type(numbers + [3], list[int])  # noqa: RUF005 - the operator is tested
    assert_type([3] + numbers, list[int])  # noqa: RUF005 - as above
    assert_type(numbers * 2, list[int])
    assert_type(2 * numbers, list[int])
    assert_type(numbers.copy(), list[int])
    assert_type(numbers.index(1), int)
    assert_type(numbers.pop(), int)
    numbers += (4,)
    numbers[1:] = range(2)
    assert_type(numbers, ListProxy[int])
    for number in reversed(numbers):
        assert_type(number, int)
    numbers.append("text")  # type: ignore[arg-type]


def test_dicts(manager: SyncManager) -> None:
    ages = manager.dict({"a": 1})
    assert_type(ages, DictProxy[str, int])
    assert_type(manager.dict(), DictProxy[Any, Any])
    assert_type(manager.dict(a=1.5), DictProxy[str, float])
    assert_type(manager.dict([(1, "a")]), DictProxy[int, str])
    assert_type(ages["a"], int)
    assert_type(ages.get("a"), int | None)
    assert_type(ages.get("a", 0), int)
    assert_type(ages.get("a", "nothing"), int | str)
    assert_type(ages.setdefault("b", 2), int)
    assert_type(ages.pop("b"), int)
    assert_type(ages.pop("b", None), int | None)
    assert_type(ages.keys(), list[str])
    assert_type(ages.items(), list[tuple[str, int]])
    assert_type(ages | {"c": 3}, dict[str, int])
    assert_type({"c": 3} | ages, dict[str, int])
    for key in ages:
        assert_type(key, str)
    ages[1] = 1  # type: ignore[index]


def test_sets(manager: SyncManager) -> None:
    names = manager.set(["a"])
    assert_type(names, SetProxy[str])
    assert_type(names | {"b"}, set[str])
    assert_type(names.union({"b"}), set[str])
    assert_type(names.pop(), str)
    names |= {"c"}
    assert_type(names, SetProxy[str])
    for name in names:
        assert_type(name, str)


def test_values(manager: SyncManager) -> None:
    assert_type(manager.Value("i", 1), ValueProxy[int])
    assert_type(manager.Value("i", 1).value, int)
    assert_type(manager.Array("i", [1]), ArrayProxy[int])
    assert_type(manager.Array("i", [1])[0], int)
    assert_type(manager.Array("i", [1])[:], list[int])
    assert_type(manager.Namespace(x=1), NamespaceProxy)


def test_locks_and_queues(manager: SyncManager) -> None:
    assert_type(manager.Lock(), LockProxy)
    assert_type(manager.RLock(), RLockProxy)
    assert_type(manager.Semaphore(), SemaphoreProxy)
    assert_type(manager.BoundedSemaphore(), SemaphoreProxy)
    condition = manager.Condition(manager.RLock())
    assert_type(condition, ConditionProxy)
    with condition as had:
        assert_type(had, bool)
        assert_type(condition.wait_for(lambda: "text"), str)
    assert_type(manager.Event(), EventProxy)
    assert_type(manager.Barrier(2), BarrierProxy)
    items: QueueProxy[int] = manager.Queue(1)
    items.put(1)
    assert_type(items.get(), int)
    assert_type(items.get_many(1, 0), list[int])
    assert_type(manager.JoinableQueue(), JoinableQueueProxy[Any])
    with pytest.raises(TypeError):
        manager.Queue("many")  # type: ignore[arg-type]
