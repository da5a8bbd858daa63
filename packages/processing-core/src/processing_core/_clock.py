"""Owns time limits: checking what a caller gave, deadlines, and the units system calls take."""

from __future__ import annotations

import math
import time

from processing_core.errors import InvalidArgument, InvalidType

__all__ = ["Deadline", "checked_timeout"]

# poll(2) takes an int of milliseconds; longer waits are made of several.
LONGEST_POLL_MS = 24 * 3600 * 1000


def checked_timeout(timeout: float | None) -> float | None:
    """A time limit in seconds as callers give it: None for no limit, less than zero counts as zero.

    :raises InvalidType: (a TypeError) when it is not a number
    :raises InvalidArgument: (a ValueError) when it is NaN
    """
    if timeout is None:
        return None
    if not hasattr(timeout, "__float__") and not hasattr(timeout, "__index__"):
        raise InvalidType(f"timeout must be a number of seconds or None, not {timeout!r}")
    try:
        seconds = float(timeout)
    except OverflowError:
        return None if timeout > 0 else 0.0
    if math.isnan(seconds):
        raise InvalidArgument("timeout must be a number of seconds or None, not NaN")
    if seconds == math.inf:
        return None
    return max(seconds, 0.0)


class Deadline:
    """A moment on the monotonic clock; ``None`` seconds for one that never comes."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout

    def poll_milliseconds(self) -> int | None:
        """What is left, for poll(2): rounded up, so that a wait never ends early."""
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        return max(0, min(math.ceil(left * 1000), LONGEST_POLL_MS))

    def seconds(self) -> float | None:
        """What is left in seconds, not below zero; None when there is no limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end
