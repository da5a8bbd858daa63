"""Owns connections over stream sockets that lead to another program, or another machine.

The socket does not block. What it has is read at once, up to READ_BYTES, so that many small
messages cost one system call; what was read ahead stays in the inbox, and ``poll`` and ``wait``
look there. So a connection is for one process at a time.

A signal handler that raises must not make this side lose its place in the stream. So received bytes
go from the socket into the inbox, and the numbers of sent bytes into a list, without a return to
the interpreter in between: ``numbers.extend(map(send, ...))`` runs in C, and handlers run before or
after it. A message that is half read stays in the inbox, one that is half sent is
completed by the next send.

Between machines every message is sent at once (TCP_NODELAY). Between processes of one machine,
where an acknowledgement takes microseconds, the kernel gathers small messages until that comes
(Nagle's algorithm): to send each by itself costs three times as much. So that it does come, a
receiver that has read everything asks for it before it sleeps (TCP_QUICKACK), but not while it
looks for an answer, with which the acknowledgement comes for nothing. A receiver that is faster
than its sender pauses now and then, so that there is something to gather.
"""

from __future__ import annotations

import _socket as sockets
import errno
import select
import sys
import threading
import time
from contextlib import suppress

from processing_core._clock import Deadline, checked_timeout
from processing_core._connection.base import (
    Connection,
    checked_maxlength,
    selected,
    target,
    too_long,
)
from processing_core._cpickle import loads
from processing_core._generic import TYPE_CHECKING, RecvT_co, SendT_contra
from processing_core._lifecycle import on_fork_in_child
from processing_core._network import coroutines
from processing_core._network.framing import (
    READ_BYTES,
    SHORT_HEADER_BYTES,
    Inbox,
    header,
    short_header,
)
from processing_core._network.handshake import NO_KEY, refusal
from processing_core._platform.awaiting import wake
from processing_core._platform.patience import Patience
from processing_core._platform.polling import wait_for_socket
from processing_core._serialize.packer import Packer, register_carrier
from processing_core._serialize.packing import pack
from processing_core._serialize.transfer import take_descriptor
from processing_core.errors import AuthenticationError, BufferTooShort, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from typing_extensions import Buffer

    Pieces: TypeAlias = list[bytes | memoryview]

__all__ = ["NetworkConnection"]

# Header and body are joined up to here; beyond, copying costs more than gathering (sendmsg).
JOINED_BYTES = 16 * 1024
MOST_PIECES = 64
# A stream of small messages is one that has given something to so many reads in a row, without a
# wait or an answer in between. If the last was of less than so many bytes, its receiver pauses
# before the next, for so many seconds, of which the kernel makes at least 50 microseconds.
STREAM_READS = 3
STREAM_BYTES = 4096
PAUSE_SECONDS = 1e-6


class _Process:
    """Tells this process from the one that it was forked from, without a system call."""

    token: object = None

    @classmethod
    def renew(cls) -> None:
        """Have all connections look whose they are."""
        cls.token = object()


