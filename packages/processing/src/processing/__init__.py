"""The one import for the whole family: every public name of its distributions that works so far.

No logic lives here. Each name is re-exported explicitly, so that type checkers and editors see it,
and keeps the ``__module__`` of the distribution that owns it.
"""

from __future__ import annotations

from processing.__about__ import __version__ as __version__
from processing_core import AuthenticationError as AuthenticationError
from processing_core import BufferTooShort as BufferTooShort
from processing_core import ClosedError as ClosedError
from processing_core import Connection as Connection
from processing_core import InvalidArgument as InvalidArgument
from processing_core import InvalidType as InvalidType
from processing_core import MethodFixedError as MethodFixedError
from processing_core import MisuseError as MisuseError
from processing_core import NotInstalledError as NotInstalledError
from processing_core import OwnerDiedWarning as OwnerDiedWarning
from processing_core import ParentProcess as ParentProcess
from processing_core import Pipe as Pipe
from processing_core import Process as Process
from processing_core import ProcessError as ProcessError
from processing_core import RemoteError as RemoteError
from processing_core import RemoteTraceback as RemoteTraceback
from processing_core import SerializationError as SerializationError
from processing_core import SharingError as SharingError
from processing_core import StartError as StartError
from processing_core import TimeoutError as TimeoutError
from processing_core import active_children as active_children
from processing_core import activeChildren as activeChildren
from processing_core import cpu_count as cpu_count
from processing_core import cpuCount as cpuCount
from processing_core import current_process as current_process
from processing_core import currentProcess as currentProcess
from processing_core import freeze_support as freeze_support
from processing_core import freezeSupport as freezeSupport
from processing_core import get_all_start_methods as get_all_start_methods
from processing_core import get_context as get_context
from processing_core import get_start_method as get_start_method
from processing_core import parent_process as parent_process
from processing_core import parentProcess as parentProcess
from processing_core import set_executable as set_executable
from processing_core import set_forkserver_preload as set_forkserver_preload
from processing_core import set_start_method as set_start_method
from processing_core import wait as wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core import Barrier as Barrier
    from processing_core import BoundedSemaphore as BoundedSemaphore
    from processing_core import Condition as Condition
    from processing_core import Event as Event
    from processing_core import JoinableQueue as JoinableQueue
    from processing_core import Lock as Lock
    from processing_core import Queue as Queue
    from processing_core import RLock as RLock
    from processing_core import Semaphore as Semaphore
    from processing_core import SimpleQueue as SimpleQueue
    from processing_logging import SUBDEBUG as SUBDEBUG
    from processing_logging import SUBWARNING as SUBWARNING
    from processing_logging import enable_logging as enable_logging
    from processing_logging import enableLogging as enableLogging
    from processing_logging import get_logger as get_logger
    from processing_logging import getLogger as getLogger
    from processing_logging import log_to_stderr as log_to_stderr
    from processing_managers import Manager as Manager
    from processing_pool import Pool as Pool
    from processing_sharedctypes import Array as Array
    from processing_sharedctypes import RawArray as RawArray
    from processing_sharedctypes import RawValue as RawValue
    from processing_sharedctypes import Value as Value
else:
    _HOMES = {
        "Array": "processing_sharedctypes",
        "Manager": "processing_managers",
        "Pool": "processing_pool",
        "RawArray": "processing_sharedctypes",
        "RawValue": "processing_sharedctypes",
        "SUBDEBUG": "processing_logging",
        "SUBWARNING": "processing_logging",
        "Value": "processing_sharedctypes",
        "enableLogging": "processing_logging",
        "enable_logging": "processing_logging",
        "getLogger": "processing_logging",
        "get_logger": "processing_logging",
        "log_to_stderr": "processing_logging",
    }

    def __getattr__(name):
        # What is imported only when it is first used.
        if name in __all__:
            home = __import__(_HOMES.get(name, "processing_core"))
            value = globals()[name] = getattr(home, name)
            return value
        if not name.startswith("_"):
            # Modules are at hand without an import of theirs, as multiprocessing's mostly are.
            module = f"{__name__}.{name}"
            try:
                __import__(module)
                return globals()[name]
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


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
    "Lock",
    "Manager",
    "MethodFixedError",
    "MisuseError",
    "NotInstalledError",
    "OwnerDiedWarning",
    "ParentProcess",
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
    "SerializationError",
    "SharingError",
    "SimpleQueue",
    "StartError",
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
