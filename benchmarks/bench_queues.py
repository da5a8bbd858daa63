"""Group `queues`: how fast items go through queues, and what a queue costs that nobody uses.

Run as a program it takes one of these measurements with one library and prints the figures.
Producers and consumers are forked children, so that the parent only holds the clock.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from crew import Job, work_together
from echo import WARM_UP, all_processors_busy, time_trips
from harness import Figure, Library, LibraryModule, Measurement, Target, at_least, at_most, below

KIB = 1024
MIB = 1024 * KIB
SMALL = bytes(range(256))
BATCH = 100
# Large items go through a queue with a limit, as programs that mind their memory have it.
LIMIT = 8
IDLE_SECONDS = 10.0


# Streams: producers put, consumers get


def stream(
    context: Any,
    queue: Any,
    produce: Callable[[int], object],
    consume: Callable[[int], object],
    count: int,
    *,
    pairs: int = 1,
    warm_up: int,
    unit: float = 1.0,
) -> dict[str, float]:
    """Let `pairs` producers and as many consumers pass on `count` items each.

    The rate is in items of one `unit` a second; the processor time, in microseconds for each item,
    is that of all of them.
    """
    jobs = [
        Job(lambda act=act: act(count), lambda act=act: act(warm_up))  # type: ignore[misc]
        for act in (produce, consume)
        for _ in range(pairs)
    ]
    outcome = work_together(context, jobs)
    with contextlib.suppress(AttributeError):  # a SimpleQueue of Python 3.11 has it, others had not
        queue.close()
    total = count * pairs
    return {"rate": unit * total / outcome.seconds, "processor": outcome.processor / total * 1e6}


def putting(queue: Any, payload: object) -> Callable[[int], None]:
    """Put the payload so many times."""

    def produce(count: int) -> None:
        put = queue.put
        for _ in range(count):
            put(payload)

    return produce


def getting(queue: Any) -> Callable[[int], None]:
    """Get so many items."""

    def consume(count: int) -> None:
        get = queue.get
        for _ in range(count):
            get()

    return consume


def one_and_one(library: LibraryModule, scale: float) -> dict[str, float]:
    """Objects of 256 bytes, one producer and one consumer."""
    context = library.get_context("fork")
    queue = context.Queue()
    count = int(60_000 * scale)
    return stream(context, queue, putting(queue, SMALL), getting(queue), count, warm_up=500)


def small_tuples(library: LibraryModule, scale: float) -> dict[str, float]:
    """Tuples of a text and numbers instead, which have to be pickled."""
    context = library.get_context("fork")
    queue = context.Queue()
    count = int(60_000 * scale)
    item = ("a task of some kind", 17, 2.5, None, ("x", 3))
    return stream(context, queue, putting(queue, item), getting(queue), count, warm_up=500)


def four_and_four(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same with four producers and four consumers."""
    context = library.get_context("fork")
    queue = context.Queue()
    count = int(10_000 * scale)
    return stream(
        context, queue, putting(queue, SMALL), getting(queue), count, pairs=4, warm_up=100
    )


