"""Processes: the class, the running one, its parent and its children."""

from __future__ import annotations

from processing_core._process import (
    ParentProcess,
    Process,
    active_children,
    current_process,
    parent_process,
)

activeChildren = active_children
currentProcess = current_process
parentProcess = parent_process

__all__ = [
    "ParentProcess",
    "Process",
    "activeChildren",
    "active_children",
    "currentProcess",
    "current_process",
    "parentProcess",
    "parent_process",
]
