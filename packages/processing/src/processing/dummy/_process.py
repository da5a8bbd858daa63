"""Owns processes that are threads: the class, the running one, its creator and its children."""

from __future__ import annotations

import itertools
import sys
import threading

import processing_core
from processing.dummy._errors import NotWithThreadsError
from processing.dummy._timeouts import seconds
from processing.dummy._waiting import Sentinel
from processing.dummy.connection import Connection
from processing_core import ClosedError, InvalidType, MisuseError, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, TypeVarTuple, overload

    from processing_core.abc import StartsProcesses

    Ts = TypeVarTuple("Ts")
else:

    def overload(function):
        return function


__all__ = ["OtherThread", "Process", "active_children", "current_process", "parent_process"]

# An exit code is what is left of a number in a byte, as on POSIX.
EXIT_CODE_BITS = 0xFF

_Base: Any = threading.Thread


class Process(threading.Thread):
    """A function, or the ``run`` method of a subclass, that runs in a thread of its own.

    :param group: None
    :param target: what ``run()`` calls, None for nothing
    :param name: ``Process-`` and the path of generations if not given
    :param args: positional arguments for the target
    :param kwargs: keyword arguments for the target
    :param daemon: whether the program may end while it runs; None: as the creator
    :param die_with_parent: ignored; threads end with their program
    :param context: ignored; there is one way to start a thread

    :raises MisuseError: (an AssertionError) when ``group`` is not None
    :raises InvalidType: (a TypeError) when an argument is of the wrong type

    The target gets the very objects that are in ``args``, not copies. Only an end of a connection
    that is an argument, or an attribute of a subclass, is handed over as an end of its own, so that
    each side can close its own. All methods may be called by any thread.
    """

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
        die_with_parent: bool | None = None,  # noqa: ARG002 - as processes have it
        context: str | StartsProcesses | None = None,  # noqa: ARG002 - as processes have it
    ) -> None:
        if group is not None:
            raise MisuseError(f"group must be None, not {group!r}")
        if target is not None and not callable(target):
            raise InvalidType(f"target must be callable, not {target!r}")
        if name is not None and not isinstance(name, str):
            raise InvalidType(f"name must be a string, not {name!r}")
        creator = current_process()
        generations = (*creator._generations, next(creator._counter))
        name = name or f"Process-{':'.join(map(str, generations))}"
        daemon = creator.daemon if daemon is None else bool(daemon)
        self._prepare(generations, creator, creator._authkey)
        super().__init__(name=name, daemon=daemon)
        self._call = target
        try:
            self._call_args = tuple(args)
        except TypeError as error:
            raise InvalidType(f"args must be a sequence of arguments, not {args!r}") from error
        try:
            self._call_kwargs = dict(kwargs)
        except (TypeError, ValueError) as error:
            raise InvalidType(f"kwargs must map names to arguments, not {kwargs!r}") from error

    def _prepare(
        self, generations: tuple[int, ...], creator: Process | None, authkey: bytes
    ) -> None:
        self._generations = generations
        self._counter: Iterator[int] = itertools.count(1)
        self._creator = creator
        self._authkey = authkey
        self._children: set[Process] = set()
        self._guard = threading.Lock()
        self._begun = self._closed = False
        self._code: int | None = None
        self._given_run: Callable[[], object] | None = None
        self._own_ends: list[Connection] = []
        self._sentinel = Sentinel()

    def run(self) -> None:
        """What the process does: call the target. A subclass may do something else."""
        if self._call is not None:
            self._call(*self._call_args, **self._call_kwargs)

    # Start and end

    def start(self) -> None:
        """Start the thread; ``run()`` is called there.

        :raises MisuseError: (an AssertionError) when started before
        :raises StartError: (a RuntimeError) when the system has no room for another thread
        """
        self._check_open()
        with self._guard:
            if self._begun:
                raise MisuseError(f"{self!r} was started before; a process starts once")
            self._begun = True
        creator = current_process()
        creator._living_children()
        self._hand_over()
        # A subclass may have a run() of its own, around which the exit code has to be found.
        self._given_run = self.run
        vars(self)["run"] = self._enter
        creator._children.add(self)
        try:
            super().start()
        except RuntimeError as error:
            creator._children.discard(self)
            del vars(self)["run"]
            self._begun = False
            raise StartError(f"{self!r} could not be started: {error}") from error

    def _hand_over(self) -> None:
        """Make the ends of connections that the process gets its own."""
        self._call_args = _handed_over(self._call_args)
        self._call_kwargs = {key: _handed_over(each) for key, each in self._call_kwargs.items()}
        for name, value in list(vars(self).items()):
            if isinstance(value, Connection):
                own = vars(self)[name] = _handed_over(value)
                self._own_ends.append(own)

    def _enter(self) -> None:
        """Be this process: run, wait for the children, know the exit code."""
        del vars(self)["run"]
        run, self._given_run = self._given_run, None
        assert run is not None
        code = 1
        try:
            run()
            code = 0
        except SystemExit as error:
            code = _exit_code(error)
        except BaseException:  # noqa: BLE001 - it is shown as threads show it, and the exit code tells
            threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), self]))
        finally:
            del run
            self._call, self._call_args, self._call_kwargs = None, (), {}
            for child in self._living_children():
                if not child.daemon:
                    child.join()
            for end in self._own_ends:
                end.close()
            self._code = code
            self._sentinel._end()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process has ended, at most ``timeout`` seconds. May be called many times.

        :param timeout: seconds; None without limit; less than zero counts as zero
        :raises MisuseError: (an AssertionError) before start or on itself
        :raises InvalidArgument: (a ValueError) when the timeout is NaN
        """
        timeout = seconds(timeout)
        self._check_open()
        if self is current_process():
            raise MisuseError("a process cannot join itself")
        if not self._begun:
            raise MisuseError(f"{self!r} cannot be joined before it is started")
        super().join(timeout)
        if self._code is not None and self._creator is not None:
            self._creator._children.discard(self)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        self._check_open()
        return self._runs()

    def _runs(self) -> bool:
        # From the moment on that the exit code is known it is over, a little before the thread is.
        return self._code is None and super().is_alive()

    isAlive = is_alive

    def terminate(self) -> None:
        """Threads cannot be ended by others: tell it to end, by an Event or a queue.

        No effect once it has ended.

        :raises NotWithThreadsError: (a NotImplementedError) while it runs
        :raises MisuseError: (an AssertionError) before start
        """
        self._end_by("terminated")

    def kill(self) -> None:
        """See terminate."""
        self._end_by("killed")

    def interrupt(self) -> None:
        """See terminate."""
        self._end_by("interrupted")

    def _end_by(self, what: str) -> None:
        self._check_open()
        if not self._begun:
            raise MisuseError(f"{self!r} cannot be {what} before it is started")
        if self.is_alive():
            raise NotWithThreadsError(
                f"{self!r} is a thread, which cannot be {what}; tell it to end, by an Event or a "
                "queue, or make it daemonic"
            )

    def close(self) -> None:
        """Make the object unusable. May be called again.

        :raises ClosedError: (a ValueError) when the process still runs
        """
        if not self._closed:
            if self.is_alive():
                raise ClosedError(f"{self!r} cannot be closed while it runs; join it first")
            self._closed = True
            if self._creator is not None:
                self._creator._children.discard(self)

    # Attributes, in both spellings

    @property
    def name(self) -> str:
        """The name; a string without meaning to the library."""
        return str(_Base.name.fget(self))

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise InvalidType(f"name must be a string, not {name!r}")
        _Base.name.fset(self, name)

    def getName(self) -> str:  # noqa: N802 - documented name
        """The name."""
        return self.name

    def setName(self, name: str) -> None:  # noqa: N802 - documented name
        """Set the name. :raises InvalidType: when it is not a string"""
        self.name = name

    @property
    def daemon(self) -> bool:
        """Whether the program may end while the process runs."""
        return bool(_Base.daemon.fget(self))

    @daemon.setter
    def daemon(self, daemon: bool) -> None:
        if self._begun:
            raise MisuseError(f"{self!r} was started; daemon can be set only before")
        _Base.daemon.fset(self, bool(daemon))

    def isDaemon(self) -> bool:  # noqa: N802 - documented name
        """Whether the program may end while the process runs."""
        return self.daemon

    def setDaemon(self, daemon: bool) -> None:  # noqa: N802 - documented name
        """Set whether the program may end while the process runs.

        :raises MisuseError: (an AssertionError) after start
        """
        self.daemon = daemon

    @property
    def ident(self) -> int | None:
        """The number of the thread, as ``threading.get_ident()`` gives it; None before start."""
        self._check_open()
        return super().ident

    pid = ident

    def getPid(self) -> int | None:  # noqa: N802 - documented name
        """The number of the thread. See ident."""
        return self.pid

    @property
    def exitcode(self) -> int | None:
        """None while the process has not ended, else 0, 1 after an exception, or sys.exit's."""
        self._check_open()
        return self._code

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
        self._authkey = bytes(authkey)

    def getAuthKey(self) -> bytes:  # noqa: N802 - documented name
        """The authentication key."""
        return self.authkey

    def setAuthKey(self, authkey: bytes | str) -> None:  # noqa: N802 - documented name
        """Set the authentication key. :raises InvalidType: when it is neither bytes nor str"""
        self.authkey = authkey

    @property
    def sentinel(self) -> Sentinel:
        """What ``wait`` finds ready when the process has ended. It is not a descriptor.

        :raises ClosedError: (a ValueError) before start
        """
        self._check_open()
        if not self._begun:
            raise ClosedError(f"{self!r} has no sentinel before it is started")
        return self._sentinel

    @property
    def die_with_parent(self) -> bool:
        """True: threads end with their program."""
        return True

    def __repr__(self) -> str:
        daemon = " daemon" if self.daemon else ""
        return f"<{type(self).__name__}({self.name}, {self._state()}{daemon})>"

    def _state(self) -> str:
        if self._closed:
            return "closed"
        if self._runs():
            return "started"
        if self._code is None:
            return "initial"
        return f"stopped[{self._code}]" if self._code else "stopped"

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the process object {self.name} is closed")

    def _living_children(self) -> list[Process]:
        """Those that run; the others are forgotten."""
        children = list(self._children)
        living = [child for child in children if child._runs()]
        # One that another thread is about to start does not live yet.
        self._children.difference_update(
            child for child in children if child._closed or child._code is not None
        )
        return living


