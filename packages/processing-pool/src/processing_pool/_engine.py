"""Owns the thread that drives a pool: it alone asks the scheduler, writes to the workers, and hears
from them.

Submitters append to the scheduler's queue and wake the thread if it sleeps. Everything else that
others want of it are commands, which it carries out in turn.
"""

from __future__ import annotations

import marshal
import os
import queue
import select
import sys
import threading
import time
import weakref
from collections import deque

assert sys.platform != "win32"

from processing_core import ClosedError, MisuseError, RemoteError, SerializationError, SimpleQueue
from processing_core.lowlevel import Receiver, at_exit, load_failure, loads, put_packed
from processing_pool import _wire as wire
from processing_pool._crew import Recipe, Worker
from processing_pool._functions import Functions, Options, Whole
from processing_pool._memory import oom_kills
from processing_pool._results import Failure, unreadable
from processing_pool._scheduler import Batch, Scheduler
from processing_pool._stats import Counts, PoolStats, WorkerStats
from processing_pool.errors import TaskCancelled, TaskTimeout, WorkerLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from processing_core.abc import StartsProcesses

    class Open(Protocol):
        """Something that goes on submitting, such as imap."""

        def break_off(self, error: BaseException) -> None: ...


__all__ = ["Engine"]

# A worker that is silent for so long (seconds) may have results in its log, or hold up tasks.
QUIET_SECONDS = 0.002
# How long workers get to end by SIGTERM before they are killed.
GRACE_SECONDS = 0.5
# So many workers in a row that die before they are ready are too many.
MOST_FAILED_STARTS = 3
# After so long (seconds) it is tried again to start a worker, when there was no room for one.
START_AGAIN_SECONDS = 0.5
MESSAGES_AT_ONCE = 500


