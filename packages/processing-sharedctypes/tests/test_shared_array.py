"""SharedArray: a numpy array in shared memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Any

import pytest

from processing_core import InvalidArgument, InvalidType, Lock, Pipe
from processing_sharedctypes import SharedArray

np = pytest.importorskip("numpy")


def test_has_shape_type_and_lock() -> None:
    shared = SharedArray((2, 3), "float32")
    assert (shared.shape, shared.dtype, len(shared)) == ((2, 3), np.float32, 2)
    assert not shared.array.any()
    with shared as array:
        array[1] = [1, 2, 3]
    shared[0, :] = 7
    row = shared[0]
    row[:] = 0
    assert shared[0].tolist() == [7, 7, 7]
    assert shared[1, 2] == 3
    assert np.shares_memory(np.asarray(shared), shared.array)
    assert np.asarray(shared).dtype == shared.dtype
    assert np.asarray(shared, dtype="f8").dtype == np.float64
    assert not np.shares_memory(np.array(shared, copy=True), shared.array)
    assert repr(shared) == "<SharedArray shape=(2, 3) dtype=float32>"
    lock = Lock()
    assert SharedArray(3, lock=lock).get_lock() is lock


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("d", "f8"),
        ("c", "S1"),
        (ctypes.c_short, "i2"),
        ("int64", "i8"),
        ([("x", "i4"), ("y", "f8")], [("x", "i4"), ("y", "f8")]),
        (float, "f8"),
    ],
)
def test_types(given: Any, expected: Any) -> None:
    assert SharedArray(4, given).dtype == np.dtype(expected)


def test_bad_input() -> None:
    with pytest.raises(InvalidArgument, match="negative"):
        SharedArray((2, -1))
    for shape in (2.5, "ab", None, (1, "x")):
        with pytest.raises(InvalidType, match="shape"):
            SharedArray(shape)  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="Python objects"):
        SharedArray(3, object)
    with pytest.raises(InvalidType, match="no type"):
        SharedArray(3, "nonsense")
    with pytest.raises(InvalidArgument, match="type code"):
        SharedArray(3, "x")
    with pytest.raises(InvalidType, match="Lock"):
        SharedArray(3, lock=5)  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        SharedArray((2**30, 2**30))
    assert SharedArray((0, 3)).array.shape == (0, 3)


def fill(shared: SharedArray, connection: Any) -> None:
    with shared as array:
        array[:] += 1
    other = connection.recv()
    other[:] = np.asarray(shared)
    connection.send(other)


def test_is_shared(start: Any) -> None:
    shared, other = SharedArray((3, 2), "i4"), SharedArray((3, 2), "i8")
    ours, theirs = Pipe()
    with ours, theirs:
        process = start(fill, shared, theirs)
        ours.send(other)
        back = ours.recv()
        assert shared.array.tolist() == [[1, 1]] * 3
        assert other.array.tolist() == back.array.tolist() == [[1, 1]] * 3
        process.join()
    assert process.exitcode == 0


def test_without_numpy() -> None:
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "from processing_sharedctypes import Array, SharedArray\n"
        "print(Array('d', [1.5])[:])\n"
        "try: SharedArray(3)\n"
        "except ImportError as error: print(error)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert outcome.stdout == "[1.5]\nSharedArray needs numpy, which is not installed\n"
