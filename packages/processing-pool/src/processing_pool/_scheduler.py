"""Owns the decisions of a pool: which worker gets which tasks, how many at once, and what becomes
of them when a worker is slow or dies.

It is a state machine: it does no I/O, knows no clock and no processes. Whoever drives it tells it
what has happened and carries out what it answers. Only one thread may do so, except that others may
append to ``queue``.

Tasks wait in spans, of which a batch for a worker is cut when the worker has room. How many tasks
that are follows from how long tasks of the kind have taken, so that a batch takes a worker a few
milliseconds at most, and the first of a kind travel one by one.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Protocol

    class Work(Protocol):
        """What the tasks belong to."""

        timing: Timing
        retries: int
        bulky: bool
        """Its tasks are large, so each is sent by itself and not taken back."""

        @property
        def single(self) -> bool:
            """It has one task and is its own span; it can share a batch with others."""
            ...

        @property
        def over(self) -> bool:
            """Nobody wants its tasks any more."""
            ...

    class Waiting(Protocol):
        """A Span or what can stand for one."""

        @property
        def single(self) -> bool: ...

        @property
        def work(self) -> Work: ...
        @property
        def first(self) -> int: ...
        @property
        def count(self) -> int: ...
        @property
        def attempts(self) -> int: ...
        @property
        def alone(self) -> bool: ...


__all__ = ["Batch", "Member", "Scheduler", "Span", "Timing"]

# How long a batch may take, and how much may wait at a worker, in seconds.
BATCH_SECONDS = 0.0025
AHEAD_SECONDS = 0.0075
MOST_BATCHES = 4
# Tasks that take longer than this wait here and not at a worker.
PREFETCH_SECONDS = 0.005
MOST_TASKS = 1 << 14
BATCH_BYTES = 24_000
# How much a new measurement counts.
WEIGHT = 0.5


class Timing:
    """What is known of a kind of tasks: seconds and bytes for each."""

    __slots__ = ("cost", "size")

    def __init__(self) -> None:
        self.cost: float | None = None
        self.size: float = 0.0

    def learn(self, seconds: float, tasks: int) -> None:
        """Tell how long some tasks took."""
        each = max(seconds / tasks, 1e-7)
        self.cost = each if self.cost is None else self.cost + WEIGHT * (each - self.cost)


class Span:
    """Consecutive tasks of a work that wait. ``alone``: each is to be sent by itself."""

    __slots__ = ("alone", "attempts", "count", "first", "work")

    single = False
    """Whether it is the work itself, which has no other task."""

    def __init__(
        self, work: Work, first: int, count: int, attempts: int = 0, *, alone: bool = False
    ) -> None:
        self.work = work
        self.first = first
        self.count = count
        self.attempts = attempts
        self.alone = alone


class Batch:
    """Tasks that were given to a worker together: some of one work, or several single ones.

    Their results come in order; ``received`` have come.
    """

    __slots__ = ("attempts", "bulky", "count", "first", "number", "received", "singles", "work")

    def __init__(self, number: int, span: Waiting, singles: list[Work] | None, count: int) -> None:
        self.number = number
        self.work = span.work
        self.first = span.first
        self.singles = singles
        self.attempts = span.attempts
        # Falls when tasks are taken back.
        self.count = count
        self.received = 0
        # It was sent as more than one message, so it cannot be taken back.
        self.bulky = False

    def task(self, offset: int) -> tuple[Work, int]:
        """The work of a task and its place in that."""
        if self.singles is not None:
            return self.singles[offset], 0
        return self.work, self.first + offset

    def spans(self, start: int, end: int, *, alone: bool = False) -> Iterator[Waiting]:
        """Some of the tasks, waiting again."""
        if self.singles is None:
            if start < end:
                yield Span(self.work, self.first + start, end - start, self.attempts, alone=alone)
            return
        for work in self.singles[start:end]:
            yield Span(work, 0, 1, self.attempts, alone=alone)

    @property
    def of_one_kind(self) -> bool:
        """Whether all its tasks have one timing."""
        singles = self.singles
        return singles is None or len(singles) == 1 or len({work.timing for work in singles}) == 1

    @property
    def seconds(self) -> float | None:
        """How long the rest will take, as far as is known."""
        cost = self.work.timing.cost
        return None if cost is None else cost * (self.count - self.received)


class Member:
    """A worker, as the scheduler knows it. ``quota``: how many tasks it may still be given."""

    __slots__ = ("batches", "number", "quota", "retiring", "slow")

    def __init__(self, number: int, quota: int | None) -> None:
        self.number = number
        self.quota = quota
        # It is given no more tasks.
        self.retiring = False
        # It has not been heard since it was started, or since tasks were taken back from it.
        self.slow = True
        self.batches: deque[Batch] = deque()

    @property
    def unfinished(self) -> int:
        """How many of its tasks have not answered."""
        return sum(batch.count - batch.received for batch in self.batches)

    def find(self, number: int) -> Batch | None:
        """The batch of that number, if it is this worker's."""
        for batch in self.batches:
            if batch.number == number:
                return batch
        return None


