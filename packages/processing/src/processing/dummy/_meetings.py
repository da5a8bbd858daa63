"""Owns events and barriers of threads, with the methods of those of processes."""

from __future__ import annotations

import operator
import threading

from processing.dummy._timeouts import seconds
from processing_core import InvalidArgument, InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_core.abc import StartsProcesses

__all__ = ["Barrier", "Event"]


class Event(threading.Event):
    """A flag that is not set at first.

    :param ctx: ignored
    """

    def __init__(self, *, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        super().__init__()

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return super().is_set()

    isSet = is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set; whether it was.

        :param timeout: for how many seconds at most; None without limit
        """
        return super().wait(seconds(timeout))

    def __repr__(self) -> str:
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"


class Barrier(threading.Barrier):
    """A point that ``parties`` threads pass only when all of them have come to it.

    :param parties: how many
    :param action: what one of them calls when all have come, before they go on
    :param timeout: for how many seconds ``wait`` waits at most, unless it is told otherwise
    :param ctx: ignored

    :raises InvalidType: (a TypeError) when ``parties`` is not a whole number
    :raises InvalidArgument: (a ValueError) when it is less than 1
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: StartsProcesses | None = None,  # noqa: ARG002 - as those of processes
    ) -> None:
        try:
            number = operator.index(parties)
        except TypeError:
            raise InvalidType(f"parties must be a whole number, not {parties!r}") from None
        if number < 1:
            raise InvalidArgument(f"parties must be at least 1, not {number}")
        base: Any = super()  # whose action may, for type checkers, return nothing
        base.__init__(number, action, seconds(timeout))

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all have come; returns a different number for each, from 0 on.

        :param timeout: for how many seconds at most; None for what the barrier was made with

        :raises threading.BrokenBarrierError: (a RuntimeError) when it is or gets broken or reset
        """
        return super().wait(seconds(timeout))

    @property
    def n_waiting(self) -> int:
        """How many have come and wait for the others."""
        return super().n_waiting

    nWaiting = n_waiting


for _public in (Barrier, Event):
    _public.__module__ = "processing.dummy"
del _public
