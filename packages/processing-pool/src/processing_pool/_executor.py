"""Owns the view of a pool as an executor of ``concurrent.futures``."""

from __future__ import annotations

import sys
from concurrent.futures import Executor, Future

assert sys.platform != "win32"

from processing_pool.errors import TaskCancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from processing_pool._front import Front
    from processing_pool._results import AsyncResult

    P = ParamSpec("P")
    ResultT = TypeVar("ResultT")

__all__ = ["PoolExecutor"]


class PoolExecutor(Executor):
    """A pool as an executor. ``shutdown`` closes the pool and waits for it."""

    def __init__(self, pool: Front) -> None:
        self._pool = pool

    def submit(
        self, fn: Callable[P, ResultT], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[ResultT]:
        """Have the function called by a worker. ``cancel()`` ends it even if it runs.

        :raises RuntimeError: after ``shutdown``
        """
        future: _Future[ResultT] = _Future()
        try:
            future.result_of_pool = self._pool.apply_async(
                fn, args, kwargs, future.set_value, future.set_error
            )
        except ValueError as error:
            raise RuntimeError("cannot schedule new futures after shutdown") from error
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the pool.

        :param wait: until all tasks are done
        :param cancel_futures: end what is not done
        """
        if cancel_futures:
            self._pool.terminate()
        else:
            self._pool.close()
        if wait:
            self._pool.join()


class _Future(Future["ResultT"]):
    result_of_pool: AsyncResult[ResultT] | None = None

    def cancel(self) -> bool:
        """Have the task not run, or ended if it runs, together with its worker."""
        if self.cancelled():
            return True
        result = self.result_of_pool
        return result is not None and result.cancel() and self.cancelled()

    def set_value(self, value: ResultT) -> None:
        if self.set_running_or_notify_cancel():
            self.set_result(value)

    def set_error(self, error: BaseException) -> None:
        if isinstance(error, TaskCancelled):
            super().cancel()
            self.set_running_or_notify_cancel()
        elif self.set_running_or_notify_cancel():
            self.set_exception(error)


PoolExecutor.__module__ = "processing_pool"
