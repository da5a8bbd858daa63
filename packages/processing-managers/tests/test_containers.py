"""Proxies of containers behave as the containers: the same calls on both, the same outcomes."""

from __future__ import annotations

import array
import copy
import operator
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from types import MappingProxyType
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

from manager_children import RegisteredManager
from processing_managers import IteratorProxy, SyncManager

Step = Callable[[Any], Any]


def outcome(step: Step, container: Any) -> Any:
    """What a step returns, or the type of what it raises."""
    try:
        result = step(container)
    except Exception as error:  # noqa: BLE001 - its type is compared
        return type(error)
    return "itself" if result is container else result


def compare(steps: Iterable[Step], plain: Any, proxy: Any, value: Step) -> None:
    for number, step in enumerate(steps):
        assert outcome(step, proxy) == outcome(step, plain), f"step {number}"
        assert value(proxy) == plain, f"step {number}"


def call(name: str, *args: Any, **kwds: Any) -> Step:
    return operator.methodcaller(name, *args, **kwds)


def delete(key: Any) -> Step:
    return lambda container: operator.delitem(container, key)


def assign(key: Any, value: Any) -> Step:
    return lambda container: operator.setitem(container, key, value)


def apply(function: Callable[[Any, Any], Any], other: Any) -> Step:
    return lambda container: function(container, other)


def swapped(function: Callable[[Any, Any], Any], other: Any) -> Step:
    return lambda container: function(other, container)


COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)

LIST_STEPS: list[Step] = [
    len,
    bool,
    list,
    partial(sorted, reverse=True),
    lambda items: list(reversed(items)),
    lambda items: [*map(items.__getitem__, (0, -1, 2))],
    *(
        operator.itemgetter(key)
        for key in (0, -1, 99, slice(1, 3), slice(None, None, -1), "x", 1.0)
    ),
    *(assign(key, 7) for key in (1, -1, 99, "x")),
    assign(slice(1, 2), [5, 6, 7]),
    assign(slice(0, 0), "ab"),
    lambda items: operator.setitem(items, slice(0, 2), iter([4, 3])),
    assign(slice(None, None, 2), [1]),
    assign(slice(None), 5),
    *(delete(key) for key in (0, -1, 99, slice(1, 2), "x")),
    call("append", 4),
    call("append", [4]),
    call("remove", [4]),
    call("remove", "nothing"),
    call("extend", "xy"),
    call("extend", 5),
    call("extend", {"z": 1}),
    call("insert", 1, "i"),
    call("insert", -99, "j"),
    call("index", "i"),
    call("index", "i", 1),
    call("index", "i", 0, 1),
    call("index", "nothing"),
    call("count", 4),
    call("pop"),
    call("pop", 0),
    call("pop", 99),
    call("reverse"),
    call("sort"),
    lambda items: items.sort(key=str),
    lambda items: items.sort(key=str, reverse=True),
    apply(operator.iadd, [1, 2]),
    apply(operator.iadd, (3,)),
    apply(operator.iadd, 5),
    apply(operator.imul, 2),
    apply(operator.imul, "x"),
    apply(operator.add, [5]),
    apply(operator.add, (5,)),
    swapped(operator.add, [5]),
    swapped(operator.add, (5,)),
    apply(operator.mul, 2),
    swapped(operator.mul, 2),
    apply(operator.mul, "x"),
    apply(operator.contains, 1),
    apply(operator.contains, "nothing"),
    lambda items: items.copy(),
    lambda items: items.clear(),
    call("pop"),
    *(apply(how, other) for how in COMPARISONS for other in ([0, 1], [], 5)),
    *(swapped(how, [0, 1]) for how in COMPARISONS),
    hash,
]


def test_lists(manager: Any) -> None:
    compare(LIST_STEPS, [3, 1, 2], manager.list([3, 1, 2]), list)


