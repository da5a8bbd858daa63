"""Passing shared objects to children, and sending them around."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from processing_core import Pipe, Queue
from processing_sharedctypes import Array, RawArray, RawValue, Value, copy
from sharing_children import Numbers, Point, change, count_up


def make_all() -> list[Any]:
    return [
        Value("i", 1),
        Value("d", 1.5),
        Value(Point, 1, 2.0),
        Array("i", [1, 2, 3]),
        Array("d", 400_000),
        RawValue("i", 1),
        RawValue(Point, 1, 2.0),
        RawArray("h", [1, 2, 3]),
        RawValue(Numbers, 1, 2, 3),
        copy(RawArray("q", [4, 5])),
    ]


def contents(obj: Any) -> Any:
    if hasattr(obj, "x"):
        return obj.x, obj.y
    return list(obj) if hasattr(obj, "__len__") else obj.value


def increased(values: Any) -> Any:
    if isinstance(values, (tuple, list)):
        return type(values)(value + 1 for value in values)
    return values + 1


def test_passed_and_sent(start: Any) -> None:
    passed, sent = make_all(), make_all()
    ours, theirs = Pipe()
    with ours:
        process = start(change, theirs, *passed)
        theirs.close()
        assert ours.recv() == "changed"
        for obj, fresh in zip(passed, make_all(), strict=True):
            assert contents(obj) == increased(contents(fresh))
        for obj, fresh in zip(sent, make_all(), strict=True):
            ours.send(obj)
            back = ours.recv()
            assert type(back) is type(obj)
            assert contents(obj) == contents(back) == increased(contents(fresh))
        ours.send(None)
        process.join()
    assert process.exitcode == 0


def test_through_a_queue_together() -> None:
    queue: Queue[Any] = Queue()
    value, array = Value("i", 5), Array("d", [1.0, 2.0])
    queue.put((value, array, value))
    first, second, again = queue.get()
    assert first.get_lock() is not None
    first.value = 6
    second[0] = 9.0
    assert (value.value, array[0], again.value) == (6, 9.0, 6)
    # The lock is the same one, too: its owner has it already.
    with value:
        assert first.acquire(False)
        first.release()
    # What is not shared is copied, as ctypes does.
    queue.put(ctypes.c_int(3))
    assert queue.get().value == 3


@pytest.mark.parametrize("times", [300])
def test_counting_together(start: Any, times: int) -> None:
    value, array = Value("i"), RawArray("q", 1)
    processes = [start(count_up, value, array, times) for _ in range(3)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (value.value, array[0]) == (3 * times, 3 * times)
