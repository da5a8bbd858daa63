"""What children do with shared objects in the tests; without pytest: spawned children import it."""

from __future__ import annotations

import ctypes
import random
from typing import Any

from processing_core import Connection
from processing_sharedctypes import Array, RawArray, Value

AnyConnection = Connection[Any, Any]


class Point(ctypes.Structure):
    """A structure that children find by its name."""

    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Numbers(ctypes.c_short * 3):  # type: ignore[misc]
    """An array type with a name of its own."""


def change(connection: AnyConnection, *objects: Any) -> None:
    """Change what was passed, and what comes, and send the latter back, until None comes."""
    for obj in objects:
        change_one(obj)
    connection.send("changed")
    while (obj := connection.recv()) is not None:
        change_one(obj)
        connection.send(obj)


def change_one(obj: Any) -> None:
    """Increase everything that is in there by one."""
    if hasattr(obj, "x"):
        obj.x += 1
        obj.y += 1
    elif hasattr(obj, "__len__"):
        for index in range(len(obj)):
            obj[index] += 1
    else:
        obj.value += 1


def count_up(value: Any, array: Any, times: int) -> None:
    """Increase a value with its lock held, and an array of numbers with that of the value."""
    for _ in range(times):
        with value:
            value.value += 1
            array[0] += 1


def allocate_for_ever(connection: AnyConnection, seed: int) -> None:
    """Make, keep, drop and send objects of all sizes, until somebody kills this process."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    kept: list[Any] = []
    while True:
        if len(kept) > 40:
            kept.pop(chance.randrange(len(kept)))
        size = chance.choice([1, 8, 100, 5_000, 300_000, 1_500_000])
        made: Any = Array("b", size) if chance.random() < 0.5 else RawArray("b", size)
        if chance.random() < 0.2:
            made = Value("d", 1.5)
        kept.append(made)
        if chance.random() < 0.1:
            connection.send(made)


def hold_all(connection: AnyConnection) -> None:
    """Keep what comes, and say so, until somebody kills this process."""
    kept = []
    while True:
        kept.append(connection.recv())
        connection.send(len(kept))
