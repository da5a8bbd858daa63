"""Group `pipes`: how fast messages go through `Pipe()`, one way and there and back.

Run as a program it takes one of these measurements with one library and prints the figures. Every
stream starts with untimed messages, so that both sides are up and warm. Forked children are used,
because how the other end was started makes no difference to a pipe.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from echo import WARM_UP, all_processors_busy, time_trips
from harness import Figure, Library, LibraryModule, Measurement, Target, at_least, at_most

KIB = 1024
MIB = 1024 * KIB
SMALL = bytes(range(256))

Send = Callable[[Any], object]
Receive = Callable[[], object]


# Streams: a forked child sends, the parent receives


def stream(
    library: LibraryModule,
    connect: Callable[[Any, Any], tuple[Send, Receive]],
    payload: object,
    count: int,
    *,
    warm_up: int,
    duplex: bool = True,
    unit: float = 1.0,
    ends: tuple[Any, Any] | None = None,
) -> dict[str, float]:
    """Let a child send `payload` `count` times, and return what receiving all took.

    It goes through `ends`, the receiving and the sending one, or through a pipe. `connect` is given
    both and returns what to call on them. The rate is in messages of one `unit` a second; the
    processor time, in microseconds for each message, is that of both processes.
    """
    receiving, sending = library.Pipe(duplex) if ends is None else ends
    send, receive = connect(receiving, sending)
    gate, opener = os.pipe()
    result, report = os.pipe()

    def sender() -> None:
        for _ in range(warm_up):
            send(payload)
        os.read(gate, 1)
        before = time.process_time_ns()
        for _ in range(count):
            send(payload)
        os.write(report, str(time.process_time_ns() - before).encode())

    process = library.get_context("fork").Process(target=sender)
    process.start()
    sending.close()
    for _ in range(warm_up):
        receive()
    os.write(opener, b"!")
    before, begin = time.process_time_ns(), time.perf_counter()
    for _ in range(count):
        receive()
    seconds, processor = time.perf_counter() - begin, time.process_time_ns() - before
    process.join()
    processor += int(os.read(result, 100))
    return {"rate": unit * count / seconds, "processor": processor / count / 1000}


def as_objects(receiving: Any, sending: Any) -> tuple[Send, Receive]:
    """Through send and recv."""
    return sending.send, receiving.recv


def as_bytes(receiving: Any, sending: Any) -> tuple[Send, Receive]:
    """Through send_bytes and recv_bytes."""
    return sending.send_bytes, receiving.recv_bytes


def small_objects(library: LibraryModule, scale: float) -> dict[str, float]:
    """One-way objects of 256 bytes."""
    return stream(library, as_objects, SMALL, int(60_000 * scale), warm_up=500)


def small_objects_simplex(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same through Pipe(duplex=False)."""
    return stream(library, as_objects, SMALL, int(60_000 * scale), warm_up=500, duplex=False)


def small_bytes(library: LibraryModule, scale: float) -> dict[str, float]:
    """One-way messages of 256 bytes."""
    return stream(library, as_bytes, SMALL, int(60_000 * scale), warm_up=500)


def medium_into(library: LibraryModule, scale: float) -> dict[str, float]:
    """Messages of 1 MiB, received into a buffer that is kept."""
    payload = bytes(MIB)
    buffer = bytearray(MIB)

    def into(receiving: Any, sending: Any) -> tuple[Send, Receive]:
        return sending.send_bytes, lambda: receiving.recv_bytes_into(buffer)

    return stream(library, into, payload, int(400 * scale), warm_up=10)


def large_bytes(library: LibraryModule, scale: float) -> dict[str, float]:
    """Messages of 64 MiB, each received as a new bytes object."""
    payload = bytes(64 * MIB)
    count = max(2, int(6 * scale))
    return stream(library, as_bytes, payload, count, warm_up=1, unit=64)


def arrays(library: LibraryModule, scale: float) -> dict[str, float]:
    """Numpy arrays of 8 MiB. The receiver reads from every page: unread ones may not be there."""
    numpy = importlib.import_module("numpy")
    payload = numpy.arange(MIB, dtype=numpy.float64)
    expected = payload[::512].sum()
    count = max(4, int(30 * scale))

    def checked(receiving: Any, sending: Any) -> tuple[Send, Receive]:
        def receive() -> None:
            if receiving.recv()[::512].sum() != expected:
                raise AssertionError("the array arrived damaged")

        return sending.send, receive

    return stream(library, checked, payload, count, warm_up=3, unit=8)


# There and back


def round_trip(library: LibraryModule, scale: float, count: int = 8_000) -> dict[str, float]:
    """Messages of 256 bytes that a child sends back, in microseconds there and back."""
    here, there = library.Pipe()
    count = int(count * scale)

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


def busy_round_trip(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same while every processor has something else to do."""
    with all_processors_busy():
        return round_trip(library, scale, 2_000)


PROGRAMS = {
    program.__name__: program
    for program in (
        small_objects,
        small_objects_simplex,
        small_bytes,
        medium_into,
        large_bytes,
        arrays,
        round_trip,
        busy_round_trip,
    )
}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""

    def rate(name: str, label: str, unit: str, target: Target | None) -> Measurement:
        figures = [Figure("rate", label, unit, target)]
        if unit == "messages/s" and target is not None:
            figures.append(Figure("processor", "processor time for each", "µs"))
        return Measurement(command_for(name), tuple(figures))

    found = [
        rate("small_objects", "256-byte objects one way", "messages/s", at_least(2)),
        rate("small_objects_simplex", "the same, Pipe(duplex=False)", "messages/s", None),
        rate("small_bytes", "256-byte bytes one way", "messages/s", at_least(2)),
        rate("medium_into", "1 MiB, recv_bytes_into", "MiB/s", at_least(2)),
        rate("large_bytes", "64 MiB bytes", "MiB/s", at_least(3)),
    ]
    if importlib.util.find_spec("numpy") is not None:
        found.append(rate("arrays", "8 MiB numpy arrays", "MiB/s", at_least(5)))
    found.append(
        Measurement(
            command_for("round_trip"),
            (
                Figure("p50", "256-byte round trip, median", "µs", at_most(1)),
                Figure("p99", "its 99th percentile", "µs"),
                Figure("mean", "its mean", "µs"),
            ),
        )
    )
    found.append(
        Measurement(
            command_for("busy_round_trip"),
            (
                Figure("p50", "the same, all processors busy", "µs"),
                Figure("p99", "its 99th percentile", "µs"),
                Figure("mean", "its mean", "µs"),
            ),
        )
    )
    return found


def command_for(name: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command of one of the programs above."""
    return lambda library, quick: [str(Path(__file__)), name, library, "0.2" if quick else "1"]


def main(name: str, library: str, scale: str) -> None:
    """Take one measurement and print its figures."""
    module = cast("LibraryModule", importlib.import_module(library))
    print(json.dumps(PROGRAMS[name](module, float(scale))))


if __name__ == "__main__":
    main(*sys.argv[1:])
