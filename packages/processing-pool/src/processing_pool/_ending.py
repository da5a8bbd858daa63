"""Owns what becomes of exceptions of tasks that would end whoever they are raised to."""

from __future__ import annotations

from processing_core import RemoteError

__all__ = ["as_error"]


def as_error(error: BaseException) -> Exception:
    """The exception; a RemoteError in the place of SystemExit, KeyboardInterrupt and the like."""
    if isinstance(error, Exception):
        return error
    told = RemoteError(f"the task raised {error!r}")
    told.__cause__ = error
    return told
