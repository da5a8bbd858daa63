"""What type checkers must see; mypy reads it, and it also runs."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import MutableSequence
from typing import Any, assert_type

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

from processing_core import RLock
from processing_sharedctypes import (
    Array,
    RawArray,
    RawValue,
    Synchronized,
    SynchronizedArray,
    SynchronizedString,
    Value,
    synchronized,
)
from sharing_children import Point


def test_values() -> None:
    assert_type(Value("i"), Synchronized[int])
    assert_type(Value("i", 5, lock=RLock()).value, int)
    assert_type(Value("d", 0.5), Synchronized[float])
    assert_type(Value("c"), Synchronized[bytes])
    assert_type(Value(ctypes.c_long), Synchronized[int])
    assert_type(Value(ctypes.c_bool).value, bool)
    assert_type(RawValue("i").value, int)
    assert_type(RawValue(Point, 1, 2.0), Point)
    assert_type(Value(Point, lock=False), Point)
    assert_type(synchronized(RawValue("i")), Synchronized[int])
    with pytest.raises(TypeError):
        Value("i").value = "text"  # type: ignore[assignment]


def test_arrays() -> None:
    numbers = Array("i", 3)
    assert_type(numbers, SynchronizedArray[int])
    assert_type(numbers[0], int)
    assert_type(numbers[:], MutableSequence[int])
    assert_type(Array("d", [1.0, 2.0]), SynchronizedArray[float])
    assert_type(Array("d", [1.0])[0], float)
    assert_type(Array("c", b"text"), SynchronizedString)
    assert_type(Array("c", b"text").value, bytes)
    assert_type(Array(ctypes.c_int, 2)[0], int)
    assert_type(Array(Point, 2)[0], Point)
    assert_type(Array(ctypes.c_int, 2, lock=False), ctypes.Array[ctypes.c_int])
    assert_type(RawArray(Point, 2), ctypes.Array[Point])
    for element in numbers:
        assert_type(element, int)
    code: str = "i"
    anything: Any = Array(code, 2)
    assert len(anything) == 2
