"""Owns the way from the name of a start method to the function that starts a child by it."""

from __future__ import annotations

import importlib
import sys

from processing_core._start.methods import checked_method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import Launcher

__all__ = ["launcher"]

_MODULES = {
    "fork": "fork",
    "spawn": "spawn_windows" if sys.platform == "win32" else "spawn",
    "forkserver": "forkserver",
}


def launcher(method: str) -> Launcher:
    """The launcher of a start method. Only the one in use is imported: a child needs none."""
    module = importlib.import_module(f"processing_core._start.{_MODULES[checked_method(method)]}")
    found: Launcher = module.launch
    return found
