"""Group `connections`: messages between a listener and its client, and how soon they are connected.

Run as a program it takes one of these measurements with one library, over one family, and prints
the figures. The other end is in a forked child of the same machine.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from bench_pipes import MIB, SMALL, as_bytes, as_objects, stream
from echo import WARM_UP, time_trips
from harness import Figure, Library, LibraryModule, Measurement, Target, at_least, at_most

FAMILIES = ("AF_UNIX", "AF_INET")
KEY = b"the key of both"


def door(library: LibraryModule) -> Any:
    """The module with listeners and clients."""
    return importlib.import_module(f"{cast('Any', library).__name__}.connection")


def ends(library: LibraryModule, family: str) -> tuple[Any, Any]:
    """The listener's end of a connection and the client's."""
    module = door(library)
    with module.Listener(None, family) as listener:
        client = module.Client(listener.address)
        return listener.accept(), client


def small_objects(library: LibraryModule, family: str, scale: float) -> dict[str, float]:
    """One-way objects of 256 bytes, from the client."""
    count = int(60_000 * scale)
    return stream(library, as_objects, SMALL, count, warm_up=500, ends=ends(library, family))


def small_bytes(library: LibraryModule, family: str, scale: float) -> dict[str, float]:
    """One-way messages of 256 bytes, from the client."""
    count = int(60_000 * scale)
    return stream(library, as_bytes, SMALL, count, warm_up=500, ends=ends(library, family))


def large_bytes(library: LibraryModule, family: str, scale: float) -> dict[str, float]:
    """Messages of 64 MiB, each received as a new bytes object."""
    payload = bytes(64 * MIB)
    count = max(2, int(6 * scale))
    pair = ends(library, family)
    return stream(library, as_bytes, payload, count, warm_up=1, unit=64, ends=pair)


def round_trip(library: LibraryModule, family: str, scale: float) -> dict[str, float]:
    """Messages of 256 bytes that a child sends back, in microseconds there and back."""
    here, there = ends(library, family)
    count = int(8_000 * scale)

    def echo() -> None:
        receive, send = there.recv_bytes, there.send_bytes
        for _ in range(WARM_UP + count):
            send(receive())

    def trip() -> None:
        here.send_bytes(SMALL)
        here.recv_bytes()

    process = library.get_context("fork").Process(target=echo)
    process.start()
    figures = time_trips(trip, count)
    process.join()
    return figures


def connecting(library: LibraryModule, family: str, scale: float) -> dict[str, float]:
    """Clients that connect, authenticate and leave, one after the other."""
    module = door(library)
    count = int(1_000 * scale)
    # As many as there may be wait to be accepted, so that it is not the queue that is measured.
    listener = module.Listener(None, family, backlog=128, authkey=KEY)

    def accept() -> None:
        for _ in range(WARM_UP + count):
            listener.accept().close()

    process = library.get_context("fork").Process(target=accept)
    process.start()
    for _ in range(WARM_UP):
        module.Client(listener.address, authkey=KEY).close()
    begin = time.perf_counter()
    for _ in range(count):
        module.Client(listener.address, authkey=KEY).close()
    seconds = time.perf_counter() - begin
    process.join()
    listener.close()
    return {"rate": count / seconds}


PROGRAMS = {
    program.__name__: program
    for program in (small_objects, small_bytes, large_bytes, round_trip, connecting)
}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""
    return [measurement for family in FAMILIES for measurement in measurements_over(family)]


def measurements_over(family: str) -> list[Measurement]:
    """Those of one family."""

    def rate(name: str, label: str, unit: str, target: Target) -> Measurement:
        figures = [Figure("rate", f"{family}: {label}", unit, target)]
        if unit == "messages/s":
            figures.append(Figure("processor", "processor time for each", "µs"))
        return Measurement(command_for(name, family), tuple(figures))

    return [
        rate("small_objects", "256-byte objects one way", "messages/s", at_least(1.8)),
        rate("small_bytes", "256-byte bytes one way", "messages/s", at_least(1.8)),
        rate("large_bytes", "64 MiB bytes", "MiB/s", at_least(2)),
        Measurement(
            command_for("round_trip", family),
            (
                Figure("p50", f"{family}: 256-byte round trip, median", "µs", at_most(1)),
                Figure("p99", "its 99th percentile", "µs"),
                Figure("mean", "its mean", "µs"),
            ),
        ),
        rate("connecting", "connect and authenticate", "clients/s", at_least(1.5)),
    ]


def command_for(name: str, family: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command of one of the programs above."""
    program = str(Path(__file__))
    return lambda library, quick: [program, name, library, family, "0.1" if quick else "1"]


def main(name: str, library: str, family: str, scale: str) -> None:
    """Take one measurement and print its figures."""
    module = cast("LibraryModule", importlib.import_module(library))
    print(json.dumps(PROGRAMS[name](module, family, float(scale))))


if __name__ == "__main__":
    main(*sys.argv[1:])
