"""Owns the checks of what users pass, and what they may ask for each call."""

from __future__ import annotations

import operator

from processing_core import InvalidArgument, InvalidType

__all__ = ["Options", "checked_options", "positive", "seconds"]


class Options:
    """What was asked for a call: its time limit in seconds and how often it is tried again."""

    __slots__ = ("retries", "timeout")

    def __init__(self, timeout: float | None, retries: int) -> None:
        self.timeout: float | None = timeout
        self.retries: int = retries


def checked_options(of_pool: Options | None, timeout: float | None, retries: int | None) -> Options:
    """The options of a call; None stands for what the pool says."""
    if timeout is None:
        timeout = None if of_pool is None else of_pool.timeout
    else:
        timeout = seconds(timeout, "the timeout")
    if retries is None:
        retries = 0 if of_pool is None else of_pool.retries
    elif _whole(retries, "retries") < 0:
        raise InvalidArgument(f"retries must not be negative, not {retries!r}")
    return Options(timeout, retries)


def positive(value: int, what: str) -> int:
    """The number, which must be a whole one and at least 1."""
    number = _whole(value, what)
    if number < 1:
        raise InvalidArgument(f"{what} must be at least 1, not {number}")
    return number


def seconds(value: float, what: str) -> float:
    """The number of seconds, which must be positive."""
    if type(value) not in (int, float):
        raise InvalidType(f"{what} must be a number of seconds, not {value!r}")
    if not value > 0:
        raise InvalidArgument(f"{what} must be positive, not {value!r}")
    return value


def _whole(value: int, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidType(f"{what} must be a whole number, not {value!r}") from None
