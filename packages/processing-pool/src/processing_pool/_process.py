"""Owns a worker process as the pool sees it: its start, its queue, the memory they share, and how
it has ended.
"""

from __future__ import annotations

import marshal
import queue
import signal
import sys
import threading
import time

assert sys.platform != "win32"

from processing_core import Process, SimpleQueue
from processing_core.lowlevel import allocate, block_interrupts, restore_mask
from processing_pool import _wire as wire
from processing_pool._worker import serve
from processing_pool.errors import TaskTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_core.abc import StartsProcesses
    from processing_pool._scheduler import Member
    from processing_pool._worker import Orders

    Verdict = Callable[[int], BaseException]
    """Makes the error of a task that is ended, given the worker's pid."""

__all__ = ["Recipe", "Worker", "is_stopped"]

# What a worker is sent to end.
STOP = marshal.dumps((0, wire.STOP, [], None, None))
# What it is sent to answer.
PING = marshal.dumps((0, wire.PING, [], None, None))
# For how long (seconds) its queue may be locked; the queue itself waits for five seconds at least.
LOCKED_SECONDS = 5.0


class Recipe:
    """How workers are made."""

    __slots__ = ("context", "orders", "quota", "results")

    def __init__(
        self,
        context: str | StartsProcesses | None,
        orders: Orders,
        quota: int | None,
        results: SimpleQueue[Any],
    ) -> None:
        self.context = context
        self.orders = orders
        self.quota = quota
        self.results = results


class Worker:
    """A worker process."""

    def __init__(self, number: int, recipe: Recipe, member: Member) -> None:
        self.number = number
        self.member = member
        self.tasks: SimpleQueue[Any] = SimpleQueue()
        self.block = allocate(wire.BLOCK_BYTES)
        self.words = self.block.words()
        self.process = Process(
            target=serve,
            name=f"PoolWorker-{number}",
            args=(number, self.tasks, recipe.results, self.block, recipe.orders),
            daemon=True,
            context=recipe.context,
        )
        self.pid = 0
        self.ready = False
        self.began = time.monotonic()
        # When it was last heard or given something, and whether its log was read since.
        self.heard = self.began
        self.looked = True
        # Tasks were taken back from it, and it has not been heard or given something since.
        self.relieved = False
        # It is to say that it is there, and has not said anything since.
        self.asked = False
        # Seconds that its tasks took.
        self.busy = 0.0
        # A large result that is to come next: batch and offset.
        self.announced: tuple[int, int] | None = None
        # Why it is being killed: the position of the task, and what to say of that.
        self.verdict: tuple[int, Verdict] | None = None
        # The packed error of its initializer.
        self.could_not_start: bytes | None = None
        self.stopping = False
        self.done = 0
        self._fence = threading.Lock()

    def start(self) -> None:
        """Start the process, which sees no Ctrl-C at any moment.

        :raises OSError: when the system has no room for another process
        """
        mask = block_interrupts()
        try:
            self.process.start()
        finally:
            restore_mask(mask)
        pid = self.process.pid
        assert pid is not None
        self.pid = pid

    def discard(self) -> None:
        """End the process, if it has begun, of a worker whose start was not finished."""
        if self.process.pid is not None:
            self.process.kill()
            self.process.join()
        self.process.close()

    def send(self, message: bytes | None) -> None:
        """Put a message on its queue.

        If it was stopped in the middle of listening to that it is killed after some seconds: it had
        no task then, and all others would wait.
        """
        # It has its queue locked for microseconds, unless it is stopped. Twice, since once may be
        # because this process was stopped as well.
        for _ in range(2):
            try:
                return self.tasks.put(message, True, LOCKED_SECONDS)
            except queue.Full:
                continue
        self.condemn(self.position, is_stopped)
        return self.tasks.put(message)

    def stop(self) -> None:
        """Have it end when it has done what it was given."""
        self.stopping = self.member.retiring = True
        self.send(STOP)

    def ping(self) -> None:
        """Have it say that it is there."""
        self.asked = True
        self.send(PING)

    # What it is at

    @property
    def position(self) -> int:
        """The task that it has begun last."""
        return int(self.words[wire.RUN])

    def running_since(self) -> float:
        """When it has begun that, time.monotonic(). To be asked after ``position``."""
        return float(self.words[wire.CLOCK]) / 1e9

    @property
    def has_begun(self) -> bool:
        """Whether it has come as far as its initializer."""
        return bool(self.words[wire.CLOCK])

    def read_log(self) -> list[tuple[int, Any]]:
        """The results that it has not sent yet."""
        words = self.words
        while True:
            commit = words[wire.COMMIT]
            used = commit & 0xFFFFFFFF
            if not used:
                return []
            data = bytes(self.block.view()[wire.LOG_START : wire.LOG_START + used])
            # What was read is whole only if the log was not emptied meanwhile.
            if words[wire.COMMIT] >> 32 == commit >> 32:
                return list(wire.read_log(data))

    def limit(self, value: int) -> int:
        """Forbid it to begin what is beyond; returns what it had begun by then."""
        self.words[wire.LIMIT] = value
        # The store must be seen before what follows is read.
        with self._fence:
            pass
        return self.position

    def condemn(self, position: int, verdict: Verdict) -> bool:
        """Kill it if it is still at this task; nothing else is harmed by that."""
        if self.verdict is not None:
            return True
        before = self.words[wire.LIMIT]
        if self.limit(wire.HALT) == position:
            self.verdict = position, verdict
            self.process.kill()
            return True
        # What was taken back from it stays so.
        self.words[wire.LIMIT] = before
        return False

    @property
    def cause(self) -> str:
        """How it has ended."""
        code = self.process.exitcode
        if code is not None and code < 0:
            try:
                return signal.Signals(-code).name
            except ValueError:
                return f"signal {-code}"
        return f"exit code {code}"

    @property
    def was_killed(self) -> bool:
        """Whether somebody ended it by a signal that no program sends itself by mistake."""
        code = self.process.exitcode
        return code in {-signal.SIGKILL, -signal.SIGTERM}


def is_stopped(pid: int) -> BaseException:
    """What is said of a worker that was killed because it did nothing any more."""
    return TaskTimeout(f"worker {pid} did not answer, so it was killed")
