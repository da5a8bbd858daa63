"""Arrays: elements, slices, buffers and numpy."""

from __future__ import annotations

import copy as copying
import ctypes
import json
import pickle
import sys
from array import array
from typing import Any

import pytest

from processing_core import InvalidArgument, InvalidType
from processing_sharedctypes import Array, RawArray, RawValue, copy, synchronized
from sharing_children import Numbers, Point

CODES = "bBhHiIlLqQfd"


@pytest.mark.parametrize("code", list(CODES))
def test_elements_and_slices(code: Any) -> None:
    made: Any = Array(code, [1, 2, 3, 4, 5])
    assert len(made) == 5
    assert (made[0], made[-1]) == (1, 5)
    assert made[:] == [1, 2, 3, 4, 5]
    assert made[1:3] == [2, 3]
    assert made[::-2] == [5, 3, 1]
    assert made[9:] == made[3:1] == []
    made[0] = 7
    made[1:3] = [8, 9]
    assert list(made) == [7, 8, 9, 4, 5]
    made[::2] = (10, 11, 12)
    made[1:2] = iter([13])
    assert made[:] == [10, 13, 11, 4, 12]
    assert 13 in made
    for place in (5, -6):
        with pytest.raises(IndexError):
            _ = made[place]
    for values in ([], [1], range(6)):
        with pytest.raises(ValueError, match="cannot be assigned"):
            made[1:4] = values
    with pytest.raises(TypeError):
        made[0] = "text"
    with pytest.raises(TypeError):
        made[0:2] = ["text", "text"]
    with pytest.raises(TypeError):
        made[0:2] = 5


def test_a_slice_acts_as_a_list() -> None:
    made = Array("d", [3.0, 1.0, 2.0])
    part: Any = made[:]
    assert issubclass(type(part), array)
    assert part == [3.0, 1.0, 2.0]
    assert part == [3.0, 1.0, 2.0]
    assert part != [3.0]
    assert part != (3.0, 1.0, 2.0)
    assert part == made[:]
    assert repr(part) == "[3.0, 1.0, 2.0]"
    assert part + [4] == [4][:0] + part + [4.0] == [3.0, 1.0, 2.0, 4.0]  # noqa: RUF005
    assert part * 2 == 2 * part == [3.0, 1.0, 2.0] * 2
    assert part[1:] == [1.0, 2.0]
    assert part[1] == 1.0
    assert part.copy() == part
    part.sort()
    assert part == sorted(made) == [1.0, 2.0, 3.0]
    part.sort(reverse=True)
    part.append(0.5)
    assert part == [3.0, 2.0, 1.0, 0.5]
    assert made[0] == 3.0  # it is a copy
    assert json.dumps(part.tolist()) == "[3.0, 2.0, 1.0, 0.5]"
    assert copying.copy(part) == pickle.loads(pickle.dumps(part)) == part
    part.clear()
    assert part == []
    with pytest.raises(TypeError):
        hash(part)


def test_characters() -> None:
    made = Array("c", b"hello")
    assert (made.value, made.raw, made[1:3], made[0]) == (b"hello", b"hello", b"el", b"h")
    made.value = b"ab"
    assert (made.value, made.raw) == (b"ab", b"ab\0lo")
    made.rawvalue = b"12345"
    made[0:2] = b"xy"
    assert made.raw == made.rawvalue == b"xy345"
    with pytest.raises(ValueError, match="too long"):
        made.value = b"too many"
    assert Array("c", 3).raw == bytes(3)
    assert Array(ctypes.c_char, bytearray(b"abc")).value == b"abc"
    wide = Array("u", "größer")
    assert (wide.value, wide[1:3]) == ("größer", "rö")
    wide.value = "neu"
    assert wide.value == "neu"


def test_structures_and_nested_arrays() -> None:
    points: Any = Array(Point, [(1, 2.0), (3, 4.0)])
    assert (points[1].x, points[1].y) == (3, 4.0)
    points[0] = (5, 6.0)
    assert points[:][0].x == 5
    table: Any = RawArray(ctypes.c_int * 3, 2)
    table[1][2] = 9
    assert [list(row) for row in table] == [[0, 0, 0], [0, 0, 9]]
    assert [list(row) for row in RawArray(ctypes.c_int * 2, [(1, 2), (3, 4)])] == [[1, 2], [3, 4]]
    named = RawValue(Numbers, 1, 2, 3)
    assert list(named) == [1, 2, 3]
    truths = Array(ctypes.c_bool, [True, False])
    assert truths[:] == [True, False]


