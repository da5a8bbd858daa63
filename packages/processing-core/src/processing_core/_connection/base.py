"""Owns what all connections share: the documented methods, argument checks, directions, closing."""

from __future__ import annotations

import operator

from processing_core._generic import TYPE_CHECKING, Channel, RecvT_co, SendT_contra
from processing_core._platform.awaiting import ready
from processing_core.errors import BufferTooShort, InvalidArgument, SerializationError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from typing_extensions import Buffer

__all__ = ["Connection"]


class Connection(Channel[SendT_contra, RecvT_co]):
    """One end of a connection over which messages travel whole and in order.

    A message sent with ``send`` is an object, one sent with ``send_bytes`` is bytes. Any number of
    threads may use an end at the same time. ``Connection[S, R]`` is an end that sends objects of
    type S and receives objects of type R.

    Every method raises OSError after ``close()``.
    """

    __slots__ = ("__weakref__", "_readable", "_writable")

    # Whether messages may have been read that the descriptor does not tell of any more; wait()
    # then asks poll().
    reads_ahead = False

    def __init__(self, *, readable: bool, writable: bool) -> None:
        if not (readable or writable):
            raise InvalidArgument("a connection must be readable or writable")
        self._readable = readable
        self._writable = writable

    # Each kind of connection defines what raises NotImplementedError here; the promises are common.

    @property
    def closed(self) -> bool:
        """Whether this end was closed."""
        raise NotImplementedError

    @property
    def readable(self) -> bool:
        """Whether this end can receive."""
        return self._readable

    @property
    def writable(self) -> bool:
        """Whether this end can send."""
        return self._writable

    def fileno(self) -> int:
        """The descriptor that becomes readable when a message, or the end, is there to receive."""
        raise NotImplementedError

    def close(self) -> None:
        """Close this end; happens also when the connection is collected. May be called again."""
        raise NotImplementedError

    def send(self, obj: SendT_contra) -> None:
        """Send an object that can be pickled.

        :raises BrokenPipeError: when nobody can receive any more
        :raises OSError: when this end is closed or only receives
        :raises MemoryError: when there is no room for a large message; nothing was sent

        Whatever the pickling of the object raises is raised here, and nothing was sent.
        """
        raise NotImplementedError

    def recv(self) -> RecvT_co:
        """Receive an object, waiting until there is one.

        :raises EOFError: when everything was received and the other end is closed
        :raises OSError: when this end is closed or only sends
        """
        raise NotImplementedError

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send the bytes of a buffer, from ``offset``, ``size`` of them or all that follow.

        :raises InvalidArgument: (a ValueError) when offset or size is out of range
        :raises BrokenPipeError: when nobody can receive any more
        :raises OSError: when this end is closed or only receives
        :raises MemoryError: when there is no room for a large message; nothing was sent
        """
        raise NotImplementedError

    sendBytes = send_bytes
    sendbytes = send_bytes

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive a message as bytes, waiting until there is one.

        :raises EOFError: when everything was received and the other end is closed
        :raises OSError: when this end is closed or only sends, or when the message is longer than
            ``maxlength``; that message is lost
        :raises InvalidArgument: (a ValueError) when ``maxlength`` is negative
        """
        raise NotImplementedError

    recvBytes = recv_bytes
    recvbytes = recv_bytes

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive a message into a writable buffer, from byte ``offset`` on.

        Returns the number of bytes of the message.

        :raises BufferTooShort: when it does not fit; ``args[0]`` is the message
        :raises EOFError: when everything was received and the other end is closed
        :raises InvalidArgument: (a ValueError) when offset is negative or beyond the end
        :raises OSError: when this end is closed or only sends
        """
        raise NotImplementedError

    recvBytesInto = recv_bytes_into
    recvbytes_into = recv_bytes_into

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to receive, waiting ``timeout`` seconds (None: for ever).

        Also true when the other end is closed, since ``recv`` then raises at once.

        :raises OSError: when this end is closed or only sends
        """
        raise NotImplementedError

    # For coroutines. Each kind of connection whose descriptor can be read and written without
    # waiting defines these better: here a message that has begun is waited for.

    async def asend(self, obj: SendT_contra) -> None:
        """As ``send``, for asyncio. Takes no thread.

        When it is cancelled, nothing was sent, or the message arrives whole.
        """
        self._usable_for(receiving=False)
        await ready(self.fileno(), writable=True)
        self.send(obj)

    async def arecv(self) -> RecvT_co:
        """As ``recv``, for asyncio. Takes no thread; when it is cancelled no message is lost."""
        self._usable_for(receiving=True)
        await ready(self.fileno())
        return self.recv()

    async def asend_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """As ``send_bytes``, for asyncio; see ``asend``. The buffer must not change meanwhile."""
        view = selected(buf, offset, size)
        self._usable_for(receiving=False)
        await ready(self.fileno(), writable=True)
        self.send_bytes(view)

    async def arecv_bytes(self, maxlength: int | None = None) -> bytes:
        """As ``recv_bytes``, for asyncio; see ``arecv``."""
        maxlength = checked_maxlength(maxlength)
        self._usable_for(receiving=True)
        await ready(self.fileno())
        return self.recv_bytes(maxlength)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        raise SerializationError(
            f"{self!r} can be passed to a child when it is started or sent through a connection, "
            "but not pickled otherwise"
        )

    def _usable_for(self, receiving: bool) -> None:
        """Raise the documented error unless this end is open and has the direction."""
        if self.closed:
            raise OSError("the connection is closed")
        if receiving and not self._readable:
            raise OSError("the connection only sends")
        if not receiving and not self._writable:
            raise OSError("the connection only receives")


