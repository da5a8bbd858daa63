"""Owns the thread that drives a pool of processes: it alone asks the scheduler, writes to the
workers and hears from them.

Submitters append to the scheduler's queue and wake the thread if it sleeps. Everything else that
others want of it are commands, which it carries out in turn.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
import weakref
from collections import deque

assert sys.platform != "win32"

from processing_core import ClosedError, MisuseError, Pipe, RemoteError, SimpleQueue
from processing_core.lowlevel import at_exit, load_failure
from processing_pool import _wire as wire
from processing_pool._alarm import Alarm
from processing_pool._crew import Crew
from processing_pool._functions import Functions
from processing_pool._hearing import Hearing, Ledger
from processing_pool._memory import oom_kills
from processing_pool._overseeing import Overseer
from processing_pool._process import Recipe
from processing_pool._results import Failure
from processing_pool._sending import Sender
from processing_pool._stacks import ask_for_stacks
from processing_pool._stats import copied
from processing_pool._worker import Orders
from processing_pool.errors import TaskCancelled, WorkerLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from processing_core.abc import StartsProcesses
    from processing_pool._abc import Open
    from processing_pool._options import Options
    from processing_pool._process import Worker
    from processing_pool._stats import PoolStats


__all__ = ["ProcessEngine"]

# So many workers in a row that die before they are ready are too many: by themselves, and by
# signals from elsewhere.
MOST_FAILED_STARTS = 3
MOST_KILLED_STARTS = 50
# A caller that drives gives its task to a worker if it takes at most so long, and waits for the
# result for so long (seconds). The thread waits for the caller, but not for ever.
LANE_TASK_SECONDS = 0.0002
LANE_WAIT_SECONDS = 0.001
LANE_SECONDS = 1.0
# The first caller waits for so long, since the workers are just starting: meanwhile the thread need
# not run, for which it would have to compete with them.
FIRST_WAIT_SECONDS = 0.005
# After so long (seconds) it is tried again to start a worker, when there was no room for one.
START_AGAIN_SECONDS = 0.5


class ProcessEngine:
    """Runs tasks in worker processes."""

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
        most_seconds: float | None,
        options: Options,
        functions: Functions,
    ) -> None:
        self.processes = processes
        self.options = options
        self.functions = functions
        self.deciding = threading.Lock()
        self._pid = os.getpid()
        self._oom_kills = oom_kills()
        self._open: weakref.WeakSet[Open] = weakref.WeakSet()
        # How it ends.
        self.closed = False
        self._terminating = False
        self._finished = False
        self._broken: Callable[[], BaseException] | None = None
        # What others tell the thread.
        self._commands: deque[Callable[[], object]] = deque()
        self._news = False
        self._asleep = False
        # Who holds it drives the pool: the thread, or for a moment who calls ``run``.
        self._driving = threading.Lock()
        self._in_lane = False
        # The thread begins when there is something for it to do; until then it counts as resting.
        self._begun = False
        self._beginning = threading.RLock()
        self._has_lane = most_tasks is None and most_memory is None and most_seconds is None
        self._resting = True
        # What it is made of.
        results: SimpleQueue[Any] = SimpleQueue()
        self._stacks, stacks_writer = Pipe(duplex=False)
        self._stacks_writer = stacks_writer
        self._asking = threading.Lock()
        orders = Orders(
            initializer,
            initargs,
            finalizer,
            most_memory,
            most_seconds,
            stacks_writer,
            functions.pickler,
        )
        self._has_quota = most_tasks is not None
        self._crew = Crew(Recipe(context, orders, most_tasks, results))
        self._scheduler = self._crew.scheduler
        self._queue = self._scheduler.queue
        self._ledger = Ledger(self._crew, self.deciding)
        self._hearing = Hearing(self._crew, self._ledger, results, self._sleep)
        self._sender = Sender(self._crew, self.functions, self._ledger)
        self._overseer = Overseer(self._crew, self._hearing, limits=options.timeout is not None)
        self._alarm = Alarm()
        self._crew.poller.register(self._alarm.descriptor, select.POLLIN)
        self._crew.rest_poller.register(self._alarm.descriptor, select.POLLIN)
        self._crew.poller.register(self._hearing.descriptor, select.POLLIN)
        self._start_again: float | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"PoolThread-{self._pid}", daemon=True
        )
        # Who has it drives the pool to its end: the thread or, if that never began, a joiner.
        self._ownership = threading.Lock()
        self._owner: int | None = None
        self._ended = threading.Event()
        self._at_exit = at_exit(self._end_at_exit)
        try:
            self._crew.start(processes)
        except BaseException:
            self._finish()
            raise

    # For other threads

    @property
    def is_foreign(self) -> bool:
        return self._pid != os.getpid()

    @property
    def is_current_thread(self) -> bool:
        return threading.get_ident() == self._owner

    def check_open(self) -> None:
        if self._pid != os.getpid():
            raise MisuseError("only the process that made a pool can use it")
        if self.closed:
            raise ClosedError("the pool is closed and takes no more tasks")

    def open(self, source: Open) -> None:
        self._open.add(source)

    def submit(self, span: Any) -> None:
        self._queue.append(span)
        # After the append: the thread, which forgets the news before it looks, finds it.
        self._news = True
        if not self._begun:
            self._begin()
        if self._asleep:
            self._ring()
        if self._finished:
            self._clear_queue()

    def expect_limits(self) -> None:
        self._overseer.limits = True

    def wake(self) -> None:
        self._news = True
        if not self._begun:
            self._begin()
        if self._asleep:
            self._ring()

    def _begin(self) -> None:
        """Start the thread, unless another caller has, or has needed none."""
        with self._beginning:
            if not (self._begun or self._finished):
                if not self._thread.is_alive():
                    self._thread.start()
                self._begun = True

    def _command(self, function: Callable[[], object]) -> None:
        self._commands.append(function)
        self.wake()

    def _ring(self) -> None:
        self._asleep = False
        self._alarm.ring()

    def withdraw(self, work: Any) -> None:
        if not self.is_foreign:
            self._command(lambda: self._overseer.withdraw(work))

    def where(self, work: Any) -> tuple[int, float] | None:
        return self._crew.where(work)

    def close(self) -> None:
        if not self.is_foreign:
            self.closed = True
            if self._begun or not self._stop_without_the_thread():
                self.wake()

    def _stop_without_the_thread(self) -> bool:
        """Tell the workers to end, if there is nothing else to do; whether that is so."""
        taken: list[bool] = []
        try:
            taken += map(self._driving.acquire, (False,))
            done = taken[0] and self._resting and self._is_done()
            if done:
                self._crew.dismiss()
        finally:
            if True in taken:
                self._driving.release()
        return done

    def terminate(self) -> None:
        if not self.is_foreign:
            self.closed = self._terminating = True
            self.wake()

    def join(self, *, endless: bool) -> None:
        if self.is_foreign or self.is_current_thread:
            return
        for each in copied(self._open):
            each.take_all(endless=endless)
        self._wait_for_the_end()

    def _end_at_exit(self) -> None:
        self.closed = self._terminating = True
        if self._begun:
            self.wake()
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        taken: list[bool] = []
        try:
            if not self._begun:
                taken += map(self._ownership.acquire, (False,))
            if True in taken:
                self._drive()
        finally:
            if True in taken:
                self._finish()
        self._ended.wait()
        if self._begun:
            self._thread.join()

    def resize(self, processes: int) -> None:
        self.processes = processes
        self._command(self._fit)

    def stats(self) -> PoolStats:
        return self._crew.stats()

    def dump_stacks(self) -> dict[int, str]:
        with self._asking:
            return {
                worker.pid: ask_for_stacks(worker.pid, self._stacks)
                for worker in copied(self._crew.workers.values())
                # One that has begun can tell, though it may not have been heard yet.
                if (worker.ready or worker.has_begun) and worker.number in self._crew.workers
            }

    # The thread

    def _run(self) -> None:
        if not self._ownership.acquire(blocking=False):
            return
        try:
            self._drive()
        except BaseException as error:  # noqa: BLE001 - the pool must not hang for it
            message = f"the pool's thread failed: {error!r}"
            self._break(lambda: RemoteError(message))
            threading.excepthook(
                threading.ExceptHookArgs((type(error), error, error.__traceback__, self._thread))
            )
        finally:
            self._finish()

    def _drive(self) -> None:
        """Have all tasks done and the workers stopped; for who has the ownership."""
        self._owner = threading.get_ident()
        self._resting = False
        self._take_over()
        while not self._terminating and not self._is_done():
            if self._may_rest():
                self._rest()
            else:
                self._step()
        if not self._terminating:
            self._stop_all()

    def _is_done(self) -> bool:
        """Whether nobody can want anything any more."""
        return (
            self.closed
            and not any(each.is_taking for each in copied(self._open))
            and self._scheduler.is_idle
            and not self._commands
        )

    def _step(self) -> None:
        self._news = False
        while self._commands:
            self._commands.popleft()()
        if self._broken is not None:
            self._clear_queue()
        for member, batch in self._scheduler.assign():
            self._sender.send(self._crew.workers[member.number], batch)
        if self.closed and self._is_done():
            return
        self._hearing.receive(self._time_to_sleep())
        for worker in self._crew.take_ended():
            self._bury(worker)
        now = time.monotonic()
        self._overseer.look(now)
        if self._has_quota:
            self._replace_used_up()
        if self._start_again is not None and now >= self._start_again:
            self._start_again = None
            self._fit()

    def _may_rest(self) -> bool:
        """Whether nothing is to be done or heard before somebody wakes the thread."""
        return (
            not self._queue
            and not self._commands
            and not self._crew.ended
            and self._start_again is None
            and self._broken is None
            and self._crew.is_quiet
        )

    def _rest(self) -> None:
        """Sleep until there is something to do; others may drive meanwhile."""
        self._news = False
        self._asleep = self._resting = True
        self._driving.release()
        try:
            has_news = self._queue or self._commands or self._news or self._terminating
            if not has_news and self._alarm.descriptor in self._crew.rest():
                self._alarm.silence()
        finally:
            self._asleep = self._resting = False
            self._take_over()

    def _take_over(self) -> None:
        """Wait until nobody else drives."""
        # Who was interrupted right after acquiring the lock may have left it so.
        while not self._driving.acquire(timeout=LANE_SECONDS):
            if not self._in_lane:
                return

    def run(self, result: Any) -> None:
        """Have a task run that the caller will wait for.

        If there is nothing else to do, the caller gives it to a worker and looks for the result
        itself: it is a tiny task, or else the thread is told after a moment. That takes a fraction
        of the time that waking two threads takes.
        """
        cost = result.timing.cost
        if not (
            self._resting
            and self._has_lane
            and not self._overseer.limits
            and (cost is None or cost < LANE_TASK_SECONDS)
            and self._driving.acquire(blocking=False)
        ):
            self.submit(result)
            return
        try:
            self._in_lane = True
            if self._is_at_rest():
                self._queue.append(result)
                for member, batch in self._scheduler.assign():
                    self._sender.send(self._crew.workers[member.number], batch)
                self._hearing.receive_one(LANE_WAIT_SECONDS)
                if not self._begun:
                    self._hear_workers_begin(result)
            else:
                self.submit(result)
        except BaseException:
            # Nobody can say what was done and what was not. The task is the only one that runs.
            self._commands.append(self._kill_busy)
            raise
        finally:
            self._in_lane = False
            self._driving.release()
            if not result.over:
                self.wake()

    def _hear_workers_begin(self, result: Any) -> None:
        end = time.monotonic() + FIRST_WAIT_SECONDS
        while not (result.over or self._begun) and (left := end - time.monotonic()) > 0:
            self._hearing.receive_one(left)

    def _is_at_rest(self) -> bool:
        """Whether the thread rests, with nothing to do: asked when that cannot change."""
        return self._resting and not (self.closed or self._queue or self._commands)

    def _kill_busy(self) -> None:
        """After somebody was interrupted who drove."""
        for worker in self._crew.workers.values():
            if worker.member.batches and worker.verdict is None:
                worker.verdict = worker.position, lambda _: TaskCancelled("it was interrupted")
                worker.process.kill()

    def _sleep(self, seconds: float) -> bool:
        self._asleep = True
        try:
            if self._has_news():
                return True
            if self._alarm.descriptor in self._crew.poll(seconds):
                self._alarm.silence()
        finally:
            self._asleep = False
        # A submitter that was interrupted may have appended and said nothing.
        return bool(self._queue) or self._has_news()

    def _has_news(self) -> bool:
        return self._news or bool(self._crew.ended)

    def _time_to_sleep(self) -> float | None:
        """For how long nothing is to be done unless something happens; None without limit."""
        now = time.monotonic()
        moments = [self._start_again, self._overseer.next_moment(now)]
        known = [moment for moment in moments if moment is not None]
        return max(0.0, min(known) - now) if known else None

    # Workers

    def _fit(self) -> None:
        """Have as many workers as wanted."""
        workers = self._crew.workers
        staying = [worker for worker in workers.values() if not worker.member.retiring]
        for worker in staying[self.processes :]:
            worker.stop()
        for _ in range(self.processes - len(staying)):
            if self._broken is not None:
                return
            try:
                self._crew.start()
            except Exception as error:  # noqa: BLE001 - whatever it is, tasks must not wait for ever
                if not workers:
                    self._break(lambda error=error: error)  # type: ignore[misc]
                else:
                    self._start_again = time.monotonic() + START_AGAIN_SECONDS
                return

    def _replace_used_up(self) -> None:
        """Let workers go that have done as many tasks as they may."""
        used_up = [
            worker
            for worker in self._crew.workers.values()
            if worker.member.quota == 0 and not worker.member.batches and not worker.stopping
        ]
        for worker in used_up:
            worker.stop()
        if used_up:
            self._fit()

    def _bury(self, worker: Worker) -> None:
        """A worker has ended: see what it has left, replace it, and tell of what is lost.

        In this order: whoever is told finds the pool complete again.
        """
        worker.process.join()
        self._hearing.finish(worker)
        self._crew.forget(worker)
        position = worker.position
        offset: int | None = position & wire.OFFSET_MASK
        verdict = worker.verdict
        lost = self._scheduler.lose(
            worker.number,
            position >> wire.OFFSET_BITS,
            None if offset == wire.LOADING else offset,
            innocent=verdict is not None and verdict[0] != position,
            final=verdict is not None,
        )
        self._count(worker, expected=worker.stopping and not lost)
        failures = [(work, index, self._failure_of(worker, work, index)) for work, index in lost]
        worker.process.close()
        try:
            if not self._is_done():
                self._fit()
        finally:
            for work, index, failure in failures:
                self._ledger.conclude(work, index, failure)

    def _failure_of(self, worker: Worker, work: Any, index: int) -> Failure:
        """What is said of a task that was lost with its worker."""
        if worker.verdict is not None:
            return Failure(worker.verdict[1](worker.pid))
        return Failure(self._lost_error(work.describe(index), worker.cause, worker.pid))

    def _count(self, worker: Worker, *, expected: bool) -> None:
        """What the end of a worker means for the pool."""
        counts, crew = self._crew.counts, self._crew
        if worker.could_not_start is not None:
            data = worker.could_not_start
            self._break(lambda: load_failure(data, RemoteError))
        elif expected:
            counts.recycled += 1
        elif worker.verdict is None:
            counts.lost += 1
            if not worker.ready:
                if worker.was_killed and not worker.has_begun:
                    crew.killed_starts += 1
                else:
                    crew.failed_starts += 1
        if crew.failed_starts >= MOST_FAILED_STARTS or crew.killed_starts >= MOST_KILLED_STARTS:
            cause, pid = worker.cause, worker.pid
            what = "its initializer" if worker.has_begun else "its start"
            self._break(lambda: self._lost_error(what, cause, pid))

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
        for member in self._scheduler.members.values():
            for batch in list(member.batches):
                self._scheduler.withdraw(member, batch.number)
        self._clear_queue()
        for each in copied(self._open):
            each.break_off(self._reason())

    def _clear_queue(self) -> None:
        """Tell those who wait that their tasks will not be run."""
        while True:
            try:
                span: Any = self._queue.popleft()
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
        self._crew.dismiss()
        while self._crew.workers and not self._terminating:
            self._news = False
            self._hearing.receive(None)
            for worker in self._crew.take_ended():
                self._crew.let_go(worker)

    def _finish(self) -> None:
        try:
            self._crew.kill_all()
        finally:
            self.closed = self._finished = True
            self._break(lambda: TaskCancelled("the pool was terminated"))
            self._close_descriptors()
            self._hearing.close()
            self._crew.disband()
            self._at_exit.cancel()
            self._ended.set()

    def _close_descriptors(self) -> None:
        self._alarm.close()
        with self._asking:
            self._stacks.close()
            self._stacks_writer.close()
