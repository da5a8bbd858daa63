"""Group `locks`: what locks, conditions and events cost, alone and contended.

Run as a program it takes one of these measurements with one library and prints the figures.
"""

from __future__ import annotations

import importlib
import json
import mmap
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from crew import Job, work_together
from harness import Figure, Library, LibraryModule, Measurement, Target, at_least

CONTENDERS = 4


# Alone


def repeat(act: Callable[[int], object], count: int) -> dict[str, float]:
    """How often a second `act` does what it is asked to do `count` times."""
    act(count // 50)
    begin = time.perf_counter()
    act(count)
    return {"rate": count / (time.perf_counter() - begin)}


def pairs(first: Callable[[], object], second: Callable[[], object]) -> Callable[[int], None]:
    """Call one after the other, so many times."""

    def act(count: int) -> None:
        for _ in range(count):
            first()
            second()

    return act


def entering(lock: Any) -> Callable[[int], None]:
    """Enter and leave a `with` block, so many times."""

    def act(count: int) -> None:
        for _ in range(count):
            with lock:
                pass

    return act


def lock(library: LibraryModule, scale: float) -> dict[str, float]:
    """Acquire and release a lock that nobody else wants."""
    one = library.get_context("fork").Lock()
    return repeat(pairs(one.acquire, one.release), int(1_000_000 * scale))


def lock_with(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same by `with`."""
    return repeat(entering(library.get_context("fork").Lock()), int(1_000_000 * scale))


def rlock(library: LibraryModule, scale: float) -> dict[str, float]:
    """Acquire and release a recursive lock that nobody else wants."""
    one = library.get_context("fork").RLock()
    return repeat(pairs(one.acquire, one.release), int(1_000_000 * scale))


def rlock_with(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same by `with`."""
    return repeat(entering(library.get_context("fork").RLock()), int(1_000_000 * scale))


def semaphore(library: LibraryModule, scale: float) -> dict[str, float]:
    """Acquire and release a semaphore that nobody else wants."""
    one = library.get_context("fork").Semaphore(3)
    return repeat(pairs(one.acquire, one.release), int(1_000_000 * scale))


def event_is_set(library: LibraryModule, scale: float) -> dict[str, float]:
    """Look at an event."""
    is_set = library.get_context("fork").Event().is_set

    def act(count: int) -> None:
        for _ in range(count):
            is_set()

    return repeat(act, int(500_000 * scale))


def event_set_clear(library: LibraryModule, scale: float) -> dict[str, float]:
    """Set and clear an event that nobody waits for."""
    one = library.get_context("fork").Event()
    return repeat(pairs(one.set, one.clear), int(200_000 * scale))


def creation(library: LibraryModule, scale: float) -> dict[str, float]:
    """Make locks, all of which stay."""
    make = library.get_context("fork").Lock
    count = int(2_000 * scale)
    locks = [make()]
    begin = time.perf_counter()
    locks += [make() for _ in range(count)]
    return {"rate": count / (time.perf_counter() - begin)}


# Among several processes


def contended(library: LibraryModule, scale: float) -> dict[str, float]:
    """Four processes acquire and release the same lock."""
    context = library.get_context("fork")
    one, count = context.Lock(), int(50_000 * scale)
    act = pairs(one.acquire, one.release)
    job = Job(lambda: act(count), lambda: act(100))
    outcome = work_together(context, [job] * CONTENDERS)
    return {"rate": CONTENDERS * count / outcome.seconds}


def contended_with(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same by `with`, as programs do it."""
    context = library.get_context("fork")
    act, count = entering(context.Lock()), int(50_000 * scale)
    job = Job(lambda: act(count), lambda: act(100))
    outcome = work_together(context, [job] * CONTENDERS)
    return {"rate": CONTENDERS * count / outcome.seconds}


def contended_counter(library: LibraryModule, scale: float) -> dict[str, float]:
    """The same, counting in shared memory while they hold it."""
    context = library.get_context("fork")
    one, count = context.Lock(), int(50_000 * scale)
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    words = memoryview(shared).cast("Q")

    def act() -> None:
        for _ in range(count):
            with one:
                words[0] += 1

    outcome = work_together(context, [Job(act)] * CONTENDERS)
    if words[0] != CONTENDERS * count:
        raise AssertionError(f"the lock does not exclude: {words[0]}")
    return {"rate": CONTENDERS * count / outcome.seconds}


def ping_pong(library: LibraryModule, scale: float) -> dict[str, float]:
    """Two processes take turns by a condition; how many turns there are in a second."""
    context = library.get_context("fork")
    condition, count = context.Condition(), int(5_000 * scale)
    turn = mmap.mmap(-1, mmap.PAGESIZE)

    def player(me: int) -> Callable[[int], None]:
        def play(count: int) -> None:
            for _ in range(count):
                with condition:
                    while turn[0] != me:
                        condition.wait()
                    turn[0] = 1 - me
                    condition.notify()

        return play

    ping, pong = player(0), player(1)
    outcome = work_together(
        context,
        [
            Job(lambda: ping(count), lambda: ping(100)),
            Job(lambda: pong(count), lambda: pong(100)),
        ],
    )
    return {"rate": 2 * count / outcome.seconds}


def barrier(library: LibraryModule, scale: float) -> dict[str, float]:
    """Two processes meet at a barrier again and again."""
    context = library.get_context("fork")
    count = int(2_000 * scale)
    one = context.Barrier(2)

    def meet() -> None:
        for _ in range(count):
            one.wait()

    outcome = work_together(context, [Job(meet), Job(meet)])
    return {"rate": count / outcome.seconds}


PROGRAMS = {
    program.__name__: program
    for program in (
        lock,
        lock_with,
        rlock,
        rlock_with,
        semaphore,
        event_is_set,
        event_set_clear,
        creation,
        contended,
        contended_with,
        contended_counter,
        ping_pong,
        barrier,
    )
}


# The group


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""

    def rate(name: str, label: str, unit: str, target: Target | None = None) -> Measurement:
        return Measurement(command_for(name), (Figure("rate", label, unit, target),))

    return [
        rate("lock", "Lock: acquire, release", "pairs/s", at_least(1)),
        rate("lock_with", "the same by with", "pairs/s"),
        rate("rlock", "RLock: acquire, release", "pairs/s", at_least(1)),
        rate("rlock_with", "the same by with", "pairs/s"),
        rate("semaphore", "Semaphore: acquire, release", "pairs/s"),
        # The methods are the same code in C for both.
        rate("contended", "Lock, 4 processes: acquire, release", "pairs/s"),
        rate("contended_with", "the same by with", "pairs/s", at_least(1.3)),
        rate("contended_counter", "the same, counting under it", "pairs/s", at_least(1.3)),
        rate("creation", "making a Lock", "locks/s", at_least(15)),
        rate("ping_pong", "Condition, 2 processes by turns", "turns/s", at_least(2)),
        rate("event_is_set", "Event.is_set", "calls/s", at_least(6)),
        rate("event_set_clear", "Event: set, clear", "pairs/s", at_least(2)),
        rate("barrier", "Barrier, 2 processes", "meetings/s"),
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
