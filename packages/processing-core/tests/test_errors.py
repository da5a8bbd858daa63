"""Exceptions: what they derive from, and that every one survives the way to another process."""

from __future__ import annotations

import builtins
import pickle
from typing import Any

import pytest

import children
import processing_core
from children import finished
from processing_core import Process, errors

EVERY = [
    value
    for value in vars(processing_core).values()
    if isinstance(value, type)
    and issubclass(value, BaseException)
    and not issubclass(value, Warning)
]
ARGUMENTS: list[tuple[Any, ...]] = [(), ("text",), (b"\x00message\xff",), ("two", 2), (None, [1])]


@pytest.mark.parametrize("cls", EVERY)
def test_derives_from_process_error(cls: type[BaseException]) -> None:
    assert issubclass(cls, errors.ProcessError)
    assert cls.__doc__


@pytest.mark.parametrize(
    ("cls", "standard"),
    [
        (errors.TimeoutError, builtins.TimeoutError),
        (errors.MisuseError, AssertionError),
        (errors.ClosedError, ValueError),
        (errors.InvalidArgument, ValueError),
        (errors.InvalidType, TypeError),
        (errors.SerializationError, pickle.PicklingError),
        (errors.StartError, RuntimeError),
        (errors.SharingError, RuntimeError),
        (errors.SharingError, errors.SerializationError),
        (errors.OwnerDiedWarning, RuntimeWarning),
    ],
)
def test_is_also_what_the_standard_library_raises(
    cls: type[BaseException], standard: type[BaseException]
) -> None:
    assert issubclass(cls, standard)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("cls", EVERY)
def test_survives_pickling(cls: type[BaseException], arguments: Any, protocol: int) -> None:
    copy = pickle.loads(pickle.dumps(cls(*arguments), protocol))
    assert type(copy) is cls
    assert copy.args == arguments
    assert str(copy) == str(cls(*arguments))


def test_attributes_of_os_errors_survive() -> None:
    error = errors.TimeoutError(110, "took too long")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.errno, copy.strerror) == (110, "took too long")


def test_travels_to_a_spawned_child_and_back(pipe: tuple[Any, Any]) -> None:
    process = Process(target=children.echo, args=(pipe[1],), context="spawn")
    process.start()
    for error in EVERY:
        pipe[0].send(error("text", 3))
        name, copy = pipe[0].recv()
        assert name == error.__qualname__
        assert type(copy) is error
        assert copy.args == ("text", 3)
    for cls in (processing_core.Process, processing_core.Connection, *EVERY):
        pipe[0].send(cls)
        assert pipe[0].recv() == ("type", cls)
    pipe[0].send(None)
    assert finished(process) == 0
