"""Owns what an object may ask while it is pickled or rebuilt: who is it for, where are the
descriptors.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from processing_core.errors import SerializationError

if sys.platform == "win32":
    from processing_core._platform.winapi import CloseHandle as close  # noqa: N813
else:
    from os import close

__all__ = [
    "Arrival",
    "arriving",
    "borrow_descriptor",
    "is_starting_child",
    "starting_child",
    "take_descriptor",
]


class Arrival:
    """The descriptors that came with a message, each to be taken once."""

    __slots__ = ("_descriptors",)

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._descriptors: list[int | None] = list(descriptors)

    def take(self, index: int) -> int:
        descriptor = self._descriptors[index]
        if descriptor is None:
            raise SerializationError(f"descriptor {index} of the message was taken already")
        self._descriptors[index] = None
        return descriptor

    def borrow(self, index: int) -> int:
        """One that stays with the message and is closed with the others."""
        descriptor = self._descriptors[index]
        if descriptor is None:
            raise SerializationError(f"descriptor {index} of the message was taken already")
        return descriptor

    def close(self) -> None:
        """Close those that nobody has taken."""
        for index, descriptor in enumerate(self._descriptors):
            if descriptor is not None:
                self._descriptors[index] = None
                close(descriptor)


class _Here(threading.local):
    starting: bool = False
    arrival: Arrival | None = None


_here = _Here()


def is_starting_child() -> bool:
    """Whether this thread is pickling for a child that is being started."""
    return _here.starting


@contextmanager
def starting_child() -> Iterator[None]:
    """While this thread pickles for a child that is being started."""
    before, _here.starting = _here.starting, True
    try:
        yield
    finally:
        _here.starting = before


@contextmanager
def arriving(arrival: Arrival) -> Iterator[None]:
    """While this thread rebuilds objects from a message; what they do not take is closed."""
    before, _here.arrival = _here.arrival, arrival
    try:
        yield
    finally:
        _here.arrival = before
        arrival.close()


def take_descriptor(index: int) -> int:
    """The descriptor that travelled at ``index`` with the message being rebuilt."""
    return _current_arrival().take(index)


def borrow_descriptor(index: int) -> int:
    """The same, but it stays the message's, and open until that is rebuilt."""
    return _current_arrival().borrow(index)


def _current_arrival() -> Arrival:
    if _here.arrival is None:
        raise SerializationError(
            "this pickle refers to a descriptor, but did not come through a connection"
        )
    return _here.arrival
