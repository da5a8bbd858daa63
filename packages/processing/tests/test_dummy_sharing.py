"""Values, arrays and managers of processes and of threads alike."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

assert sys.platform != "win32"

import pytest

import flavours
import processing.dummy


def test_a_value(flavour: Any) -> None:
    number = flavour.Value("i", 3)
    processes = [flavour.Process(target=flavours.add, args=(number, 50)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert number.value == 153
    assert number.get_lock() is number.getlock()
    with number.get_lock(), number:
        number.value += 1
    assert number.get_obj().value == number.getobj().value == 154
    assert number.acquire(False)
    number.release()
    condition = flavour.Condition(number.get_lock())
    with condition:
        assert not condition.wait(0)


def test_an_array(flavour: Any) -> None:
    squares = flavour.Array("d", 5)
    assert squares[:] == [0.0] * 5
    process = flavour.Process(target=flavours.fill, args=(squares,))
    process.start()
    process.join()
    assert list(squares) == squares[:] == [0.0, 1.0, 4.0, 9.0, 16.0]
    squares[1:3] = [7, 8]
    with squares:
        assert squares[1] + squares[2] == 15
    assert len(squares) == 5
    text = flavour.Array("c", b"text")
    assert (text.value, text.raw) == (b"text", b"text")


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


def test_locks_of_values(flavour: Any) -> None:
    lock = flavour.Lock()
    assert flavour.Value("i", lock=lock).get_lock() is lock
    assert flavour.Array("i", 2, lock=lock).get_lock() is lock
    assert flavour.Value(Point, 1, 0.5).x == 1
    assert not hasattr(flavour.Value("i", 1, lock=False), "get_lock")
    assert not hasattr(flavour.Array("i", [1], lock=False), "get_lock")
    assert flavour.RawValue("i", 4).value == 4
    assert list(flavour.RawArray("i", [1, 2])) == [1, 2]
    with pytest.raises(TypeError, match="a Lock or an RLock is needed"):
        flavour.Value("i", lock="lock")
    with pytest.raises(ValueError, match="code"):
        flavour.Value("?!")


def test_the_lock_of_a_value_is_one_of_threads() -> None:
    assert type(processing.dummy.Value("i").get_lock()) is processing.dummy.RLock
    assert type(processing.dummy.Array("i", 1).get_lock()) is processing.dummy.RLock


def test_a_manager(flavour: Any) -> None:
    with flavour.Manager() as manager:
        numbers, words = manager.list([1, 2]), manager.dict({"one": 1}, two=2)
        space, value = manager.Namespace(x=10, y="hello"), manager.Value("i", 5)
        process = flavour.Process(
            target=flavours.fill_managed, args=(numbers, words, space, value, manager.Lock())
        )
        process.start()
        process.join()
        assert process.exitcode == 0
        assert numbers[:] == [1, 2, 4]
        assert dict(words) == {"one": 1, "two": 2, "four": 4}
        assert str(space) == "Namespace(x=11, y='hello')"
        assert (value.value, value.get()) == (6, 6)
        value.set(7)
        assert str(value) == "Value('i', 7)"
        space.z = 1
        del space.y
        assert (space.x, space.z, hasattr(space, "y")) == (11, 1, False)
        with pytest.raises(ValueError, match="begins with '_'"):
            manager.Namespace(_x=1)


def test_arrays_of_a_manager(flavour: Any) -> None:
    with flavour.Manager() as manager:
        array = manager.Array("d", [1, 2])
        array[0] = 5
        array[1:] = [6, 7]
        array.append(8)
        array.extend([9])
        assert array[:] == array.tolist() == [5.0, 6.0, 7.0, 8.0, 9.0]
        assert (len(array), array[-1], array.pop()) == (5, 9.0, 9.0)
        assert str(array) == "array('d', [5.0, 6.0, 7.0, 8.0])"
        assert manager.Array("i", 3)[:] == [0, 0, 0]
        array.clear()
        assert len(array) == 0
        with pytest.raises(ValueError, match="number of items"):
            manager.Array("i", -1)


def test_containers_of_a_manager(flavour: Any) -> None:
    with flavour.Manager() as manager:
        nested = manager.dict({"a": {"b": 1}}, nested=True)
        nested["a"]["b"] = 2
        assert nested["a"]["b"] == 2
        assert "nested" not in nested
        rows = manager.list([[1]], nested=True)
        rows[0].append(2)
        assert list(rows[0]) == [1, 2]
        letters = manager.set("aab")
        letters.add("c")
        assert letters == {"a", "b", "c"}
        assert list(manager.list()) == []
        assert dict(manager.dict(nested=3)) == {"nested": 3}


def test_locks_and_queues_of_a_manager(flavour: Any) -> None:
    with flavour.Manager() as manager:
        for lock in (manager.Lock(), manager.RLock(), manager.Semaphore(1)):
            with lock:
                pass
            assert lock.acquire(False)
            lock.release()
        with pytest.raises(ValueError, match=r"release|begun|often"):
            manager.BoundedSemaphore(1).release()
        condition = manager.Condition(manager.Lock())
        with condition:
            assert not condition.wait(0.01)
        event = manager.Event()
        event.set()
        assert event.wait(1)
        assert manager.Barrier(1).wait() == 0
        for made in (manager.Queue(2), manager.JoinableQueue(2)):
            made.put(1)
            assert (made.get(), made.qsize()) == (1, 0)
        with manager.Pool(1) as pool:
            assert pool.map(flavours.square, [1, 2]) == [1, 4]


def test_starting_and_ending_a_local_manager() -> None:
    seen: list[int] = []
    manager = processing.dummy.Manager()
    manager.start(seen.append, (1,))
    assert seen == [1]
    words = manager.list(["kept"])
    assert type(words) is list
    assert type(manager.dict()) is dict
    manager.shutdown()
    manager.shutdown()
    manager.join()
    assert manager.address is None
    assert words == ["kept"]
    assert manager.Namespace(x=1) == processing.dummy.Namespace(x=1)
