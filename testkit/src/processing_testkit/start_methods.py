"""Owns the list of start methods that the tests run with."""

from __future__ import annotations

import os
import sys

__all__ = ["start_methods"]


def start_methods() -> list[str]:
    """The platform's start methods, or those of them that PROCESSING_TEST_START_METHODS names."""
    available = ["spawn"] if sys.platform == "win32" else ["fork", "forkserver", "spawn"]
    wanted = os.environ.get("PROCESSING_TEST_START_METHODS", "").replace(",", " ").split()
    unknown = sorted(set(wanted) - {"fork", "forkserver", "spawn"})
    if unknown:
        raise ValueError(f"PROCESSING_TEST_START_METHODS names no start method: {unknown}")
    return [name for name in available if not wanted or name in wanted]
