"""Start methods as objects: the names of ``processing_core.context``, and what contexts offer."""

from __future__ import annotations

from processing_core import AuthenticationError as AuthenticationError
from processing_core import BufferTooShort as BufferTooShort
from processing_core import Process as Process
from processing_core import ProcessError as ProcessError
from processing_core import TimeoutError as TimeoutError
from processing_core.context import BaseContext as BaseContext
from processing_core.context import DefaultContext as DefaultContext
from processing_core.context import ForkContext as ForkContext
from processing_core.context import ForkProcess as ForkProcess
from processing_core.context import ForkServerContext as ForkServerContext
from processing_core.context import ForkServerProcess as ForkServerProcess
from processing_core.context import SpawnContext as SpawnContext
from processing_core.context import SpawnProcess as SpawnProcess
from processing_core.context import active_children as active_children
from processing_core.context import assert_spawning as assert_spawning
from processing_core.context import cpu_count as cpu_count
from processing_core.context import current_process as current_process
from processing_core.context import freeze_support as freeze_support
from processing_core.context import get_all_start_methods as get_all_start_methods
from processing_core.context import get_context as get_context
from processing_core.context import get_start_method as get_start_method
from processing_core.context import parent_process as parent_process
from processing_core.context import set_executable as set_executable
from processing_core.context import set_forkserver_preload as set_forkserver_preload
from processing_core.context import set_start_method as set_start_method

__all__ = [
    "AuthenticationError",
    "BaseContext",
    "BufferTooShort",
    "DefaultContext",
    "ForkContext",
    "ForkProcess",
    "ForkServerContext",
    "ForkServerProcess",
    "Process",
    "ProcessError",
    "SpawnContext",
    "SpawnProcess",
    "TimeoutError",
    "active_children",
    "assert_spawning",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_start_method",
    "parent_process",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
]
