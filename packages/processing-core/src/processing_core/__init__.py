"""Processes and the pipes between them, with the feel of ``threading``.

Every documented camelCase name stands beside its PEP 8 twin.
"""

from __future__ import annotations

from processing_core.__about__ import __version__
from processing_core._connection.base import Connection
from processing_core._connection.pipe import Pipe
from processing_core._connection.waiting import wait
from processing_core._process import ParentProcess, Process
from processing_core.context import (
    active_children,
    activeChildren,
    cpu_count,
    cpuCount,
    current_process,
    currentProcess,
    freeze_support,
    freezeSupport,
    get_all_start_methods,
    get_context,
    get_start_method,
    parent_process,
    parentProcess,
    set_executable,
    set_forkserver_preload,
    set_start_method,
)
from processing_core.errors import (
    AuthenticationError,
    BufferTooShort,
    ClosedError,
    InvalidArgument,
    InvalidType,
    MethodFixedError,
    MisuseError,
    NotInstalledError,
    OwnerDiedWarning,
    ProcessError,
    RemoteError,
    RemoteTraceback,
    SerializationError,
    SharingError,
    StartError,
    TimeoutError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core._queues import JoinableQueue, Queue, SimpleQueue
    from processing_core.synchronize import (
        Barrier,
        BoundedSemaphore,
        Condition,
        Event,
        Lock,
        RLock,
        Semaphore,
    )

__all__ = [
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
    "MethodFixedError",
    "MisuseError",
    "NotInstalledError",
    "OwnerDiedWarning",
    "ParentProcess",
    "Pipe",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RemoteError",
    "RemoteTraceback",
    "Semaphore",
    "SerializationError",
    "SharingError",
    "SimpleQueue",
    "StartError",
    "TimeoutError",
    "__version__",
    "activeChildren",
    "active_children",
    "cpuCount",
    "cpu_count",
    "currentProcess",
    "current_process",
    "freezeSupport",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_start_method",
    "parentProcess",
    "parent_process",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "wait",
]

# What users see in tracebacks, reprs and pickles is where they import it from.
for _public in (
    AuthenticationError,
    BufferTooShort,
    ClosedError,
    Connection,
    InvalidArgument,
    InvalidType,
    MethodFixedError,
    MisuseError,
    NotInstalledError,
    OwnerDiedWarning,
    ParentProcess,
    Process,
    ProcessError,
    RemoteError,
    RemoteTraceback,
    SerializationError,
    SharingError,
    StartError,
    TimeoutError,
):
    _public.__module__ = __name__
del _public

# Where the names are that are imported when they are first used: most processes need none of them,
# and every child pays for what is imported at its start.
_LATE = {
    "Barrier": "synchronize",
    "BoundedSemaphore": "synchronize",
    "Condition": "synchronize",
    "Event": "synchronize",
    "JoinableQueue": "_queues",
    "Lock": "synchronize",
    "Queue": "_queues",
    "RLock": "synchronize",
    "Semaphore": "synchronize",
    "SimpleQueue": "_queues",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
