"""Owns running tasks in threads of this process."""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import time
import traceback
import weakref
from collections import deque

assert sys.platform != "win32"

from processing_core import ClosedError, MisuseError
from processing_pool import _wire as wire
from processing_pool._ending import as_error
from processing_pool._functions import Function
from processing_pool._results import Failure
from processing_pool._stats import Counts, PoolStats, WorkerStats, copied
from processing_pool.errors import TaskCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from processing_pool._abc import Open
    from processing_pool._options import Options

__all__ = ["ThreadEngine", "ThreadFunctions"]

STREAM_PAUSE_SECONDS = 0.001


class ThreadFunctions:
    """Functions and arguments of threads stay what they are."""

    def __init__(self, *, propagate_context: bool) -> None:
        self._propagate_context = propagate_context

    def find(self, function: Callable[..., Any]) -> Function:
        name = getattr(function, "__qualname__", None) or repr(function)
        found = Function(b"", name, kept=False)
        if self._propagate_context:
            context = contextvars.copy_context()

            def call(*args: Any, **kwds: Any) -> Any:
                return context.copy().run(function, *args, **kwds)

            found.call = call
        else:
            found.call = function
        return found

    def pack_call(
        self, function: Function, args: Sequence[Any], kwds: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        del function
        return tuple(args), dict(kwds)


class ThreadEngine:
    """Runs tasks in threads."""

    def __init__(
        self,
        threads: int,
        initializer: Callable[..., object] | None,
        initargs: Sequence[Any],
        options: Options,
        functions: ThreadFunctions,
    ) -> None:
        self.processes = threads
        self.options = options
        self.functions = functions
        self.deciding = threading.Lock()
        self.closed = False
        self._initializer = initializer
        self._initargs = initargs
        self._pid = os.getpid()
        self._open: weakref.WeakSet[Open] = weakref.WeakSet()
        self._counts = Counts()
        self._spans: deque[Any] = deque()
        # Guards what the threads share; who waits for it waits for something to do.
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._running: dict[int, tuple[Any, float]] = {}
        self._busy: dict[int, float] = {}
        self._done: dict[int, int] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._ended: list[threading.Thread] = []
        self._began = time.monotonic()
        self._last = 0
        with self._changed:
            self._fit()

    @property
    def is_foreign(self) -> bool:
        return self._pid != os.getpid()

    @property
    def is_current_thread(self) -> bool:
        return False

    def check_open(self) -> None:
        if self.is_foreign:
            raise MisuseError("only the process that made a pool can use it")
        if self.closed:
            raise ClosedError("the pool is closed and takes no more tasks")

    def open(self, source: Open) -> None:
        self._open.add(source)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def submit(self, span: Any) -> None:
        with self._changed:
            self._spans.append(_Waiting(span))
            self._changed.notify(span.count)
        self._clear_if_broken()

    def run(self, result: Any) -> None:
        self.submit(result)

    def expect_limits(self) -> None:
        return  # there are none: see ThreadPool

    def withdraw(self, work: Any) -> None:
        del work  # it is over, and passed over when its turn comes

    def where(self, work: Any) -> tuple[int, float] | None:
        for running, since in copied(self._running.values()):
            if running is work:
                return self._pid, since
        return None

    def close(self) -> None:
        if not self.is_foreign:
            self.closed = True
            self.wake()

    def terminate(self) -> None:
        if not self.is_foreign:
            self.closed = True
            self._break(TaskCancelled("the pool was terminated"))

    def join(self, *, endless: bool) -> None:
        if self.is_foreign:
            return
        for each in copied(self._open):
            each.take_all(endless=endless)
        while True:
            with self._changed:
                threads = [*self._threads.values(), *self._ended]
            if threading.current_thread() in threads:
                raise MisuseError("a thread of a pool cannot join the pool")
            if not threads:
                return
            threads[0].join()
            with self._changed:
                self._ended = [thread for thread in self._ended if thread.is_alive()]

    def resize(self, processes: int) -> None:
        with self._changed:
            self.processes = processes
            self._fit()
            self._changed.notify_all()

    def stats(self) -> PoolStats:
        age = max(time.monotonic() - self._began, 1e-9)
        with self._changed:
            waiting = sum(span.left for span in self._spans)
            workers = [
                WorkerStats.of(
                    number,
                    self._pid,
                    min(1.0, self._busy.get(number, 0.0) / age),
                    self._done.get(number, 0),
                )
                for number in self._threads
            ]
            return PoolStats.of(self._counts, 0, waiting, len(self._running), workers)

    def dump_stacks(self) -> dict[int, str]:
        frames = sys._current_frames()
        with self._changed:
            threads = list(self._threads.values())
        return {
            thread.native_id or 0: "".join(traceback.format_stack(frames[thread.ident]))
            for thread in threads
            if thread.ident in frames
        }

    # The threads

    def _fit(self) -> None:
        """With the lock: have as many threads as wanted; those too many end by themselves."""
        while len(self._threads) < self.processes:
            self._last += 1
            thread = threading.Thread(
                target=self._work, args=(self._last,), name=f"PoolWorker-{self._last}", daemon=True
            )
            self._threads[self._last] = thread
            try:
                thread.start()
            except BaseException:
                del self._threads[self._last]
                self.closed = True
                self._changed.notify_all()
                raise

    def _work(self, number: int) -> None:
        try:
            if self._initializer is not None:
                try:
                    self._initializer(*self._initargs)
                except BaseException as error:  # noqa: BLE001 - those who wait get it
                    self._break(as_error(error))
                    return
            while (task := self._next(number)) is not None:
                self._run(number, *task)
                del task
        finally:
            with self._changed:
                self._ended.append(self._threads.pop(number))

    def _next(self, number: int) -> tuple[Any, int] | None:
        """The next task, waiting for it; None when the thread is to end."""
        with self._changed:
            while True:
                if len(self._threads) > self.processes or self._error is not None:
                    return None
                while self._spans:
                    span = self._spans[0]
                    if not span.left or span.work.over:
                        self._spans.popleft()
                        continue
                    index = span.next
                    span.next += 1
                    span.left -= 1
                    self._running[number] = span.work, time.monotonic()
                    return span.work, index
                if self.closed and not any(each.is_taking for each in copied(self._open)):
                    self._changed.notify_all()
                    return None
                self._changed.wait()

    def _run(self, number: int, work: Any, index: int) -> None:
        start = time.monotonic()
        try:
            value = _result_of(work, index)
        except BaseException as error:  # noqa: BLE001 - it is the task's
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            value = Failure(as_error(error))
        with self._changed:
            self._running.pop(number, None)
            self._busy[number] = self._busy.get(number, 0.0) + time.monotonic() - start
            self._done[number] = self._done.get(number, 0) + 1
            self._counts.done += 1
            self._counts.failed += type(value) is Failure
        work.settle(index, value)

    def _break(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            running = [work for work, _ in self._running.values()]
            self._changed.notify_all()
        self._clear_if_broken()
        for work in running:
            if work.single:
                work.settle(0, Failure(error))
            else:
                work.break_off(error)
        for each in copied(self._open):
            each.break_off(error)

    def _clear_if_broken(self) -> None:
        if self._error is None:
            return
        while True:
            with self._changed:
                if not self._spans:
                    return
                span = self._spans.popleft()
            for index in range(span.next, span.next + span.left):
                span.work.settle(index, Failure(self._error))


class _Waiting:
    """Tasks that wait: of what is submitted, those that no thread has taken."""

    __slots__ = ("left", "next", "work")

    def __init__(self, span: Any) -> None:
        self.work = span.work
        self.next = span.first
        self.left = span.count


def _result_of(work: Any, index: int) -> Any:
    call = work.function.call
    kind = work.kind
    if kind == wire.CALLS:
        args, kwds = work.payload
        return call(*args, **kwds)
    if kind == wire.STREAM:
        args, kwds = work.payload
        for sent, value in enumerate(call(*args, **kwds)):
            while work.granted <= sent and not work.over:
                time.sleep(STREAM_PAUSE_SECONDS)
            if work.over:
                return None
            work.add_value(value)
        return None
    (item,) = work.items(index, 1)
    if kind == wire.ITEMS:
        return call(item)
    if kind == wire.STARRED:
        return call(*item)
    if kind == wire.CHUNKS:
        return [call(each) for each in item]
    return [call(*each) for each in item]
