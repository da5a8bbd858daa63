"""Owns what is heard from workers: results, and what they say of themselves."""

from __future__ import annotations

import marshal
import queue
import sys
import time

assert sys.platform != "win32"

from processing_core.lowlevel import Receiver, loads
from processing_pool import _wire as wire
from processing_pool._results import Failure, finish_plain, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_core import SimpleQueue
    from processing_pool._crew import Crew
    from processing_pool._process import Worker
    from processing_pool._scheduler import Batch

__all__ = ["Hearing", "Ledger"]

MESSAGES_AT_ONCE = 500


class Ledger:
    """Hands results over to those whose they are, each once."""

    def __init__(self, crew: Crew, deciding: Any) -> None:
        self._deciding = deciding
        self._scheduler = crew.scheduler
        self._counts = crew.counts

    def accept(
        self, worker: Worker, batch: Batch, first: int, outcomes: list[Any], *, plain: bool
    ) -> None:
        """The outcomes of tasks from ``first`` on; those that were known before are passed over."""
        start = batch.received
        if start > first:
            outcomes = outcomes[start - first :]
        end = start + len(outcomes)
        self._scheduler.settle(worker.member, batch, end)
        worker.done += len(outcomes)
        self._counts.done += len(outcomes)
        if not plain:
            self._counts.failed += sum(
                type(each) is tuple and each[0] in wire.FAILURES for each in outcomes
            )
        if batch.singles is None:
            work: Any = batch.work
            work.accept(batch.first + start, outcomes, plain=plain)
        elif plain:
            finish_plain(batch.singles[start:end], outcomes, self._deciding)  # type: ignore[arg-type]
        else:
            for single, outcome in zip(batch.singles[start:end], outcomes, strict=True):
                single.accept(0, (outcome,), plain=False)  # type: ignore[attr-defined]

    def settle(self, worker: Worker, batch: Batch, offset: int, values: list[Any]) -> None:
        """Values, or Failures, that are known here."""
        tasks = [batch.task(place) for place in range(offset, offset + len(values))]
        self._scheduler.settle(worker.member, batch, offset + len(values))
        worker.done += len(values)
        for (work, index), value in zip(tasks, values, strict=True):
            self.conclude(work, index, value)

    def conclude(self, work: Any, index: int, value: Any) -> None:
        """The value, or the Failure, of a task that no worker has any more."""
        self._counts.done += 1
        self._counts.failed += type(value) is Failure
        work.settle(index, value)


