"""Owns managers as programs see them: starting, connecting, registering types, ending."""

from __future__ import annotations

import itertools
import os
import sys
import weakref
from contextlib import suppress

from processing_core import (
    InvalidArgument,
    InvalidType,
    MisuseError,
    RemoteError,
    current_process,
    get_context,
    wait,
)
from processing_core.lowlevel import at_exit, load_failure, log_info
from processing_managers._client.batches import Batch
from processing_managers._client.links import State
from processing_managers._client.sessions import (
    Session,
    new_number,
    pipe_for_server,
    session_at,
)
from processing_managers._proxies.base import AutoProxy, BaseProxy
from processing_managers._registry import Registration, checked_registration
from processing_managers.errors import ManagerLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from ssl import SSLContext
    from types import TracebackType
    from typing import Any, ClassVar, Self

    from processing_core import Connection, Process
    from processing_core.context import BaseContext
    from processing_core.lowlevel import ExitCallback
    from processing_managers._info import ManagerInfo
    from processing_managers._server.server import Server

    if sys.platform == "win32":
        from typing import TypeAlias

        Intake: TypeAlias = Any  # there are none
    else:
        from processing_managers._slots import Intake

__all__ = ["BaseManager", "CreatorMethod", "ManagerServer"]

# How long a server may take to end by itself, and after SIGTERM, in seconds.
SHUTDOWN_SECONDS = 5.0
TERMINATE_SECONDS = 2.0

_numbers: dict[str, itertools.count[int]] = {}


