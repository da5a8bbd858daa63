"""Owns looking after workers: time limits, slow workers, tasks that nobody wants any more."""

from __future__ import annotations

import marshal
import queue
import sys

assert sys.platform != "win32"

from processing_pool import _wire as wire
from processing_pool._process import is_stopped
from processing_pool.errors import TaskCancelled, TaskTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from processing_pool._crew import Crew
    from processing_pool._hearing import Hearing
    from processing_pool._process import Worker
    from processing_pool._scheduler import Batch

__all__ = ["Overseer"]

# A worker that is silent for so long (seconds) may have results in its log, or hold up tasks.
QUIET_SECONDS = 0.002
# One that has nothing to do, was asked whether it is there, and is silent for so long (seconds) is
# taken for stopped.
SILENT_SECONDS = 2.0
# How often it is tried whether one that was stopped while it told something goes on (seconds).
TELLER_SECONDS = 0.05
FAR_SECONDS = 3600.0
# How often it is looked whether a worker has begun what nobody wants: at first, and at most.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.001, 0.05


class Overseer:
    """Looks after workers. Only the pool's thread uses it, except for ``limits``."""

    def __init__(self, crew: Crew, hearing: Hearing, *, limits: bool) -> None:
        self._crew = crew
        self._hearing = hearing
        # Whether some task has a time limit.
        self.limits = limits
        # Until then nobody could tell anything.
        self._mute_until = 0.0
        # Works that nobody wants and a worker may yet begin, and when that is looked at again.
        self._unwanted: list[Any] = []
        self._pause = FIRST_PAUSE_SECONDS
        self._look_again = 0.0

    def next_moment(self, now: float) -> float | None:
        """When there is something to be looked at if nothing happens before; None for never."""
        if self._hearing.stopped_teller() is not None:
            return now + TELLER_SECONDS
        moments = []
        for worker in self._crew.workers.values():
            if worker.verdict is not None:
                continue
            if not worker.member.batches:
                if self.limits and worker.asked:
                    moments.append(max(worker.heard, self._mute_until) + SILENT_SECONDS)
                continue
            if not worker.looked:
                moments.append(worker.heard + QUIET_SECONDS)
            if self.limits:
                moments.append(self._deadline(worker, now)[0])
        moments += [worker.heard + QUIET_SECONDS for worker in self._to_relieve()]
        if self._unwanted:
            moments.append(self._look_again)
        return min(moments, default=None)

    def look(self, now: float) -> None:
        """Read the logs of silent workers; end what has taken too long; relieve who is slow."""
        stopped = self._hearing.stopped_teller()
        if stopped is not None:
            self._mute_until = now
            self._check_teller(*stopped, now)
            return
        for worker in self._crew.workers.values():
            if not worker.member.batches:
                silent = now - max(worker.heard, self._mute_until)
                if self.limits and worker.asked and silent >= SILENT_SECONDS:
                    # It may hold what others need, and nothing is lost with it.
                    worker.condemn(worker.position, is_stopped)
                continue
            if not worker.looked and now >= worker.heard + QUIET_SECONDS:
                worker.looked = True
                self._hearing.read_log(worker)
            if self.limits and worker.verdict is None:
                self._check_limit(worker, now)
        for worker in self._to_relieve():
            if now >= worker.heard + QUIET_SECONDS:
                self._relieve(worker)
        # Before the pool rests, too, since what it keeps here stays in memory.
        if self._unwanted and (now >= self._look_again or self._crew.is_quiet):
            self._unwanted = [work for work in self._unwanted if self._is_to_come(work)]
            self._look_again = now + self._pause
            self._pause = min(2 * self._pause, LAST_PAUSE_SECONDS)

    def _check_teller(self, pid: int, since: float, now: float) -> None:
        """End a worker that was stopped while it told something: nobody else can tell anything."""
        if not self.limits or now < since + SILENT_SECONDS:
            return
        for worker in self._crew.workers.values():
            if worker.pid == pid and worker.verdict is None:
                worker.condemn(worker.position, is_stopped)

    def _to_relieve(self) -> list[Worker]:
        """Workers that have tasks which others could do, who have nothing to do."""
        scheduler = self._crew.scheduler
        if not scheduler.starving():
            return []
        workers = self._crew.workers
        victims = [workers[member.number] for member in scheduler.victims()]
        return [worker for worker in victims if not worker.relieved and _has_waiting(worker)]

    def withdraw(self, work: Any) -> None:
        """Nobody wants the results of a work any more."""
        if not self._is_to_come(work):
            return
        for worker in self._crew.workers.values():
            if worker.verdict is None and _has(worker, work):
                self._take_back(worker)
        # A worker may have taken it from its queue, and have not said yet that it begins it.
        if self._is_to_come(work):
            self._unwanted.append(work)
            self._pause, self._look_again = FIRST_PAUSE_SECONDS, 0.0

    def _is_to_come(self, work: Any) -> bool:
        """End the workers that run a work; whether others may yet do so."""
        found = False
        for worker in self._crew.workers.values():
            if worker.verdict is not None or not _has(worker, work):
                continue
            position = worker.position
            running = worker.member.find(position >> wire.OFFSET_BITS)
            offset = position & wire.OFFSET_MASK
            runs = running is not None and (
                any(each is work for each, _ in _left(running))
                if offset == wire.LOADING
                else offset < running.count and running.task(offset)[0] is work
            )
            if not runs or not worker.condemn(
                position, lambda _: TaskCancelled("the task was cancelled")
            ):
                found = True
        return found

    def _deadline(self, worker: Worker, now: float) -> tuple[float, int, Any, int]:
        """When the worker goes beyond a time limit, and where: position, work, index."""
        position = worker.position
        since = worker.running_since()
        batch = worker.member.find(position >> wire.OFFSET_BITS)
        offset = begun(position)
        work: Any
        if batch is None or offset >= batch.count:
            # It has not begun what it was given, although it is free to. Nothing is lost with it.
            first = [each.task(each.received) for each in worker.member.batches]
            limited = [each for each in first if each[0].timeout is not None]  # type: ignore[attr-defined]
            if not limited or not worker.ready:
                return now + FAR_SECONDS, position, *first[0]
            work, index = min(limited, key=lambda each: each[0].timeout)  # type: ignore[attr-defined]
            since = max(worker.heard, self._mute_until)
            return since + work.timeout, position, work, index
        work, index = batch.task(offset)
        limit = work.timeout
        if limit is None:
            return now + FAR_SECONDS, position, work, index
        return max(since, self._mute_until) + limit, position, work, index

    def _check_limit(self, worker: Worker, now: float) -> None:
        moment, position, work, index = self._deadline(worker, now)
        if now < moment:
            return

        def verdict(pid: int) -> BaseException:
            return TaskTimeout(
                f"{work.describe(index)} took longer than {work.timeout} seconds, "
                f"so its worker {pid} was killed"
            )

        worker.condemn(position, verdict)

    def _relieve(self, worker: Worker) -> None:
        """Let others do what a slow worker has not begun."""
        member = worker.member
        member.slow = worker.relieved = True
        self._take_back(worker)
        if not member.batches and worker.ready:
            # It may be as quick as any: so it is asked.
            worker.ping()

    def _take_back(self, worker: Worker) -> None:
        """Have wait again what a worker has not begun."""
        member = worker.member
        scheduler = self._crew.scheduler
        if any(batch.bulky for batch in member.batches):
            return
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
        number, offset = position >> wire.OFFSET_BITS, begun(position)
        batch = member.find(number)
        # What was taken back before does not count any more, so the limit only ever falls.
        if batch is None or batch.count - offset <= 1:
            return
        later = worker.limit((number << wire.OFFSET_BITS) + offset + 1)
        if later >> wire.OFFSET_BITS == number:
            # It may be at ``later``, or have found that it must not; then it says so.
            scheduler.cut_off(member, number, max(offset, begun(later)) + 1)


def _left(batch: Batch) -> Iterator[tuple[Any, int]]:
    """The tasks of a batch whose results have not come."""
    return map(batch.task, range(batch.received, batch.count))


def _has(worker: Worker, work: Any) -> bool:
    """Whether tasks of a work are at a worker."""
    for batch in worker.member.batches:
        if batch.singles is None:
            if batch.work is work:
                return True
        elif any(each is work for each, _ in _left(batch)):
            return True
    return False


def _has_waiting(worker: Worker) -> bool:
    """Whether it has tasks that it has not begun."""
    batches = worker.member.batches
    number = worker.position >> wire.OFFSET_BITS
    return len(batches) > 1 or batches[0].number != number or worker.member.unfinished > 1


def begun(position: int) -> int:
    """The offset of the task; while a batch is unpickled, of its first."""
    offset = position & wire.OFFSET_MASK
    return 0 if offset == wire.LOADING else offset
