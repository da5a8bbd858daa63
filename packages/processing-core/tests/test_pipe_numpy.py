"""Buffers travel out of band: numpy arrays, PickleBuffers, bytearrays of any size."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import pipe_children
from children import finished
from conftest import Starter

numpy = pytest.importorskip("numpy")

SHAPES = [(0,), (1,), (3, 4), (8192,), (100_000,), (300, 500), (50, 60, 70)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["f8", "i4", "u1", "c16", "?", "S5"])
def test_an_array_arrives_equal_and_writable(
    pipe: tuple[Any, Any], shape: tuple[int, ...], kind: str
) -> None:
    array = numpy.arange(numpy.prod(shape)).astype(kind).reshape(shape)
    pipe[0].send(array)
    copy = pipe[1].recv()
    assert copy.dtype == array.dtype
    assert copy.shape == array.shape
    assert numpy.array_equal(copy, array)
    assert copy.flags.writeable
    copy[...] = 0
    assert shape == (0,) or kind == "?" or not numpy.array_equal(copy, array) or array.size == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a[::2],
        lambda a: a.T,
        numpy.asfortranarray,
        lambda a: a[5:5],
        lambda a: a.astype(object),
        lambda a: a.astype([("x", "f8")]),
        lambda a: numpy.ma.masked_greater(a, 5),
    ],
    ids=["strided", "transposed", "fortran", "empty", "objects", "records", "masked"],
)
def test_arrays_of_every_layout(pipe: tuple[Any, Any], make: Any) -> None:
    array = make(numpy.arange(90_000.0).reshape(300, 300))
    pipe[0].send(array)
    copy = pipe[1].recv()
    assert type(copy) is type(array)
    assert numpy.array_equal(copy, array)
    assert copy.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc


def test_several_arrays_in_one_message(pipe: tuple[Any, Any]) -> None:
    arrays = {n: numpy.full(n * 1000, n, dtype="f4") for n in (0, 1, 10, 100, 1000)}
    pipe[0].send([arrays, "and more"])
    copies, more = pipe[1].recv()
    assert more == "and more"
    for n, array in arrays.items():
        assert numpy.array_equal(copies[n], array)
        copies[n][...] = -1  # each has memory of its own
    for n, array in arrays.items():
        assert numpy.all(array == n)
        assert numpy.all(copies[n] == -1)


def test_received_arrays_are_independent_of_the_pipe(pipe: tuple[Any, Any]) -> None:
    """Blocks are used again; an array that was received earlier must not change by that."""
    kept = []
    for n in range(12):
        pipe[0].send(numpy.full(100_000, n))
        kept.append(pipe[1].recv())
    for end in pipe:
        end.close()
    for n, array in enumerate(kept):
        assert numpy.all(array == n)
        array[...] = -1


def test_the_sender_may_change_an_array_after_send(pipe: tuple[Any, Any]) -> None:
    array = numpy.zeros(200_000)
    for n in range(5):
        array[...] = n
        pipe[0].send(array)
        array[...] = -1
        assert numpy.all(pipe[1].recv() == n)


def test_arrays_travel_to_a_child_and_back(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(pipe_children.fill_array, pipe[1])
    for size in (10, 10_000, 1_000_000):
        pipe[0].send(numpy.arange(size))
        assert numpy.array_equal(pipe[0].recv(), numpy.arange(size) + 1)
    pipe[0].send(None)
    assert finished(process) == 0


def test_arrays_as_arguments(start: Starter, one_way: tuple[Any, Any]) -> None:
    array = numpy.arange(500_000.0)
    process = start(pipe_children.send_all, one_way[1], [array, array[:10]])
    assert numpy.array_equal(one_way[0].recv(), array)
    assert numpy.array_equal(one_way[0].recv(), array[:10])
    assert finished(process) == 0


def test_read_only_arrays(pipe: tuple[Any, Any]) -> None:
    array = numpy.arange(100_000)
    array.setflags(write=False)
    pipe[0].send(array)
    assert numpy.array_equal(pipe[1].recv(), array)


@pytest.mark.parametrize("size", [10, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 1_000_000])
def test_pickle_buffers(pipe: tuple[Any, Any], size: int) -> None:
    data = pipe_children.pattern(size)
    for one in (bytearray(data), data):
        pipe[0].send([pickle.PickleBuffer(one), "beside"])
        buffer, beside = pipe[1].recv()
        assert bytes(buffer) == data
        assert beside == "beside"
    assert not pipe[1].poll()


def test_an_array_is_sent_as_bytes_too(pipe: tuple[Any, Any]) -> None:
    array = numpy.arange(300_000, dtype="u2")
    pipe[0].send_bytes(array)
    target = numpy.zeros_like(array)
    assert pipe[1].recv_bytes_into(target) == array.nbytes
    assert numpy.array_equal(target, array)


def test_a_message_with_buffers_is_refused_as_bytes_or_whole(pipe: tuple[Any, Any]) -> None:
    """recv_bytes of an object with buffers out of band cannot give a pickle that loads alone."""
    pipe[0].send(numpy.arange(100_000))
    pipe[0].send("next")
    try:
        data = pipe[1].recv_bytes()
    except OSError:
        data = None
    if data is not None:
        assert numpy.array_equal(pickle.loads(data), numpy.arange(100_000))
    assert pipe[1].recv() == "next"
