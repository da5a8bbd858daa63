"""Owns the checks of what clients pass to objects of the server."""

from __future__ import annotations

import operator

from processing_core import InvalidArgument, InvalidType

__all__ = ["checked_count", "checked_seconds"]


def checked_seconds(timeout: float | None) -> float | None:
    """A timeout in seconds, at least 0; None without limit.

    :raises InvalidType: (a TypeError) when it is not a number
    :raises InvalidArgument: (a ValueError) when it is NaN
    """
    if timeout is None:
        return None
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        raise InvalidType(f"timeout must be a number of seconds, not {timeout!r}") from None
    if seconds != seconds:  # noqa: PLR0124 - NaN alone differs from itself
        raise InvalidArgument("timeout must be a number of seconds, not NaN")
    if seconds == float("inf"):
        return None
    return max(0.0, seconds)


def checked_count(value: int, what: str, least: int) -> int:
    """A whole number that is not less than ``least``.

    :raises InvalidType: (a TypeError) when it is not a whole number
    :raises InvalidArgument: (a ValueError) when it is less
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidType(f"{what} must be a whole number, not {value!r}") from None
    if number < least:
        raise InvalidArgument(f"{what} must be at least {least}, not {number}")
    return number
