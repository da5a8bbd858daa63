"""Owns the errors that only the names on threads have."""

from __future__ import annotations

from processing_core import MisuseError, ProcessError

__all__ = ["NotHeldError", "NotWithThreadsError"]


class NotHeldError(MisuseError, ValueError, RuntimeError):
    """A lock was released by somebody who does not hold it, or a semaphore too often.

    It is of the types that locks of processes (AssertionError, ValueError) and of threads
    (RuntimeError) raise there.
    """


class NotWithThreadsError(ProcessError, NotImplementedError):
    """Something was asked for that processes can do and threads cannot."""


for _public in (NotHeldError, NotWithThreadsError):
    _public.__module__ = "processing.dummy"
del _public
