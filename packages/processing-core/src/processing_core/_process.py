"""Owns processes: the class, the one that is running, its parent and its children."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading

from processing_core import _lifecycle, _log
from processing_core._arguments import as_dict, as_tuple, method_of
from processing_core._children import active_children, end_children, forget, reap_finished
from processing_core._clock import checked_timeout
from processing_core._parent import ParentProcess
from processing_core._runtime import AUTHKEY_BYTES, AuthKey, runtime
from processing_core._serialize.transfer import is_starting_child
from processing_core._start.commandline import child_role
from processing_core._start.launchers import launcher
from processing_core._start.main_module import name_main_for_children
from processing_core._start.methods import current_method
from processing_core.errors import (
    ClosedError,
    InvalidType,
    MisuseError,
    SerializationError,
    StartError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, TypeVarTuple, overload

    from processing_core.abc import ChildHandle, StartsProcesses

    Ts = TypeVarTuple("Ts")
else:

    def overload(function):
        return function


__all__ = [
    "ParentProcess",
    "Process",
    "active_children",
    "current_process",
    "log_exit_as",
    "parent_process",
]

_SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}


class Process:
    """A function, or the ``run`` method of a subclass, that runs in a process of its own.

    :param group: None; kept for likeness with ``threading.Thread``
    :param target: what ``run()`` calls, None for nothing
    :param name: ``Process-`` and the path of generations if not given
    :param args: positional arguments for the target
    :param kwargs: keyword arguments for the target
    :param daemon: whether the process is terminated when its creator ends; None: as the creator
    :param die_with_parent: whether the process is killed when its creator is gone in whatever way;
        None: if it or its creator is daemonic, or its creator itself dies with its parent
    :param context: the start method, by name or as a context; None for the current one

    :raises MisuseError: (an AssertionError) when ``group`` is not None
    :raises InvalidType: (a TypeError) when an argument is of the wrong type

    Only the process that made the object can start and join it. Its methods may be called from any
    thread.
    """

    # What a class derived by a context sets.
    _start_method: str | None = None
    # What the message at the end of this process calls it.
    _role = "process"

    # Without kwargs the arguments are checked against the target; kwargs cannot be.
    @overload
    def __init__(
        self,
        group: None = None,
        target: Callable[[], object] | None = None,
        name: str | None = None,
        *,
        daemon: bool | None = None,
        die_with_parent: bool | None = None,
        context: str | StartsProcesses | None = None,
    ) -> None: ...
    @overload
    def __init__(  # noqa: F811 - an overload, though not typing's
        self,
        group: None = None,
        target: Callable[[*Ts], object] | None = None,
        name: str | None = None,
        *,
        args: tuple[*Ts],
        daemon: bool | None = None,
        die_with_parent: bool | None = None,
        context: str | StartsProcesses | None = None,
    ) -> None: ...
    @overload
    def __init__(  # noqa: F811 - an overload, though not typing's
        self,
        group: None,
        target: Callable[[*Ts], object] | None,
        name: str | None,
        args: tuple[*Ts],
        *,
        daemon: bool | None = None,
        die_with_parent: bool | None = None,
        context: str | StartsProcesses | None = None,
    ) -> None: ...
    @overload
    def __init__(  # noqa: F811 - an overload, though not typing's
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        *,
        args: list[Any],
        daemon: bool | None = None,
        die_with_parent: bool | None = None,
        context: str | StartsProcesses | None = None,
    ) -> None: ...
    @overload
    def __init__(  # noqa: F811 - an overload, though not typing's
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = ...,
        *,
        kwargs: Mapping[str, Any],
        daemon: bool | None = None,
        die_with_parent: bool | None = None,
        context: str | StartsProcesses | None = None,
    ) -> None: ...
    @overload
    def __init__(  # noqa: F811 - an overload, though not typing's
        self,
        group: None,
        target: Callable[..., object] | None,
        name: str | None,
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        *,
        daemon: bool | None = None,
        die_with_parent: bool | None = None,
        context: str | StartsProcesses | None = None,
    ) -> None: ...
    def __init__(  # noqa: F811 - what the overloads are of
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] = {},  # documented so, and only read
        *,
        daemon: bool | None = None,
        die_with_parent: bool | None = None,
        context: str | StartsProcesses | None = None,
    ) -> None:
        if group is not None:
            raise MisuseError(f"group must be None, not {group!r}")
        if target is not None and not callable(target):
            raise InvalidType(f"target must be callable, not {target!r}")
        if name is not None and not isinstance(name, str):
            raise InvalidType(f"name must be a string, not {name!r}")
        creator = current_process()
        self._lock = threading.Lock()
        self._generations: tuple[int, ...] = (*creator._generations, next(creator._counter))
        self._counter: Iterator[int] = itertools.count(1)
        self._name: str = name or f"Process-{':'.join(map(str, self._generations))}"
        self._daemon: bool = creator._daemon if daemon is None else bool(daemon)
        self._die_with_parent = die_with_parent
        self._inherits_death = creator._dies
        self._authkey: AuthKey = creator._authkey
        self._parent_pid = os.getpid()
        self._parent_name = creator._name
        if context is not None:
            self._start_method = method_of(context)
        self._target = target
        self._args = as_tuple(args)
        self._kwargs = as_dict(kwargs)
        self._handle: ChildHandle | None = None
        self._starting = False
        self._closed = False

    def run(self) -> None:
        """What the process does: call the target. A subclass may do something else."""
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    # Start and end

    def start(self) -> None:
        """Start the process; ``run()`` is called there.

        :raises MisuseError: (an AssertionError) when started before, or not by the creator
        :raises SerializationError: when the start method pickles and something does not pickle;
            names it and where it was found; no child was started
        :raises StartError: (a RuntimeError) when the child cannot be started, or while a child is
            still importing its main module
        :raises OSError: when the system has no room for another process
        """
        self._check_open()
        self._check_creator("start")
        with self._lock:
            if self._starting or self._handle is not None:
                raise MisuseError(f"{self!r} was started before; a process starts once")
            self._starting = True
        try:
            _check_bootstrapped()
            reap_finished()
            _lifecycle.activate(end_children)
            name_main_for_children()
            self._handle = launcher(self._start_method or current_method())(self, self._dies)
        finally:
            self._starting = False
        with runtime.lock:
            runtime.children.add(self)
        # The child has its own; here they would only keep objects alive.
        self._target, self._args, self._kwargs = None, (), {}

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process has ended, at most ``timeout`` seconds. May be called many times.

        :param timeout: seconds; None without limit; less than zero counts as zero
        :raises MisuseError: (an AssertionError) before start, by another process, or on itself
        :raises InvalidArgument: (a ValueError) when the timeout is NaN
        """
        timeout = checked_timeout(timeout)
        self._check_open()
        if self is runtime.current:
            raise MisuseError("a process cannot join itself")
        self._check_creator("join")
        if self._handle is None:
            raise MisuseError(f"{self!r} cannot be joined before it is started")
        if self._handle.wait(timeout) is not None:
            self._forget()

    def is_alive(self) -> bool:
        """Whether the process runs. Joins all children that have finished, as a side effect.

        :raises MisuseError: (an AssertionError) when asked of another process's child
        """
        self._check_open()
        if self is runtime.current:
            return True
        self._check_creator("test")
        reap_finished()
        return self._handle is not None and self._handle.poll() is None

    isAlive = is_alive

    def terminate(self) -> None:
        """End the process with SIGTERM, which it may handle. No effect once it has ended.

        :raises MisuseError: (an AssertionError) before start or by another process
        """
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process with SIGKILL, which it cannot handle. See terminate."""
        if sys.platform == "win32":
            self._signal(signal.SIGTERM)  # there it cannot be handled either
        else:
            self._signal(signal.SIGKILL)

    def interrupt(self) -> None:
        """Send the process SIGINT, which raises KeyboardInterrupt in it. See terminate.

        On Windows, where processes have no signals, it ends the process.
        """
        self._signal(signal.SIGINT)

    def close(self) -> None:
        """Give back what the object holds of the system. May be called again.

        :raises ClosedError: (a ValueError) when the process still runs
        """
        if self._closed:
            return
        if self._handle is not None:
            self._check_creator("close")
            if self._handle.poll() is None:
                raise ClosedError(f"{self!r} cannot be closed while it runs; end and join it first")
            self._forget()
            self._handle.close()
        self._closed = True

    # Attributes, in both spellings

    @property
    def name(self) -> str:
        """The name; a string without meaning to the library."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise InvalidType(f"name must be a string, not {name!r}")
        self._name = name

    def getName(self) -> str:  # noqa: N802 - documented name
        """The name."""
        return self._name

    def setName(self, name: str) -> None:  # noqa: N802 - documented name
        """Set the name. :raises InvalidType: when it is not a string"""
        self.name = name

    @property
    def daemon(self) -> bool:
        """Whether the process is terminated when its creator ends."""
        return self._daemon

    @daemon.setter
    def daemon(self, daemon: bool) -> None:
        if self._handle is not None or self is runtime.current:
            raise MisuseError(f"{self!r} was started; daemon can be set only before")
        self._daemon = bool(daemon)

    def isDaemon(self) -> bool:  # noqa: N802 - documented name
        """Whether the process is terminated when its creator ends."""
        return self._daemon

    def setDaemon(self, daemon: bool) -> None:  # noqa: N802 - documented name
        """Set whether the process is terminated when its creator ends.

        :raises MisuseError: (an AssertionError) after start
        """
        self.daemon = daemon

    @property
    def pid(self) -> int | None:
        """The process id, None before start."""
        self._check_open()
        if self is runtime.current:
            return os.getpid()
        return None if self._handle is None else self._handle.pid

    ident = pid

    def getPid(self) -> int | None:  # noqa: N802 - documented name
        """The process id, None before start."""
        return self.pid

    @property
    def exitcode(self) -> int | None:
        """None while the process has not ended, -N when signal N ended it, else its exit code.

        255 if all that is known is that it has ended, because others reaped it or the fork server
        that it came from was killed.

        :raises MisuseError: (an AssertionError) when asked of another process's child
        """
        self._check_open()
        if self is runtime.current or self._handle is None:
            return None
        self._check_creator("test")
        return self._handle.poll()

    def getExitCode(self) -> int | None:  # noqa: N802 - documented name
        """The exit code. See exitcode."""
        return self.exitcode

    @property
    def authkey(self) -> bytes:
        """The authentication key; a child begins with its creator's."""
        return self._authkey

    @authkey.setter
    def authkey(self, authkey: bytes | str) -> None:
        if isinstance(authkey, str):
            authkey = authkey.encode("utf-8")
        if not isinstance(authkey, (bytes, bytearray, memoryview)):
            raise InvalidType(f"the key must be bytes or a string, not {type(authkey).__name__}")
        self._authkey = AuthKey(authkey)

    def getAuthKey(self) -> bytes:  # noqa: N802 - documented name
        """The authentication key."""
        return self._authkey

    def setAuthKey(self, authkey: bytes | str) -> None:  # noqa: N802 - documented name
        """Set the authentication key. :raises InvalidType: when it is neither bytes nor str"""
        self.authkey = authkey

    @property
    def sentinel(self) -> int:
        """What ``wait`` and ``select`` find ready when the process has ended.

        :raises ClosedError: (a ValueError) before start
        """
        self._check_open()
        if self._handle is None:
            raise ClosedError(f"{self!r} has no sentinel before it is started")
        return self._handle.sentinel

    @property
    def die_with_parent(self) -> bool:
        """Whether the process is killed when its creator is gone in whatever way."""
        return self._dies

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._name}, {self._state()}{self._daemon * ' daemon'})>"

    def _state(self) -> str:
        if self._closed:
            return "closed"
        if self is runtime.current:
            return "started"
        if self._parent_pid != os.getpid():
            return "unknown"
        if self._handle is None:
            return "initial"
        code = self._handle.poll()
        if code is None:
            return "started"
        if code == 0:
            return "stopped"
        return f"stopped[{_SIGNAL_NAMES.get(-code, code) if code < 0 else code}]"

    # Inner workings

    @property
    def _dies(self) -> bool:
        if self._die_with_parent is not None:
            return self._die_with_parent
        return self._daemon or self._inherits_death

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the process object {self._name} is closed")

    def _check_creator(self, verb: str) -> None:
        if self._parent_pid != os.getpid():
            raise MisuseError(
                f"only the process that made {self._name} can {verb} it (pid {self._parent_pid})"
            )

    def _signal(self, signum: int) -> None:
        self._check_open()
        self._check_creator("signal")
        if self._handle is None:
            raise MisuseError(f"{self!r} cannot be signalled before it is started")
        self._handle.send_signal(signum)

    def _forget(self) -> None:
        forget(self)

    def __getstate__(self) -> dict[str, Any]:
        if not is_starting_child():
            raise SerializationError(
                f"{self!r} can be passed to a child when that is started, but not pickled otherwise"
            )
        state = self.__dict__.copy()
        for own in ("_lock", "_handle", "_counter"):
            state.pop(own, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._handle = None
        self._counter = itertools.count(1)

    def _enter_child(self) -> int:
        """Be this process: run, end what it has started, return the exit code."""
        runtime.parent = ParentProcess(
            self._parent_name, self._parent_pid, self._authkey, runtime.lifeline
        )
        runtime.current = self
        self._starting = False
        runtime.replace_stdin()
        _log.info("child process calling self.run()")
        code = self._outcome(self.run)
        # What fails at the end is as bad as what fails before, but hides no exit code.
        code = self._outcome(_lifecycle.finish_interpreter) or code
        if code:
            _lifecycle.flush_standard_streams()
        _log.info("%s exiting with exitcode %d", self._role, code)
        return code

    def _outcome(self, function: Callable[[], object]) -> int:
        """Call a function; returns the exit code that its way of ending stands for."""
        try:
            function()
        except SystemExit as error:
            return _exit_code(error)
        except BaseException:  # noqa: BLE001 - whatever it is, the exit code tells of it
            print(f"Process {self._name}:", file=sys.stderr)  # noqa: T201
            sys.excepthook(*sys.exc_info())
            return 1
        return 0


class _MainProcess(Process):
    """The process that no other started by this library."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generations = ()
        self._counter = itertools.count(1)
        self._name = "MainProcess"
        self._daemon = False
        self._die_with_parent = False
        self._inherits_death = False
        self._authkey = AuthKey(os.urandom(AUTHKEY_BYTES))
        self._parent_pid = 0
        self._parent_name = ""
        self._target, self._args, self._kwargs = None, (), {}
        self._handle = None
        self._starting = False
        self._closed = False

    def close(self) -> None:
        """The running process cannot be closed."""
        raise ClosedError("the main process cannot be closed while it runs")


def current_process() -> Process:
    """The object of the running process."""
    if runtime.current is None:
        with runtime.lock:
            if runtime.current is None:
                runtime.current = _MainProcess()
    return runtime.current


def parent_process() -> ParentProcess | None:
    """The process that started this one; None in the main process."""
    return runtime.parent


def log_exit_as(role: str) -> None:
    """Let the last message of this process say "manager exiting ..." in place of "process ...".

    :param role: what the process is, a noun; its children are not concerned
    """
    current_process()._role = role


def _check_bootstrapped() -> None:
    if runtime.bootstrapping or child_role() is not None:
        raise StartError(
            "a process is started while this child still imports the main module of its parent, "
            "which would go on without end. Start processes only below\n"
            "    if __name__ == '__main__':\n"
            "        freeze_support()  # first of all, in a program that is to be frozen"
        )


def _exit_code(error: SystemExit) -> int:
    """The exit code that sys.exit's argument stands for; a text goes to stderr."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        # os._exit takes a C int, and must not fail: a forked child would go on as its parent.
        fits = -(2**31) <= error.code < 2**32
        return (error.code + 2**31) % 2**32 - 2**31 if fits else -1
    print(error.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1
