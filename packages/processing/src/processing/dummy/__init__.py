"""The names of ``processing`` on threads: what is made and started here stays in this process.

No logic lives here. What is dear to import is imported when it is first used.
"""

from __future__ import annotations

import builtins

from processing.dummy._context import ThreadContext as ThreadContext
from processing.dummy._context import freeze_support as freeze_support
from processing.dummy._context import get_all_start_methods as get_all_start_methods
from processing.dummy._context import get_context as get_context
from processing.dummy._context import get_start_method as get_start_method
from processing.dummy._context import set_executable as set_executable
from processing.dummy._context import set_forkserver_preload as set_forkserver_preload
from processing.dummy._context import set_start_method as set_start_method
from processing.dummy._errors import NotHeldError as NotHeldError
from processing.dummy._errors import NotWithThreadsError as NotWithThreadsError
from processing.dummy._locks import BoundedSemaphore as BoundedSemaphore
from processing.dummy._locks import Condition as Condition
from processing.dummy._locks import Lock as Lock
from processing.dummy._locks import RLock as RLock
from processing.dummy._locks import Semaphore as Semaphore
from processing.dummy._meetings import Barrier as Barrier
from processing.dummy._meetings import Event as Event
from processing.dummy._process import Process as Process
from processing.dummy._process import active_children as active_children
from processing.dummy._process import current_process as current_process
from processing.dummy._process import parent_process as parent_process
from processing.dummy._queues import JoinableQueue as JoinableQueue
from processing.dummy._queues import Queue as Queue
from processing.dummy._queues import SimpleQueue as SimpleQueue
from processing.dummy._waiting import Sentinel as Sentinel
from processing.dummy._waiting import wait as wait
from processing.dummy.connection import Connection as Connection
from processing.dummy.connection import Pipe as Pipe
from processing_core import AuthenticationError as AuthenticationError
from processing_core import BufferTooShort as BufferTooShort
from processing_core import ClosedError as ClosedError
from processing_core import InvalidArgument as InvalidArgument
from processing_core import InvalidType as InvalidType
from processing_core import MethodFixedError as MethodFixedError
from processing_core import MisuseError as MisuseError
from processing_core import NotInstalledError as NotInstalledError
from processing_core import OwnerDiedWarning as OwnerDiedWarning
from processing_core import ProcessError as ProcessError
from processing_core import RemoteError as RemoteError
from processing_core import RemoteTraceback as RemoteTraceback
from processing_core import SerializationError as SerializationError
from processing_core import SharingError as SharingError
from processing_core import StartError as StartError
from processing_core import TimeoutError as TimeoutError
from processing_core import cpu_count as cpu_count
from processing_core import cpuCount as cpuCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sys

    from processing.dummy._manager import LocalArray as LocalArray
    from processing.dummy._manager import LocalManager as LocalManager
    from processing.dummy._manager import LocalNamespace as LocalNamespace
    from processing.dummy._manager import LocalNamespace as Namespace
    from processing.dummy._manager import LocalValue as LocalValue
    from processing.dummy._manager import Manager as Manager
    from processing.dummy._values import Array as Array
    from processing.dummy._values import Value as Value
    from processing_logging import SUBDEBUG as SUBDEBUG
    from processing_logging import SUBWARNING as SUBWARNING
    from processing_logging import enable_logging as enable_logging
    from processing_logging import enableLogging as enableLogging
    from processing_logging import get_logger as get_logger
    from processing_logging import getLogger as getLogger
    from processing_logging import log_to_stderr as log_to_stderr
    from processing_sharedctypes import RawArray as RawArray
    from processing_sharedctypes import RawValue as RawValue

    if sys.platform != "win32":
        from processing.dummy._pool import Pool as Pool
    else:
        from typing import Any

        # It is still to come there.
        Pool: Any
else:
    _HOMES = {
        "Array": "processing.dummy._values",
        "LocalArray": "processing.dummy._manager",
        "LocalManager": "processing.dummy._manager",
        "LocalNamespace": "processing.dummy._manager",
        "LocalValue": "processing.dummy._manager",
        "Manager": "processing.dummy._manager",
        "Pool": "processing.dummy._pool",
        "RawArray": "processing_sharedctypes",
        "RawValue": "processing_sharedctypes",
        "SUBDEBUG": "processing_logging",
        "SUBWARNING": "processing_logging",
        "Value": "processing.dummy._values",
        "enableLogging": "processing_logging",
        "enable_logging": "processing_logging",
        "getLogger": "processing_logging",
        "get_logger": "processing_logging",
        "log_to_stderr": "processing_logging",
    }

    def __getattr__(name):
        if name == "Namespace":
            name = "LocalNamespace"
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__, "Namespace"})


activeChildren = active_children
currentProcess = current_process
freezeSupport = freeze_support
parentProcess = parent_process

# What a manager makes is made without one, too. A star import leaves the built-in names alone.
dict = builtins.dict  # noqa: A001 - documented name
list = builtins.list  # noqa: A001 - documented name

__all__ = [
    "SUBDEBUG",
    "SUBWARNING",
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "ClosedError",
    "Condition",
    "Connection",
    "Event",
    "InvalidArgument",
    "InvalidType",
    "JoinableQueue",
    "LocalArray",
    "LocalManager",
    "LocalNamespace",
    "LocalValue",
    "Lock",
    "Manager",
    "MethodFixedError",
    "MisuseError",
    "Namespace",
    "NotHeldError",
    "NotInstalledError",
    "NotWithThreadsError",
    "OwnerDiedWarning",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "RemoteError",
    "RemoteTraceback",
    "Semaphore",
    "Sentinel",
    "SerializationError",
    "SharingError",
    "SimpleQueue",
    "StartError",
    "ThreadContext",
    "TimeoutError",
    "Value",
    "activeChildren",
    "active_children",
    "cpuCount",
    "cpu_count",
    "currentProcess",
    "current_process",
    "enableLogging",
    "enable_logging",
    "freezeSupport",
    "freeze_support",
    "getLogger",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "parentProcess",
    "parent_process",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "wait",
]
