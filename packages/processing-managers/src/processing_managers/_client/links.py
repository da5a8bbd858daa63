"""Owns links: how a thread of a client asks the server and waits for the replies."""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque

from processing_core import RemoteError
from processing_core.lowlevel import (
    PROTOCOL,
    Packer,
    dumps,
    load_failure,
    loads,
    pack,
)
from processing_managers._wire import (
    ABANDON,
    BATCH,
    CALL,
    FAILURE,
    LINK,
    NONE,
    ORDERED,
    REPLY,
    REQUEST,
    UNLINK,
    VALUE,
    Loaded,
    Shipment,
    read_body,
    receive_message,
    send_message,
)
from processing_managers.errors import ManagerLost

if sys.platform != "win32":
    import select

    from processing_managers._slots import Caller, Intake, Slot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_core import Connection
    from processing_managers._client.batches import CallResult
    from processing_managers._wire import BatchedCall

__all__ = ["ConnectionLink", "Link", "RingLink", "State", "here"]

# Arguments of these types need no help to be pickled.
SCALARS = frozenset((int, float, bool, complex, str, bytes, type(None)))
LOW_32 = (1 << 32) - 1
REPLY_BYTES = REPLY.size


class _Here(threading.local):
    # The server that this thread is packing a request for.
    server: int | None = None


here = _Here()


class State:
    """What all links of a session share.

    :ivar server: the number of the server
    :ivar session: the number of the session
    :ivar lost: why the server cannot be reached any more
    :ivar releases: the numbers of objects that proxies gave up
    """

    __slots__ = ("lost", "releases", "server", "session")

    def __init__(self, server: int, session: int) -> None:
        self.server: int = server
        self.session: int = session
        self.lost: str | None = None
        self.releases: deque[int] = deque()

    def check(self) -> None:
        """:raises ManagerLost: when the server cannot be reached any more"""
        if self.lost is not None:
            raise ManagerLost(self.lost)

    def lose(self, why: str) -> ManagerLost:
        """The server cannot be reached any more; returns the error that says so."""
        if self.lost is None:
            self.lost = why
        return ManagerLost(self.lost)


class Link:
    """What a thread has of a session. Only that thread uses it; not within itself."""

    __slots__ = ("busy", "number", "owner", "pending", "serial", "state")

    def __init__(self, state: State, number: int, owner: int) -> None:
        self.state: State = state
        self.number: int = number
        self.owner: int = owner
        self.serial: int = 0
        self.busy: bool = False
        # Calls whose results nobody has waited for yet.
        self.pending: dict[int, CallResult[Any]] = {}

    def send(self, message: bytes | Shipment) -> None:
        """Send a request. :raises ManagerLost: when the server cannot be reached"""
        raise NotImplementedError

    def receive(self) -> bytes | Loaded:
        """Wait for the next reply. :raises ManagerLost: when the server cannot be reached"""
        raise NotImplementedError

    def close(self) -> None:
        """The thread does not use it any more."""
        raise NotImplementedError

    def call(
        self, ident: int, name: str, args: tuple[Any, ...], kwds: dict[str, Any] | None = None
    ) -> Any:
        """Call a method of an object and return what it returns.

        :raises ManagerLost: when the server cannot be reached

        What the method raises is raised here, with its traceback there as the cause.
        """
        kind = CALL
        if self.pending and any(result.ident == ident for result in self.pending.values()):
            kind = ORDERED  # after those on their way
        try:
            # Handlers that call meanwhile have another link.
            self.busy = True
            return self.wait_for(self.post(ident, name, args, kwds, kind))
        finally:
            self.busy = False

    def post(
        self,
        ident: int,
        name: str,
        args: tuple[Any, ...],
        kwds: dict[str, Any] | None,
        what: int = CALL,
    ) -> int:
        """Send a call; returns its number."""
        state = self.state
        if state.lost is not None:
            raise ManagerLost(state.lost)
        self.serial = serial = self.serial + 1 & LOW_32
        trailer = REQUEST.pack(self.number, ident, serial, what)
        if not kwds:
            for arg in args:
                if type(arg) not in SCALARS:
                    break
            else:
                self.send(dumps((name, args), PROTOCOL) + trailer)
                return serial
        body = self.packed((name, args, kwds) if kwds else (name, args))
        self.send(body + trailer if type(body) is bytes else Shipment(body, trailer))  # type: ignore[arg-type]  # a Packer
        return serial

    def packed(self, obj: object) -> bytes | Packer:
        """The pickle of an object for the server, where proxies are what they stand for."""
        before, here.server = here.server, self.state.server
        try:
            return pack(obj)
        finally:
            here.server = before

    def post_batch(self, calls: list[BatchedCall]) -> int:
        """Send many calls; returns the number of their common reply."""
        self.state.check()
        self.serial = serial = self.serial + 1 & LOW_32
        trailer = REQUEST.pack(self.number, 0, serial, BATCH)
        body = self.packed(calls)
        self.send(body + trailer if type(body) is bytes else Shipment(body, trailer))  # type: ignore[arg-type]  # a Packer
        return serial

    def wait_for(self, serial: int) -> Any:
        """Wait for the reply to a request, and return its value or raise its exception."""
        try:
            # Other threads and handlers are served by other links meanwhile.
            self.busy = True
            status, reply = self._reply_to(serial)
        except ManagerLost:
            raise
        except BaseException:  # Ctrl-C, for example: the server need not go on for nobody
            self._abandon(serial)
            raise
        finally:
            self.busy = False
        return value_of(status, reply)

    def _reply_to(
        self, serial: int, reply: bytes | Loaded | None = None
    ) -> tuple[int, bytes | Loaded]:
        """Wait for the reply to a request; ``reply`` is one that has come. Returns its status, too.

        :raises ManagerLost: when the server cannot be reached
        """
        while True:
            if reply is None:
                reply = self.receive()
            if type(reply) is bytes:
                number, status = REPLY.unpack_from(reply, -REPLY_BYTES)
            else:
                number, status = REPLY.unpack(reply.trailer)  # type: ignore[union-attr]  # Loaded
            if number == serial:
                return status, reply
            self._other(number, status, reply)
            reply = None

    def _abandon(self, serial: int) -> None:
        if self.state.lost is None:
            self.send(REQUEST.pack(self.number, 0, serial, ABANDON))

    def _other(self, number: int, status: int, reply: bytes | Loaded) -> None:
        """A reply that is not waited for at this moment."""
        result = self.pending.pop(number, None)
        try:
            value = value_of(status, reply)
        except Exception as error:  # noqa: BLE001 - it is kept for who asks for the result
            if result is not None:
                result.set(None, error)
        else:
            # Of a call that was abandoned: proxies in it are given up by being dropped.
            if result is not None:
                result.set(value, None)