def test_sizes() -> None:
    for empty in (Array("i", 0), Array("i", []), Array("i", b"")):
        assert (len(empty), empty[:]) == (0, [])
        empty[:] = []
    assert len(Array("i", True)) == 1
    for make in (Array, RawArray):
        with pytest.raises(InvalidArgument, match="negative"):
            make("i", -1)
        for wrong in (None, 2.5, object()):
            with pytest.raises(InvalidType, match="number of elements"):
                make("i", wrong)  # type: ignore[call-overload]
        for large in (sys.maxsize, 2**70, 2**45):
            with pytest.raises(MemoryError):
                make("d", large)
        with pytest.raises(TypeError):
            make("i", ["1"])
        with pytest.raises(InvalidArgument):
            make("x", 3)


@pytest.mark.parametrize("code", list(CODES))
def test_buffers_of_the_same_elements(code: Any) -> None:
    source = array(code, [1, 2, 3, 4])
    made: Any = Array(code, source)
    assert made[:] == source.tolist()
    made[1:3] = array(code, [8, 9])
    assert made[:] == [1, 8, 9, 4]
    made[:] = memoryview(source)[::-1]  # not contiguous
    assert made[:] == [4, 3, 2, 1]
    # Parts of itself, which overlap.
    made[1:] = memoryview(made.get_obj())[:-1]
    assert made[:] == [4, 4, 3, 2]
    made[:-1] = memoryview(made.get_obj())[1:]
    assert made[:] == [4, 3, 2, 2]
    with pytest.raises(ValueError, match="cannot be assigned"):
        made[:] = source[1:]


def test_buffers_of_other_elements_go_one_by_one() -> None:
    made = Array("i", array("q", [1, 2, 3]))
    assert made[:] == [1, 2, 3]
    made[:] = array("h", [-4, 5, 6])
    assert made[:] == [-4, 5, 6]
    with pytest.raises(TypeError):
        made[:] = array("f", [1.0, 2.0, 3.0])
    with pytest.raises(TypeError):
        Array("i", array("d", [1.0]))
    reals = Array("d", array("i", [1, 2]))
    assert reals[:] == [1.0, 2.0]
    # A byte order of its own.
    swapped = memoryview((ctypes.c_int.__ctype_be__ * 2)(1, 2))
    assert Array("i", (ctypes.c_int.__ctype_le__ * 2)(1, 2))[:] == [1, 2]
    assert swapped.format[0] == ">"
    # Not shared, and synchronized all the same.
    plain = synchronized((ctypes.c_int * 3)(1, 2, 3))
    plain[1:] = array("i", [5, 6])
    assert plain[:] == [1, 5, 6]
    twin = copy(RawArray("i", [7, 8]))
    assert list(twin) == [7, 8]


def test_large_arrays_take_memory_as_they_are_written() -> None:
    before = resident()
    large = RawArray("b", 3 << 30)
    large[0] = large[len(large) - 1] = 7
    assert resident() - before < 16 << 20
    assert (large[0], large[1 << 30], large[-1]) == (7, 0, 7)


def resident() -> int:
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.parametrize("code", list(CODES))
def test_numpy_shares_the_memory(code: Any) -> None:
    np = pytest.importorskip("numpy")
    made: Any = Array(code, 10)
    view = np.asarray(made)
    assert view.dtype == np.asarray(made.get_obj()).dtype == np.dtype(code)
    view[3] = 42
    assert made[3] == 42
    made[4] = 43
    assert view[4] == 43
    assert np.asarray(made, dtype="f8").sum() == 85.0
    assert np.array(made) is not view
    made[:] = np.arange(10).astype(code)
    assert made[:] == list(range(10))
    assert np.frombuffer(made.get_obj(), code).tolist() == list(range(10))
    assert RawArray(code, np.arange(5, dtype=code))[:] == list(range(5))
    large = np.ones(300_000, code)
    for _ in range(3):  # fresh memory, and such that was used before
        filled: Any = Array(code, large)
        assert np.asarray(filled).sum() == 300_000
        del filled
    del view
    if sys.version_info >= (3, 12):
        with memoryview(made) as memory:
            assert memory.nbytes == 10 * ctypes.sizeof(made.get_obj()._type_)


def test_numpy_outlives_the_wrapper() -> None:
    np = pytest.importorskip("numpy")
    view = np.asarray(Array("d", [1.0, 2.0, 3.0]))
    others = [Array("d", [9.0, 9.0, 9.0]) for _ in range(50)]
    assert view.tolist() == [1.0, 2.0, 3.0]
    del others
    table = RawArray(ctypes.c_int * 3, np.arange(12, dtype="i4").reshape(4, 3))
    assert [list(row) for row in table][3] == [9, 10, 11]
    assert np.asarray(table).shape == (4, 3)
    with pytest.raises(TypeError):
        RawArray("i", np.ones((2, 2), "i4"))
