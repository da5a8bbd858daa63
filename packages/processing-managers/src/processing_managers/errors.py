"""The exceptions that managers and proxies raise of their own."""

from __future__ import annotations

from processing_core import ProcessError, RemoteError

__all__ = ["ManagerLost", "NotExposedError", "ReferentGoneError", "UnknownTypeError"]


class ManagerLost(ProcessError, ConnectionError, EOFError):  # noqa: N818 - as WorkerLost
    """The manager's process has ended or cannot be reached any more.

    It is raised by every call that waits at that moment, and by every later one.
    """


class NotExposedError(RemoteError, AttributeError):
    """The method is not among those that proxies of this type may call."""


class ReferentGoneError(RemoteError, LookupError):
    """The manager has no such object: it was given up, or belongs to another manager."""


class UnknownTypeError(RemoteError, LookupError):
    """The manager was asked to make an object of a type that is not registered with it."""
