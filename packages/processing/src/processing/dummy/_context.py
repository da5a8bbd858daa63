"""Owns the context of threads: the names of this package as attributes, and start methods."""

from __future__ import annotations

import processing_core
from processing.dummy import _locks, _meetings, _process, _queues, connection
from processing_core import (
    AuthenticationError,
    BufferTooShort,
    InvalidArgument,
    ProcessError,
    TimeoutError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from processing.dummy._manager import LocalManager

__all__ = [
    "METHOD",
    "ThreadContext",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_start_method",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
]

METHOD = "thread"

# What programs ask for that are written for processes; they get threads.
KNOWN_METHODS = ("fork", "spawn", "forkserver", METHOD)


def _check_method(method: str | None) -> None:
    if method is not None and method not in KNOWN_METHODS:
        raise InvalidArgument(f"there is no start method {method!r}; there are {KNOWN_METHODS}")


def freeze_support() -> None:
    """Do nothing: no program is started anew."""


def get_all_start_methods() -> list[str]:
    """The one start method that there is, ``"thread"``."""
    return [METHOD]


def get_start_method(allow_none: bool = False) -> str:  # noqa: ARG001 - as that of processes
    """``"thread"``, whatever was asked for."""
    return METHOD


def set_start_method(method: str | None, force: bool = False) -> None:  # noqa: ARG001 - as above
    """Change nothing: processes are threads.

    :raises InvalidArgument: (a ValueError) when there is no such method for processes either
    """
    _check_method(method)


def set_executable(executable: str | bytes) -> None:
    """Do nothing: no program is started."""


def set_forkserver_preload(module_names: Iterable[str]) -> None:
    """Do nothing: there is no fork server."""


class ThreadContext:
    """What contexts of start methods offer, by threads."""

    ProcessError = ProcessError
    BufferTooShort = BufferTooShort
    TimeoutError = TimeoutError
    AuthenticationError = AuthenticationError

    Process: type[_process.Process] = _process.Process

    if TYPE_CHECKING:
        # What follows below, in words that every type checker understands alike.

        @staticmethod
        def current_process() -> _process.Process: ...
        @staticmethod
        def parent_process() -> _process.Process | None: ...
        @staticmethod
        def active_children() -> list[_process.Process]: ...
        @staticmethod
        def cpu_count(logical: bool = False) -> int: ...
        @staticmethod
        def freeze_support() -> None: ...
        @staticmethod
        def get_all_start_methods() -> list[str]: ...
        @staticmethod
        def get_start_method(allow_none: bool = False) -> str: ...
        @staticmethod
        def set_start_method(method: str | None, force: bool = False) -> None: ...
        @staticmethod
        def set_executable(executable: str | bytes) -> None: ...
        @staticmethod
        def set_forkserver_preload(module_names: Iterable[str]) -> None: ...
        @staticmethod
        def Pipe(  # noqa: N802 - documented name
            duplex: bool = True,
        ) -> tuple[connection.Connection, connection.Connection]: ...
    else:
        current_process = staticmethod(_process.current_process)
        parent_process = staticmethod(_process.parent_process)
        active_children = staticmethod(_process.active_children)
        cpu_count = staticmethod(processing_core.cpu_count)
        freeze_support = staticmethod(freeze_support)
        get_all_start_methods = staticmethod(get_all_start_methods)
        get_start_method = staticmethod(get_start_method)
        set_start_method = staticmethod(set_start_method)
        set_executable = staticmethod(set_executable)
        set_forkserver_preload = staticmethod(set_forkserver_preload)
        Pipe = staticmethod(connection.Pipe)
    currentProcess = current_process
    parentProcess = parent_process
    activeChildren = active_children
    cpuCount = cpu_count
    freezeSupport = freeze_support

    def get_context(self, method: str | None = None) -> ThreadContext:
        """The context itself, for every start method.

        :raises InvalidArgument: (a ValueError) when there is no such method for processes either
        """
        _check_method(method)
        return self

    def Queue(  # noqa: N802 - documented name
        self, maxsize: int = 0, *, max_bytes: int | None = None
    ) -> _queues.Queue[Any]:
        """A queue. See ``processing.dummy.Queue``."""
        return _queues.Queue(maxsize, max_bytes=max_bytes)

    def JoinableQueue(  # noqa: N802 - documented name
        self, maxsize: int = 0, *, max_bytes: int | None = None
    ) -> _queues.JoinableQueue[Any]:
        """A joinable queue. See ``processing.dummy.JoinableQueue``."""
        return _queues.JoinableQueue(maxsize, max_bytes=max_bytes)

    def SimpleQueue(self) -> _queues.SimpleQueue[Any]:  # noqa: N802 - documented name
        """A simple queue. See ``processing.dummy.SimpleQueue``."""
        return _queues.SimpleQueue()

    def Lock(self, *, robust: bool = False) -> _locks.Lock:  # noqa: N802 - documented name
        """A lock. See ``processing.dummy.Lock``."""
        return _locks.Lock(robust=robust)

    def RLock(self, *, robust: bool = False) -> _locks.RLock:  # noqa: N802 - documented name
        """A lock that its owner may take again. See ``processing.dummy.RLock``."""
        return _locks.RLock(robust=robust)

    def Semaphore(self, value: int = 1) -> _locks.Semaphore:  # noqa: N802 - documented name
        """A semaphore. See ``processing.dummy.Semaphore``."""
        return _locks.Semaphore(value)

    def BoundedSemaphore(self, value: int = 1) -> _locks.BoundedSemaphore:  # noqa: N802 - documented name
        """A semaphore with a limit. See ``processing.dummy.BoundedSemaphore``."""
        return _locks.BoundedSemaphore(value)

    def Condition(  # noqa: N802 - documented name
        self, lock: _locks.Lock | _locks.RLock | None = None
    ) -> _locks.Condition:
        """A condition variable. See ``processing.dummy.Condition``."""
        return _locks.Condition(lock)

    def Event(self) -> _meetings.Event:  # noqa: N802 - documented name
        """An event. See ``processing.dummy.Event``."""
        return _meetings.Event()

    def Barrier(  # noqa: N802 - documented name
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> _meetings.Barrier:
        """A barrier. See ``processing.dummy.Barrier``."""
        return _meetings.Barrier(parties, action, timeout)

    # What these need is imported when the first is made.

    def Manager(self) -> LocalManager:  # noqa: N802 - documented name
        """A manager of plain objects. See ``processing.dummy.Manager``."""
        made: LocalManager = _late("Manager")()
        return made

    def Pool(  # noqa: N802 - documented name
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        **options: Any,
    ) -> Any:
        """A pool of threads. See ``processing.dummy.Pool``."""
        return _late("Pool")(processes, initializer, tuple(initargs), maxtasksperchild, **options)

    def Value(self, typecode_or_type: Any, *args: Any, **options: Any) -> Any:  # noqa: N802 - documented name
        """A value. See ``processing.dummy.Value``."""
        return _late("Value")(typecode_or_type, *args, **options)

    def Array(self, typecode_or_type: Any, size_or_initializer: Any, **options: Any) -> Any:  # noqa: N802 - documented name
        """An array. See ``processing.dummy.Array``."""
        return _late("Array")(typecode_or_type, size_or_initializer, **options)

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:  # noqa: N802 - documented name
        """A value without a lock. See ``processing_sharedctypes.RawValue``."""
        return _late("RawValue")(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any) -> Any:  # noqa: N802 - documented name
        """An array without a lock. See ``processing_sharedctypes.RawArray``."""
        return _late("RawArray")(typecode_or_type, size_or_initializer)

    def get_logger(self) -> Any:
        """The library's logger. See ``processing_logging.get_logger``."""
        return _late("get_logger")()

    def log_to_stderr(self, level: int | str | None = None) -> Any:
        """Have the library's logger print to stderr. See ``processing_logging.log_to_stderr``."""
        return _late("log_to_stderr")(level)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _late(name: str) -> Any:
    # Only here: the package imports this module, and what is asked for is dear to import.
    import processing.dummy

    return getattr(processing.dummy, name)


_context = ThreadContext()


def get_context(method: str | None = None) -> ThreadContext:
    """The context of threads, for every start method.

    :raises InvalidArgument: (a ValueError) when there is no such method for processes either
    """
    return _context.get_context(method)


ThreadContext.__module__ = "processing.dummy"