DICT_STEPS: list[Step] = [
    len,
    bool,
    list,
    dict,
    lambda items: list(reversed(items)),
    *(operator.itemgetter(key) for key in ("a", "nothing", 5)),
    lambda items: items[[]],
    assign("c", 3),
    assign((1, 2), None),
    assign([], 1),
    delete("c"),
    delete("c"),
    call("get", "a"),
    call("get", "nothing"),
    call("get", "nothing", 4),
    call("setdefault", "d"),
    call("setdefault", "d", 5),
    call("pop", "d"),
    call("pop", "d"),
    call("pop", "d", 6),
    call("pop", "d", 6, 7),
    call("update", {"x": 1}),
    call("update", [("y", 2)], self=3, args=4, items=5),
    call("update", OrderedDict(z=1)),
    call("update", defaultdict(lambda: 0, w=1)),
    call("update", MappingProxyType({"v": 1})),
    call("update", {"u": 1}.items()),
    call("update", 5),
    call("update", {}, {}),
    call("update"),
    lambda items: list(items.keys()),
    lambda items: list(items.values()),
    lambda items: list(items.items()),
    call("popitem"),
    apply(operator.contains, "a"),
    apply(operator.contains, []),
    apply(operator.or_, {"o": 1}),
    apply(operator.or_, [("o", 1)]),
    swapped(operator.or_, {"a": 5, "o": 1}),
    swapped(operator.or_, 5),
    apply(operator.ior, {"o": 1}),
    apply(operator.ior, [("p", 1)]),
    apply(operator.ior, 5),
    lambda items: items.copy(),
    lambda items: type(items.copy()),
    lambda items: {**items},
    lambda items: items.fromkeys("ab", 1),
    *(apply(how, other) for how in COMPARISONS for other in ({"a": 1}, {}, 5)),
    lambda items: items.clear(),
    call("popitem"),
    hash,
]


def test_dicts(manager: Any) -> None:
    plain = {"a": 1, "b": 2}
    compare(DICT_STEPS, dict(plain), manager.dict(plain), lambda proxy: proxy.copy())


OPERATORS = (operator.or_, operator.and_, operator.sub, operator.xor)
IN_PLACE = (operator.ior, operator.iand, operator.isub, operator.ixor)
SET_OPERANDS: tuple[Any, ...] = ({1, 9}, [1, 9], (), {1: 2}.keys(), 5, [[]])
SET_STEPS: list[Step] = [
    len,
    bool,
    lambda items: set(iter(items)),
    call("add", 4),
    call("add", 4),
    call("add", []),
    call("discard", 4),
    call("discard", 4),
    call("remove", 4),
    *(
        call(name, other)
        for name in [
            "union",
            "intersection",
            "difference",
            "symmetric_difference",
            "issubset",
            "issuperset",
            "isdisjoint",
        ]
        for other in SET_OPERANDS
    ),
    call("union", {5}, [6]),
    call("union"),
    *(
        apply(how, other)
        for how in (*OPERATORS, *COMPARISONS)
        for other in ({1, 9}, frozenset({2}), {1: 2}.keys(), [1], 5)
    ),
    *(swapped(how, other) for how in OPERATORS for other in ({1, 9}, frozenset({2}), [1])),
    call("update", [7, 8], {9}),
    call("update", 5),
    call("intersection_update", [1, 2, 7, 8]),
    call("difference_update", [8], [1]),
    call("symmetric_difference_update", [1, 2]),
    *(apply(how, other) for how in IN_PLACE for other in ({1, 2, 9}, [1], 5)),
    apply(operator.contains, 1),
    apply(operator.contains, []),
    lambda items: items.copy(),
    lambda items: {items.pop() for _ in range(len(items))},
    call("pop"),
    lambda items: items.clear(),
    hash,
]


def test_sets(manager: Any) -> None:
    compare(SET_STEPS, {1, 2, 3}, manager.set([1, 2, 3]), set)


def test_arrays(manager: Any) -> None:
    steps: list[Step] = [
        len,
        list,
        lambda items: list(reversed(items)),
        operator.itemgetter(0),
        operator.itemgetter(99),
        lambda items: list(items[1:]),
        assign(0, 5),
        assign(0, "x"),
        assign(0, 2**40),
        delete(0),
        delete(slice(1)),
        call("append", 4),
        call("append", "x"),
        call("extend", [1, 2]),
        call("extend", ["x"]),
        call("fromlist", [3]),
        call("frombytes", array.array("i", [9]).tobytes()),
        call("frombytes", b"x"),
        call("insert", 0, 3),
        call("index", 3),
        call("index", 77),
        call("count", 3),
        call("pop"),
        call("pop", 99),
        call("remove", 3),
        call("reverse"),
        call("byteswap"),
        call("byteswap"),
        call("tolist"),
        call("tobytes"),
        apply(operator.contains, 4),
        apply(operator.imul, 2),
        hash,
    ]
    proxy = manager.Array("i", [1, 2, 3])
    compare(steps, array.array("i", [1, 2, 3]), proxy, copy.deepcopy)
    proxy[0:2] = (6, 7, 8)
    assert proxy[:3] == [6, 7, 8]
    proxy.clear()
    assert not proxy
    assert proxy == array.array("i")
    assert manager.Array("d", 3)[:] == [0.0, 0.0, 0.0]
    assert str(manager.Array("i", [1])) == "array('i', [1])"
    for code, given, error in [("i", -1, ValueError), ("?", 1, ValueError), (5, 1, TypeError)]:
        with pytest.raises(error):
            manager.Array(code, given)


