"""Owns what a worker process does: take batches of tasks, run them, send what became of them."""

from __future__ import annotations

import marshal
import sys
import threading
import time

assert sys.platform != "win32"

from processing_core import RemoteError, SerializationError
from processing_core.lowlevel import (
    PickleBuffer,
    handle_interrupts,
    load_failure,
    loads,
    pack_failure,
    put_packed,
)
from processing_pool import _wire as wire
from processing_pool._ending import as_error
from processing_pool._memory import resident_bytes
from processing_pool._stacks import show_stacks_on_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType
    from typing import Any

    from processing_core import Connection, SimpleQueue
    from processing_core.lowlevel import Block, Packer

__all__ = ["Orders", "serve", "worker_state"]

# Results wait so long for others to be sent together (nanoseconds); whoever waits for them in the
# pool looks at the log.
FLUSH_NS = 500_000
MEMORY_NS = 20_000_000
PAUSE_SECONDS = 0.001
# For so long no task is begun after Ctrl-C (seconds).
HOLD_SECONDS = 1.0
# How often a stream looks whether it may go on.
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.0002, 0.02
# A function of at most this size is unpickled once; so many of them are kept.
KEPT_FUNCTION_BYTES = 1000
KEPT_FUNCTIONS = 1000

_state: dict[str, Any] = {}
# When SIGINT came, until that is dealt with: time.monotonic().
_interrupts: list[float] = []


def worker_state() -> dict[str, Any]:
    """A dictionary that lasts as long as the worker process: for what an initializer prepares.

    In a process that is no worker it is a dictionary of that process.
    """
    return _state


def _note_interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    _interrupts.append(time.monotonic())


def _hold() -> None:
    """After Ctrl-C: who has the pool is most likely about to end it, so nothing new is begun."""
    while _interrupts:
        time.sleep(max(0.0, _interrupts.pop() + HOLD_SECONDS - time.monotonic()))


class Orders:
    """What all workers of a pool are told when they start."""

    __slots__ = (
        "finalizer",
        "initargs",
        "initializer",
        "most_memory",
        "most_seconds",
        "pack",
        "stacks",
    )

    def __init__(
        self,
        initializer: Callable[..., object] | None,
        initargs: Sequence[Any],
        finalizer: Callable[[], object] | None,
        most_memory: int | None,
        most_seconds: float | None,
        stacks: Connection[Any, Any],
        pack: Callable[[Any], bytes | Packer],
    ) -> None:
        self.initializer = initializer
        self.initargs = tuple(initargs)
        self.finalizer = finalizer
        self.most_memory = most_memory
        self.most_seconds = most_seconds
        self.stacks = stacks
        # What pickles the results.
        self.pack = pack


def serve(
    number: int,
    tasks: SimpleQueue[Any],
    results: SimpleQueue[Any],
    block: Block,
    orders: Orders,
) -> None:
    """Be a worker until told to stop."""
    # Ctrl-C is for the process that has the pool. Until here SIGINT was blocked, so none was seen.
    # It is not ignored, unless it was before: programs that tasks start would inherit that, while
    # a handler ends with exec.
    _interrupts.clear()  # a fork of a worker is another worker
    handle_interrupts(_note_interrupt)
    show_stacks_on_signal(orders.stacks)
    block.words()[wire.CLOCK] = time.monotonic_ns()
    worker = _Worker(number, tasks, results, block, orders)
    try:
        if orders.initializer is not None:
            orders.initializer(*orders.initargs)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the pool is to know
        worker.tell(0, 0, [(wire.FAILED, _failure(error))], 0, wire.UNREADY)
        return
    worker.tell(0, 0, [], 0, wire.READY)
    try:
        worker.loop()
    finally:
        if orders.finalizer is not None:
            orders.finalizer()


