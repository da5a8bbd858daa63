"""Owns TLS on a socket that does not block: the session, and connections that are made of it.

OpenSSL works on two buffers in memory and never touches the socket. One lock guards the session,
since it may not be used from two threads at once; nobody waits for the other machine while holding
it.
"""

from __future__ import annotations

import _socket as sockets
import errno
import os
import ssl
import threading
from contextlib import suppress

from processing_core._generic import TYPE_CHECKING, RecvT_co, SendT_contra
from processing_core._network.connection import NetworkConnection, framed
from processing_core._platform.polling import wait_for_socket
from processing_core._serialize.packer import register_carrier
from processing_core.errors import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from processing_core._network.connection import Pieces
    from processing_core._serialize.packer import Packer

__all__ = ["TLSConnection", "TLSSession"]

# How much is read from the socket at once: a record is at most this long, and a little more.
READ_BYTES = 64 * 1024
# How much is encrypted before it is sent.
WRITE_BYTES = 256 * 1024
# What a peer may send before the handshake has succeeded: certificates are the largest part of it.
HANDSHAKE_BYTES = 256 * 1024


class TLSSession:
    """A session over a socket. Its methods raise BlockingIOError where they would have to wait."""

    def __init__(
        self,
        sock: sockets.socket,
        context: ssl.SSLContext,
        *,
        is_server: bool,
        hostname: str | None = None,
    ) -> None:
        self.socket = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(
            self._incoming, self._outgoing, server_side=is_server, server_hostname=hostname
        )
        self._lock = threading.RLock()
        # Encrypted bytes that are on their way to the socket.
        self._to_send: list[bytes] = []
        self._sent: list[int] = []
        self._at_end = False
        # Set while a step is under way that a signal handler's exception must not break off.
        self._in_step = False
        self.owner = os.getpid()

    def handshake(self) -> None:
        """Go on with the TLS handshake. :raises ssl.SSLError: when it fails"""
        total = 0
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                total += self._fill()
                if total > HANDSHAKE_BYTES:
                    raise ssl.SSLError("the other end's handshake is too long") from None
            except ssl.SSLError:
                with suppress(OSError):
                    self.flush()  # the alert that tells the other end why
                raise
            else:
                self.flush()
                return

    def read(self, add: Callable[[bytes], object], size: int) -> int:
        """Give ``add`` received bytes, at most so many; 0 at the end that the other end announced.

        :raises ConnectionResetError: when the stream ended without that
        """
        with self._lock:
            while (count := self._decrypt(add, size)) is None:
                with suppress(BlockingIOError):
                    self.flush()
                self._fill()
            return count

    def _decrypt(self, add: Callable[[bytes], object], size: int) -> int | None:
        self._begin_step()
        count: int | None = None
        try:
            data = self._session.read(size)
            add(data)
            count = len(data)
        except ssl.SSLWantReadError:
            count = None
        except ssl.SSLZeroReturnError:
            count = 0
        except ssl.SSLError as error:
            _raise_reset(error)
        self._in_step = False
        return count

    def write(self, data: bytes | memoryview, sent: list[int]) -> None:
        """Encrypt, and append to ``sent`` how much that was; ``flush`` then sends it."""
        with self._lock:
            self._begin_step()
            try:
                sent.append(self._session.write(data))
            except ssl.SSLError as error:
                _raise_reset(error)
            self._in_step = False

    def flush(self) -> None:
        """Send what is encrypted, as far as the socket takes it."""
        with self._lock:
            while True:
                if not self._to_send:
                    if not self._outgoing.pending:
                        return
                    any(map(self._to_send.append, map(self._outgoing.read, (WRITE_BYTES,))))
                (data,) = self._to_send
                rest = memoryview(data)[sum(self._sent) :]
                if rest:
                    any(map(self._sent.append, map(self.socket.send, (rest,))))
                if sum(self._sent) == len(data):
                    self._to_send, self._sent = [], []

    def say_goodbye(self) -> None:
        """Tell the other end that nothing more will come, if that needs no waiting."""
        if self.owner != os.getpid():
            return  # the session is the parent's
        with suppress(OSError, ValueError), self._lock:
            with suppress(ssl.SSLError):
                self._session.unwrap()
            self.flush()

    def _begin_step(self) -> None:
        if self._in_step:
            raise ConnectionAbortedError(
                errno.ECONNABORTED, "an exception from a signal handler broke the TLS session off"
            )
        self._in_step = True

    def _fill(self) -> int:
        """Read once from the socket; how many bytes there were."""
        if self._at_end:
            raise ConnectionResetError(errno.ECONNRESET, "the TLS session has ended too early")
        before = self._incoming.pending
        any(map(self._incoming.write, map(self.socket.recv, (READ_BYTES,))))
        count = self._incoming.pending - before
        if not count:
            self._at_end = True
            self._incoming.write_eof()
        return count


def _raise_reset(error: ssl.SSLError) -> NoReturn:
    if isinstance(error, ssl.SSLEOFError):
        text = "the TLS session ended without being closed"
    else:
        text = f"the TLS session broke: {error}"
    raise ConnectionResetError(errno.ECONNRESET, text) from error


class TLSConnection(NetworkConnection[SendT_contra, RecvT_co]):
    """A connection over a TLS session. It cannot be passed to another process."""

    __slots__ = ("_tls",)

    # One read of the socket may bring several records, of which one is decrypted at a time.
    shows_all = False

    def __init__(self, session: TLSSession, *, limit: int | None = None) -> None:
        self._tls = session
        super().__init__(session.socket, limit=limit)

    def close(self) -> None:
        """Close this end; happens also when the connection is collected. May be called again."""
        if not self.closed:
            self._tls.say_goodbye()
        super().close()

    def _send_one(self, message: bytes | memoryview) -> None:
        self._send(framed([message]))

    def _write(self, pieces: Pieces, sent: list[int]) -> None:
        # What is encrypted can only be sent, so a piece counts as sent from then on.
        self._flush()
        part = memoryview(pieces[0])[:WRITE_BYTES]
        self._tls.write(part, sent)
        self._flush()

    def _write_now(self, pieces: Pieces, sent: list[int]) -> None:
        self._tls.flush()
        self._tls.write(memoryview(pieces[0])[:WRITE_BYTES], sent)
        self._tls.flush()

    def _flush_now(self) -> None:
        self._tls.flush()

    def _flush(self) -> None:
        while True:
            try:
                self._tls.flush()
            except BlockingIOError:
                wait_for_socket(self.fileno(), writable=True)
            else:
                return

    def _fetch(self) -> int:
        large = self._inbox.large()
        size = READ_BYTES if large is None else min(READ_BYTES, large.missing)
        return self._tls.read(self._inbox.add, size)

    @property
    def tls(self) -> ssl.SSLObject:
        """The session, for what it tells: ``getpeercert()``, ``version()``, ``cipher()``."""
        return self._tls._session


def _reduce(connection: TLSConnection[Any, Any], packer: Packer) -> tuple[Any, ...]:
    del packer
    raise SerializationError(f"{connection!r} is under TLS, which no descriptor carries along")


register_carrier(TLSConnection, _reduce)