def test_proxies_as_operands(manager: Any) -> None:
    with SyncManager() as other:
        for maker in (manager, other):
            numbers, items, names = manager.list([1]), manager.dict(a=1), manager.set("a")
            more_numbers, more_items, more_names = maker.list([2]), maker.dict(b=2), maker.set("b")
            assert numbers + more_numbers == [1, 2]
            assert numbers < more_numbers
            assert items | more_items == {"a": 1, "b": 2}
            assert names | more_names == {"a", "b"}
            assert names.union(more_names, more_items) == {"a", "b"}
            assert names - more_names == {"a"}
            assert manager.list(more_numbers) == [2]
            assert manager.dict(more_items) == {"b": 2}
            assert manager.set(more_names) == {"b"}
            numbers += more_numbers
            numbers[:0] = more_numbers
            numbers.extend(more_names)
            assert numbers == [2, 1, 2, "b"]
            items |= more_items
            items.update(more_items)
            assert items == {"a": 1, "b": 2}
            names |= more_names
            names.update(more_names)
            assert names == {"a", "b"}
            assert items != more_items
            with pytest.raises(TypeError):
                items | more_numbers
    assert other.process is not None
    other.process.close()


def test_what_containers_are_made_of(manager: Any) -> None:
    assert manager.list({1: 2}.keys()) == [1]
    assert manager.list(n for n in range(3)) == [0, 1, 2]
    assert manager.list("ab") == ["a", "b"]
    assert manager.dict({1: 2}.items()) == {1: 2}
    assert manager.dict(zip("ab", (1, 2), strict=True)) == {"a": 1, "b": 2}
    assert manager.dict([("a", 1)], b=2) == {"a": 1, "b": 2}
    assert manager.dict(self=1, name=2, typeid=3, args=4, call=5) == {
        "self": 1,
        "name": 2,
        "typeid": 3,
        "args": 4,
        "call": 5,
    }
    assert manager.set({1: 2}.values()) == {2}
    for make in (manager.list, manager.dict, manager.set):
        with pytest.raises(TypeError):
            make(5)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 320, 321, 5000])
def test_iteration_in_batches(manager: Any, length: int) -> None:
    plain = list(range(length))
    numbers, members = manager.list(plain), manager.set(plain)
    items = manager.dict(dict.fromkeys(plain))
    assert list(numbers) == plain
    assert list(reversed(numbers)) == plain[::-1]
    assert list(items) == plain
    assert list(reversed(items)) == plain[::-1]
    assert sorted(members) == plain


def test_change_during_iteration(manager: Any) -> None:
    numbers = manager.list(range(100))
    met = []
    for number in numbers:
        met.append(number)
        if number == 99:
            numbers.append(100)
    assert met == list(range(101))
    backwards: Any = reversed(numbers)
    numbers.append(101)
    assert next(backwards) == 100
    items, members = manager.dict(enumerate(range(100))), manager.set(range(100))
    changed: list[tuple[Any, Callable[[], object]]] = [
        (items, lambda: items.update({"new": 1})),
        (members, lambda: members.add("new")),
    ]
    for container, change in changed:
        iterator = iter(container)
        next(iterator)
        change()
        with pytest.raises(RuntimeError, match="changed size during iteration"):
            list(iterator)


def test_formats(manager: Any) -> None:
    numbers = manager.list([1, "a", manager.dict(b=manager.set([2]))])
    assert str(numbers) == "[1, 'a', {'b': {2}}]"
    assert repr(numbers) == f"<Proxy[list] object at {numbers._id:#x}>"
    assert repr(manager.dict()).startswith("<Proxy[dict] object at 0x")
    assert str(manager.dict(a=1)) == "{'a': 1}"
    assert str(manager.set([1])) == "{1}"
    assert str(manager.set()) == "set()"


def test_copies(manager: Any) -> None:
    inner = manager.list([1])
    outer = manager.list([inner, inner])
    deep = copy.deepcopy(outer)
    assert deep == [[1], [1]]
    assert type(deep) is type(deep[0]) is list
    assert deep[0] is deep[1]
    inner.append(2)
    assert deep[0] == [1]
    other = copy.copy(outer)
    other.append(3)
    assert outer == [[1, 2], [1, 2], 3]
    shallow = outer.copy()
    shallow[0].append(4)
    assert inner == [1, 2, 4]


def test_nested_containers_change_in_place(manager: Any) -> None:
    outer = manager.dict(a=manager.list([manager.dict()]))
    outer["a"][0]["b"] = 1
    outer["a"] += [2]
    assert outer == {"a": [{"b": 1}, 2]}
    plain = manager.dict(a={})
    plain["a"]["b"] = 1
    assert plain == {"a": {}}


