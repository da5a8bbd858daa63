"""Owns the server's threads for what may take long: as many as there are such calls at a time.

A thread that is done waits a while for the next call before it ends.
"""

from __future__ import annotations

import queue
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["busy_threads", "end_idle_threads", "run_aside"]

# How long a thread waits for another call, in seconds.
IDLE_SECONDS = 10.0


class _Threads:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # How many threads are free beyond the jobs that are in the queue.
        self._free = 0
        self.busy = 0

    def run(self, job: Callable[[], None]) -> None:
        with self._lock:
            self.busy += 1
            if self._free:
                self._free -= 1
                self._jobs.put(job)
                return
        # Daemonic: a call that never returns must not keep the server from ending.
        # A thread keeps its arguments for as long as it lives. So the job is in a list, from which
        # it is taken.
        first = [job]
        threading.Thread(target=self._work, args=(first,), name="ManagerCall", daemon=True).start()

    def end_idle(self) -> None:
        with self._lock:
            free, self._free = self._free, 0
            for _ in range(free):
                self._jobs.put(None)

    def _work(self, first: list[Callable[[], None]]) -> None:
        job: Callable[[], None] | None = first.pop()
        while job is not None:
            try:
                job()
            finally:
                with self._lock:
                    self.busy -= 1
                    self._free += 1
            del job
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._free:
                        self._free -= 1
                        return
                # A job was given to a free thread just now, and none is as free as this one.
                job = self._jobs.get()


_threads = _Threads()


def run_aside(job: Callable[[], None]) -> None:
    """Have a job done by another thread. It must not raise."""
    _threads.run(job)


def end_idle_threads() -> None:
    """Have the threads end that have nothing to do."""
    _threads.end_idle()


def busy_threads() -> int:
    """How many jobs are being done."""
    return _threads.busy