class OtherThread(Process):
    """A thread that no Process has started: the main one, or one of a pool."""

    def __init__(self, thread: threading.Thread, name: str, creator: Process | None) -> None:
        # Not the base class's: that asks which process is the current one.
        path = () if creator is None else (*creator._generations, next(creator._counter))
        self._prepare(path, creator, processing_core.current_process().authkey)
        threading.Thread.__init__(self, name=name, daemon=thread.daemon)
        self._thread = thread
        self._begun = True

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    isAlive = is_alive

    def join(self, timeout: float | None = None) -> None:
        if self is current_process():
            raise MisuseError("a process cannot join itself")
        self._thread.join(seconds(timeout))

    @property
    def ident(self) -> int | None:
        return self._thread.ident

    pid = ident

    @property
    def exitcode(self) -> None:
        """Not known: it has been started by somebody else."""

    def close(self) -> None:
        raise ClosedError(f"{self!r} was not started by start(), and cannot be closed")

    def _state(self) -> str:
        return "started" if self._thread.is_alive() else "stopped"


class _Running(threading.local):
    """What a thread that no Process has started is."""

    process: OtherThread | None = None


running = _Running()
_main: list[OtherThread] = []
_main_guard = threading.Lock()


def _main_process() -> OtherThread:
    with _main_guard:
        if not _main:
            _main.append(OtherThread(threading.main_thread(), "MainProcess", None))
        return _main[0]


def current_process() -> Process:
    """The process that the calling thread is.

    Threads that are no processes, and not of a pool, belong to the main one.
    """
    thread = threading.current_thread()
    if isinstance(thread, Process):
        return thread
    return running.process or _main_process()


def active_children() -> list[Process]:
    """The processes that the current one has started and that run."""
    return current_process()._living_children()


def parent_process() -> Process | None:
    """The process that made the current one; None in the main one."""
    return current_process()._creator


def _handed_over(value: Any) -> Any:
    """A value as another process gets it: with ends of connections that are its own."""
    if isinstance(value, Connection):
        return value if value.closed else value._duplicate()
    if type(value) is tuple:
        return tuple(_handed_over(each) for each in value)
    return value


def _exit_code(error: SystemExit) -> int:
    """The exit code that sys.exit's argument stands for; a text goes to stderr."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & EXIT_CODE_BITS
    print(error.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


Process.__module__ = "processing.dummy"