class BaseManager:
    """Starts a process that holds objects, or connects to one; makes proxies to its objects.

    :param address: where the manager is, or shall be: ``(host, port)`` or a path; None for a fresh
        one on this machine
    :param authkey: the key that clients must know, bytes or a string; None for that of the current
        process
    :param serializer: must be ``"pickle"``; there is no other
    :param ctx: the context whose start method starts the process
    :param shutdown_timeout: how long, in seconds, ``shutdown`` waits before it ends the process by
        force
    :param ssl_context: for TLS: a server's context for ``start`` and ``get_server``, a client's for
        ``connect``

    :raises InvalidArgument: (a ValueError) when an argument makes no sense
    :raises InvalidType: (a TypeError) when an argument is of the wrong type

    The process ends when the manager object is collected, with the process that started it, and by
    ``shutdown``. All methods may be called by any thread. A manager object is for the process that
    made it; proxies are for all.
    """

    _registry: ClassVar[dict[str, Registration]] = {}

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | str | None = None,
        serializer: str = "pickle",
        ctx: BaseContext | None = None,
        *,
        shutdown_timeout: float = SHUTDOWN_SECONDS,
        ssl_context: SSLContext | None = None,
    ) -> None:
        if serializer != "pickle":
            raise InvalidArgument(f"serializer must be 'pickle', not {serializer!r}")
        if authkey is None:
            authkey = bytes(current_process().authkey)
        elif isinstance(authkey, str):
            authkey = authkey.encode()
        elif not isinstance(authkey, (bytes, bytearray, memoryview)):
            raise InvalidType(f"authkey must be bytes or a string, not {authkey!r}")
        self._authkey = bytes(authkey)
        if not self._authkey:
            raise InvalidArgument("authkey must not be empty")
        self._address = address
        self._ctx = get_context() if ctx is None else ctx
        self._ssl_context = ssl_context
        self._shutdown_timeout = shutdown_timeout
        self._pid = os.getpid()
        self._session: Session | None = None
        self._process: Process | None = None
        self._ending: weakref.finalize[Any, Any] | None = None
        self._state = "initial"

    # Beginning

    def start(
        self,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        """Start the manager's process.

        :param initializer: is called there with ``initargs``, before anything else
        :raises MisuseError: (an AssertionError) when it was started or connected before
        :raises InvalidType: (a TypeError) when the initializer is not callable

        What the initializer raises is raised here, and so is that the address cannot be had.
        """
        self._check_unused("started")
        if initializer is not None and not callable(initializer):
            raise InvalidType(f"initializer must be callable, not {initializer!r}")
        # Only here: clients do not need what a server needs.
        from processing_managers import _builtin_types

        # As above.
        from processing_managers._server import process as server_process

        intake = _new_intake()
        fresh = self._address is None
        ours, theirs = pipe_for_server()
        settings = {
            "registry": {**_builtin_types.base_registry(), **self._registrations()},
            "kinds": _builtin_types.kinds(),
            "address": self._address,
            "authkey": self._authkey,
            "intake": intake,
            "ssl_context": self._ssl_context,
        }
        number = new_number()
        process = self._ctx.Process(
            target=server_process.run,
            name=self._new_name(),
            args=(settings, number, theirs, initializer, tuple(initargs)),
            # It notices itself when this process ends, however that comes, and then cleans up.
            daemon=False,
        )
        try:
            process.start()
            theirs.close()
            server, self._address = self._wait_for_beginning(process, ours)
        except BaseException:  # Ctrl-C too: no process stays behind
            ours.close()
            theirs.close()
            if process.pid is not None:
                process.kill()
                process.join()
            raise
        session = Session(
            State(server, number), self._address, self._authkey, control=ours, intake=intake
        )
        if intake is None:
            session = session_at(self._address, self._authkey)
        self._process = process
        self._use(session)
        at_end = _End(process, ours, session, self._shutdown_timeout)
        if fresh:
            at_end.file = self._address
        at_end.callback = at_exit(at_end)
        self._ending = weakref.finalize(self, at_end)
        self._ending.atexit = False
        self._state = "started"

    def _registrations(self) -> dict[str, Registration]:
        return {
            typeid: Registration(
                typeid,
                one.make,
                None if one.proxytype is None or one.proxytype is AutoProxy else True,
                one.exposed,
                one.method_to_typeid,
                one.blocking,
            )
            for typeid, one in self._registry.items()
        }

    def _new_name(self) -> str:
        name = type(self).__name__
        return f"{name}-{next(_numbers.setdefault(name, itertools.count(1)))}"

    def _wait_for_beginning(
        self, process: Process, connection: Connection[Any, Any]
    ) -> tuple[int, Any]:
        wait([connection, process.sentinel])
        try:
            number, answer = connection.recv()
        except (EOFError, OSError):
            process.join()
            raise ManagerLost(
                f"the manager's process has ended with exit code {process.exitcode} "
                "before it was ready"
            ) from None
        if number is None:
            raise load_failure(answer, RemoteError)
        return number, answer

    def connect(self) -> None:
        """Connect to the manager at the address, which some other process has started.

        :raises MisuseError: (an AssertionError) when it was started or connected before
        :raises AuthenticationError: when it has another key
        :raises OSError: when there is no manager
        """
        self._check_unused("connected")
        self._use(session_at(self._address, self._authkey, self._ssl_context))
        self._state = "connected"

    @classmethod
    def from_address(cls, address: Any, authkey: bytes | str, **settings: Any) -> Self:
        """A manager object that is connected to the manager at an address. See ``connect``."""
        manager = cls(address, authkey, **settings)
        manager.connect()
        return manager

    if TYPE_CHECKING:
        # mypy cannot tell what an alias of a class method returns.
        @classmethod
        def fromAddress(  # noqa: N802 - the documented name
            cls, address: Any, authkey: bytes | str, **settings: Any
        ) -> Self: ...
    else:
        fromAddress = from_address

    def get_server(self) -> ManagerServer:
        """A server that serves in this process, by its ``serve_forever``.

        :raises MisuseError: (an AssertionError) when this was started or connected before
        :raises OSError: when the address cannot be had
        """
        self._check_unused("started")
        # Only here: clients do not need what a server needs.
        from processing_managers import _builtin_types

        # As above.
        from processing_managers._server.server import Server

        server = Server(
            {**_builtin_types.base_registry(), **self._registrations()},
            _builtin_types.kinds(),
            self._address,
            self._authkey,
            intake=_new_intake(),
            ssl_context=self._ssl_context,
        )
        self._address = server.address
        self._state = "serving"
        return ManagerServer(server)

    def serve_forever(self) -> None:
        """Serve in this process, until another thread or a client ends it, or Ctrl-C."""
        self.get_server().serve_forever()

    serveForever = serve_forever

    def _use(self, session: Session) -> None:
        self._session = session
        for typeid, registration in self._registry.items():
            if registration.proxytype is not None:
                session.proxytypes[typeid] = registration.proxytype

    def _check_unused(self, what: str) -> None:
        self._check_process()
        if self._state != "initial":
            raise MisuseError(f"the manager is {self._state} already and cannot be {what} again")

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise MisuseError(
                "a manager object is for the process that made it; pass proxies, or connect"
            )

    def _connected(self) -> Session:
        if self._session is None:
            raise MisuseError(f"the manager is {self._state}: it was not started or connected")
        self._session.state.check()
        return self._session

    # Ending

    def shutdown(self) -> None:
        """End the manager's process and wait for its end. May be called again.

        Calls that wait in other threads and processes raise ManagerLost.

        :raises MisuseError: (an AssertionError) when this has not started the process
        """
        self._check_process()
        if self._ending is None:
            raise MisuseError(f"shutdown of a manager that is {self._state}, not started by this")
        self._ending()
        self._state = "shut down"

    def join(self, timeout: float | None = None) -> None:
        """Wait until the manager's process has ended, for ``timeout`` seconds at most."""
        if self._process is not None and self._process.pid is not None:
            self._process.join(timeout)

    def __enter__(self) -> Self:
        if self._state == "initial":
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ending is not None:
            self.shutdown()

    # Using

    @property
    def address(self) -> Any:
        """Where the manager is; what was given to the constructor before it is started."""
        return self._address

    @property
    def process(self) -> Process | None:
        """The manager's process, if this has started it."""
        return self._process

    def batch(self, *, raise_errors: bool = True) -> Batch:
        """Collect calls, and send them all at once at the end of a ``with`` block.

        :param raise_errors: whether the first exception of a call is raised at the end of the block
        """
        return Batch(self._connected(), raise_errors=raise_errors)

    def info(self) -> ManagerInfo:
        """What the manager tells of itself: types, clients, references, calls.

        :returns: a dictionary, whose keys the reference describes
        """
        info: ManagerInfo = self._connected().ask("info")
        return info

    def _create(self, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        proxy: BaseProxy = self._connected().ask("create", typeid, *args, **kwds)
        proxy.__dict__["_manager"] = self
        return proxy

    def _number_of_objects(self) -> int:
        number: int = self._connected().ask("number_of_objects")
        return number

    _numberOfObjects = _number_of_objects

    def _debug_info(self) -> str:
        text: str = self._connected().ask("debug_info")
        return text

    _debugInfo = _debug_info

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._state}, {self._address!r})>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_address, (self._address, self._authkey)

    # Types

    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., Any] | None = None,  # noqa: A002 - documented name
        proxytype: Any = None,
        exposed: Iterable[str] | None = None,
        method_to_typeid: Mapping[str, str] | None = None,
        create_method: bool = True,
        *,
        blocking: bool | Iterable[str] = True,
    ) -> None:
        """Have managers of this class make objects of a type.

        :param typeid: the name of the type, an identifier
        :param callable: makes the object, in the manager's process; may be left out by clients
        :param proxytype: the class of proxies; None for one with the exposed methods
        :param exposed: the methods that proxies may call; None for ``callable.__exposed__``, for
            ``proxytype._exposed_``, or else for all whose names do not begin with an underscore
        :param method_to_typeid: for methods whose result shall stay in the manager, the type whose
            proxy is returned instead of a copy
        :param create_method: whether managers get a method of the name ``typeid``, which makes an
            object and returns a proxy to it
        :param blocking: the methods that may take long: they run in threads of their own, so that
            others are not held up. True for all, ``callable`` included; False, or only some names,
            for objects whose methods are always short, which makes them faster.

        :raises InvalidType: (a TypeError) when an argument is of the wrong type
        :raises InvalidArgument: (a ValueError) when ``typeid`` is not an identifier

        Methods may be called by several threads at the same time.
        """
        registration = checked_registration(
            typeid, callable, proxytype, exposed, method_to_typeid, blocking
        )
        cls._own_registry()[typeid] = registration
        if create_method:
            setattr(cls, typeid, _creator(typeid))

    @classmethod
    def _own_registry(cls) -> dict[str, Registration]:
        """The registry of this class, which has what its bases have registered so far."""
        if "_registry" not in cls.__dict__:
            cls._registry = dict(cls._registry)
        return cls._registry


