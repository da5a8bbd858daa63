"""Owns connections between the threads of one process: nothing is pickled, nothing leaves it.

The names and methods are those of ``processing.connection``. What is sent is the object itself.
"""

from __future__ import annotations

import operator
import threading
import time
from collections import deque

from processing.dummy._timeouts import seconds
from processing.dummy._waiting import Watchers, wait
from processing_core import AuthenticationError, BufferTooShort, TimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from typing_extensions import Buffer

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "Client",
    "Connection",
    "Listener",
    "Pipe",
    "wait",
]


class Direction:
    """The messages from one end to the other, the oldest first."""

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self._changed = threading.Condition()
        # How many ends there are that were not closed.
        self._senders = self._receivers = 1
        self.watchers: Watchers = Watchers()

    def put(self, message: object) -> None:
        """Add a message. :raises BrokenPipeError: when nobody can receive any more"""
        with self._changed:
            if not self._receivers:
                raise BrokenPipeError("the other end of the connection is closed")
            self._messages.append(message)
            self._changed.notify()
        self.watchers.tell()

    def wait(self, end: Connection, timeout: float | None) -> bool:
        """Whether there is a message, or the end, after at most so many seconds."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: self._is_ready(end), seconds(timeout)))

    def get(self, end: Connection) -> Any:
        """Take the oldest message.

        :param end: the one that receives
        :raises EOFError: when none is left and the sender is gone
        :raises OSError: when this end is closed meanwhile
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_ready(end))
            if end.closed:
                raise OSError("the connection is closed")
            if not self._messages:
                raise EOFError("the other end of the connection is closed")
            return self._messages.popleft()

    def enter(self, *, receiver: bool) -> None:
        """Another one joins a side."""
        with self._changed:
            if receiver:
                self._receivers += 1
            else:
                self._senders += 1

    def leave(self, *, receiver: bool) -> None:
        """One leaves its side."""
        with self._changed:
            if receiver:
                self._receivers -= 1
                if not self._receivers:
                    self._messages.clear()
            else:
                self._senders -= 1
            self._changed.notify_all()
        self.watchers.tell()

    def _is_ready(self, end: Connection) -> bool:
        return bool(self._messages) or not self._senders or end.closed


class Connection:
    """One end of a connection between threads. See ``processing.connection.Connection``.

    Any number of threads may use an end. Every method raises OSError after ``close()``.
    """

    def __init__(self, incoming: Direction | None, outgoing: Direction | None) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether this end was closed."""
        return self._closed

    @property
    def readable(self) -> bool:
        """Whether this end can receive."""
        return self._incoming is not None

    @property
    def writable(self) -> bool:
        """Whether this end can send."""
        return self._outgoing is not None

    def close(self) -> None:
        """Close this end; happens also when the connection is collected. May be called again."""
        if not self._closed:
            self._closed = True
            if self._incoming is not None:
                self._incoming.leave(receiver=True)
            if self._outgoing is not None:
                self._outgoing.leave(receiver=False)

    def _duplicate(self) -> Connection:
        """Another object for this end. The other side sees the end when both are closed.

        ``processing.dummy.Process`` hands connections over so, as a process would have its own.

        :raises OSError: when this end is closed
        """
        if self._closed:
            raise OSError("the connection is closed")
        if self._incoming is not None:
            self._incoming.enter(receiver=True)
        if self._outgoing is not None:
            self._outgoing.enter(receiver=False)
        return type(self)(self._incoming, self._outgoing)

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def send(self, obj: object) -> None:
        """Send an object: the receiver gets the same one.

        :raises BrokenPipeError: when nobody can receive any more
        :raises OSError: when this end is closed or only receives
        """
        self._sending().put(obj)

    def recv(self) -> Any:
        """Receive what was sent, waiting until there is something.

        :raises EOFError: when everything was received and the other end is closed
        :raises OSError: when this end is closed or only sends
        """
        return self._receiving().get(self)

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send a copy of the bytes of a buffer, from ``offset``, ``size`` of them or all.

        :raises ValueError: when offset or size is out of range
        """
        outgoing = self._sending()
        view = memoryview(buf).cast("B")
        length, offset = len(view), operator.index(offset)
        size = length - offset if size is None else operator.index(size)
        if not 0 <= offset <= length or not 0 <= size <= length - offset:
            raise ValueError(f"offset {offset}, size {size}: not within {length} bytes")
        outgoing.put(bytes(view[offset : offset + size]))

    sendBytes = send_bytes
    sendbytes = send_bytes

    def recv_bytes(self, maxlength: int | None = None) -> Any:
        """Receive what was sent with ``send_bytes``.

        :raises ValueError: when ``maxlength`` is negative
        :raises OSError: when the message is longer than ``maxlength``; it is lost
        """
        if maxlength is not None and maxlength < 0:
            raise ValueError(f"maxlength is negative: {maxlength}")
        message = self._receiving().get(self)
        if maxlength is not None and len(message) > maxlength:
            raise OSError(f"a message of {len(message)} bytes is longer than maxlength={maxlength}")
        return message

    recvBytes = recv_bytes
    recvbytes = recv_bytes

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive bytes into a writable buffer, from ``offset`` on; returns how many there are.

        :raises BufferTooShort: when they do not fit; ``args[0]`` is the message
        :raises ValueError: when offset is out of range
        """
        view = memoryview(buf).cast("B")
        if view.readonly:
            raise TypeError("a writable buffer is needed to receive into")
        if not 0 <= offset <= len(view):
            raise ValueError(f"offset {offset} is not within a buffer of {len(view)} bytes")
        message = self._receiving().get(self)
        if len(message) > len(view) - offset:
            raise BufferTooShort(message)
        view[offset : offset + len(message)] = message
        return len(message)

    recvBytesInto = recv_bytes_into
    recvbytes_into = recv_bytes_into

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive, or the end; ``timeout`` in seconds, None: ever."""
        return self._receiving().wait(self, timeout)

    def _get_ready(self) -> bool:
        return self.poll()

    def _get_watchers(self) -> Watchers:
        return self._receiving().watchers

    def _sending(self) -> Direction:
        if self._closed:
            raise OSError("the connection is closed")
        if self._outgoing is None:
            raise OSError("the connection only receives")
        return self._outgoing

    def _receiving(self) -> Direction:
        if self._closed:
            raise OSError("the connection is closed")
        if self._incoming is None:
            raise OSError("the connection only sends")
        return self._incoming

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - the documented name
    """Two connected ends; without ``duplex`` the first only receives and the second only sends."""
    forth, back = Direction(), Direction()
    if duplex:
        return Connection(forth, back), Connection(back, forth)
    return Connection(forth, None), Connection(None, forth)