def value_of(status: int, reply: bytes | Loaded) -> Any:
    """What a reply gives; raises what it says."""
    if status == NONE:
        return None
    if status == FAILURE:
        raise load_failure(reply[:-REPLY_BYTES], RemoteError)  # type: ignore[index]  # failures are bytes
    if type(reply) is bytes:
        return loads(reply)
    try:
        return read_body(reply)
    except Exception as error:
        raise RemoteError(f"the result cannot be unpickled: {error}") from error


class ConnectionLink(Link):
    """A link with a connection of its own."""

    __slots__ = ("_connection",)

    def __init__(
        self, state: State, number: int, owner: int, connection: Connection[Any, Any]
    ) -> None:
        super().__init__(state, number, owner)
        self._connection = connection

    def send(self, message: bytes | Shipment) -> None:
        try:
            send_message(self._connection, message)
        except OSError as error:
            raise self.state.lose(f"the connection to the manager has ended: {error}") from error

    def receive(self) -> bytes | Loaded:
        try:
            reply: bytes | Loaded = receive_message(self._connection)
        except (EOFError, OSError) as error:
            self._connection.close()
            raise self.state.lose(
                f"the manager has ended, or cannot be reached any more: {error}"
            ) from error
        return reply

    def close(self) -> None:
        self._connection.close()


if sys.platform != "win32":

    class RingLink(Link):
        """A link on the server's machine: it has a slot for requests and replies."""

        __slots__ = ("_ask", "_control", "_get", "_put")

        def __init__(
            self,
            state: State,
            number: int,
            owner: int,
            intake: Intake,
            control: Connection[Any, Any],
        ) -> None:
            super().__init__(state, number, owner)
            slot = Slot()
            poll = select.poll()
            own = control.fileno()

            # Not a method: a link that refers to itself would keep its descriptors for a while.
            def sleep(seconds: float) -> bool:
                """True when the server has ended: nothing else comes on its connection."""
                return any(descriptor == own for descriptor, _ in poll.poll(seconds * 1000))

            caller = Caller(slot, intake, sleep)
            poll.register(caller.descriptor, select.POLLIN)
            poll.register(own, select.POLLIN)
            self._control = control
            self._get = caller.get
            self._ask = caller.put
            self._put = intake.put
            self._put((LINK, state.session, number, owner, slot))

        def call(
            self, ident: int, name: str, args: tuple[Any, ...], kwds: dict[str, Any] | None = None
        ) -> Any:
            """As of Link; the hot path is one function."""
            state = self.state
            if state.lost is not None:
                raise ManagerLost(state.lost)
            if kwds or self.pending:
                return super().call(ident, name, args, kwds)
            for arg in args:
                if type(arg) not in SCALARS:
                    return super().call(ident, name, args, kwds)
            self.serial = serial = self.serial + 1 & LOW_32
            request = dumps((name, args), PROTOCOL) + REQUEST.pack(self.number, ident, serial, CALL)
            try:
                self.busy = True
                self._ask(request)
                reply = self.receive()
                number = status = -1
                if type(reply) is bytes:
                    number, status = REPLY.unpack_from(reply, -REPLY_BYTES)
                if number != serial:
                    status, reply = self._reply_to(serial, reply)
            except ManagerLost:
                raise
            except BaseException:  # as in wait_for
                self._abandon(serial)
                raise
            finally:
                self.busy = False
            if status == VALUE and type(reply) is bytes:
                return loads(reply)
            return value_of(status, reply)

        def send(self, message: bytes | Shipment) -> None:
            self._put(message)

        def receive(self) -> bytes | Loaded:
            try:
                reply: bytes | Loaded = self._get()
            except queue.Empty:
                raise self.state.lose("the manager's process has ended") from None
            return reply

        def close(self) -> None:
            if self.state.lost is None:
                self._put(REQUEST.pack(self.number, 0, 0, UNLINK))