class _Worker:
    def __init__(
        self,
        number: int,
        tasks: SimpleQueue[Any],
        results: SimpleQueue[Any],
        block: Block,
        orders: Orders,
    ) -> None:
        self._number = number
        self._tasks = tasks
        self._results = results
        self._block = block
        self._words = block.words()
        self._memory = block.view()
        self._pickle = orders.pack
        self._most_memory = orders.most_memory
        self._end = None if orders.most_seconds is None else time.monotonic() + orders.most_seconds
        self._fence = threading.Lock()
        self._functions: dict[bytes, Callable[..., Any]] = {}
        self._looked = 0
        self._leaving = False

    def tell(self, batch: int, first: int, outcomes: list[Any], busy: int, flags: int) -> None:
        """Send a message: what became of the tasks from ``first`` on, and how long they took."""
        self._results.put(marshal.dumps((self._number, batch, first, outcomes, busy, flags)))

    def loop(self) -> None:
        get = self._tasks.get
        while not self._leaving:
            message = get()
            if type(message) is not bytes:
                continue  # what belonged to a batch that was taken back
            batch, kind, functions, which, payload = marshal.loads(message)
            if not batch:
                if kind == wire.STOP:
                    return
                self.tell(0, 0, [], 0, 0)
                continue
            if _interrupts:
                _hold()
            # In this order: a time limit shall not count from what was before.
            self._words[wire.CLOCK] = time.monotonic_ns()
            self._words[wire.RUN] = batch << wire.OFFSET_BITS | wire.LOADING
            try:
                if payload is None:
                    payload = get()
                    if payload is None:
                        continue  # there was no memory for it, and the pool knows
                    if kind in wire.SINGLES:
                        payload = [payload]
                elif kind not in wire.SINGLES:
                    payload = loads(payload)
            except BaseException as error:  # noqa: BLE001 - it is the task's
                self.tell(batch, 0, [(wire.UNLOADABLE, _failure(error))], 0, wire.UNREADABLE)
                continue
            run = self._prepare(kind, functions, which)
            if kind == wire.STREAM:
                self._stream(batch, run, payload[0])
            else:
                self._run(batch, run, payload)
            del payload, run
            self._consider_leaving()
        self.tell(0, 0, [], 0, wire.LEAVING)

    # How a task is run

    def _prepare(
        self, kind: int, functions: list[tuple[bytes, bool]], which: list[int] | None
    ) -> Callable[[Any], Any]:
        """What runs a task of the batch, given its payload."""
        function = self._load(*functions[0])
        if kind == wire.ITEMS:
            return function
        if kind == wire.STARRED:
            return lambda item: function(*item)
        if kind == wire.CHUNKS:
            return lambda chunk: [*map(function, chunk)]
        if kind == wire.STARRED_CHUNKS:
            return lambda chunk: [function(*item) for item in chunk]
        turns: Iterator[Callable[..., Any]] | None = None
        if which is not None:
            loaded = [function, *(self._load(data, kept) for data, kept in functions[1:])]
            turns = map(loaded.__getitem__, which)

        def call(payload: Any) -> Any:
            chosen = function if turns is None else next(turns)
            if type(payload) is bytes:
                payload = _loads(payload)
            elif len(payload) != 2 or type(payload[1]) is not dict:
                return chosen(*payload)  # what needs no pickle, which no dictionary does
            args, kwds = payload
            return chosen(*args, **kwds)

        return call

    def _load(self, data: bytes, kept: bool) -> Callable[..., Any]:
        known = self._functions.get(data)
        if known is not None:
            return known
        try:
            function: Callable[..., Any] = _loads(data)
        except _UnloadableError as error:
            return _Raiser(error)
        if kept and len(data) <= KEPT_FUNCTION_BYTES:
            if len(self._functions) >= KEPT_FUNCTIONS:
                self._functions.clear()
            self._functions[data] = function
        return function

    # The hot loop

    def _run(self, batch: int, run: Callable[[Any], Any], payload: Sequence[Any]) -> None:
        words, fence, tell, interrupts = self._words, self._fence, self.tell, _interrupts
        clock = time.monotonic_ns
        base = batch << wire.OFFSET_BITS
        last = len(payload) - 1
        outcomes: list[Any] = []
        used = first = 0
        flags = wire.PLAIN
        words[wire.CLOCK] = sent = clock()
        for offset, item in enumerate(payload):
            if interrupts:
                _hold()
                words[wire.CLOCK] = sent = clock()
            # The order matters: first it is said what is begun, then it is looked whether that may
            # be. The pool does it the other way round, so one of the two always notices.
            words[wire.RUN] = base + offset
            with fence:
                pass
            if words[wire.LIMIT] and self._must_stop(base + offset):
                tell(batch, first, outcomes, clock() - sent, flags | wire.STOPPED)
                self._empty_log(used)
                break
            try:
                value = run(item)
            except BaseException as error:  # noqa: BLE001 - it is the task's
                outcome: Any = _failed(error)
                flags = 0
            else:
                cls = type(value)
                if cls in wire.SCALARS or (
                    (cls is str or cls is bytes) and len(value) < wire.SHORT
                ):
                    outcome = value
                else:
                    outcome = self._pack(value)
                    flags = 0
            if type(outcome) is tuple and outcome[0] is None:
                words[wire.CLOCK] = now = clock()
                self._send_large(batch, first, outcomes, now - sent, outcome[1], outcome[2])
                sent, first, outcomes, flags = now, offset + 1, [], wire.PLAIN
                used = self._empty_log(used)
                continue
            outcomes.append(outcome)
            words[wire.CLOCK] = now = clock()
            if offset != last and now - sent <= FLUSH_NS:
                head, data = wire.record_head(base + offset, outcome)
                end = used + wire.RECORD.size + len(data)
                if end <= wire.LOG_BYTES:
                    self._memory[wire.LOG_START + used : wire.LOG_START + end] = head + data
                    used = end
                    # The commit: from here on the result is safe.
                    words[wire.COMMIT] = words[wire.COMMIT] & ~0xFFFFFFFF | used
                    continue
            tell(batch, first, outcomes, now - sent, flags)
            sent, first, outcomes, flags = now, offset + 1, [], wire.PLAIN
            used = self._empty_log(used)
        words[wire.RUN] = base + len(payload)

    def _empty_log(self, used: int) -> int:
        """After the results were sent: they are not to be found in the log any more."""
        if used:
            words = self._words
            words[wire.COMMIT] = ((words[wire.COMMIT] >> 32) + 1 & 0xFFFFFFFF) << 32
        return 0

    def _must_stop(self, position: int) -> bool:
        words = self._words
        while (limit := words[wire.LIMIT]) == wire.HALT:
            time.sleep(PAUSE_SECONDS)  # to be killed, or to go on
        return bool(limit >> wire.OFFSET_BITS == position >> wire.OFFSET_BITS and position >= limit)

    def _consider_leaving(self) -> None:
        """Between batches: whether it is time to be replaced."""
        if self._end is not None and time.monotonic() >= self._end:
            self._leaving = True
        if self._most_memory is not None:
            now = time.monotonic_ns()
            if now - self._looked > MEMORY_NS:
                self._looked = now
                self._leaving = self._leaving or resident_bytes("self") > self._most_memory

    # Streams

    def _stream(self, batch: int, call: Callable[[Any], Any], payload: Any) -> None:
        """Send the values of a generator one by one, as many as are granted, and then its end."""
        words = self._words
        words[wire.RUN] = batch << wire.OFFSET_BITS
        start = time.monotonic_ns()
        try:
            for sent, value in enumerate(call(payload)):
                pause = SHORTEST_PAUSE_SECONDS
                while words[wire.GRANT] <= sent:
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                self._send_value(batch, value)
            outcome: Any = None
        except BaseException as error:  # noqa: BLE001 - it is the task's
            outcome = _failed(error)
        self.tell(batch, 0, [outcome], time.monotonic_ns() - start, 0)

    def _send_value(self, batch: int, value: Any) -> None:
        if _is_plain(value):
            outcome: Any = value
        else:
            outcome = self._pack(value)
            if outcome[0] is None:
                if outcome[2] is not None:
                    raise SerializationError(
                        f"a value of a stream, of type {type(value).__name__}, refers to an object "
                        "with descriptors"
                    )
                self._results.put((self._number, batch, -1, 0, *outcome[1]))
                return
            if outcome[0] == wire.FAILED:
                raise load_failure(outcome[1], RemoteError)
        self.tell(batch, 0, [outcome], 0, wire.VALUE)

    # Results

    def _pack(self, value: Any) -> tuple[Any, ...]:
        """The outcome for a value: (kind, data), or (None, packed, whether it has descriptors)."""
        try:
            packed = self._pickle(value)
            if type(packed) is bytes:
                if len(packed) <= wire.LOG_BYTES // 2:
                    return wire.PICKLED, packed
                return None, (packed, []), None
            buffers = [PickleBuffer(view) for view in packed.buffers]  # type: ignore[union-attr]
            if not packed.descriptors:  # type: ignore[union-attr]
                return None, (b"".join(packed.pieces), buffers), None  # type: ignore[union-attr]
        except BaseException as error:  # noqa: BLE001 - pickling runs code of others
            return _failed(
                SerializationError(
                    f"the result, of type {type(value).__name__}, cannot be pickled: "
                    f"{type(error).__name__}: {error}"
                ),
                error,
            )
        return None, value, packed

    def _send_large(
        self, batch: int, first: int, outcomes: list[Any], busy: int, value: Any, packed: Any
    ) -> None:
        """Send what came before, and then a result as a message of its own."""
        place = first + len(outcomes)
        if packed is None:
            if outcomes:
                self.tell(batch, first, outcomes, busy, 0)
                busy = 0
            self._results.put((self._number, batch, place, busy, *value))
            return
        # With descriptors it has to be unpickled as it is received. If that fails, what is said
        # before and after tells whose result it was.
        self.tell(batch, first, outcomes, busy, wire.ANNOUNCED)
        try:
            put_packed(self._results, self._pickle((self._number, batch, place, 0, value)))
        except BaseException as error:  # noqa: BLE001 - pickling runs code of others
            self.tell(batch, place, [_failed(error)], 0, 0)
            return
        self.tell(batch, place + 1, [], 0, 0)


