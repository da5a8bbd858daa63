"""The exceptions that managers and proxies raise of their own."""

from __future__ import annotations

from processing_core import MisuseError, ProcessError, RemoteError

__all__ = [
    "ManagerLost",
    "NotExposedError",
    "NotHeldError",
    "ReferentGoneError",
    "TooOftenError",
    "UnknownTypeError",
]


class ManagerLost(ProcessError, ConnectionError, EOFError):  # noqa: N818 - as WorkerLost
    """The manager's process has ended or cannot be reached any more.

    It is raised by every call that waits at that moment, and by every later one.
    """


class NotExposedError(RemoteError, AttributeError):
    """The method is not among those that proxies of this type may call."""


class NotHeldError(MisuseError, ValueError, RuntimeError):
    """A lock was released, or its condition used, by somebody who does not hold it.

    It is also of the types that locks of processes (AssertionError, ValueError) and of threads
    (RuntimeError) raise there.
    """


class ReferentGoneError(RemoteError, LookupError):
    """The manager has no such object: it was given up, or belongs to another manager."""


class TooOftenError(MisuseError, ValueError):
    """Something was said to be done more often than it had begun."""


class UnknownTypeError(RemoteError, LookupError):
    """The manager was asked to make an object of a type that is not registered with it."""
