"""Owns what is done with a pool while its workers are killed: calls of all kinds, each of which
knows what may become of its tasks, and what the workers run.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import asyncio
import os
import random
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pickle import PickleBuffer
from typing import Any

from pool_ledger import End, Tally
from processing_core import Pipe
from processing_pool import TaskCancelled, TaskTimeout, WorkerLost
from queue_actors import payload

__all__ = [
    "ACTS",
    "RUNS",
    "WITHOUT_LIMITS_OF_THEIR_OWN",
    "Caller",
    "answer",
    "call_until",
    "read_runs",
]

RUNS = "CHAOS_RUNS"
"""The environment variable with the path of the file in which workers note what they begin."""

_NOTE = struct.Struct("<Q")
LARGE = (3_000, 20_000, 200_000)
RETRIES = 5
LONG_SECONDS = 30.0


# What workers run

_notes: dict[int, int] = {}
"""The descriptor of the file by process, since a fork has its parent's."""


def note(number: int) -> None:
    """Write down that a task is begun; the kernel appends it as a whole or not at all."""
    descriptor = _notes.get(os.getpid())
    if descriptor is None:
        _notes.clear()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = _notes[os.getpid()] = os.open(os.environ[RUNS], flags)
    os.write(descriptor, _NOTE.pack(number))


def read_runs(path: str) -> Iterable[int]:
    """The number of the task for every time that one was begun."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return [number for (number,) in _NOTE.iter_unpack(file.read())]
    except FileNotFoundError:
        return []


def answer(number: int) -> int:
    """What a task returns."""
    return number * 3 + 1


def compute(number: int) -> int:
    """A tiny task."""
    note(number)
    return answer(number)


def compute_pair(number: int, again: int) -> int:
    """A tiny task with two arguments."""
    note(number)
    return answer(number) if number == again else -1


def work(number: int) -> int:
    """A task that takes a moment, by computing or by sleeping."""
    note(number)
    if number % 3:
        time.sleep(number % 5 / 1000)
    else:
        sum(range(20_000))
    return answer(number)


def wait(number: int, seconds: float) -> int:
    """A task that takes longer."""
    note(number)
    time.sleep(seconds)
    return answer(number)


class Large:
    """Bytes that travel beside the pickle."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Large, (PickleBuffer(self.data),)


def exchange(number: int, size: int, data: Any) -> Any:
    """Take large arguments and return a large result, of the same kind."""
    note(number)
    beside = isinstance(data, Large)
    if bytes(data.data if beside else data) != payload(1, number, size):
        return "damaged"
    made = payload(2, number, size)
    return Large(bytearray(made)) if beside else made


def connect(number: int) -> Any:
    """Return an object with a descriptor."""
    note(number)
    receiving, sending = Pipe(duplex=False)
    sending.send(answer(number))
    sending.close()
    return receiving


def count(first: int, many: int, size: int) -> Iterator[Any]:
    """A stream; each value is a task as far as the tally is concerned."""
    for number in range(first, first + many):
        note(number)
        yield payload(3, number, size) if size else answer(number)


# What is done with the pool

HARM = (WorkerLost, TaskTimeout)
"""What a killed worker, or one that was stopped for too long, does to its task."""


def fate(error: BaseException) -> End:
    """How the task has ended."""
    return End.LATE if isinstance(error, TaskTimeout) else End.LOST


class Caller:
    """One thread's use of a pool."""

    def __init__(self, pool: Any, tally: Tally, chance: random.Random) -> None:
        self.pool = pool
        self.tally = tally
        self.chance = chance
        self.at: tuple[str, float] | None = None
        """What it is doing, and since when."""

    def act(self, act: Callable[[Caller], None]) -> None:
        """Do one thing."""
        self.at = act.__name__, time.monotonic()
        try:
            act(self)
        except Exception as error:  # noqa: BLE001 - whatever it is, it should not have come
            self.tally.say(f"{act.__name__}: {type(error).__name__}: {error}")
        self.at = None

    def retries(self) -> int:
        """Half of the calls are tried again."""
        return self.chance.choice((0, RETRIES))

    def settle(self, number: int, where: str, get: Callable[[], Any], expected: Any = None) -> None:
        """Take the outcome of one task, which is its value or what harm does to it."""
        try:
            value = get()
        except HARM as error:
            self.tally.end(number, fate(error), where)
            return
        self.check(number, where, value, answer(number) if expected is None else expected)

    def check(self, number: int, where: str, value: Any, expected: Any) -> None:
        """A value has come."""
        if value != expected:
            self.tally.say(f"{where}: task {number} gave {value!r:.60}, not {expected!r:.60}")
        self.tally.end(number, End.VALUE, where)


