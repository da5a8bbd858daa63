"""Processes and the pipes between them, with the feel of ``threading``.

Every documented camelCase name stands beside its PEP 8 twin.
"""

from __future__ import annotations

from processing_core.__about__ import __version__
from processing_core._connection.base import Connection
from processing_core._connection.pipe import Pipe
from processing_core._connection.waiting import wait
from processing_core._process import ParentProcess, Process
from processing_core._queues import JoinableQueue, Queue, SimpleQueue
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
    OwnerDiedWarning,
    ProcessError,
    SerializationError,
    SharingError,
    StartError,
    TimeoutError,
)

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "ClosedError",
    "Connection",
    "InvalidArgument",
    "InvalidType",
    "JoinableQueue",
    "MethodFixedError",
    "MisuseError",
    "OwnerDiedWarning",
    "ParentProcess",
    "Pipe",
    "Process",
    "ProcessError",
    "Queue",
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
    JoinableQueue,
    MethodFixedError,
    MisuseError,
    OwnerDiedWarning,
    ParentProcess,
    Process,
    ProcessError,
    Queue,
    SerializationError,
    SharingError,
    SimpleQueue,
    StartError,
    TimeoutError,
):
    _public.__module__ = __name__
del _public
