"""Single values: what they hold, how they are locked, and what cannot be made."""

from __future__ import annotations

import ctypes
import pickle
import threading
from typing import Any

import pytest

from processing_core import (
    InvalidArgument,
    InvalidType,
    Lock,
    MisuseError,
    Pipe,
    RLock,
    SharingError,
)
from processing_sharedctypes import RawValue, Synchronized, Value, copy, synchronized
from sharing_children import Point

SAMPLES: list[tuple[Any, Any]] = [
    ("c", b"x"),
    ("u", "ü"),
    ("b", -5),
    ("B", 250),
    ("h", -300),
    ("H", 60_000),
    ("i", -70_000),
    ("I", 2**32 - 1),
    ("l", -(2**40)),
    ("L", 2**63),
    ("q", -(2**62)),
    ("Q", 2**64 - 1),
    ("f", 0.5),
    ("d", 1e300),
    (ctypes.c_bool, True),
    (ctypes.c_longdouble, 2.5),
    (ctypes.c_size_t, 2**40),
]


@pytest.mark.parametrize(("kind", "sample"), SAMPLES)
def test_every_type_begins_at_zero_and_holds_its_values(kind: Any, sample: Any) -> None:
    value = Value(kind)
    assert not value.value or value.value in (b"\0", "\0")
    value.value = sample
    assert value.value == sample
    assert Value(kind, sample).value == RawValue(kind, sample).value == sample
    assert isinstance(value, Synchronized)
    assert not hasattr(Value(kind, sample, lock=False), "get_lock")


def test_memory_that_is_used_again_is_zeroed() -> None:
    for _ in range(5):
        values = [RawValue("Q") for _ in range(100)]
        assert not any(value.value for value in values)
        for value in values:
            value.value = 2**64 - 1


def test_the_wrapper_has_the_object_and_the_lock() -> None:
    value = Value("i", 3)
    assert value.get_obj() is value.getobj()
    assert value.get_obj().value == 3
    assert value.get_lock() is value.getlock()
    assert type(value.get_lock()) is RLock
    lock = Lock()
    assert Value("i", lock=lock).get_lock() is lock
    assert type(Value("i", lock=None).get_lock()) is RLock
    assert repr(value) == "<Synchronized wrapper for c_int(3)>"
    assert type(RawValue("i")) is ctypes.c_int


def test_every_access_takes_the_lock() -> None:
    value = Value("i", 1, lock=Lock())
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(value.value))
    with value:
        assert not value.get_lock().acquire(False)
        thread.start()
        thread.join(0.05)
        assert results == []
    thread.join()
    assert results == [1]
    assert value.acquire() is True
    assert value.acquire(False) is False
    value.release()


def test_a_structure_has_its_fields() -> None:
    class Inner(ctypes.Structure):
        _fields_ = (("deep", ctypes.c_int),)

    class Outer(Point):
        _anonymous_ = ("inner",)
        _fields_ = (  # type: ignore[assignment]
            ("inner", Inner),
            ("text", ctypes.c_char * 8),
        )

    made = Value(Outer, 1, 2.5)
    assert (made.x, made.y, made.text) == (1, 2.5, b"")
    made.x = 7
    made.text = b"words"
    made.inner.deep = 3
    raw = made.get_obj()
    assert (raw.x, raw.text, raw.deep) == (7, b"words", 3)
    assert type(made) is type(Value(Outer))
    with pytest.raises(TypeError):
        made.x = "seven"
    with pytest.raises(AttributeError):
        made.z = 1


def test_copy_and_synchronized() -> None:
    first = RawValue(Point, 1, 2.0)
    second = copy(first)
    second.x = 5
    assert (first.x, second.x, second.y) == (1, 5, 2.0)
    assert type(second) is Point
    lock = RLock()
    wrapper = synchronized(first, lock)
    assert wrapper.get_lock() is lock
    assert synchronized(RawValue("d", 2.5)).value == 2.5
    # Objects that are not shared have a right to a lock, too.
    assert synchronized(ctypes.c_int(4)).value == 4
    pointer = ctypes.pointer(ctypes.c_int(3))
    assert synchronized(pointer).get_obj() is pointer
    with pytest.raises(MisuseError, match="already"):
        synchronized(wrapper)  # type: ignore[call-overload]
    with pytest.raises(AssertionError):
        synchronized(Value("i"))  # type: ignore[call-overload]
    with pytest.raises(InvalidType, match="ctypes object"):
        copy(Value("i"))


@pytest.mark.parametrize("kind", ["x", "", "ii", "\0"])
def test_unknown_type_codes(kind: Any) -> None:
    for make in (Value, RawValue):
        with pytest.raises(InvalidArgument, match="unknown type code"):
            make(kind)


@pytest.mark.parametrize(
    "kind", [None, 5, int, b"i", ctypes.c_int(3), ctypes.Structure, ctypes.Array]
)
def test_what_is_no_type(kind: Any) -> None:
    for make in (Value, RawValue):
        with pytest.raises(InvalidType):
            make(kind)


@pytest.mark.parametrize("lock", [5, "lock", object(), threading.Event()])
def test_what_is_no_lock(lock: Any) -> None:
    with pytest.raises(TypeError, match="Lock or an RLock"):
        Value("i", lock=lock)
    with pytest.raises(TypeError, match="Lock or an RLock"):
        synchronized(RawValue("i"), lock)
    with pytest.raises(TypeError):
        synchronized(RawValue("i"), True)  # type: ignore[call-overload]


def test_wrong_values_are_what_ctypes_raises() -> None:
    value = Value("i", 5)
    for wrong in ("5", 5.0, None, b"5"):
        with pytest.raises(TypeError):
            value.value = wrong  # type: ignore[assignment]
        with pytest.raises(TypeError):
            Value("i", wrong)
    assert value.value == 5
    with pytest.raises(TypeError):
        Value("i", 1, 2)


def test_is_not_pickled_by_others() -> None:
    with pytest.raises(SharingError, match="cannot be pickled otherwise"):
        pickle.dumps(Value("i"))
    with pytest.raises(RuntimeError):
        pickle.dumps(Value(Point))


def test_a_value_outlives_the_lock_that_it_was_made_with() -> None:
    """Both are in the same memory."""
    raw = Value("q", 2**40).get_obj()
    others = [Value("q", number) for number in range(200)]
    assert raw.value == 2**40
    assert [other.value for other in others] == list(range(200))
    again = synchronized(raw, Lock())
    del raw, others
    assert again.value == 2**40
    assert [Value("d").value for _ in range(100)] == [0.0] * 100
    large = Value(ctypes.c_longdouble, 2.5)
    assert large.value == 2.5


def test_a_value_alone_is_sent_with_its_memory() -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        value = Value("i", 5)
        raw = value.get_obj()
        ours.send(raw)
        received = theirs.recv()
        received.value = 6
        assert (value.value, raw.value) == (6, 6)
        del value, raw
        theirs.send(received)
        assert ours.recv().value == 6
