"""A hook for the start of children, in a module that children can import."""

from __future__ import annotations

import os

applied: list[str] = []


def export() -> str:
    """Called in the parent."""
    return os.environ["PROCESSING_TEST_VARIABLE"]


def apply(value: str) -> None:
    """Called in each child."""
    applied.append(value)