def test_a_list_that_contains_itself(manager: Any) -> None:
    numbers = manager.list([1])
    numbers.append(numbers)
    assert str(numbers) == "[1, [...]]"
    assert numbers[1] == numbers
    assert numbers[1][1][1][0] == 1
    value = copy.deepcopy(numbers)
    assert value[1] is value
    numbers.pop()
    assert numbers == [1]


def deep(proxy: Any) -> bool:
    """Whether what is nested is changed in place, all the way down."""
    proxy["list"].append(1)
    proxy["dict"]["dict"]["set"].add(1)
    return bool(proxy == {"list": [1], "dict": {"dict": {"set": {1}}}})


def make_plain() -> dict[str, Any]:
    return {"list": [], "dict": {"dict": {"set": set()}}}


@pytest.mark.parametrize(
    "mutate",
    [
        lambda items: items.update(make_plain()),
        lambda items: items.update(**make_plain()),
        lambda items: items.__ior__(make_plain()),
        lambda items: [operator.setitem(items, *pair) for pair in make_plain().items()],
        lambda items: [items.setdefault(*pair) for pair in make_plain().items()],
    ],
)
def test_nested_dicts(manager: Any, mutate: Step) -> None:
    items = manager.dict(nested=True)
    mutate(items)
    assert deep(items)
    assert deep(manager.dict(make_plain(), nested=True))
    assert manager.dict(nested=5) == {"nested": 5}


@pytest.mark.parametrize(
    "mutate",
    [
        call("append", make_plain()),
        call("insert", 0, make_plain()),
        call("extend", [make_plain()]),
        apply(operator.iadd, [make_plain()]),
        assign(slice(None), [make_plain()]),
        assign(0, make_plain()),
        assign(0, (make_plain(),)),
    ],
)
def test_nested_lists(manager: Any, mutate: Step) -> None:
    numbers = manager.list([None], nested=True)
    mutate(numbers)
    element = next(item for item in numbers if item is not None)
    assert deep(element[0] if isinstance(element, tuple) else element)
    assert deep(manager.list([make_plain()], nested=True)[0])


def test_nested_with_cycles(manager: Any) -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    shared: list[Any] = []
    numbers = manager.list([loop, shared, shared], nested=True)
    assert numbers[0][1] == numbers[0]
    numbers[1].append(5)
    assert numbers[2] == [5]
    del numbers[0]
    numbers.extend(numbers)
    numbers *= 2
    numbers[0].append(6)
    assert numbers == [[5, 6]] * 8
    numbers.sort()
    numbers.reverse()
    assert len(numbers) == 8


def test_namespaces(manager: Any) -> None:
    names = manager.Namespace(y="hello", x=10)
    names._own = 1
    assert str(names) == "Namespace(x=10, y='hello')"
    names.z = [1]
    names.z.append(2)
    assert names.z == [1]
    del names.x
    assert not hasattr(names, "x")
    with pytest.raises(AttributeError, match="'x'"):
        _ = names.x
    with pytest.raises(AttributeError):
        del names.x
    del names._own
    with pytest.raises(AttributeError):
        _ = names._own
    assert names == manager.Namespace(y="hello", z=[1])
    assert names != manager.Namespace(y="hello")
    assert manager.Namespace(self=1, name=2, typeid=3).typeid == 3
    copied = copy.deepcopy(names)
    copied.y = "other"
    assert names.y == "hello"
    with pytest.raises(ValueError, match="'_private'"):
        manager.Namespace(_private=1)
    with pytest.raises(TypeError):
        hash(names)


def test_values(manager: Any) -> None:
    value = manager.Value("i", 5)
    value.value += 1
    assert value.get() == value.value == value == 6
    value.set(7)
    assert 6 < value <= manager.Value("i", 7)
    assert str(value) == "Value('i', 7)"
    assert copy.deepcopy(value) == 7
    with pytest.raises(TypeError):
        hash(value)


def test_generators() -> None:
    with RegisteredManager() as manager:
        counter: Any = manager.Counter()
        numbers = counter.numbers(3)
        assert isinstance(numbers, IteratorProxy)
        assert repr(numbers).startswith("<Proxy[iter] object at 0x")
        assert iter(numbers) is numbers
        assert next(numbers) == 0
        assert numbers.send(None) == 1
        assert list(numbers) == [2]
        with pytest.raises(StopIteration):
            next(numbers)
        closed = counter.numbers(3)
        closed.close()
        assert list(closed) == []
        failing = counter.numbers(3)
        with pytest.raises(LookupError, match="thrown"):
            failing.throw(LookupError("thrown"))
        assert failing == failing  # noqa: PLR0124 - its own comparison
        assert failing != closed
        with pytest.raises(TypeError):
            hash(failing)
    assert manager.process is not None
    manager.process.close()
