"""The exceptions of pools: every one is a ProcessError and can be pickled."""

from __future__ import annotations

from processing_core import ProcessError, TimeoutError

__all__ = ["TaskCancelled", "TaskTimeout", "WorkerLost"]


class WorkerLost(ProcessError):
    """A worker process ended while it ran the task.

    ``pid`` is the worker's, ``cause`` says how it ended (``SIGKILL``, ``exit code 3``), ``task`` is
    the function and its argument as text, cut to size.
    """

    pid: int | None = None
    cause: str = ""
    task: str = ""

    @classmethod
    def told(cls, message: str, pid: int | None, cause: str, task: str) -> WorkerLost:
        """An error with its particulars."""
        error = cls(message)
        error.pid, error.cause, error.task = pid, cause, task
        return error


class TaskTimeout(TimeoutError):
    """The task took longer than it was allowed to, and was ended together with its worker."""


class TaskCancelled(ProcessError):
    """The task was cancelled by ``cancel()``, or its pool was terminated before it was done."""


for _public in (TaskCancelled, TaskTimeout, WorkerLost):
    _public.__module__ = "processing_pool"
del _public