class Scheduler:
    """The state of a pool."""

    def __init__(self) -> None:
        self.queue: deque[Waiting] = deque()
        self.members: dict[int, Member] = {}
        # How often a task was begun again.
        self.retried = 0
        self._last_batch = 0

    # Workers

    def join(self, number: int, quota: int | None = None) -> Member:
        """A worker has been started."""
        member = self.members[number] = Member(number, quota)
        return member

    def lose(
        self,
        number: int,
        at: int,
        offset: int | None,
        *,
        innocent: bool = False,
        final: bool = False,
    ) -> list[tuple[Work, int]]:
        """A worker has ended, and all its results were told. Returns the tasks that are lost.

        :param at: the batch that it had begun last
        :param offset: the task of it that it had begun last; None if it died unpickling them
        :param innocent: whether it has not really begun that
        :param final: whether that is not to be tried again
        """
        member = self.members.pop(number)
        lost: list[tuple[Work, int]] = []
        again: list[Waiting] = []
        for batch in member.batches:
            start = batch.received
            if batch.number == at and start < batch.count and not innocent:
                if offset is None and batch.count - start > 1:
                    # One of them is to blame: it will be found.
                    again += batch.spans(start, batch.count, alone=True)
                    continue
                if offset is None or offset == start:
                    work, index = batch.task(start)
                    if batch.attempts < work.retries and not final:
                        again.append(self._again(work, index, batch.attempts + 1))
                        self.retried += 1
                    else:
                        lost.append((work, index))
                    start += 1
            again += batch.spans(start, batch.count)
        self.put_back(again)
        return lost

    @staticmethod
    def _again(work: Work, index: int, attempts: int) -> Span:
        return Span(work, index, 1, attempts, alone=True)

    # Tasks

    def put_back(self, spans: Iterable[Waiting]) -> None:
        """Tasks wait again, before all others."""
        self.queue.extendleft(reversed(list(spans)))

    @property
    def is_idle(self) -> bool:
        """Whether no task waits or runs."""
        return not self.queue and not any(member.batches for member in self.members.values())

    def assign(self) -> Iterator[tuple[Member, Batch]]:
        """Give tasks to workers that have room. Whoever has least comes first."""
        members = [member for member in self.members.values() if not member.slow]
        if not members:
            members = list(self.members.values())
        for depth in range(MOST_BATCHES):
            for member in members:
                if not self.queue:
                    return
                if len(member.batches) == depth and self._has_room(member):
                    batch = self._cut(member)
                    if batch is not None:
                        yield member, batch

    @staticmethod
    def _has_room(member: Member) -> bool:
        if member.retiring or member.quota == 0:
            return False
        total = 0.0
        for batch in member.batches:
            seconds = batch.seconds
            if seconds is None or seconds > PREFETCH_SECONDS:
                return False
            total += seconds
        return total < AHEAD_SECONDS

    def _cut(self, member: Member) -> Batch | None:
        queue = self.queue
        while queue and queue[0].work.over:
            queue.popleft()
        if not queue:
            return None
        head = queue[0]
        work = head.work
        if work.single:
            singles = [work]
            most = self._size(head, member) if len(queue) > 1 and head.single else 1
            queue.popleft()
            if most > 1:
                self._gather(singles, head, most)
            batch = Batch(self._next_number(), head, singles, len(singles))
        else:
            most = self._size(head, member)
            queue.popleft()
            count = head.count
            while count < most and queue and self._follows(queue[0], head, count):
                count += queue.popleft().count
            most = min(most, count)
            batch = Batch(self._next_number(), head, None, most)
            if most < count:
                rest = Span(work, head.first + most, count - most, head.attempts)
                rest.alone = head.alone
                queue.appendleft(rest)
        if member.quota is not None:
            member.quota -= batch.count
        member.batches.append(batch)
        return batch

    @staticmethod
    def _follows(span: Waiting, head: Waiting, count: int) -> bool:
        """Whether a span goes on where ``count`` tasks from another's first end."""
        return (
            span.work is head.work
            and span.first == head.first + count
            and span.attempts == head.attempts
            and span.alone == head.alone
        )

    def _size(self, head: Waiting, member: Member) -> int:
        """How many tasks like the first one may go to a worker at once."""
        timing = head.work.timing
        if timing.cost is None or head.alone or head.work.bulky:
            return 1
        most = min(MOST_TASKS, int(BATCH_SECONDS / timing.cost))
        if timing.size:
            most = min(most, int(BATCH_BYTES / timing.size))
        # The last tasks are dealt out evenly.
        waiting = head.count + len(self.queue) - 1
        most = min(most, waiting // (2 * len(self.members)))
        if member.quota is not None:
            most = min(most, member.quota)
        return max(most, 1)

    def _gather(self, singles: list[Work], head: Waiting, most: int) -> None:
        """Have other short tasks that are single travel with the first."""
        queue = self.queue
        timing = head.work.timing
        cost = timing.cost or 0.0
        left = BATCH_SECONDS - cost
        while queue and len(singles) < most:
            work: Any = queue[0]
            # A work that is single and has not been tried is its own span: see Waiting.
            if not work.single or work.bulky:
                return
            if work.timing is not timing:
                if work.timing.cost is None:
                    return
                timing = work.timing
                cost = timing.cost
            left -= cost
            if left < 0:
                return
            queue.popleft()
            if not work.over:
                singles.append(work)

    def _next_number(self) -> int:
        self._last_batch += 1
        return self._last_batch

    # Results

    def receive(self, member: Member, number: int, first: int, count: int) -> Batch | None:
        """A worker has told the results of ``count`` tasks of a batch, from ``first`` on.

        Returns the batch if some of them are new: those from its ``received`` on, which is as
        before. Call ``settle`` when they are dealt with.
        """
        batch = member.find(number)
        if batch is None or first + count <= batch.received:
            return None
        return batch

    def settle(self, member: Member, batch: Batch, received: int) -> None:
        """The results of the first so many tasks are dealt with."""
        batch.received = received
        if received >= batch.count:
            member.batches.remove(batch)

    # Taking back

    def withdraw(self, member: Member, number: int) -> None:
        """A batch has not reached its worker after all, so its tasks wait again."""
        batch = member.find(number)
        if batch is not None:
            self.put_back(batch.spans(batch.received, batch.count))
            if member.quota is not None:
                member.quota += batch.count - batch.received
            member.batches.remove(batch)

    def cut_off(self, member: Member, number: int, at: int, *, alone: bool = False) -> None:
        """The tasks of a batch from ``at`` on will not be run by its worker, so they wait again."""
        batch = member.find(number)
        if batch is None or at >= batch.count:
            return
        at = max(at, batch.received)
        self.put_back(batch.spans(at, batch.count, alone=alone))
        if member.quota is not None:
            member.quota += batch.count - at
        batch.count = at
        if batch.received >= at:
            member.batches.remove(batch)

    def starving(self) -> bool:
        """Whether a worker has nothing to do and there is nothing to give."""
        return not self.queue and any(
            not (member.batches or member.slow or member.retiring or member.quota == 0)
            for member in self.members.values()
        )

    def victims(self) -> list[Member]:
        """Workers that may have tasks which another could do, most first."""
        found = [member for member in self.members.values() if member.batches]
        return sorted(found, key=lambda member: -member.unfinished)
