"""Owns the workers of a pool together: which there are, who has ended, and what is counted."""

from __future__ import annotations

import contextlib
import select
import sys
import time

assert sys.platform != "win32"

from processing_pool import _wire as wire
from processing_pool._process import Recipe, Worker
from processing_pool._scheduler import Scheduler
from processing_pool._stats import Counts, PoolStats, WorkerStats, copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Crew"]

# How long workers get to end by SIGTERM before they are killed.
GRACE_SECONDS = 0.5


class Crew:
    """The workers. Only the pool's thread uses it, except that others may look."""

    def __init__(self, recipe: Recipe) -> None:
        self.scheduler = Scheduler()
        self.counts = Counts()
        self.workers: dict[int, Worker] = {}
        # For two ways of sleeping: with ears for results, and without.
        self.poller = select.poll()
        self.rest_poller = select.poll()
        # Numbers of workers whose end was noticed.
        self.ended: set[int] = set()
        # How many in a row died before they were ready: by themselves or while initializing, and
        # killed before that.
        self.failed_starts = 0
        self.killed_starts = 0
        self._recipe = recipe
        self._sentinels: dict[int, int] = {}
        self._last_number = 0
        self._dismissed = False

    def start(self, count: int = 1) -> None:
        """Start more workers.

        All are made before the first is forked, and looked after when the last is there: what this
        process touches between two forks it has to copy twice.

        :raises OSError: when the system has no room for another process
        """
        made: list[Worker] = []
        try:
            for _ in range(count):
                self._last_number += 1
                number = self._last_number
                member = self.scheduler.join(number, self._recipe.quota)
                made.append(Worker(number, self._recipe, member))
            for worker in made:
                worker.start()
            for worker in made:
                self.workers[worker.number] = worker
                sentinel = worker.process.sentinel
                self._sentinels[sentinel] = worker.number
                self.poller.register(sentinel, select.POLLIN)
                self.rest_poller.register(sentinel, select.POLLIN)
        except BaseException:
            # Who makes a pool may be interrupted anywhere in this.
            for worker in made:
                self.scheduler.members.pop(worker.number, None)
                if worker.process.pid is not None:
                    self.forget(worker)
                worker.discard()
            raise

    def dismiss(self) -> None:
        """Have all workers end, because there is nothing more to do. May be called again.

        Those that are ending already were replaced.
        """
        first, self._dismissed = not self._dismissed, True
        for worker in self.workers.values():
            if not worker.stopping:
                worker.words[wire.LIMIT] = 0
                worker.stop()
            elif first:
                self.counts.recycled += 1

    def forget(self, worker: Worker) -> None:
        """An ended worker is to be waited for no more."""
        self.workers.pop(worker.number, None)
        sentinel = worker.process.sentinel
        self._sentinels.pop(sentinel, None)
        for poller in (self.poller, self.rest_poller):
            with contextlib.suppress(KeyError):  # its start was interrupted
                poller.unregister(sentinel)

    def poll(self, seconds: float) -> set[int]:
        """Sleep; notes who has ended, and returns which other descriptors are ready."""
        return self._note(self.poller.poll(max(0.0, seconds) * 1000 + 0.999))

    def rest(self) -> set[int]:
        """The same when no results are to come, without limit."""
        return self._note(self.rest_poller.poll())

    def _note(self, events: list[tuple[int, int]]) -> set[int]:
        found = {number for number, _ in events}
        for sentinel in found & self._sentinels.keys():
            self.ended.add(self._sentinels[sentinel])
        return found

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is to be heard from any worker."""
        return all(
            worker.ready and not worker.member.slow and not worker.member.batches
            for worker in self.workers.values()
        )

    def take_ended(self) -> Iterator[Worker]:
        """The workers whose end was noticed, each once."""
        while self.ended:
            worker = self.workers.get(self.ended.pop())
            if worker is not None:
                yield worker

    # For other threads

    def where(self, work: Any) -> tuple[int, float] | None:
        """The process that runs a task now, and since when (time.monotonic()); None if none."""
        for worker in copied(self.workers.values()):
            position = worker.position
            since = worker.running_since()
            batch = worker.member.find(position >> wire.OFFSET_BITS)
            offset = position & wire.OFFSET_MASK
            if batch is not None and offset < batch.count and batch.task(offset)[0] is work:
                return worker.pid, since
        return None

    def stats(self) -> PoolStats:
        """What the pool is doing at this moment."""
        now = time.monotonic()
        workers = copied(self.workers.values())
        shown = []
        for worker in workers:
            age = max(now - worker.began, 1e-9)
            busy = worker.busy
            if worker.member.batches:
                busy += max(0.0, now - worker.heard)
            share = min(1.0, busy / age)
            shown.append(WorkerStats.of(worker.number, worker.pid, share, worker.done))
        running = sum(
            batch.count - batch.received
            for worker in workers
            for batch in copied(worker.member.batches)
        )
        scheduler = self.scheduler
        waiting = sum(span.count for span in copied(scheduler.queue))
        return PoolStats.of(self.counts, scheduler.retried, waiting, running, shown)

    # The end

    def disband(self) -> None:
        """Give up what workers are made of. No more can be started then."""
        del self._recipe

    def kill_all(self) -> None:
        """End all workers now: by SIGTERM, and those that do not heed it by SIGKILL."""
        for worker in self.workers.values():
            worker.process.terminate()
        limit = time.monotonic() + GRACE_SECONDS
        for worker in self.workers.values():
            worker.process.join(max(0.0, limit - time.monotonic()))
        for worker in list(self.workers.values()):
            worker.process.kill()
            self.let_go(worker)

    def let_go(self, worker: Worker) -> None:
        """A worker has ended and leaves nothing."""
        worker.process.join()
        self.forget(worker)
        worker.process.close()