def _is_plain(value: Any) -> bool:
    cls = type(value)
    return cls in wire.SCALARS or ((cls is str or cls is bytes) and len(value) < wire.SHORT)


class _UnloadableError(SerializationError):
    """A task cannot be unpickled; the cause says why."""


class _Raiser:
    """Stands for a function that cannot be unpickled."""

    def __init__(self, error: _UnloadableError) -> None:
        self._error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self._error


def _loads(data: bytes) -> Any:
    try:
        return loads(data)
    except BaseException as error:
        raise _UnloadableError("the task cannot be unpickled") from error


def _failed(error: BaseException, cause: BaseException | None = None) -> tuple[int, bytes]:
    if cause is not None:
        error.__cause__ = cause
    if isinstance(error, _UnloadableError) and error.__cause__ is not None:
        return wire.UNLOADABLE, _failure(error.__cause__)
    trace = error.__traceback__
    if trace is not None and trace.tb_next is not None:
        error.__traceback__ = trace.tb_next  # without the loop above
    return wire.FAILED, _failure(error)


def _failure(error: BaseException) -> bytes:
    """The error as bytes."""
    try:
        return pack_failure(as_error(error))
    except BaseException as problem:  # noqa: BLE001 - pickling runs code of others
        return pack_failure(
            RemoteError(
                f"{type(error).__name__}, an exception whose pickling raised "
                f"{type(problem).__name__}: {problem}"
            )
        )