def apply(caller: Caller) -> None:
    """One call after the other."""
    for _ in range(caller.chance.randint(1, 30)):
        retries = caller.retries()
        number = caller.tally.issue(1, retries)
        function = caller.chance.choice((compute, compute, work))
        caller.settle(
            number,
            "apply",
            lambda: caller.pool.apply(function, (number,), retries=retries),  # noqa: B023
        )


def apply_async(caller: Caller) -> None:
    """Many calls at once; each calls back once."""
    tally, many, retries = caller.tally, caller.chance.randint(1, 600), caller.retries()
    first = tally.issue(many, retries)
    told: list[int] = []
    results = []
    for number in range(first, first + many):

        def tell(_: object, number: int = number) -> None:
            told.append(number)

        function, arguments = caller.chance.choice(
            [(compute, (number,)), (compute, (number,)), (compute_pair, (number, number))]
            if caller.chance.random() < 0.95
            else [(work, (number,))]
        )
        results.append(
            caller.pool.apply_async(function, arguments, {}, tell, tell, retries=retries)
        )
    for number, result in enumerate(results, first):
        caller.settle(number, "apply_async", result.get)
    limit = time.monotonic() + LONG_SECONDS
    while len(told) < many and time.monotonic() < limit:
        time.sleep(0.001)  # the last may still be on its way
    if sorted(told) != list(range(first, first + many)):
        tally.say(f"apply_async: {many} tasks, {len(told)} callbacks, {len(set(told))} different")


def map_items(caller: Caller) -> None:
    """Map item by item, with exceptions in their places."""
    many, retries = caller.chance.choice((1, 10, 300, 3000)), caller.retries()
    first = caller.tally.issue(many, retries)
    function = compute if many > 300 else caller.chance.choice((compute, work))
    found = caller.pool.map(
        function, range(first, first + many), 1, return_exceptions=True, retries=retries
    )
    if len(found) != many:
        caller.tally.say(f"map: {len(found)} results of {many}")
    for number, value in enumerate(found, first):
        if isinstance(value, HARM):
            caller.tally.end(number, fate(value), "map")
        else:
            caller.check(number, "map", value, answer(number))


def map_chunks(caller: Caller) -> None:
    """Map by chunks: all values, or the error of one."""
    many, retries = caller.chance.choice((1, 40, 1000)), caller.retries()
    chunk = caller.chance.choice((None, 1, 2, 7, 100))
    first = caller.tally.issue(many, retries)
    numbers = range(first, first + many)
    starred = caller.chance.random() < 0.3
    try:
        if starred:
            pairs = [(number, number) for number in numbers]
            found = caller.pool.starmap(compute_pair, pairs, chunk, retries=retries)
        else:
            found = caller.pool.map(compute, numbers, chunk, retries=retries)
    except HARM as error:
        caller.tally.end_all(numbers, fate(error), "map")
        return
    if len(found) != many:
        caller.tally.say(f"map: {len(found)} results of {many}")
    for number, value in zip(numbers, found, strict=False):
        caller.check(number, "map", value, answer(number))


def imap(caller: Caller) -> None:
    """Results in the order of the items, one or WorkerLost for each chunk."""
    many, chunk, retries = caller.chance.choice((5, 200, 2000)), _chunk(caller), caller.retries()
    first = caller.tally.issue(many, retries)
    numbers: Any = range(first, first + many)
    if caller.chance.random() < 0.3:
        numbers = iter(numbers)
    found = caller.pool.imap(compute, numbers, chunk, retries=retries)
    number, end = first, first + many
    while True:
        try:
            value = next(found)
        except StopIteration:
            break
        except HARM as error:
            lost = range(number, min(number + chunk, end))
            caller.tally.end_all(lost, fate(error), "imap")
            number = lost.stop
            continue
        if number >= end:
            caller.tally.say("imap: more results than items")
            return
        caller.check(number, "imap", value, answer(number))
        number += 1