class Hearing:
    """Takes messages of workers from the queue of results. Only the pool's thread uses it."""

    def __init__(
        self,
        crew: Crew,
        ledger: Ledger,
        results: SimpleQueue[Any],
        sleep: Callable[[float], bool | None],
    ) -> None:
        self._crew = crew
        self._scheduler = crew.scheduler
        self._ledger = ledger
        self._results = results
        self._receiver = Receiver(results, sleep, look=False)
        self._unpickling: BaseException | None = None

    @property
    def descriptor(self) -> int:
        """Readable while there are messages and ``sleep`` is called."""
        return self._receiver.descriptor

    def stopped_teller(self) -> tuple[int, float] | None:
        """The process that keeps all others from telling anything, and since when.

        It was stopped in the middle of a message.
        """
        since = self._receiver.stuck_since
        return None if since is None else (self._receiver.holder, since)

    def close(self) -> None:
        """Give up the queue: nothing more is heard."""
        del self._receiver, self._results

    def receive_one(self, seconds: float) -> None:
        """Wait for a message and deal with it, while there is nothing else to be waited for.

        So it is done as consumers of queues do, which is quicker.
        """
        try:
            message = self._results.get(True, seconds)
        except queue.Empty:
            return
        except Exception as error:  # noqa: BLE001 - as in receive
            self._unpickling = error
            return
        self._take(message)

    def receive(self, timeout: float | None) -> None:
        """Wait for messages and deal with them."""
        try:
            messages = self._receiver.get_many(MESSAGES_AT_ONCE, timeout)
        except Exception as error:  # noqa: BLE001 - unpickling a result runs code of others
            # The next message of its worker tells whose it was.
            self._unpickling = error
            return
        for message in messages:
            self._take(message)

    def finish(self, worker: Worker) -> None:
        """A worker has ended: hear what it has said, and read what it has left unsaid."""
        while self._receiver.ready():
            self.receive(0)
        if worker.announced is not None:
            self._give_up_announced(worker)
        self.read_log(worker)

    def read_log(self, worker: Worker) -> None:
        """What a worker has done without having said so yet."""
        for position, outcome in worker.read_log():
            number, offset = position >> wire.OFFSET_BITS, position & wire.OFFSET_MASK
            batch = self._scheduler.receive(worker.member, number, offset, 1)
            if batch is not None and offset == batch.received:
                self._ledger.accept(worker, batch, offset, [outcome], plain=False)

    def _take(self, message: Any) -> None:
        if type(message) is bytes:
            self._hear(message)
        else:
            self._take_large(message)

    def _hear(self, message: bytes) -> None:
        number, batch_number, first, outcomes, busy, flags = marshal.loads(message)
        worker = self._crew.workers.get(number)
        if worker is None:
            return
        if worker.announced is not None:
            self._give_up_announced(worker)
        worker.heard = time.monotonic()
        worker.looked = worker.relieved = worker.asked = worker.member.slow = False
        if not batch_number:
            self._hear_of_itself(worker, outcomes, flags)
            return
        worker.busy += busy / 1e9
        member = worker.member
        if flags & wire.VALUE:
            batch = member.find(batch_number)
            if batch is not None:
                batch.work.add(outcomes[0])  # type: ignore[attr-defined]
            return
        batch = self._scheduler.receive(member, batch_number, first, len(outcomes))
        if batch is not None:
            if flags & wire.UNREADABLE and batch.count > 1:
                self._scheduler.cut_off(member, batch_number, 0, alone=True)
                return
            if batch.of_one_kind:
                batch.work.timing.learn(busy / 1e9, len(outcomes))
            self._ledger.accept(worker, batch, first, outcomes, plain=bool(flags & wire.PLAIN))
        if flags & wire.ANNOUNCED:
            worker.announced = batch_number, first + len(outcomes)
        if flags & wire.STOPPED:
            self._scheduler.cut_off(member, batch_number, first + len(outcomes))

    def _hear_of_itself(self, worker: Worker, outcomes: list[Any], flags: int) -> None:
        if flags & wire.READY:
            worker.ready = True
            self._crew.failed_starts = self._crew.killed_starts = 0
        elif flags & wire.UNREADY:
            worker.could_not_start = outcomes[0][1]
        elif flags & wire.LEAVING:
            worker.stopping = worker.member.retiring = True

    def _take_large(self, message: tuple[Any, ...]) -> None:
        """A result that was sent by itself."""
        number, batch_number, offset, busy, *rest = message
        worker = self._crew.workers.get(number)
        if worker is None:
            return
        worker.announced = None
        worker.heard = time.monotonic()
        worker.looked = worker.relieved = worker.asked = worker.member.slow = False
        worker.busy += busy / 1e9
        if offset < 0:  # a value of a stream
            batch = worker.member.find(batch_number)
        else:
            batch = self._scheduler.receive(worker.member, batch_number, offset, 1)
        if batch is None:
            return
        work, index = batch.task(max(offset, 0))
        if busy:
            work.timing.learn(busy / 1e9, 1)
        if len(rest) == 1:
            value = rest[0]
        else:
            data, buffers = rest
            try:
                value = loads(data, buffers=buffers)
            except BaseException as error:  # noqa: BLE001 - unpickling runs code of others
                value = unreadable(error, lambda: work.describe(index))  # type: ignore[attr-defined]
        if offset < 0:
            work.add_value(value)  # type: ignore[attr-defined]
        else:
            self._ledger.settle(worker, batch, offset, [value])

    def _give_up_announced(self, worker: Worker) -> None:
        """A large result that was announced has not come, so it was the one that failed."""
        assert worker.announced is not None
        batch_number, offset = worker.announced
        worker.announced = None
        if self._unpickling is None:
            return
        batch = self._scheduler.receive(worker.member, batch_number, offset, 1)
        if batch is not None:
            work, index = batch.task(offset)
            error, self._unpickling = self._unpickling, None
            failure = unreadable(error, lambda: work.describe(index))  # type: ignore[attr-defined]
            self._ledger.settle(worker, batch, offset, [failure])
