"""The scheduler against a plain model, under random schedules: tasks of all kinds, results, steals,
deaths at every point, retries, cancelling, time limits, another number of workers, and the end.

The machine plays the pool's thread and its workers. A worker of the model has the batches that it
was sent, in their order, and how far it has come in the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from processing_pool._scheduler import (
    AHEAD_SECONDS,
    BATCH_BYTES,
    BATCH_SECONDS,
    MOST_BATCHES,
    MOST_TASKS,
    Batch,
    Member,
    Scheduler,
    Span,
    Timing,
)

MOST_WORKERS = 5
TINY, SHORT, LONG = 1e-5, 1e-3, 0.05


class Work:
    """What was submitted: one call, or many items."""

    def __init__(
        self, number: int, count: int, retries: int, timing: Timing, *, single: bool, bulky: bool
    ) -> None:
        self.number = number
        self.count = count
        self.retries = retries
        self.timing = timing
        self.single = single
        self.bulky = bulky
        self.over = False
        # How each task has ended, and how often it was begun.
        self.ends: list[str | None] = [None] * count
        self.begun = [0] * count
        self.deaths = [0] * count

    # One that is single is its own span.
    first, attempts, alone = 0, 0, False

    @property
    def work(self) -> Work:
        return self

    def end(self, index: int, how: str) -> None:
        """A task has ended, which it does once."""
        assert self.ends[index] is None, (self.number, index, self.ends[index], how)
        self.ends[index] = how


@dataclass
class Worker:
    """A worker of the model: batches as they were sent, and how far it has come."""

    member: Member
    sent: list[tuple[Batch, list[tuple[Work, int]]]] = field(default_factory=list)
    begun: int = 0
    """How many tasks of the first batch it has begun."""

    told: int = 0
    """How many of these the pool has heard of."""

    limit: int | None = None
    """The offset in the first batch from which on tasks are not its own any more."""

    given: int = 0
    quota: int | None = None


class SchedulerMachine(RuleBasedStateMachine):
    """Any sequence of what may happen to a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler()
        self.works: list[Work] = []
        self.workers: dict[int, Worker] = {}
        self.timings = [Timing() for _ in range(3)]
        self.wanted = 0
        self.last = 0
        self.closed = False

    # Submitting

    def submit(self, count: int, retries: int, kind: int, *, single: bool, bulky: bool) -> Work:
        work = Work(len(self.works), count, retries, self.timings[kind], single=single, bulky=bulky)
        self.works.append(work)
        self.scheduler.queue.append(work if single else Span(work, 0, count))
        return work

    @precondition(lambda self: not self.closed)
    @rule(count=st.integers(1, 40), retries=st.sampled_from([0, 0, 1, 3]), kind=st.integers(0, 2))
    def call(self, count: int, retries: int, kind: int) -> None:
        for _ in range(count):
            self.submit(1, retries, kind, single=True, bulky=False)

    @precondition(lambda self: not self.closed)
    @rule(retries=st.integers(0, 2), kind=st.integers(0, 2))
    def call_bulky(self, retries: int, kind: int) -> None:
        self.submit(1, retries, kind, single=True, bulky=True)

    @precondition(lambda self: not self.closed)
    @rule(
        count=st.integers(1, 400),
        retries=st.sampled_from([0, 0, 1, 3]),
        kind=st.integers(0, 2),
        bulky=st.booleans(),
    )
    def map(self, count: int, retries: int, kind: int, bulky: bool) -> None:
        self.submit(min(count, 40) if bulky else count, retries, kind, single=False, bulky=bulky)

    @precondition(lambda self: not self.closed)
    @rule(parts=st.lists(st.integers(1, 30), min_size=1, max_size=8), kind=st.integers(0, 2))
    def imap(self, parts: list[int], kind: int) -> None:
        """Items come in parts, as there is room; the pool's thread may join them again."""
        work = Work(len(self.works), sum(parts), 0, self.timings[kind], single=False, bulky=False)
        self.works.append(work)
        first = 0
        for count in parts:
            self.scheduler.queue.append(Span(work, first, count))
            first += count

    # Workers

    @precondition(lambda self: not self.closed)
    @rule(wanted=st.integers(1, MOST_WORKERS), quota=st.sampled_from([None, None, 1, 7, 100]))
    def resize(self, wanted: int, quota: int | None) -> None:
        self.wanted = wanted
        staying = [one for one in self.workers.values() if not one.member.retiring]
        for worker in staying[wanted:]:
            worker.member.retiring = True
        for _ in range(wanted - len(staying)):
            self.start(quota)

    def start(self, quota: int | None = None) -> None:
        self.last += 1
        self.workers[self.last] = Worker(self.scheduler.join(self.last, quota), quota=quota)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def hear_of_worker(self, data: st.DataObject) -> None:
        self.choose(data).member.slow = False

    @rule(size=st.sampled_from([0.0, 10.0, 5000.0]), kind=st.integers(0, 2))
    def learn_size(self, size: float, kind: int) -> None:
        self.timings[kind].size = size

    def choose(self, data: st.DataObject, among: list[Worker] | None = None) -> Worker:
        some = list(self.workers.values()) if among is None else among
        return some[data.draw(st.integers(0, len(some) - 1))]

    # Giving

    @rule()
    def assign(self) -> None:
        """Batches are given, no larger than they may be, and nobody is idle while work waits."""
        for member, batch in self.scheduler.assign():
            self.check_batch(member, batch)
            worker = self.workers[member.number]
            tasks = [batch.task(offset) for offset in range(batch.count)]
            worker.sent.append((batch, tasks))  # type: ignore[arg-type]
            worker.given += batch.count
        waiting = [span for span in self.scheduler.queue if not span.work.over]
        members = [one.member for one in self.workers.values()]
        usable = [member for member in members if not member.retiring and member.quota != 0]
        if waiting:
            alert = [member for member in usable if not member.slow]
            # Slow ones are passed over as long as others are there.
            if any(not one.slow for one in members):
                usable = alert
            assert all(member.batches for member in usable)

    def check_batch(self, member: Member, batch: Batch) -> None:
        assert not member.retiring
        assert 1 <= batch.count <= MOST_TASKS
        assert len(member.batches) <= MOST_BATCHES
        before = sum(one.seconds or 0.0 for one in list(member.batches)[:-1])
        assert before < AHEAD_SECONDS
        timing = batch.work.timing
        if batch.count == 1:
            return
        # More than one only if it is known how long they take, and together they are short.
        seconds = 0.0
        for offset in range(batch.count):
            work, _ = batch.task(offset)
            assert not work.bulky
            assert work.timing.cost is not None
            seconds += work.timing.cost
        assert seconds <= BATCH_SECONDS * 1.000001
        if timing.size:
            assert batch.count * timing.size <= BATCH_BYTES
        if batch.singles is None:
            numbers = [batch.task(offset)[1] for offset in range(batch.count)]
            assert numbers == list(range(batch.first, batch.first + batch.count))
        assert not self.is_travelling_alone(batch)

    @staticmethod
    def is_travelling_alone(batch: Batch) -> bool:
        return batch.attempts > 0

    # Running

    @precondition(lambda self: any(one.sent for one in self.workers.values()))
    @rule(data=st.data(), tasks=st.integers(1, 60))
    def run(self, data: st.DataObject, tasks: int) -> None:
        """A worker begins tasks, all but the last of which are done."""
        worker = self.choose(data, [one for one in self.workers.values() if one.sent])
        _, todo = worker.sent[0]
        end = len(todo) if worker.limit is None else worker.limit
        for _ in range(tasks):
            if worker.begun >= end:
                break
            work, index = todo[worker.begun]
            work.begun[index] += 1
            # Never on two workers, and again only after a worker has died of it.
            assert work.begun[index] <= 1 + work.deaths[index] <= 1 + work.retries
            worker.begun += 1

    @precondition(lambda self: any(one.begun > one.told for one in self.workers.values()))
    @rule(
        data=st.data(),
        count=st.integers(1, 60),
        seconds=st.sampled_from([TINY, TINY, SHORT, LONG]),
    )
    def tell(self, data: st.DataObject, count: int, seconds: float) -> None:
        """Results of what it has begun arrive, in their order."""
        worker = self.choose(data, [one for one in self.workers.values() if one.begun > one.told])
        self.hear(worker, min(count, worker.begun - worker.told), seconds)

    def hear(self, worker: Worker, count: int, seconds: float | None) -> None:
        member, scheduler = worker.member, self.scheduler
        sent, todo = worker.sent[0]
        first = worker.told
        # Results that were in the log come twice.
        again = max(0, first - 2)
        batch = scheduler.receive(member, sent.number, again, first + count - again)
        worker.told += count
        member.slow = False
        assert batch is sent
        assert batch.received == first
        if seconds is not None:
            batch.work.timing.learn(seconds * count, count)
        scheduler.settle(member, batch, first + count)
        for work, index in todo[first : first + count]:
            if not work.over:
                work.end(index, "done")
        self.go_on(worker)

    def go_on(self, worker: Worker) -> None:
        """The next batch, when the first is done or what is left of it was taken back."""
        if not worker.sent:
            return
        _, todo = worker.sent[0]
        end = len(todo) if worker.limit is None else worker.limit
        if worker.told >= end:
            del worker.sent[0]
            worker.begun = worker.told = 0
            worker.limit = None

    # Taking back

    @precondition(lambda self: any(one.member.batches for one in self.workers.values()))
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        """What a worker has not begun waits again; it may have begun one more by then."""
        worker = self.choose(data, [one for one in self.workers.values() if one.member.batches])
        scheduler, member = self.scheduler, worker.member
        victims = scheduler.victims()
        assert member in victims
        assert [one.unfinished for one in victims] == sorted(
            (one.unfinished for one in victims), reverse=True
        )
        before = self.waiting() + member.unfinished
        member.slow = True
        # Batches behind the first one: nothing of them was begun.
        while len(worker.sent) > 1:
            batch, _ = worker.sent.pop()
            worker.given -= batch.count - batch.received
            scheduler.withdraw(member, batch.number)
        batch, todo = worker.sent[0]
        end = len(todo) if worker.limit is None else worker.limit
        if not worker.begun:
            scheduler.withdraw(member, batch.number)
            worker.given -= batch.count
            worker.sent.clear()
            worker.limit = None
        elif worker.begun < end:
            worker.limit = worker.begun
            worker.given -= batch.count - worker.begun
            scheduler.cut_off(member, batch.number, worker.begun)
            self.go_on(worker)
        assert self.waiting() + member.unfinished == before

    @precondition(lambda self: any(one.sent and not one.begun for one in self.workers.values()))
    @rule(data=st.data())
    def cannot_be_unpickled(self, data: st.DataObject) -> None:
        """A batch comes back as a whole, to be sent task by task."""
        worker = self.choose(
            data, [one for one in self.workers.values() if one.sent and not one.begun]
        )
        batch, todo = worker.sent[0]
        if worker.limit is not None or batch.count != len(todo):
            return
        worker.given -= batch.count
        self.scheduler.cut_off(worker.member, batch.number, 0, alone=True)
        del worker.sent[0]

    # Dying

    @precondition(lambda self: self.workers)
    @rule(
        data=st.data(),
        loading=st.booleans(),
        logged=st.integers(0, 60),
        verdict=st.sampled_from([None, None, None, "limit", "elsewhere"]),
        replaced=st.booleans(),
    )
    def die(  # noqa: C901, PLR0912 - one branch for each point at which it may end
        self, data: st.DataObject, loading: bool, logged: int, verdict: str | None, replaced: bool
    ) -> None:
        """A worker ends: unpickling, at a task or between two, killed by chance or by a limit."""
        number = data.draw(st.sampled_from(sorted(self.workers)))
        worker = self.workers[number]
        # The log has all that is done, but for the task that runs.
        done = worker.begun - worker.told
        if done and logged < done:
            if done > 1:
                self.hear(worker, done - 1, None)
        elif done:
            self.hear(worker, done, None)
        at, offset = 0, 0
        guilty: tuple[Work, int] | None = None
        if worker.sent:
            batch, todo = worker.sent[0]
            at, offset = batch.number, worker.begun - 1
            if worker.begun > worker.told:
                guilty = todo[worker.told]
            elif not worker.begun and loading:
                offset = -1
                if len(todo) == 1:
                    guilty = todo[0]
            elif not worker.begun:
                at = 0  # it has not looked at it yet
        innocent, final = verdict == "elsewhere", verdict is not None
        retried = self.scheduler.retried
        lost = self.scheduler.lose(
            number, at, None if offset < 0 else offset, innocent=innocent, final=final
        )
        del self.workers[number]
        expected = []
        if guilty is not None and not innocent:
            work, index = guilty
            attempts = work.deaths[index]
            if final or attempts >= work.retries:
                expected = [guilty]
            else:
                work.deaths[index] += 1
                if not work.begun[index]:
                    work.begun[index] += 1  # unpickling it was an attempt
        elif guilty is not None and worker.begun:
            guilty[0].begun[guilty[1]] -= 1  # it was stopped before it really began that
        assert lost == expected
        for lost_work, index in expected:
            if not lost_work.over:
                lost_work.end(index, "lost")
        assert self.scheduler.retried == retried + (
            guilty is not None and not innocent and not expected
        )
        if replaced and not self.closed:
            self.start()

    # Cancelling

    @precondition(lambda self: any(not work.over for work in self.works))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Nobody wants a work any more: what waits of it is never given out."""
        some = [work for work in self.works if not work.over and None in work.ends]
        if some:
            work = some[data.draw(st.integers(0, len(some) - 1))]
            work.over = True
            for index, end in enumerate(work.ends):
                if end is None:
                    work.end(index, "cancelled")

    # The end

    @rule()
    def close(self) -> None:
        self.closed = True

    @rule()
    def terminate(self) -> None:
        """All that workers have waits again, and is told that it will not be run."""
        self.closed = True
        for worker in self.workers.values():
            for batch in list(worker.member.batches):
                self.scheduler.withdraw(worker.member, batch.number)
        self.workers.clear()
        self.scheduler.members.clear()
        while self.scheduler.queue:
            span = self.scheduler.queue.popleft()
            work = span.work
            assert isinstance(work, Work)
            for index in range(span.first, span.first + span.count):
                if not work.over:
                    work.end(index, "terminated")
        assert self.scheduler.is_idle

    def teardown(self) -> None:
        """Without more harm, every task comes to its end."""
        self.closed = True
        while True:
            members = [one.member for one in self.workers.values()]
            if all(one.retiring or one.quota == 0 for one in members):
                self.start()
            for worker in self.workers.values():
                worker.member.slow = False  # it is ready, or has answered
            self.assign()
            busy = [one for one in self.workers.values() if one.sent]
            if not busy:
                break
            for worker in busy:
                _, todo = worker.sent[0]
                end = len(todo) if worker.limit is None else worker.limit
                while worker.begun < end:
                    work, index = todo[worker.begun]
                    work.begun[index] += 1
                    assert work.begun[index] <= 1 + work.deaths[index]
                    worker.begun += 1
                self.hear(worker, worker.begun - worker.told, TINY)
        assert not self.waiting()
        assert self.scheduler.is_idle or all(span.work.over for span in self.scheduler.queue)
        for work in self.works:
            assert None not in work.ends, (work.number, work.ends)

    # What always holds

    def waiting(self) -> int:
        return sum(span.count for span in self.scheduler.queue)

    @invariant()
    def every_task_is_somewhere_once(self) -> None:
        """A task that has not ended waits once or is with one worker; no other is anywhere."""
        places: dict[tuple[int, int], int] = {}
        for span in self.scheduler.queue:
            assert span.count > 0
            for index in range(span.first, span.first + span.count):
                key = span.work.number, index  # type: ignore[attr-defined]
                places[key] = places.get(key, 0) + 1
        for member in self.scheduler.members.values():
            for batch in member.batches:
                assert 0 <= batch.received < batch.count
                for offset in range(batch.received, batch.count):
                    work, index = batch.task(offset)
                    key = work.number, index  # type: ignore[attr-defined]
                    places[key] = places.get(key, 0) + 1
        assert all(times == 1 for times in places.values())
        for work in self.works:
            if not work.over:
                for index, end in enumerate(work.ends):
                    assert ((work.number, index) in places) == (end is None)

    @invariant()
    def workers_are_as_the_model_has_them(self) -> None:
        """The scheduler knows the same batches, in their order, and quotas are kept."""
        assert self.scheduler.members.keys() == self.workers.keys()
        for worker in self.workers.values():
            numbers = [batch.number for batch in worker.member.batches]
            assert numbers == [batch.number for batch, _ in worker.sent]
            if worker.quota is not None:
                assert worker.member.quota == worker.quota - worker.given
                assert worker.member.quota >= 0

    @invariant()
    def starving_is_as_it_is_said(self) -> None:
        """Somebody who could work has nothing to do, and there is nothing to give."""
        idle = any(
            not one.sent
            and not one.member.slow
            and not one.member.retiring
            and one.member.quota != 0
            for one in self.workers.values()
        )
        assert self.scheduler.starving() == (idle and not self.scheduler.queue)


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
