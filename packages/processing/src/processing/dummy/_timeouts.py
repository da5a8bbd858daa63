"""Owns time limits as callers give them, made fit for the waiting methods of threads."""

from __future__ import annotations

import math
import threading

from processing_core import InvalidArgument, InvalidType

__all__ = ["seconds"]


def seconds(timeout: float | None) -> float | None:
    """A time limit in seconds: None for no limit, less than zero counts as zero.

    :raises InvalidType: (a TypeError) when it is not a number
    :raises InvalidArgument: (a ValueError) when it is NaN
    """
    if timeout is None:
        return None
    if not hasattr(timeout, "__float__") and not hasattr(timeout, "__index__"):
        raise InvalidType(f"timeout must be a number of seconds or None, not {timeout!r}")
    try:
        limit = float(timeout)
    except OverflowError:
        return None if timeout > 0 else 0.0
    if math.isnan(limit):
        raise InvalidArgument("timeout must be a number of seconds or None, not NaN")
    # Longer waits than threads can have are endless for any purpose.
    return None if limit > threading.TIMEOUT_MAX else max(limit, 0.0)