def _new_intake() -> Intake | None:
    """Where a server's clients on this machine leave their requests; None where they cannot."""
    if sys.platform == "win32":
        return None
    else:
        # Only here: clients do not make any.
        from processing_managers._slots import Intake

        return Intake()


class _End:
    """Ends a manager's process; what a manager leaves behind when it is collected."""

    def __init__(
        self, process: Process, control: Connection[Any, Any], session: Session, seconds: float
    ) -> None:
        self._process = process
        self._control = control
        self._session = session
        self._seconds = seconds
        self._pid = os.getpid()
        self.callback: ExitCallback | None = None
        # The socket that the server has made for itself, which it removes unless it is killed.
        self.file: str | None = None

    def __call__(self) -> None:
        if self._pid != os.getpid():
            return
        if self.callback is not None:
            self.callback.cancel()
        process = self._process
        if process.is_alive():
            log_info("sending shutdown message to manager")
            with suppress(OSError):  # it has just ended
                self._control.send_bytes(b"stop")
            process.join(self._seconds)
            if process.is_alive():
                process.terminate()
                process.join(TERMINATE_SECONDS)
            if process.is_alive():
                process.kill()
        process.join()
        if process.exitcode != 0 and self.file is not None:
            with suppress(OSError):
                os.unlink(self.file)
                os.rmdir(os.path.dirname(self.file))
        self._session.end("the manager was shut down")