def imap_unordered(caller: Caller) -> None:
    """Results as they come; for each chunk that is missing there was a WorkerLost."""
    many, chunk, retries = caller.chance.choice((5, 200, 2000)), _chunk(caller), caller.retries()
    first = caller.tally.issue(many, retries)
    numbers: Any = range(first, first + many)
    if caller.chance.random() < 0.3:
        numbers = iter(numbers)
    found = caller.pool.imap_unordered(compute, numbers, chunk, retries=retries)
    missing, harm = set(range(first, first + many)), []
    while True:
        try:
            value = next(found)
        except StopIteration:
            break
        except HARM as error:
            harm.append(fate(error))
            continue
        number = (value - 1) // 3
        missing.discard(number)
        caller.check(number, "imap_unordered", value, answer(number))
    chunks = {(number - first) // chunk for number in missing}
    if len(chunks) != len(harm):
        caller.tally.say(f"imap_unordered: {len(harm)} errors for {len(chunks)} chunks")
    caller.tally.end_all(missing, max(harm, default=End.LOST), "imap_unordered")


def imap_dropped(caller: Caller) -> None:
    """An endless imap, of which only some is taken."""
    many = caller.chance.randint(1, 50)
    first = caller.tally.issue(100_000, 0)
    found = caller.pool.imap(compute, iter(range(first, first + 100_000)))
    for number in range(first, first + many):
        caller.settle(number, "imap", lambda: next(found))
    found.close()
    caller.tally.end_all(range(first + many, first + 100_000), End.DROPPED, "imap")


def _chunk(caller: Caller) -> int:
    return caller.chance.choice((1, 1, 3, 50))


def stream(caller: Caller) -> None:
    """The values of a generator, up to the end or until it is lost."""
    many, size = caller.chance.choice(((3, 0), (2000, 0), (20, 20_000)))
    first = caller.tally.issue(many, 0)
    buffer = caller.chance.choice((None, 1, 10))
    found = caller.pool.stream(count, (first, many, size), buffersize=buffer)
    stop = first + caller.chance.randint(1, many) if caller.chance.random() < 0.2 else None
    number = first
    while number != stop:
        try:
            value = next(found)
        except StopIteration:
            if number != first + many:
                caller.tally.say(f"stream: {number - first} values of {many}")
            break
        except HARM as error:
            caller.tally.end_all(range(number, first + many), fate(error), "stream")
            return
        expected = payload(3, number, size) if size else answer(number)
        caller.check(number, "stream", value, expected)
        number += 1
    if stop is not None:
        found.close()
        caller.tally.end_all(range(number, first + many), End.DROPPED, "stream")


def time_out(caller: Caller) -> None:
    """Tasks that take too long, and others that do not."""
    first = caller.tally.issue(4, 0)
    results = [
        caller.pool.apply_async(wait, (first, LONG_SECONDS), timeout=0.02),
        *(
            caller.pool.apply_async(wait, (number, 0.001), timeout=LONG_SECONDS)
            for number in range(first + 1, first + 4)
        ),
    ]
    try:
        results[0].get()
        caller.tally.say("timeout: a task that takes too long has a result")
    except TaskTimeout:
        caller.tally.end(first, End.LATE, "timeout")
    except WorkerLost:
        caller.tally.end(first, End.LOST, "timeout")
    for number in range(first + 1, first + 4):
        caller.settle(number, "timeout", results[number - first].get)


def cancel(caller: Caller) -> None:
    """Some of many tasks are cancelled, waiting ones and running ones."""
    many = 30
    first = caller.tally.issue(many, 0)
    results = [
        caller.pool.apply_async(wait, (number, caller.chance.choice((0, 0.005, 0.03))))
        for number in range(first, first + many)
    ]
    chosen = caller.chance.sample(range(many), 5)
    in_time = {place for place in chosen if results[place].cancel()}
    for place, result in enumerate(results):
        if place not in in_time:
            caller.settle(first + place, "cancel", result.get)
            continue
        try:
            result.get()
            caller.tally.say("cancel: a cancelled task has a result")
        except TaskCancelled:
            caller.tally.end(first + place, End.CANCELLED, "cancel")


def exchange_large(caller: Caller) -> None:
    """Large arguments and results, in the pickle and beside it."""
    retries, size = caller.retries(), caller.chance.choice(LARGE)
    many = caller.chance.randint(1, 8)
    first = caller.tally.issue(many, retries)
    beside = caller.chance.random() < 0.5
    jobs = [
        (number, size, Large(bytearray(data)) if beside else data)
        for number in range(first, first + many)
        for data in (payload(1, number, size),)
    ]
    results: Any
    if caller.chance.random() < 0.5:
        results = [caller.pool.apply_async(exchange, job, retries=retries) for job in jobs]
        gets = [result.get for result in results]
    else:
        results = caller.pool.starmap(exchange, jobs, 1, return_exceptions=True, retries=retries)
        gets = [lambda value=value: _opened(value) for value in results]
    for number, get in enumerate(gets, first):
        caller.settle(
            number,
            "large",
            lambda: _plain(get()),  # noqa: B023 - called at once
            payload(2, number, size),
        )


def _opened(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


def _plain(value: Any) -> Any:
    return bytes(value.data) if isinstance(value, Large) else value


def exchange_descriptors(caller: Caller) -> None:
    """Results that have descriptors."""
    retries = caller.retries()
    first = caller.tally.issue(5, retries)
    results = [
        caller.pool.apply_async(connect, (number,), retries=retries)
        for number in range(first, first + 5)
    ]

    def receive(result: Any) -> Any:
        with result.get() as connection:
            return connection.recv()

    for number, result in enumerate(results, first):
        caller.settle(number, "descriptors", lambda: receive(result))  # noqa: B023 - called at once


def await_results(caller: Caller) -> None:
    """A coroutine that waits for results, and goes through an imap."""
    retries = caller.retries()
    first = caller.tally.issue(100, retries)

    async def use() -> None:
        results = [
            caller.pool.apply_async(compute, (number,), retries=retries)
            for number in range(first, first + 50)
        ]
        values = await asyncio.gather(*results, return_exceptions=True)
        for number, value in enumerate(values, first):
            caller.settle(number, "await", lambda: _opened(value))  # noqa: B023 - called at once
        found = caller.pool.imap(compute, range(first + 50, first + 100), retries=retries)
        number = first + 50
        while True:
            try:
                value = await anext(found)
            except StopAsyncIteration:
                break
            except HARM as error:
                caller.tally.end(number, fate(error), "async for")
            else:
                caller.check(number, "async for", value, answer(number))
            number += 1

    asyncio.run(use())


def look(caller: Caller) -> None:
    """Ask the pool how it is."""
    caller.pool.stats()
    caller.pool.dump_stacks()


ACTS: tuple[tuple[Callable[[Caller], None], int], ...] = (
    (apply, 10),
    (apply_async, 10),
    (map_items, 10),
    (map_chunks, 10),
    (imap, 10),
    (imap_unordered, 10),
    (imap_dropped, 1),
    (stream, 4),
    (time_out, 1),
    (cancel, 1),
    (exchange_large, 10),
    (exchange_descriptors, 4),
    (await_results, 4),
    (look, 1),
)
"""What a thread may do, and how often."""

WITHOUT_LIMITS_OF_THEIR_OWN = tuple(
    (act, weight) for act, weight in ACTS if act not in (time_out, look)
)
"""The same where the pool has a time limit for all tasks, and workers may be stopped."""


def call_until(caller: Caller, ending: threading.Event, acts: Any = ACTS) -> None:
    """Do one thing after the other until told to end."""
    kinds, weights = zip(*acts, strict=True)
    while not ending.is_set():
        caller.act(caller.chance.choices(kinds, weights)[0])
