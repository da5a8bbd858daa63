"""Group `sharedctypes`: values and arrays in shared memory, made and used by one process.

Run as a program it takes one of these measurements with one library and prints the figures.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import Figure, Library, Measurement, Target, at_least

MIB = 1 << 20
ELEMENTS = 1_000_000
HOMES = {"processing_core": "processing_sharedctypes"}


def timed(act: Callable[[], object], count: int, repeats: int = 5) -> dict[str, float]:
    """How often in a second it can be done: the median of some series."""
    act()
    rates = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(count):
            act()
        rates.append(count / (time.perf_counter() - begin))
    return {"rate": statistics.median(rates)}


def made(make: Callable[[], object], count: int) -> dict[str, float]:
    """How many a second can be made that all stay."""
    kept = [make()]
    begin = time.perf_counter()
    kept += [make() for _ in range(count)]
    return {"rate": count / (time.perf_counter() - begin)}


def value(library: Any, scale: float) -> dict[str, float]:
    """Make values with a lock."""
    return made(lambda: library.Value("i", 5), int(2_000 * scale))


def raw_value(library: Any, scale: float) -> dict[str, float]:
    """Make values without a lock."""
    return made(lambda: library.RawValue("i", 5), int(10_000 * scale))


def large_array(library: Any, scale: float) -> dict[str, float]:
    """Make an array of 256 MiB."""
    return timed(lambda: library.Array("b", 256 * MIB), max(1, int(3 * scale)), 3)


def value_access(library: Any, scale: float) -> dict[str, float]:
    """Read and write a value with a lock."""
    one = library.Value("i")

    def act() -> None:
        one.value = one.value

    return timed(act, int(100_000 * scale))


def element_access(library: Any, scale: float) -> dict[str, float]:
    """Read and write an element of an array with a lock."""
    array = library.Array("d", 100)

    def act() -> None:
        array[7] = array[7]

    return timed(act, int(100_000 * scale))


def raw_element(library: Any, scale: float) -> dict[str, float]:
    """Read and write an element of an array without a lock."""
    array = library.RawArray("d", 100)

    def act() -> None:
        array[7] = array[7]

    return timed(act, int(200_000 * scale))


def ones() -> Any:
    """An array of numpy."""
    return importlib.import_module("numpy").ones(ELEMENTS)


def slice_assign(library: Any, scale: float) -> dict[str, float]:
    """Assign a numpy array to a slice of 8 MB."""
    array, source = library.Array("d", ELEMENTS), ones()

    def act() -> None:
        array[:] = source

    return timed(act, max(1, int(3 * scale)))


def slice_read(library: Any, scale: float) -> dict[str, float]:
    """Read a slice of 8 MB."""
    array = library.Array("d", ELEMENTS)
    return timed(lambda: array[:], max(1, int(3 * scale)))


def from_numpy(library: Any, scale: float) -> dict[str, float]:
    """Make an array of a numpy array of 8 MB."""
    source = ones()
    return timed(lambda: library.Array("d", source), max(1, int(2 * scale)))


def numpy_in(library: Any, scale: float) -> dict[str, float]:
    """Write to an array of 8 MB by a view of numpy's."""
    array = library.Array("d", ELEMENTS)
    view, source = importlib.import_module("numpy").frombuffer(array.get_obj()), ones()

    def act() -> None:
        view[:] = source

    return timed(act, int(50 * scale) or 1)


def numpy_out(library: Any, scale: float) -> dict[str, float]:
    """Add up an array of 8 MB by a view of numpy's."""
    array = library.Array("d", ELEMENTS)
    view = importlib.import_module("numpy").frombuffer(array.get_obj())
    view[:] = 1
    return timed(view.sum, int(50 * scale) or 1)


PROGRAMS = {
    program.__name__: program
    for program in (
        value,
        raw_value,
        large_array,
        value_access,
        element_access,
        raw_element,
        slice_assign,
        slice_read,
        from_numpy,
        numpy_in,
        numpy_out,
    )
}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""

    def rate(name: str, label: str, unit: str, target: Target | None = None) -> Measurement:
        return Measurement(command_for(name), (Figure("rate", label, unit, target),))

    found = [
        rate("value", "making a Value with a lock", "values/s", at_least(15)),
        rate("raw_value", "making a RawValue", "values/s", at_least(3)),
        rate("large_array", "making an Array of 256 MiB", "arrays/s", at_least(50)),
        rate("element_access", "Array: read and write an element", "pairs/s", at_least(1.5)),
        rate("value_access", "Value: read and write", "pairs/s"),
        rate("raw_element", "RawArray: read and write an element", "pairs/s", at_least(1)),
        rate("slice_read", "read a slice of 8 MB", "slices/s", at_least(20)),
    ]
    if importlib.util.find_spec("numpy") is not None:
        found += [
            rate("slice_assign", "assign 8 MB of numpy's to a slice", "slices/s", at_least(50)),
            rate("from_numpy", "an Array of 8 MB of numpy's", "arrays/s", at_least(100)),
            rate("numpy_in", "write 8 MB by a numpy view", "times/s", at_least(1)),
            rate("numpy_out", "add up 8 MB by a numpy view", "times/s", at_least(1)),
        ]
    return found


def command_for(name: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command of one of the programs above."""
    return lambda library, quick: [str(Path(__file__)), name, library, "0.1" if quick else "1"]


def main(name: str, library: str, scale: str) -> None:
    """Take one measurement and print its figures."""
    module = importlib.import_module(HOMES.get(library, library))
    print(json.dumps(PROGRAMS[name](module, float(scale))))


if __name__ == "__main__":
    main(*sys.argv[1:])