def simple(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same through a SimpleQueue, one producer and one consumer."""
    context = library.get_context("fork")
    queue = context.SimpleQueue()
    count = int(60_000 * scale)
    return stream(context, queue, putting(queue, SMALL), getting(queue), count, warm_up=500)


def batches(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same in batches of 100; the standard library has none and takes its items one by one."""
    context = library.get_context("fork")
    queue = context.Queue()
    count = int(100_000 * scale)
    if not hasattr(queue, "put_many"):
        return stream(context, queue, putting(queue, SMALL), getting(queue), count, warm_up=500)
    batch = [SMALL] * BATCH

    def produce(count: int) -> None:
        for _ in range(count // BATCH):
            queue.put_many(batch)

    def consume(count: int) -> None:
        while count:
            count -= len(queue.get_many(min(count, BATCH)))

    return stream(context, queue, produce, consume, count, warm_up=500)


def medium(library: LibraryModule, scale: float, limit: int = LIMIT) -> dict[str, float]:
    """Bytes objects of 1 MiB."""
    context = library.get_context("fork")
    queue = context.Queue(limit)
    count = int(400 * scale)
    return stream(context, queue, putting(queue, bytes(MIB)), getting(queue), count, warm_up=10)


def medium_unbounded(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same through a queue without a limit."""
    return medium(library, scale, 0)


def arrays(library: LibraryModule, scale: float, limit: int = LIMIT) -> dict[str, float]:
    """Numpy arrays of 8 MiB. The receiver reads from every page: unread ones may not be there."""
    numpy = importlib.import_module("numpy")
    context = library.get_context("fork")
    queue = context.Queue(limit)
    payload = numpy.arange(MIB, dtype=numpy.float64)
    expected = payload[::512].sum()

    def consume(count: int) -> None:
        for _ in range(count):
            if queue.get()[::512].sum() != expected:
                raise AssertionError("the array arrived damaged")

    count = max(4, int(30 * scale))
    return stream(context, queue, putting(queue, payload), consume, count, warm_up=3, unit=8)


def arrays_unbounded(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same through a queue without a limit."""
    return arrays(library, scale, 0)


# There and back


def round_trip(library: LibraryModule, scale: float, count: int = 8_000) -> dict[str, float]:
    """Items of 256 bytes that a child sends back by another queue; microseconds there and back."""
    context = library.get_context("fork")
    there, back = context.Queue(), context.Queue()
    count = int(count * scale)

    def echo() -> None:
        for _ in range(WARM_UP + count):
            back.put(there.get())

    def trip() -> None:
        there.put(SMALL)
        back.get()

    process = context.Process(target=echo)
    process.start()
    figures = time_trips(trip, count)
    process.join()
    return figures


def busy_round_trip(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same while every processor has something else to do."""
    with all_processors_busy():
        return round_trip(library, scale, 2_000)


# Queues that nobody uses


def idle(library: LibraryModule, scale: float) -> dict[str, float]:
    """The processor time, in milliseconds, of a consumer that waits ten seconds for an item."""
    context = library.get_context("fork")
    queue, results = context.Queue(), context.SimpleQueue()

    def wait() -> None:
        queue.get()
        before = time.process_time_ns()
        queue.get()
        results.put((time.process_time_ns() - before) / 1e6)

    process = context.Process(target=wait)
    process.start()
    queue.put(SMALL)
    time.sleep(IDLE_SECONDS * scale)
    queue.put(SMALL)
    milliseconds: float = results.get()
    process.join()
    return {"processor": milliseconds}


def memory(library: LibraryModule, scale: float) -> dict[str, float]:
    """The memory, in KiB, by which this process grows with each queue that was used once.

    That is its proportional share of what is mapped, shared memory included; pages of a file that
    nobody has mapped are not in there, and neither is what the kernel has of pipes and descriptors.
    """
    context = library.get_context("fork")
    count = max(5, int(50 * scale))

    def used_queue() -> Any:
        queue = context.Queue()
        queue.put(SMALL)
        queue.get()
        return queue

    queues = [used_queue() for _ in range(5)]  # what all of them share is loaded and there now
    before = resident_kib()
    queues += [used_queue() for _ in range(count)]
    grown = resident_kib() - before
    for queue in queues:
        queue.close()
    return {"kib": grown / count}


def resident_kib() -> int:
    """The proportional set size of this process."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("smaps_rollup has no line Pss")


def creation(library: LibraryModule, scale: float) -> dict[str, float]:
    """Making queues, in microseconds for each."""
    context = library.get_context("fork")
    count = max(5, int(80 * scale))
    queues = [context.Queue()]
    begin = time.perf_counter_ns()
    queues += [context.Queue() for _ in range(count)]
    return {"time": (time.perf_counter_ns() - begin) / count / 1000}


PROGRAMS = {
    program.__name__: program
    for program in (
        one_and_one,
        small_tuples,
        four_and_four,
        batches,
        simple,
        medium,
        medium_unbounded,
        arrays,
        arrays_unbounded,
        round_trip,
        busy_round_trip,
        idle,
        memory,
        creation,
    )
}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""

    def rate(name: str, label: str, unit: str, target: Target | None) -> Measurement:
        figures = [Figure("rate", label, unit, target)]
        if unit == "items/s":
            figures.append(Figure("processor", "processor time for each", "µs"))
        return Measurement(command_for(name), tuple(figures))

    found = [
        rate("one_and_one", "256-byte items, 1 producer, 1 consumer", "items/s", at_least(3)),
        rate("small_tuples", "small tuples", "items/s", None),
        rate("four_and_four", "4 producers, 4 consumers", "items/s", at_least(3)),
        rate("batches", "put_many, get_many of 100", "items/s", at_least(8)),
        rate("simple", "SimpleQueue, 1 producer, 1 consumer", "items/s", at_least(3)),
        rate("medium", "1 MiB bytes, maxsize 8", "MiB/s", at_least(12)),
        rate("medium_unbounded", "the same without maxsize", "MiB/s", None),
    ]
    if importlib.util.find_spec("numpy") is not None:
        found += [
            rate("arrays", "8 MiB numpy arrays, maxsize 8", "MiB/s", at_least(10)),
            rate("arrays_unbounded", "the same without maxsize", "MiB/s", None),
        ]
    return [
        *found,
        Measurement(
            command_for("round_trip"),
            (
                Figure("p50", "256-byte round trip, median", "µs", at_most(0.125)),
                Figure("p99", "its 99th percentile", "µs", at_most(0.333)),
                Figure("mean", "its mean", "µs"),
            ),
        ),
        Measurement(
            command_for("busy_round_trip"),
            (
                Figure("p50", "the same, all processors busy", "µs", at_most(1.2)),
                Figure("p99", "its 99th percentile", "µs"),
                Figure("mean", "its mean", "µs", at_most(1.2)),
            ),
        ),
        Measurement(
            command_for("idle"),
            (Figure("processor", "processor time of 10 s in get", "ms"),),
            rounds=3,
        ),
        Measurement(command_for("memory"), (Figure("kib", "an empty queue", "KiB", below(100)),)),
        Measurement(command_for("creation"), (Figure("time", "making a queue", "µs"),)),
    ]


def command_for(name: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command of one of the programs above."""
    return lambda library, quick: [str(Path(__file__)), name, library, "0.1" if quick else "1"]


def main(name: str, library: str, scale: str) -> None:
    """Take one measurement and print its figures."""
    module = cast("LibraryModule", importlib.import_module(library))
    print(json.dumps(PROGRAMS[name](module, float(scale))))


if __name__ == "__main__":
    main(*sys.argv[1:])