class Engine:
    """The running part of a pool."""

    def __init__(
        self,
        processes: int,
        context: str | StartsProcesses | None,
        initializer: Callable[..., object] | None,
        initargs: Sequence[Any],
        finalizer: Callable[[], object] | None,
        *,
        most_tasks: int | None,
        most_memory: int | None,
        options: Options,
        serializer: str | None,
    ) -> None:
        self.processes = processes
        self.options = options
        self.functions = Functions(serializer)
        self.scheduler = Scheduler()
        self.counts = Counts()
        self.open: weakref.WeakSet[Open] = weakref.WeakSet()
        self._most_tasks = most_tasks
        self._results: SimpleQueue[Any] = SimpleQueue()
        self._recipe = Recipe(
            context, initializer, initargs, finalizer, most_memory, self._results
        )
        self._workers: dict[int, Worker] = {}
        self._last_number = 0
        self._pid = os.getpid()
        self._oom_kills = oom_kills()
        # What others tell the thread.
        self._commands: deque[Callable[[], object]] = deque()
        self._news = False
        self._asleep = False
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        # What the thread waits for, besides messages.
        self._poller = select.poll()
        self._poller.register(self._wake_reader, select.POLLIN)
        self._sentinels: dict[int, int] = {}
        self._ended: set[int] = set()
        self._receiver = Receiver(self._results, self._sleep, look=False)
        self._poller.register(self._receiver.descriptor, select.POLLIN)
        self._failed_starts = 0
        self._start_again: float | None = None
        self._unpickling: BaseException | None = None
        self._limits = options.timeout is not None
        # How it ends.
        self.closed = False
        self._terminating = False
        self._finished = False
        self._broken: Callable[[], BaseException] | None = None
        try:
            for _ in range(processes):
                self._start_worker()
        except BaseException:
            self._kill_all()
            self._close_descriptors()
            raise
        self._thread = threading.Thread(
            target=self._run, name=f"PoolThread-{os.getpid()}", daemon=True
        )
        self._thread.start()
        self._at_exit = at_exit(self.end_at_exit)

    # For other threads

    @property
    def is_foreign(self) -> bool:
        """Whether this process is a fork of the one that has the pool."""
        return self._pid != os.getpid()

    @property
    def is_current_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def check_open(self) -> None:
        """:raises ClosedError: when no more tasks are taken; MisuseError: in another process."""
        if self.is_foreign:
            raise MisuseError("only the process that made a pool can use it")
        if self.closed:
            raise ClosedError("the pool is closed and takes no more tasks")

    def submit(self, span: Any) -> None:
        """Have tasks run."""
        self.scheduler.queue.append(span)
        self._news = True
        if self._asleep:
            self._wake()
        if self._finished:
            self._clear_queue()

    def expect_limits(self) -> None:
        """Some task has a time limit."""
        self._limits = True

    def command(self, function: Callable[[], object]) -> bool:
        """Have the thread do something; false when it has ended."""
        self._commands.append(function)
        self._news = True
        if self._asleep:
            self._wake()
        return not self._finished

    def _wake(self) -> None:
        self._asleep = False
        try:
            os.write(self._wake_writer, b"!")
        except OSError:
            return  # there is enough in the pipe to wake it, or the thread has ended

    def withdraw(self, work: Any) -> None:
        if not self.is_foreign:
            self.command(lambda: self._withdraw(work))

    def where(self, work: Any) -> tuple[int, float] | None:
        for worker in list(self._workers.values()):
            position = worker.position
            batch = worker.member.find(position >> wire.OFFSET_BITS)
            offset = position & wire.OFFSET_MASK
            if batch is not None and offset < batch.count and batch.task(offset)[0] is work:
                return worker.pid, worker.running_since()
        return None

    def close(self) -> None:
        """Take no more tasks; end when all are done."""
        if not self.is_foreign:
            self.closed = True
            self.command(lambda: None)

    def terminate(self) -> None:
        """End at once."""
        if not self.is_foreign:
            self.closed = self._terminating = True
            self.command(lambda: None)

    def join(self) -> None:
        """Wait for the end."""
        if not self.is_foreign and not self.is_current_thread:
            self._thread.join()

    def end_at_exit(self) -> None:
        """The process ends."""
        self.terminate()
        self.join()

    def resize(self, processes: int) -> None:
        """Have another number of workers."""
        self.processes = processes
        self.command(self._fit)

    def stats(self) -> PoolStats:
        """A snapshot."""
        workers = []
        now = time.monotonic()
        for worker in list(self._workers.values()):
            age = max(now - worker.began, 1e-9)
            busy = worker.busy
            if self.scheduler.members.get(worker.number) and worker.member.batches:
                busy += max(0.0, now - worker.heard)
            workers.append(
                WorkerStats.of(worker.number, worker.pid, min(1.0, busy / age), worker.done)
            )
        running = sum(batch.count - batch.received for w in list(self._workers.values()) for batch in list(w.member.batches))
        waiting = sum(span.count for span in list(self.scheduler.queue))
        return PoolStats.of(self.counts, waiting, running, workers)

    # The thread

    def _run(self) -> None:
        try:
            while not self._terminating and not (self.closed and self._is_done()):
                self._step()
            if not self._terminating:
                self._stop_all()
        except BaseException as error:  # noqa: BLE001 - the pool must not hang for it
            self._break(lambda: RemoteError(f"the pool's thread failed: {error!r}"))
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self._thread)))
        finally:
            self._finish()

    def _is_done(self) -> bool:
        return self.scheduler.is_idle and not self._commands

    def _step(self) -> None:
        self._news = False
        while self._commands:
            self._commands.popleft()()
        if self._broken is not None:
            self._clear_queue()
        for member, batch in self.scheduler.assign():
            self._send(self._workers[member.number], batch)
        if self.closed and self._is_done():
            return
        self._receive(self._time_to_sleep())
        now = time.monotonic()
        for number in list(self._ended):
            self._ended.discard(number)
            self._bury(number)
        self._look_after(now)

    def _sleep(self, seconds: float) -> bool:
        self._asleep = True
        try:
            if self._news or self._ended:
                return True
            for found, _ in self._poller.poll(max(0, seconds) * 1000 + 0.999):
                if found in self._sentinels:
                    self._ended.add(self._sentinels[found])
                elif found == self._wake_reader:
                    self._empty_pipe()
        finally:
            self._asleep = False
        # A submitter that was interrupted may have said nothing.
        return bool(self._news or self._ended or self.scheduler.queue)

    def _empty_pipe(self) -> None:
        try:
            os.read(self._wake_reader, 4096)
        except BlockingIOError:
            return

    def _time_to_sleep(self) -> float | None:
        """For how long nothing is to be done unless something happens; None without limit."""
        now = time.monotonic()
        moments = [] if self._start_again is None else [self._start_again]
        for worker in self._workers.values():
            if not worker.member.batches or worker.verdict is not None:
                continue
            if not worker.looked:
                moments.append(worker.heard + QUIET_SECONDS)
            if self._limits:
                moments.append(self._deadline(worker, now))
        return max(0.0, min(moments) - now) if moments else None

    def _deadline(self, worker: Worker, now: float) -> float:
        """When to look whether the worker has gone beyond a time limit."""
        position = worker.position
        batch = worker.member.find(position >> wire.OFFSET_BITS)
        offset = position & wire.OFFSET_MASK
        begun = worker.running_since()
        if batch is None or (offset != wire.LOADING and offset >= batch.count):
            # It has not begun what it was given.
            batch, offset, begun = worker.member.batches[0], 0, now
        work: Any = batch.task(0 if offset == wire.LOADING else offset)[0]
        limit = work.timeout
        return now + 3600 if limit is None else max(begun, worker.began) + limit

    # Sending

    def _send(self, worker: Worker, batch: Batch) -> None:
        """Give a worker a batch."""
        worker.heard = time.monotonic()
        worker.looked = batch.count == 1
        try:
            if batch.singles is not None:
                self._send_calls(worker, batch, batch.singles)
            else:
                self._send_items(worker, batch, batch.work)
        except MemoryError as error:
            if batch.count > 1:
                self.scheduler.cut_off(worker.member, batch.number, 0, alone=True)
            else:
                self._settle(worker, batch, 0, [Failure(error)])

    def _send_calls(self, worker: Worker, batch: Batch, singles: list[Any]) -> None:
        first = singles[0]
        payload = first.payload
        functions = [(first.function.data, first.function.kept)]
        if first.bulky:
            worker.tasks.put(marshal.dumps((batch.number, wire.CALLS, functions, None, None)))
            put_packed(worker.tasks, payload.data if type(payload) is Whole else payload)
            return
        which = None
        if len(singles) > 1:
            known = {first.function: 0}
            turns = [known.setdefault(each.function, len(known)) for each in singles]
            if len(known) > 1:
                which = turns
                functions = [(each.data, each.kept) for each in known]
        calls = [each.payload for each in singles]
        message = marshal.dumps((batch.number, wire.CALLS, functions, which, calls))
        first.timing.size = len(message) / len(calls)
        worker.tasks.put(message)

    def _send_items(self, worker: Worker, batch: Batch, work: Any) -> None:
        functions = [(work.function.data, work.function.kept)]
        items = work.items(batch.first, batch.count)
        try:
            packed = self.functions.pack(items)
        except BaseException as error:  # noqa: BLE001 - pickling runs code of others
            if batch.count > 1:
                self.scheduler.cut_off(worker.member, batch.number, 0, alone=True)
                return
            culprit = SerializationError(
                f"the argument of {work.describe(batch.first)} cannot be pickled: "
                f"{type(error).__name__}: {error}"
            )
            culprit.__cause__ = error
            self._settle(worker, batch, 0, [Failure(culprit)])
            return
        if type(packed) is bytes:
            message = marshal.dumps((batch.number, work.kind, functions, None, packed))
            work.timing.size = len(message) / batch.count
            worker.tasks.put(message)
            return
        if batch.count > 1 and isinstance(packed, Whole):
            work.timing.size = len(packed.data) / batch.count
        elif batch.count == 1:
            work.bulky = True
        worker.tasks.put(marshal.dumps((batch.number, work.kind, functions, None, None)))
        put_packed(worker.tasks, packed.data if isinstance(packed, Whole) else packed)

    # Receiving

    def _receive(self, timeout: float | None) -> None:
        """Wait for messages and deal with them."""
        try:
            messages = self._receiver.get_many(MESSAGES_AT_ONCE, timeout)
        except Exception as error:  # noqa: BLE001 - unpickling a result runs code of others
            # The next message of its worker tells whose it was.
            self._unpickling = error
            return
        for message in messages:
            if type(message) is bytes:
                self._hear(message)
            else:
                self._take_large(message)

    def _hear(self, message: bytes) -> None:
        number, batch_number, first, outcomes, busy, flags = marshal.loads(message)
        worker = self._workers.get(number)
        if worker is None:
            return
        if worker.announced is not None:
            self._give_up_announced(worker)
        worker.heard = time.monotonic()
        worker.looked = worker.member.slow = False
        if not batch_number:
            self._hear_of_itself(worker, outcomes, flags)
            return
        worker.busy += busy / 1e9
        member = worker.member
        batch = self.scheduler.receive(member, batch_number, first, len(outcomes))
        if batch is not None:
            if flags & wire.UNREADABLE and batch.count > 1:
                self.scheduler.cut_off(member, batch_number, 0, alone=True)
                return
            if batch.singles is None or len({work.timing for work in batch.singles}) == 1:
                batch.work.timing.learn(busy / 1e9, len(outcomes))
            self._accept(worker, batch, first, outcomes, plain=bool(flags & wire.PLAIN))
        if flags & wire.ANNOUNCED:
            worker.announced = batch_number, first + len(outcomes)
        if flags & wire.STOPPED:
            self.scheduler.cut_off(member, batch_number, first + len(outcomes))

    def _hear_of_itself(self, worker: Worker, outcomes: list[Any], flags: int) -> None:
        if flags & wire.READY:
            worker.ready = True
            self._failed_starts = 0
        elif flags & wire.UNREADY:
            worker.could_not_start = outcomes[0][1]
        elif flags & wire.LEAVING:
            worker.stopping = worker.member.retiring = True

    def _accept(
        self, worker: Worker, batch: Batch, first: int, outcomes: list[Any], *, plain: bool
    ) -> None:
        """Hand outcomes over to those whose they are, unless they have them already."""
        start = batch.received
        if start > first:
            outcomes = outcomes[start - first :]
        end = start + len(outcomes)
        self.scheduler.settle(worker.member, batch, end)
        worker.done += len(outcomes)
        self.counts.done += len(outcomes)
        if not plain:
            self.counts.failed += sum(
                type(each) is tuple and each[0] != wire.PICKLED for each in outcomes
            )
        if batch.singles is not None:
            if plain:
                for work, outcome in zip(batch.singles[start:end], outcomes, strict=True):
                    work.settle(0, outcome)  # type: ignore[attr-defined]
            else:
                for work, outcome in zip(batch.singles[start:end], outcomes, strict=True):
                    work.accept(0, (outcome,), plain=False)  # type: ignore[attr-defined]
        else:
            work: Any = batch.work
            work.accept(batch.first + start, outcomes, plain=plain)
        self._retire_if_used_up(worker)

    def _settle(self, worker: Worker, batch: Batch, offset: int, values: list[Any]) -> None:
        """Set values, or Failures, that are known here."""
        tasks = [batch.task(place) for place in range(offset, offset + len(values))]
        self.scheduler.settle(worker.member, batch, offset + len(values))
        for (work, index), value in zip(tasks, values, strict=True):
            self.counts.done += 1
            self.counts.failed += type(value) is Failure
            work.settle(index, value)  # type: ignore[attr-defined]
        self._retire_if_used_up(worker)

    def _retire_if_used_up(self, worker: Worker) -> None:
        if worker.member.quota == 0 and not worker.member.batches and not worker.stopping:
            worker.stop()

    def _take_large(self, message: tuple[Any, ...]) -> None:
        """A result that was sent by itself."""
        number, batch_number, offset, busy, *rest = message
        worker = self._workers.get(number)
        if worker is None:
            return
        worker.announced = None
        worker.heard = time.monotonic()
        worker.looked = worker.member.slow = False
        worker.busy += busy / 1e9
        batch = self.scheduler.receive(worker.member, batch_number, offset, 1)
        if batch is None:
            return
        if busy:
            batch.work.timing.learn(busy / 1e9, 1)
        if len(rest) == 1:
            value = rest[0]
        else:
            work, index = batch.task(offset)
            data, buffers = rest
            try:
                value = loads(data, buffers=buffers)
            except BaseException as error:  # noqa: BLE001 - unpickling runs code of others
                value = unreadable(error, lambda: work.describe(index))  # type: ignore[attr-defined]
        self._settle(worker, batch, offset, [value])

    def _give_up_announced(self, worker: Worker) -> None:
        """A large result that was announced has not come, so it was the one that failed."""
        assert worker.announced is not None
        batch_number, offset = worker.announced
        worker.announced = None
        batch = self.scheduler.receive(worker.member, batch_number, offset, 1)
        if batch is not None and self._unpickling is not None:
            work, index = batch.task(offset)
            error, self._unpickling = self._unpickling, None
            failure = unreadable(error, lambda: work.describe(index))  # type: ignore[attr-defined]
            self._settle(worker, batch, offset, [failure])

    # Looking after workers

    def _look_after(self, now: float) -> None:
        """Read the logs of silent workers; end what has taken too long; relieve who is slow."""
        for worker in list(self._workers.values()):
            if not worker.member.batches:
                continue
            if not worker.looked and now >= worker.heard + QUIET_SECONDS:
                worker.looked = True
                self._take_log(worker)
            if self._limits and worker.verdict is None:
                self._check_limit(worker, now)
        if self.scheduler.starving():
            for member in self.scheduler.victims():
                worker = self._workers[member.number]
                if worker.looked and now >= worker.heard + QUIET_SECONDS and not member.slow:
                    self._relieve(worker)
        if self._start_again is not None and now >= self._start_again:
            self._start_again = None
            self._fit()

    def _take_log(self, worker: Worker) -> None:
        """What a worker has done without having said so."""
        for position, outcome in worker.read_log():
            number, offset = position >> wire.OFFSET_BITS, position & wire.OFFSET_MASK
            batch = self.scheduler.receive(worker.member, number, offset, 1)
            if batch is not None and offset == batch.received:
                self._accept(worker, batch, offset, [outcome], plain=False)

    def _relieve(self, worker: Worker) -> None:
        """Take back what a slow worker has not begun."""
        member = worker.member
        if any(batch.work.bulky for batch in member.batches):
            return
        member.slow = True
        scheduler = self.scheduler
        while True:
            try:
                message = worker.tasks.get(block=False)
            except queue.Empty:
                break
            if type(message) is bytes and (number := marshal.loads(message)[0]):
                scheduler.withdraw(member, number)
        if worker.stopping:
            worker.stop()  # what told it may have been among them
        position = worker.position
        number, offset = position >> wire.OFFSET_BITS, position & wire.OFFSET_MASK
        batch = member.find(number)
        if batch is None or offset == wire.LOADING or batch.count - offset <= 1:
            return
        later = worker.limit(position + 1)
        if later >> wire.OFFSET_BITS == number:
            # It may be at ``later``, or have found that it must not; then it says so.
            at = max(offset, later & wire.OFFSET_MASK) + 1
            scheduler.cut_off(member, number, at)

    def _check_limit(self, worker: Worker, now: float) -> None:
        if now < self._deadline(worker, now):
            return
        position = worker.position
        batch = worker.member.find(position >> wire.OFFSET_BITS)
        if batch is None:
            return
        offset = position & wire.OFFSET_MASK
        work, index = batch.task(0 if offset == wire.LOADING else offset)

        def error(pid: int) -> BaseException:
            told = work.describe(index)  # type: ignore[attr-defined]
            limit = work.timeout  # type: ignore[attr-defined]
            return TaskTimeout(f"{told} took longer than {limit} seconds; worker {pid} was killed")

        worker.condemn(position, error)

    def _withdraw(self, work: Any) -> None:
        """Nobody wants the results of a work any more."""
        for worker in list(self._workers.values()):
            batches = [
                batch
                for batch in worker.member.batches
                if batch.work is work or (batch.singles is not None and work in batch.singles)
            ]
            if not batches:
                continue
            position = worker.position
            running = worker.member.find(position >> wire.OFFSET_BITS)
            offset = position & wire.OFFSET_MASK
            if running in batches and (
                offset == wire.LOADING
                or (offset < running.count and running.task(offset)[0] is work)
            ):
                if worker.condemn(position, lambda _: TaskCancelled("the task was cancelled")):
                    continue
            self._relieve(worker)
            worker.member.slow = False

    # Workers

    def _start_worker(self) -> None:
        self._last_number += 1
        number = self._last_number
        worker = Worker(number, self._recipe, self.scheduler.join(number, self._most_tasks))
        try:
            worker.start()
        except BaseException:
            del self.scheduler.members[number]
            raise
        self._workers[number] = worker
        sentinel = worker.process.sentinel
        self._sentinels[sentinel] = number
        self._poller.register(sentinel, select.POLLIN)

    def _fit(self) -> None:
        """Have as many workers as wanted."""
        staying = [worker for worker in self._workers.values() if not worker.member.retiring]
        for worker in staying[self.processes :]:
            worker.stop()
        for _ in range(self.processes - len(staying)):
            if self._broken is not None:
                return
            try:
                self._start_worker()
            except Exception as error:  # noqa: BLE001 - whatever it is, tasks must not wait for ever
                if not self._workers:
                    self._break(lambda error=error: error)  # type: ignore[misc]
                else:
                    self._start_again = time.monotonic() + START_AGAIN_SECONDS
                return

    def _bury(self, number: int) -> None:
        """A worker has ended: see what it has left, and replace it."""
        worker = self._workers.get(number)
        if worker is None:
            return
        worker.process.join()
        # Everything that it has said comes first.
        while self._receiver.ready():
            self._receive(0)
        if worker.announced is not None:
            self._give_up_announced(worker)
        self._take_log(worker)
        sentinel = next(each for each, of in self._sentinels.items() if of == number)
        self._poller.unregister(sentinel)
        del self._sentinels[sentinel], self._workers[number]
        position = worker.position
        offset: int | None = position & wire.OFFSET_MASK
        verdict = worker.verdict
        lost = self.scheduler.lose(
            number,
            position >> wire.OFFSET_BITS,
            None if offset == wire.LOADING else offset,
            innocent=verdict is not None and verdict[0] != position,
            final=verdict is not None,
        )
        if worker.could_not_start is not None:
            data = worker.could_not_start
            self._break(lambda: load_failure(data, RemoteError))
        elif worker.stopping and not lost:
            self.counts.recycled += 1
        elif verdict is None:
            self.counts.lost += 1
        if not worker.ready and not worker.stopping and verdict is None:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                cause, pid = worker.cause, worker.pid
                self._break(lambda: self._lost_error("the start of a worker", cause, pid))
        for work, index in lost:
            told = work.describe(index)  # type: ignore[attr-defined]
            if verdict is not None:
                error = verdict[1](worker.pid)
            else:
                error = self._lost_error(told, worker.cause, worker.pid)
            self.counts.done += 1
            self.counts.failed += 1
            work.settle(index, Failure(error))  # type: ignore[attr-defined]
        worker.process.close()
        if not (self.closed and self._is_done()):
            self._fit()

    def _lost_error(self, task: str, cause: str, pid: int) -> WorkerLost:
        message = f"worker {pid} ended ({cause}) while it ran {task}"
        if cause == "SIGKILL" and (kills := oom_kills()) > self._oom_kills:
            self._oom_kills = kills
            message += "; the kernel has killed a process because memory ran out"
        return WorkerLost.told(message, pid, cause, task)

    # The end

    def _break(self, error: Callable[[], BaseException]) -> None:
        """Nothing can be done any more: everybody gets the error."""
        if self._broken is None:
            self._broken = error
        for member in self.scheduler.members.values():
            for batch in list(member.batches):
                self.scheduler.withdraw(member, batch.number)
        self._clear_queue()
        for each in list(self.open):
            each.break_off(error())

    def _clear_queue(self) -> None:
        """Tell those who wait that their tasks will not be run."""
        while True:
            try:
                span: Any = self.scheduler.queue.popleft()
            except IndexError:
                return
            for index in range(span.first, span.first + span.count):
                if span.work.over:
                    break
                span.work.settle(index, Failure(self._reason()))

    def _reason(self) -> BaseException:
        if self._broken is not None:
            return self._broken()
        return TaskCancelled("the pool was terminated")

    def _stop_all(self) -> None:
        """All is done, so the workers may go."""
        for worker in self._workers.values():
            worker.words[wire.LIMIT] = 0
            worker.stop()
        while self._workers and not self._terminating:
            self._receive(None)
            for number in list(self._ended):
                self._ended.discard(number)
                self._let_go(number)

    def _let_go(self, number: int) -> None:
        worker = self._workers.pop(number, None)
        if worker is not None:
            worker.process.join()
            self._poller.unregister(worker.process.sentinel)
            worker.process.close()

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            worker.process.terminate()
        limit = time.monotonic() + GRACE_SECONDS
        for worker in self._workers.values():
            worker.process.join(max(0.0, limit - time.monotonic()))
        for worker in list(self._workers.values()):
            worker.process.kill()
            self._let_go(worker.number)

    def _finish(self) -> None:
        try:
            self._kill_all()
        finally:
            self.closed = self._finished = True
            self._break(lambda: TaskCancelled("the pool was terminated"))
            self._close_descriptors()
            self._at_exit.cancel()

    def _close_descriptors(self) -> None:
        writer, self._wake_writer = self._wake_writer, -1
        os.close(writer)
        os.close(self._wake_reader)