def selected(buf: Buffer, offset: int, size: int | None) -> memoryview:
    """The part of a buffer that ``send_bytes`` is asked to send, as bytes.

    :raises InvalidArgument: when it is not inside the buffer
    """
    view = memoryview(buf)
    if view.ndim != 1 or view.itemsize != 1 or view.format != "B":
        view = view.cast("B")
    length = len(view)
    offset = operator.index(offset)
    if offset < 0:
        raise InvalidArgument(f"offset is negative: {offset}")
    if offset > length:
        raise InvalidArgument(f"offset {offset} is beyond the end of a buffer of {length} bytes")
    if size is None:
        return view[offset:]
    size = operator.index(size)
    if size < 0:
        raise InvalidArgument(f"size is negative: {size}")
    if offset + size > length:
        raise InvalidArgument(
            f"offset {offset} + size {size} is beyond the end of a buffer of {length} bytes"
        )
    return view[offset : offset + size]


def target(buf: Buffer, offset: int) -> memoryview:
    """The writable part of a buffer that ``recv_bytes_into`` is to fill.

    :raises InvalidArgument: when offset is out of range
    """
    view = memoryview(buf)
    if view.readonly:
        raise TypeError("a writable buffer is needed to receive into")
    if view.ndim != 1 or view.itemsize != 1 or view.format != "B":
        view = view.cast("B")
    offset = operator.index(offset)
    if not 0 <= offset <= len(view):
        raise InvalidArgument(f"offset {offset} is not within a buffer of {len(view)} bytes")
    return view[offset:]


def checked_maxlength(maxlength: int | None) -> int | None:
    """:raises InvalidArgument: when it is negative"""
    if maxlength is None:
        return None
    maxlength = operator.index(maxlength)
    if maxlength < 0:
        raise InvalidArgument(f"maxlength is negative: {maxlength}")
    return maxlength


def too_long(size: int, maxlength: int) -> OSError:
    """The error for a message that is longer than the receiver allows."""
    return OSError(f"a message of {size} bytes is longer than maxlength={maxlength}")


def put_into(message: bytes, space: memoryview) -> int:
    """Copy a message to the start of a buffer.

    :raises BufferTooShort: when it does not fit
    """
    size = len(message)
    if size > len(space):
        raise BufferTooShort(message)
    space[:size] = message
    return size
