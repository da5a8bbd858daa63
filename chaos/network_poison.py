"""Owns a pickle that tells when somebody unpickles it."""

from __future__ import annotations

import pickle
from typing import Any

__all__ = ["poison", "swallowed"]

swallowed: list[str] = []
"""What was unpickled in this process; it must stay empty."""


def swallow(what: str) -> None:
    """Called by unpickling."""
    swallowed.append(what)


class Poison:
    """An object whose pickle is to be noticed."""

    def __reduce__(self) -> Any:
        return swallow, ("poison",)


def poison() -> bytes:
    """The pickle."""
    return pickle.dumps(Poison())
