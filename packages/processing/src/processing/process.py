"""Processes: the names of ``processing_core.process``."""

from __future__ import annotations

from processing_core.process import ParentProcess as ParentProcess
from processing_core.process import Process as Process
from processing_core.process import active_children as active_children
from processing_core.process import activeChildren as activeChildren
from processing_core.process import current_process as current_process
from processing_core.process import currentProcess as currentProcess
from processing_core.process import parent_process as parent_process
from processing_core.process import parentProcess as parentProcess

# The standard library has a base class for processes of all start methods; here, that is Process.
BaseProcess = Process

__all__ = [
    "BaseProcess",
    "ParentProcess",
    "Process",
    "activeChildren",
    "active_children",
    "currentProcess",
    "current_process",
    "parentProcess",
    "parent_process",
]
