"""Owns pools whose workers are threads that know which process they stand for."""

from __future__ import annotations

import sys
import threading

assert sys.platform != "win32"

from processing.dummy._process import OtherThread, Process, current_process, running
from processing_core import InvalidType
from processing_pool import ThreadPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVarTuple

    from processing_core.abc import StartsProcesses

    Ts = TypeVarTuple("Ts")

__all__ = ["Pool"]


class Pool(ThreadPool):
    """A ThreadPool with the arguments of a Pool, whose tasks see a process of their own.

    :param processes: how many threads; None for as many as there are CPUs for this process
    :param initializer: is called with ``initargs`` by each thread when it starts
    :param maxtasksperchild: ignored: threads need not be replaced
    :param context: ignored
    :param propagate_context: have tasks see the context variables of who submits them

    :raises InvalidArgument: (a ValueError) when the number is not positive
    :raises InvalidType: (a TypeError) when an argument is of the wrong type

    In a task ``current_process()`` is named ``PoolWorker-N``. For the rest, and for what threads
    cannot do, see ``processing.pool.ThreadPool``.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[[*Ts], object] | None = None,
        initargs: tuple[*Ts] = (),  # type: ignore[assignment] # no arguments fit no parameters
        maxtasksperchild: int | None = None,  # noqa: ARG002 - as pools of processes
        context: str | StartsProcesses | None = None,  # noqa: ARG002 - as pools of processes
        *,
        propagate_context: bool = False,
    ) -> None:
        given: object = initializer
        if given is not None and not callable(given):
            raise InvalidType(f"the initializer must be callable, not {given!r}")
        super().__init__(
            processes,
            _become_worker,
            (current_process(), initializer, initargs),
            propagate_context=propagate_context,
        )


def _become_worker(
    creator: Process, initializer: Callable[..., object] | None, initargs: Iterable[Any]
) -> None:
    thread = threading.current_thread()
    running.process = OtherThread(thread, thread.name, creator)
    if initializer is not None:
        initializer(*initargs)


Pool.__module__ = "processing.dummy"