class Address:
    """Where a listener waits: the clients that it has not accepted yet."""

    def __init__(self, backlog: int) -> None:
        self._clients: deque[Connection] = deque()
        self._backlog = max(1, backlog)
        self._changed = threading.Condition()
        self._open = True
        self.watchers: Watchers = Watchers()

    def call(self, end: Connection) -> None:
        """Hand a client's other end over, waiting while too many clients wait already."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or len(self._clients) < self._backlog)
            if not self._open:
                raise ConnectionRefusedError("the listener is closed")
            self._clients.append(end)
            self._changed.notify_all()
        self.watchers.tell()

    @property
    def closed(self) -> bool:
        """Whether everybody is turned away."""
        return not self._open

    @property
    def has_client(self) -> bool:
        """Whether somebody waits to be accepted. :raises OSError: when the listener is closed"""
        with self._changed:
            if not self._open:
                raise OSError("the listener is closed")
            return bool(self._clients)

    def answer(self, limit: float | None) -> Connection | None:
        """The next client's other end; None when the time (monotonic) ran out."""
        with self._changed:
            left = None if limit is None else max(0.0, limit - time.monotonic())
            if not self._changed.wait_for(lambda: not self._open or self._clients, left):
                return None
            if not self._open:
                raise OSError("the listener is closed")
            self._changed.notify_all()
            return self._clients.popleft()

    def close(self) -> None:
        """Turn everybody away."""
        with self._changed:
            self._open = False
            while self._clients:
                self._clients.popleft().close()
            self._changed.notify_all()
        self.watchers.tell()


class Listener:
    """Waits for clients in other threads. See ``processing.connection.Listener``.

    ``backlog`` is how many clients may wait to be accepted; the next one waits in ``Client``. The
    other parameters are taken and have no meaning within one process.
    """

    def __init__(
        self,
        address: object = None,  # noqa: ARG002
        family: str | None = None,  # noqa: ARG002
        backlog: int = 1,
        authenticate: bool = False,  # noqa: ARG002
        authkey: bytes | str | None = None,  # noqa: ARG002
    ) -> None:
        self._address = Address(backlog)

    @property
    def address(self) -> Any:
        """What to give to ``Client``; of use in this process only."""
        return self._address

    @property
    def closed(self) -> bool:
        """Whether the listener was closed."""
        return self._address.closed

    @property
    def last_accepted(self) -> None:
        """None: clients have no address."""

    def accept(self, timeout: float | None = None) -> Connection:
        """Wait for a client; returns the connection. ``timeout`` in seconds, None without limit.

        :raises TimeoutError: when the time ran out
        :raises OSError: when the listener is closed
        """
        found = self._address.answer(None if timeout is None else time.monotonic() + timeout)
        if found is None:
            raise TimeoutError("no client has come")
        return found

    def _get_ready(self) -> bool:
        return self._address.has_client

    def _get_watchers(self) -> Watchers:
        return self._address.watchers

    def close(self) -> None:
        """Accept no more clients. May be called again."""
        self._address.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def Client(  # noqa: N802 - the documented name
    address: Any,
    family: str | None = None,  # noqa: ARG001
    authenticate: bool = False,  # noqa: ARG001
    authkey: bytes | str | None = None,  # noqa: ARG001
) -> Connection:
    """Connect to a listener of this process, by its ``address``; returns the connection.

    :raises ConnectionRefusedError: when the listener is closed
    """
    if not isinstance(address, Address):
        raise TypeError(f"the address of a listener of this process is needed, not {address!r}")
    ours, theirs = Pipe()
    address.call(theirs)
    return ours
