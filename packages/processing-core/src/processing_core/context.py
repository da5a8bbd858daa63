"""Contexts: the library's functions and classes, bound to a start method."""

from __future__ import annotations

import sys

from processing_core import _process
from processing_core._connection import pipe
from processing_core._platform import cpus
from processing_core._process import active_children, current_process, parent_process
from processing_core._runtime import runtime
from processing_core._serialize.transfer import is_starting_child
from processing_core._start import commandline, methods
from processing_core.errors import (
    AuthenticationError,
    BufferTooShort,
    InvalidArgument,
    InvalidType,
    NotInstalledError,
    ProcessError,
    SharingError,
    TimeoutError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from processing_core import _queues, synchronize
    from processing_core._connection.base import Connection


__all__ = [
    "BaseContext",
    "DefaultContext",
    "ForkContext",
    "ForkProcess",
    "ForkServerContext",
    "ForkServerProcess",
    "SpawnContext",
    "SpawnProcess",
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

currentProcess = current_process
parentProcess = parent_process
activeChildren = active_children


def cpu_count(logical: bool = False) -> int:
    """The number of CPUs that this process may use, by affinity and cgroup quota; at least 1.

    :param logical: the number of CPUs that the system has instead
    :raises NotImplementedError: when the system does not tell
    """
    return cpus.installed_cpus() if logical else cpus.usable_cpus()


cpuCount = cpu_count


def freeze_support() -> None:
    """In a frozen program that was started as a child: be that child, and do not return.

    To be called first of all below ``if __name__ == "__main__":`` in a program that is to be
    frozen. Without it, starting a process there by spawn or forkserver is a ``StartError``. No
    effect in other programs.
    """
    runtime.freeze_support_called = True
    role = commandline.child_role()
    if role is not None:
        # Only here: it is a child's beginning, which most processes do not need.
        from processing_core._start.entry import main

        main(*role)


freezeSupport = freeze_support


def assert_spawning(obj: object) -> None:
    """For the ``__getstate__`` of objects that get to children only when these are started.

    :raises SharingError: (a RuntimeError) unless this thread is pickling for a child that is being
        started
    """
    if not is_starting_child():
        raise SharingError(
            f"a {type(obj).__name__} can be passed to a child when it is started, but not be "
            "pickled otherwise"
        )


def set_executable(executable: str | bytes) -> None:
    """The interpreter that children run under the start methods spawn and forkserver.

    :raises InvalidType: (a TypeError) when it is not a path
    """
    if isinstance(executable, bytes):
        executable = executable.decode(sys.getfilesystemencoding(), "surrogateescape")
    runtime.executable = _checked_text(executable, "the executable")


def set_forkserver_preload(module_names: Iterable[str]) -> None:
    """The modules that a fork server imports before it forks, when it is started after this call.

    ``"__main__"`` stands for the main module; without a call that is all.

    :raises InvalidType: (a TypeError) when it is not a sequence of strings
    """
    names = (module_names,) if isinstance(module_names, str) else tuple(module_names)
    runtime.preload = tuple(_checked_text(name, "a module to preload") for name in names)


def _late(name: str) -> Any:
    """A class that is imported when it is first used."""
    cls = _classes.get(name)
    if cls is None:
        # Only here: the package imports this module, and what is asked for is dear to import.
        import processing_core

        cls = _classes[name] = getattr(processing_core, name)
    return cls


_classes: dict[str, Any] = {}


def _of_another(name: str) -> Any:
    """What another distribution gives contexts, by an entry point of that name.

    :raises NotInstalledError: (an ImportError) when none is installed that does
    """
    found = _classes.get(name)
    if found is None:
        # Only here: it is dear to import, and most programs do not ask for these.
        from importlib.metadata import entry_points

        for point in entry_points(group="processing.context", name=name):
            found = _classes[name] = point.load()
            return found
        raise NotInstalledError(
            f"contexts have {name} when {_OWNERS[name]} is installed: pip install {_OWNERS[name]}"
        )
    return found


_OWNERS = {
    **dict.fromkeys(("Array", "RawArray", "RawValue", "Value"), "processing-sharedctypes"),
    **dict.fromkeys(("get_logger", "log_to_stderr"), "processing-logging"),
    "Manager": "processing-managers",
    "Pool": "processing-pool",
}


def _checked_text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidType(f"{what} must be given as a string, not {value!r}")
    return value


class BaseContext:
    """What every context offers; ``_method`` names its start method."""

    _method: str | None = None

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
        def parent_process() -> _process.ParentProcess | None: ...
        @staticmethod
        def active_children() -> list[_process.Process]: ...
        @staticmethod
        def cpu_count(logical: bool = False) -> int: ...
        @staticmethod
        def freeze_support() -> None: ...
        @staticmethod
        def set_executable(executable: str | bytes) -> None: ...
        @staticmethod
        def set_forkserver_preload(module_names: Iterable[str]) -> None: ...
    else:
        current_process = staticmethod(current_process)
        parent_process = staticmethod(parent_process)
        active_children = staticmethod(active_children)
        cpu_count = staticmethod(cpu_count)
        freeze_support = staticmethod(freeze_support)
        set_executable = staticmethod(set_executable)
        set_forkserver_preload = staticmethod(set_forkserver_preload)
    currentProcess = current_process
    parentProcess = parent_process
    activeChildren = active_children
    cpuCount = cpu_count
    freezeSupport = freeze_support

    def Pipe(  # noqa: N802 - documented name
        self, duplex: bool = True
    ) -> tuple[Connection[Any, Any], Connection[Any, Any]]:
        """A pair of connected connections. See ``processing_core.Pipe``."""
        return pipe.Pipe(duplex)

    # What these need is imported when the first is made: most processes make none.

    def Queue(  # noqa: N802 - documented name
        self, maxsize: int = 0, *, max_bytes: int | None = None
    ) -> _queues.Queue[Any]:
        """A queue. See ``processing_core.Queue``; it works with every start method."""
        made: _queues.Queue[Any] = _late("Queue")(maxsize, max_bytes=max_bytes)
        return made

    def JoinableQueue(  # noqa: N802 - documented name
        self, maxsize: int = 0, *, max_bytes: int | None = None
    ) -> _queues.JoinableQueue[Any]:
        """A joinable queue. See ``processing_core.JoinableQueue``."""
        made: _queues.JoinableQueue[Any] = _late("JoinableQueue")(maxsize, max_bytes=max_bytes)
        return made

    def SimpleQueue(self) -> _queues.SimpleQueue[Any]:  # noqa: N802 - documented name
        """A simple queue. See ``processing_core.SimpleQueue``."""
        made: _queues.SimpleQueue[Any] = _late("SimpleQueue")()
        return made

    def Lock(self, *, robust: bool = False) -> synchronize.Lock:  # noqa: N802 - documented name
        """A lock. See ``processing_core.Lock``."""
        made: synchronize.Lock = _late("Lock")(robust=True) if robust else _late("Lock")()
        return made

    def RLock(self, *, robust: bool = False) -> synchronize.RLock:  # noqa: N802 - documented name
        """A lock that its owner may take again. See ``processing_core.RLock``."""
        made: synchronize.RLock = _late("RLock")(robust=True) if robust else _late("RLock")()
        return made

    def Semaphore(self, value: int = 1) -> synchronize.Semaphore:  # noqa: N802 - documented name
        """A semaphore. See ``processing_core.Semaphore``."""
        made: synchronize.Semaphore = _late("Semaphore")(value)
        return made

    def BoundedSemaphore(  # noqa: N802 - documented name
        self, value: int = 1
    ) -> synchronize.BoundedSemaphore:
        """A semaphore with a limit. See ``processing_core.BoundedSemaphore``."""
        made: synchronize.BoundedSemaphore = _late("BoundedSemaphore")(value)
        return made

    def Condition(  # noqa: N802 - documented name
        self, lock: synchronize.Lock | synchronize.RLock | None = None
    ) -> synchronize.Condition:
        """A condition variable. See ``processing_core.Condition``."""
        made: synchronize.Condition = _late("Condition")(lock)
        return made

    def Event(self) -> synchronize.Event:  # noqa: N802 - documented name
        """An event. See ``processing_core.Event``."""
        made: synchronize.Event = _late("Event")()
        return made

    def Barrier(  # noqa: N802 - documented name
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> synchronize.Barrier:
        """A barrier. See ``processing_core.Barrier``."""
        made: synchronize.Barrier = _late("Barrier")(parties, action, timeout)
        return made

    # What other distributions have. Core does not know them, so their types are theirs to tell.

    def Manager(self) -> Any:  # noqa: N802 - documented name
        """A manager whose process is started by this context. See ``processing_managers``.

        :raises NotInstalledError: (an ImportError) without processing-managers
        """
        return _of_another("Manager")(ctx=self)

    def Pool(  # noqa: N802 - documented name
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        **options: Any,
    ) -> Any:
        """A pool whose workers are started by this context. See ``processing_pool.Pool``.

        :raises NotInstalledError: (an ImportError) without processing-pool
        """
        return _of_another("Pool")(
            processes, initializer, tuple(initargs), maxtasksperchild, context=self, **options
        )

    def Value(self, typecode_or_type: Any, *args: Any, **options: Any) -> Any:  # noqa: N802 - documented name
        """A shared value. See ``processing_sharedctypes.Value``.

        :raises NotInstalledError: (an ImportError) without processing-sharedctypes
        """
        return _of_another("Value")(typecode_or_type, *args, **options)

    def Array(self, typecode_or_type: Any, size_or_initializer: Any, **options: Any) -> Any:  # noqa: N802 - documented name
        """A shared array. See ``processing_sharedctypes.Array``.

        :raises NotInstalledError: (an ImportError) without processing-sharedctypes
        """
        return _of_another("Array")(typecode_or_type, size_or_initializer, **options)

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:  # noqa: N802 - documented name
        """A shared value without a lock. See ``processing_sharedctypes.RawValue``.

        :raises NotInstalledError: (an ImportError) without processing-sharedctypes
        """
        return _of_another("RawValue")(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any) -> Any:  # noqa: N802 - documented name
        """A shared array without a lock. See ``processing_sharedctypes.RawArray``.

        :raises NotInstalledError: (an ImportError) without processing-sharedctypes
        """
        return _of_another("RawArray")(typecode_or_type, size_or_initializer)

    def get_logger(self) -> Any:
        """The library's logger. See ``processing_logging.get_logger``.

        :raises NotInstalledError: (an ImportError) without processing-logging
        """
        return _of_another("get_logger")()

    def log_to_stderr(self, level: int | str | None = None) -> Any:
        """Have the library's logger print to stderr. See ``processing_logging.log_to_stderr``.

        :raises NotInstalledError: (an ImportError) without processing-logging
        """
        return _of_another("log_to_stderr")(level)

    def get_context(self, method: str | None = None) -> BaseContext:
        """The context of a start method; None for this one.

        :raises InvalidArgument: (a ValueError) when the platform has no such method
        """
        return self if method is None else _contexts[methods.checked_method(method)]

    def get_start_method(self, allow_none: bool = False) -> str:  # noqa: ARG002
        """The start method of this context."""
        assert self._method is not None
        return self._method

    def set_start_method(self, method: str | None, force: bool = False) -> None:  # noqa: ARG002
        """Contexts of one method cannot change it. :raises InvalidArgument: always"""
        raise InvalidArgument(f"the start method of {self!r} is fixed")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return get_context, (self._method,)


class ForkProcess(_process.Process):
    """A process that is started by fork."""

    _start_method = "fork"


class SpawnProcess(_process.Process):
    """A process that is started by spawn."""

    _start_method = "spawn"


class ForkServerProcess(_process.Process):
    """A process that is started by forkserver."""

    _start_method = "forkserver"


class ForkContext(BaseContext):
    """Starts processes by fork."""

    _method = "fork"
    Process: type[_process.Process] = ForkProcess


class SpawnContext(BaseContext):
    """Starts processes by spawn."""

    _method = "spawn"
    Process: type[_process.Process] = SpawnProcess


class ForkServerContext(BaseContext):
    """Starts processes by forkserver."""

    _method = "forkserver"
    Process: type[_process.Process] = ForkServerProcess


class DefaultContext(BaseContext):
    """Starts processes by the method that this process has chosen."""

    def get_context(self, method: str | None = None) -> BaseContext:
        """The context of a start method; None for the one in use.

        :raises InvalidArgument: (a ValueError) when the platform has no such method
        """
        return _contexts[
            methods.current_method() if method is None else methods.checked_method(method)
        ]

    def get_start_method(self, allow_none: bool = False) -> str:
        """The start method in use; the environment or the platform decides at the first call.

        :param allow_none: return None instead of deciding
        """
        if allow_none and runtime.start_method is None:
            return None  # type: ignore[return-value]
        return methods.current_method()

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Choose the start method, once unless ``force``; None with ``force`` to choose anew.

        :raises MethodFixedError: (a RuntimeError) when it was chosen before
        :raises InvalidArgument: (a ValueError) when the platform has no such method
        """
        methods.fix_method(method, force=force)

    def get_all_start_methods(self) -> list[str]:
        """The start methods of this platform, the default first."""
        return methods.available_methods()

    def __reduce__(self) -> tuple[Any, ...]:
        return _default_context, ()


_contexts: dict[str, BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
_default = DefaultContext()


def _default_context() -> DefaultContext:
    return _default


def get_context(method: str | None = None) -> BaseContext:
    """The context of a start method; None for the one in use.

    :raises InvalidArgument: (a ValueError) when the platform has no such method
    """
    return _default.get_context(method)


def get_start_method(allow_none: bool = False) -> str:
    """The start method in use; the environment or the platform decides at the first call.

    :param allow_none: return None instead of deciding
    """
    return _default.get_start_method(allow_none)


def set_start_method(method: str | None, force: bool = False) -> None:
    """Choose the start method, once unless ``force``; None with ``force`` to choose anew.

    :raises MethodFixedError: (a RuntimeError) when it was chosen before
    :raises InvalidArgument: (a ValueError) when the platform has no such method
    """
    _default.set_start_method(method, force)


def get_all_start_methods() -> list[str]:
    """The start methods of this platform, the default first."""
    return _default.get_all_start_methods()