class ManagerServer:
    """A server that serves in the process that has it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def address(self) -> Any:
        """Where clients connect."""
        return self._server.address

    def serve_forever(self) -> None:
        """Serve until ``stop`` is called, by another thread, or a client ends the manager."""
        self._server.serve()

    serveForever = serve_forever

    def stop(self) -> None:
        """End serving. May be called by any thread, and before it has begun."""
        self._server.stop()


def _creator(typeid: str) -> Callable[..., Any]:
    def create(self: BaseManager, /, *args: Any, **kwds: Any) -> Any:
        return self._create(typeid, *args, **kwds)

    create.__name__ = create.__qualname__ = typeid
    create.__doc__ = f"Make an object of type {typeid!r} in the manager; returns a proxy to it."
    return create


class CreatorMethod:
    """As a class attribute of a manager class: a method that makes objects of a type.

    The arguments are those of ``BaseManager.register``; ``typeid`` is the attribute's name unless
    it is given.
    """

    def __init__(
        self,
        callable: Callable[..., Any] | None = None,  # noqa: A002 - documented name
        proxytype: Any = None,
        exposed: Iterable[str] | None = None,
        typeid: str | None = None,
        *,
        method_to_typeid: Mapping[str, str] | None = None,
        blocking: bool | Iterable[str] = True,
    ) -> None:
        self._arguments = (callable, proxytype, exposed, method_to_typeid, False)
        self._blocking = blocking
        self.typeid = typeid

    def __set_name__(self, owner: type, name: str) -> None:
        if not issubclass(owner, BaseManager):
            raise InvalidType(f"CreatorMethod is for classes of managers, not for {owner!r}")
        if self.typeid is None:
            self.typeid = name
        owner.register(self.typeid, *self._arguments, blocking=self._blocking)

    def __get__(self, manager: BaseManager | None, owner: type | None = None) -> Any:
        if manager is None:
            return self
        assert self.typeid is not None
        return _creator(self.typeid).__get__(manager)