class NetworkConnection(Connection[SendT_contra, RecvT_co]):
    """A connection over a connected stream socket, which it takes over.

    ``limit`` is how long a received message may be (bytes); ``received`` what was read already;
    ``clustered`` whether both ends let the kernel gather small messages.
    """

    __slots__ = (
        "_clustered",
        "_failure",
        "_inbox",
        "_last_read",
        "_open",
        "_patience",
        "_poll",
        "_process",
        "_reads",
        "_receiving",
        "_sending",
        "_socket",
        "_unacknowledged",
        "_unsent",
    )

    reads_ahead = True
    # Whether the socket shows all that has come and is not in the inbox.
    shows_all = True

    def __init__(
        self,
        sock: sockets.socket,
        *,
        limit: int | None = None,
        received: bytes = b"",
        clustered: bool = False,
    ) -> None:
        super().__init__(readable=True, writable=True)
        sock.setblocking(False)
        self._socket = sock
        self._open = True
        self._clustered = clustered
        # Whether something was read since acknowledgements were last asked for.
        self._unacknowledged = False
        self._inbox = Inbox(received, limit)
        # How often something was read since this end waited, or sent something.
        self._reads = 0
        self._last_read = 0
        # What recv raises from now on.
        self._failure: Exception | None = None
        # The message that is being sent and how much of it was, write by write.
        self._unsent: tuple[Pieces, list[int]] | None = None
        self._patience = Patience()
        # Waits for the socket, once that was needed.
        self._poll: Callable[[int | None], object] | None = None
        self._new_locks()

    def _new_locks(self) -> None:
        if _Process.token is None:
            _Process.renew()
            on_fork_in_child(_Process.renew)
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        # Another token than that of the process once this end is closed.
        self._process = _Process.token if self._open else None

    def _lock(self, *, receiving: bool) -> threading.Lock:
        """The lock of a direction that may be used."""
        if self._process is not _Process.token:
            self._check(receiving=receiving)
        return self._receiving if receiving else self._sending

    def _check(self, *, receiving: bool) -> None:
        """Make new locks if a fork has left those of other threads behind.

        :raises OSError: when this end is closed
        """
        if not self._open:
            self._usable_for(receiving)
        self._new_locks()

    @property
    def closed(self) -> bool:
        """Whether this end was closed."""
        return not self._open

    def fileno(self) -> int:
        """The socket's descriptor. Messages may have been read ahead: ask ``poll`` or ``wait``."""
        number = self._socket.fileno()
        if number < 0:
            raise OSError("the connection is closed")
        return number

    def close(self) -> None:
        """Close this end; happens also when the connection is collected. May be called again."""
        if self._open:
            self._open = False
            self._process = None
            wake(self._socket.fileno())
        self._socket.close()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd={self._socket.fileno()}"
        return f"<{type(self).__name__} {state}>"

    # Sending

    def send(self, obj: SendT_contra) -> None:
        """Send an object that can be pickled. See Connection.send.

        :raises OSError: also when a peer machine is gone (ConnectionResetError, TimeoutError)
        """
        if self._process is not _Process.token:
            self._check(receiving=False)
        packed = pack(obj)
        if isinstance(packed, Packer):
            pieces = self._pieces(packed, obj)
            with self._sending:
                self._send([header(sum(map(len, pieces))), *pieces])
        else:
            with self._sending:
                self._send_one(packed)

    def _pieces(self, packer: Packer, obj: object) -> list[bytes]:
        """The pieces of a pickle that has all its buffers in itself."""
        if packer.descriptors:
            if not self._clustered:
                raise SerializationError(
                    "connections, sockets and other descriptors cannot be sent to another machine"
                )
            # Only here: it needs listeners, which need this module.
            from processing_core._network.sharing import TakenOnArrival, offer

            obj = TakenOnArrival(offer(obj))
        if packer.buffers or packer.descriptors:
            packer = Packer(out_of_band=False)
            packer.dump(obj)
        return packer.pieces

    def send_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send the bytes of a buffer. See Connection.send_bytes and ``send``."""
        if self._process is not _Process.token:
            self._check(receiving=False)
        if type(buf) is not bytes or offset or size is not None:
            buf = selected(buf, offset, size)
        with self._sending:
            self._send_one(buf)

    sendBytes = sendbytes = send_bytes

    def _send_one(self, message: bytes | memoryview) -> None:
        """Send a message that is in one piece; the lock is held."""
        size = len(message)
        if size > JOINED_BYTES:
            self._send([header(size), message])
            return
        pieces: Pieces = [short_header(size) + message]
        if self._unsent is not None:
            self._send(pieces)
            return
        # The hot path of _send: one system call takes all of it. If that raises, nothing is sent.
        sent: list[int] = []
        self._unsent = (pieces, sent)
        try:
            sent += map(self._socket.send, pieces)
        except BaseException as error:
            self._unsent = None
            if not isinstance(error, OSError):
                raise
            self._send(pieces)
            return
        self._reads = 0
        if sent[0] == size + SHORT_HEADER_BYTES:
            self._unsent = None
        else:
            self._finish(pieces, sent)

    def _send(self, pieces: Pieces) -> None:
        """Send a whole message, the header included; the lock is held."""
        if self._unsent is not None:
            self._complete()
        self._reads = 0
        sent: list[int] = []
        self._unsent = (pieces, sent)
        self._finish(pieces, sent)

    def _finish(self, pieces: Pieces, sent: list[int]) -> None:
        """Send what is not sent yet of the message that was begun; the lock is held."""
        try:
            self._transmit(pieces, sent)
        except BaseException as error:
            # What has begun is completed by the next send, though the buffers may have changed by
            # then. What has not begun is not sent.
            rest = rest_of(pieces, sum(sent)) if sent else []
            self._unsent = ([b"".join(rest)], [0]) if rest else None
            self._usable_for(receiving=False)  # unless another thread has closed it meanwhile
            if isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise BrokenPipeError(
                    error.errno, "the other end of the connection is closed"
                ) from None
            raise
        self._unsent = None

    def _complete(self) -> None:
        """Send the rest of a message whose sending was interrupted."""
        assert self._unsent is not None
        pieces, sent = self._unsent
        if sent:
            self._transmit(pieces, sent)
        self._unsent = None

    def _transmit(self, pieces: Pieces, sent: list[int]) -> None:
        """Write what is not yet sent of the pieces, and keep account in ``sent``."""
        rest = rest_of(pieces, sum(sent)) if sent else pieces
        while rest:
            try:
                self._write(rest[:MOST_PIECES], sent)
            except BlockingIOError:
                wait_for_socket(self.fileno(), writable=True)
            if len(pieces) == 1 and sent and sent[0] == len(pieces[0]):
                return
            rest = rest_of(pieces, sum(sent))

    def _go_on(self) -> bool:
        """Send of an unfinished message what can be sent now; whether there is none any more."""
        if self._unsent is not None:
            pieces, sent = self._unsent
            try:
                while rest := rest_of(pieces, sum(sent)):
                    self._write_now(rest[:MOST_PIECES], sent)
                self._flush_now()
            except BlockingIOError:
                return False
            self._unsent = None
        return True

    def _write_now(self, pieces: Pieces, sent: list[int]) -> None:
        """As _write; raises BlockingIOError where that would wait."""
        self._write(pieces, sent)

    def _flush_now(self) -> None:
        """Have the socket take what counts as sent and is not. :raises BlockingIOError: if full"""

    def _write(self, pieces: Pieces, sent: list[int]) -> None:
        """Write once; append to ``sent`` how much the socket took."""
        if sys.platform == "win32" or len(pieces) == 1:
            sent.extend(map(self._socket.send, pieces[:1]))
        else:
            sent.extend(map(self._socket.sendmsg, (pieces,)))

    # Receiving

    def recv(self) -> RecvT_co:
        """Receive an object. See Connection.recv.

        :raises OSError: also when the connection broke otherwise than by being closed between two
            messages (ConnectionResetError), when a peer machine is gone (TimeoutError), or when a
            message is longer than ``max_message_size`` (EMSGSIZE)
        :raises AuthenticationError: when the other end expects this one to have a key
        """
        if self._process is not _Process.token:
            self._check(receiving=True)
        with self._receiving:
            message = self._inbox.next()
            data = self._next_message() if message is None else message
        return loads(data)  # type: ignore[no-any-return]

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive a message as bytes. See Connection.recv_bytes and ``recv``."""
        if maxlength is not None:
            maxlength = checked_maxlength(maxlength)
        if self._process is not _Process.token:
            self._check(receiving=True)
        with self._receiving:
            message = self._inbox.next()
            data = self._next_message() if message is None else message
        if maxlength is not None and len(data) > maxlength:
            raise too_long(len(data), maxlength)
        return data if type(data) is bytes else bytes(data)

    recvBytes = recvbytes = recv_bytes

    def recv_bytes_into(self, buf: Buffer, offset: int = 0) -> int:
        """Receive a message into a writable buffer. See Connection.recv_bytes_into and ``recv``."""
        space = target(buf, offset)
        with self._lock(receiving=True):
            data = self._next_message()
        size = len(data)
        if size > len(space):
            raise BufferTooShort(bytes(data))
        space[:size] = data
        return size

    recvBytesInto = recvbytes_into = recv_bytes_into

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is a whole message to receive, or the end, or an error.

        See Connection.poll.
        """
        deadline = Deadline(checked_timeout(timeout))
        lock = self._lock(receiving=True)
        # Another thread may be receiving, for however long.
        left = deadline.seconds()
        seconds = -1 if left is None else min(left, threading.TIMEOUT_MAX)
        taken: list[bool] = []
        try:
            # In one step of C: a signal handler that raises finds the lock noted, or not taken.
            taken += map(lock.acquire, (True,), (seconds,))
            if not taken[0]:
                return False
            while not self._look():
                self._acknowledge()
                if not wait_for_socket(self.fileno(), deadline.seconds()):
                    return False
        finally:
            if True in taken:
                lock.release()
        return True

    # For coroutines

    async def asend(self, obj: SendT_contra) -> None:
        """Send an object, for asyncio. See Connection.asend."""
        self._usable_for(receiving=False)
        packed = pack(obj)
        pieces = self._pieces(packed, obj) if isinstance(packed, Packer) else [packed]
        await coroutines.send(self, framed(pieces))

    async def asend_bytes(self, buf: Buffer, offset: int = 0, size: int | None = None) -> None:
        """Send the bytes of a buffer, for asyncio. See Connection.asend_bytes."""
        view = selected(buf, offset, size)
        await coroutines.send(self, framed([view]))

    async def arecv(self) -> RecvT_co:
        """Receive an object, for asyncio. See Connection.arecv."""
        return loads(await coroutines.receive(self))  # type: ignore[no-any-return]

    async def arecv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive a message as bytes, for asyncio. See Connection.arecv_bytes."""
        maxlength = checked_maxlength(maxlength)
        data = await coroutines.receive(self)
        if maxlength is not None and len(data) > maxlength:
            raise too_long(len(data), maxlength)
        return bytes(data)

    # The following are called with the lock held.

    def _next_message(self) -> bytes | bytearray:
        """Wait until the first message is whole, and take it out.

        :raises EOFError: and all that recv raises
        """
        if self._clustered and self._reads >= STREAM_READS and self._last_read < STREAM_BYTES:
            # To read and acknowledge each small message by itself would slow the sender down by
            # half. Meanwhile it goes on, and the next reads get many.
            self._reads = 0
            time.sleep(PAUSE_SECONDS)
        if self._failure is None and self.shows_all and not self._reads and self._inbox.is_empty:
            # An answer takes a moment, so a read at once would be in vain.
            self._wait()
        while not self._look():
            self._wait()
        self._raise_failure()
        return self._inbox.take()

    def _wait(self) -> None:
        """Wait until there is something to read."""
        number = self.fileno()
        if sys.platform == "win32":
            wait_for_socket(number)
            return
        self._reads = 0
        if self._poll is None:
            poller = select.poll()
            poller.register(number, select.POLLIN)
            self._poll = poller.poll
        # Who answers within a moment has acknowledged all with that.
        self._patience.wait(self._poll, self._acknowledge)

    def _raise_failure(self) -> None:
        """:raises EOFError: and whatever else ended the stream, if that is what was found"""
        if self._failure is not None:
            if not isinstance(self._failure, (EOFError, ConnectionError)):
                self.close()
            raise type(self._failure)(*self._failure.args)

    def _look(self) -> bool:
        """Read what is there; whether there is a whole message, or a failure to report."""
        if self._failure is not None:
            return True
        inbox = self._inbox
        try:
            while inbox.missing():
                if not self._fetch():
                    self._failure = self._end()
                    return True
        except BlockingIOError:
            return False
        except (OSError, AuthenticationError) as error:
            self._usable_for(receiving=True)  # unless another thread has closed it meanwhile
            self._failure = error
            if isinstance(error, AuthenticationError):
                with suppress(OSError):
                    self._socket.send(refusal(NO_KEY))
        # Coroutines wait for the socket, which no longer shows what is in the inbox now.
        wake(self._socket.fileno())
        return True

    def _end(self) -> Exception:
        """What it means that the stream has ended."""
        if self._inbox.received:
            return ConnectionResetError(
                errno.ECONNRESET,
                "the other end of the connection closed in the middle of a message",
            )
        return EOFError("the other end of the connection is closed")

    def _fetch(self) -> int:
        """Read once into the inbox; how many bytes there were, 0 at the end."""
        self._unacknowledged = self._clustered
        self._reads += 1
        inbox = self._inbox
        if (large := inbox.large()) is not None:
            large.counts.extend(map(self._socket.recv_into, (large.space(),)))
            self._reads = 0
            return large.counts[-1]
        any(map(inbox.pieces.append, map(self._socket.recv, (READ_BYTES,))))
        self._last_read = count = len(inbox.pieces[-1])
        return count

    def _acknowledge(self) -> None:
        """Before a wait: have the sender know that all it has sent is here."""
        if self._unacknowledged:
            self._unacknowledged = False
            if sys.platform == "linux":
                with suppress(OSError):  # it is the next read's to report
                    self._socket.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_QUICKACK, 1)


def framed(pieces: Sequence[bytes | memoryview]) -> Pieces:
    """A message with its header, in one piece if it is short."""
    size = sum(map(len, pieces))
    whole: Pieces = [header(size), *pieces]
    return [b"".join(whole)] if size <= JOINED_BYTES else whole


def rest_of(pieces: Pieces, done: int) -> Pieces:
    """What follows the first ``done`` bytes of some pieces."""
    for index, piece in enumerate(pieces):
        if done < len(piece):
            return [memoryview(piece)[done:], *pieces[index + 1 :]]
        done -= len(piece)
    return []


def _rebuild(index: int, limit: int | None, received: bytes, clustered: bool) -> object:
    sock = sockets.socket(fileno=take_descriptor(index))
    return NetworkConnection(sock, limit=limit, received=received, clustered=clustered)


def _reduce(connection: NetworkConnection[Any, Any], packer: Packer) -> tuple[Any, ...]:
    index = packer.attach(connection.fileno())
    inbox = connection._inbox
    return _rebuild, (index, inbox.limit, inbox.received, connection._clustered)


register_carrier(NetworkConnection, _reduce)
