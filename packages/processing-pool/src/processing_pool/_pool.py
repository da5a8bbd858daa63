"""Owns what kinds of pools there are, and how they are made."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from processing_core import InvalidArgument, InvalidType
from processing_core.context import cpu_count
from processing_pool._engine import ProcessEngine
from processing_pool._front import Front
from processing_pool._functions import Functions
from processing_pool._options import checked_options, positive, seconds
from processing_pool._threads import ThreadEngine, ThreadFunctions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, TypeVarTuple

    from processing_core.abc import StartsProcesses

    Ts = TypeVarTuple("Ts")

__all__ = ["Pool", "ThreadPool"]


class Pool(Front):
    """A number of worker processes that run tasks.

    :param processes: how many; None for as many as there are CPUs for this process
    :param initializer: is called with ``initargs`` by each worker when it starts. If it raises, the
        pool is broken, and everybody who waits gets that error.
    :param maxtasksperchild: after so many tasks a worker is replaced; also ``max_tasks_per_child``
    :param context: the start method, by name or as a context; None for the current one
    :param max_memory_per_worker: a worker that has more bytes of memory after a batch of tasks is
        replaced
    :param finalizer: is called without arguments by each worker that ends in the ordinary way
    :param timeout: how long each task may take, in seconds, unless the call says otherwise; then it
        is ended together with its worker, which is replaced, and fails with TaskTimeout. What a
        fresh worker imports for it counts.
    :param retries: how often a task is run again whose worker died
    :param max_age_per_worker: a worker that is so many seconds old after a batch of tasks is
        replaced
    :param propagate_context: have tasks see the context variables of who submits them, as far as
        these variables are global in modules
    :param serializer: None for pickle, or ``"cloudpickle"``, with which functions can be sent that
        cannot be imported

    :raises InvalidArgument: (a ValueError) when a number is not positive, or there is no such
        serializer or start method
    :raises InvalidType: (a TypeError) when an argument is of the wrong type
    :raises OSError: when the system has no room for the processes

    All methods may be called from any thread, but only in the process that made the pool. Used as a
    context manager it is closed and joined at the end of the block, and terminated if that is left
    by an exception. Somebody should do that: a pool that is collected ends its workers, with a
    ResourceWarning.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[[*Ts], object] | None = None,
        initargs: tuple[*Ts] = (),  # type: ignore[assignment] # no arguments fit no parameters
        maxtasksperchild: int | None = None,
        context: str | StartsProcesses | None = None,
        *,
        max_tasks_per_child: int | None = None,
        max_memory_per_worker: int | None = None,
        max_age_per_worker: float | None = None,
        finalizer: Callable[[], object] | None = None,
        timeout: float | None = None,
        retries: int = 0,
        serializer: Literal["cloudpickle"] | None = None,
        propagate_context: bool = False,
    ) -> None:
        processes = _default_size() if processes is None else positive(processes, "processes")
        _check_callable("initializer", initializer)
        _check_callable("finalizer", finalizer)
        if serializer not in (None, "cloudpickle"):
            raise InvalidArgument(f"there is no serializer {serializer!r}")
        if serializer is not None:
            import cloudpickle  # noqa: F401 - better missing here than at the first task
        most_tasks = maxtasksperchild if max_tasks_per_child is None else max_tasks_per_child
        self._engine = ProcessEngine(
            processes,
            context,
            initializer,
            tuple(initargs),
            finalizer,
            most_tasks=None if most_tasks is None else positive(most_tasks, "maxtasksperchild"),
            most_memory=None
            if max_memory_per_worker is None
            else positive(max_memory_per_worker, "max_memory_per_worker"),
            most_seconds=None
            if max_age_per_worker is None
            else seconds(max_age_per_worker, "max_age_per_worker"),
            options=checked_options(None, timeout, retries),
            functions=Functions(serializer, propagate_context=propagate_context),
        )


class ThreadPool(Front):
    """A pool whose workers are threads of this process.

    :param processes: how many; None for as many as there are CPUs for this process
    :param initializer: is called with ``initargs`` by each thread when it starts. If it raises, the
        pool is broken, and everybody who waits gets that error.
    :param propagate_context: have tasks see the context variables of who submits them

    :raises InvalidArgument: (a ValueError) when the number is not positive
    :raises InvalidType: (a TypeError) when an argument is of the wrong type

    Nothing is pickled. Threads cannot be ended, so tasks have no time limit, ``cancel()`` has no
    effect on a running one but that its result is dropped, and ``join()`` waits for it even after
    ``terminate()``. Otherwise it does what Pool does.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[[*Ts], object] | None = None,
        initargs: tuple[*Ts] = (),  # type: ignore[assignment] # no arguments fit no parameters
        *,
        propagate_context: bool = False,
    ) -> None:
        processes = _default_size() if processes is None else positive(processes, "processes")
        _check_callable("initializer", initializer)
        self._engine = ThreadEngine(
            processes,
            initializer,
            tuple(initargs),
            checked_options(None, None, None),
            ThreadFunctions(propagate_context=propagate_context),
        )


def _check_callable(what: str, function: object) -> None:
    if function is not None and not callable(function):
        raise InvalidType(f"the {what} must be callable, not {function!r}")


def _default_size() -> int:
    try:
        return cpu_count()
    except NotImplementedError:
        return 1


for _public in (Pool, ThreadPool):
    _public.__module__ = "processing_pool"
del _public
