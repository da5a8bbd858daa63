"""A hook for the start of children, in a module that children can import."""

from __future__ import annotations

import os
from typing import Any

applied: list[str] = []


def export() -> str:
    """Called in the parent."""
    return os.environ["PROCESSING_TEST_VARIABLE"]


def apply(value: str) -> None:
    """Called in each child."""
    applied.append(value)


passed: Any = None


def export_passed() -> Any:
    """What this process has."""
    return passed


def apply_passed(value: Any) -> None:
    """Have what the parent has."""
    global passed  # noqa: PLW0603 - what the hook is for
    passed = value
