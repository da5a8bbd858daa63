"""What the sibling distributions build upon; stable within a major version.

Programs rarely need it.
"""

from __future__ import annotations

from processing_core._lifecycle import ExitCallback, at_exit, on_fork_in_child
from processing_core._serialize.packer import register_reducer
from processing_core._start.hooks import on_child_start

__all__ = ["ExitCallback", "at_exit", "on_child_start", "on_fork_in_child", "register_reducer"]
