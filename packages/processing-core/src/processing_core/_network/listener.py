"""Owns listeners: accepting clients, of whom many are greeted at the same time.

``accept`` takes all greetings on whenever one of their sockets is ready. A client that says
nothing, or says nonsense, costs its socket and a frame of memory until its time is up, and keeps
nobody else waiting.
"""

from __future__ import annotations

import _socket as sockets
import errno
import math
import operator
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import suppress

from processing_core._clock import Deadline, checked_timeout
from processing_core._generic import TYPE_CHECKING
from processing_core._lifecycle import at_exit
from processing_core._network import addresses
from processing_core._network.greeting import Greeting
from processing_core._network.manners import checked_manners
from processing_core._platform.socket_files import SocketFile, fresh_path
from processing_core.errors import AuthenticationError, InvalidArgument, TimeoutError

if TYPE_CHECKING:
    from selectors import BaseSelector
    from ssl import SSLContext
    from types import TracebackType
    from typing import Any, Self

    from processing_core._connection.base import Connection
    from processing_core._lifecycle import ExitCallback
    from processing_core._network.addresses import Address

__all__ = ["HANDSHAKE_SECONDS", "KEEPALIVE_SECONDS", "Listener"]

HANDSHAKE_SECONDS = 10.0
KEEPALIVE_SECONDS = 60.0
# The system's queue of clients is never shorter: while one waits in it, nobody greets it.
LEAST_BACKLOG = 128
# When more clients than this are being greeted, the one that has taken longest is given up.
MOST_GREETINGS = 512
# How many clients are taken from the system's queue before others are looked after again.
TAKEN_AT_ONCE = 64
# What means that this process, or the system, has no descriptors or memory left.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Waits are made of several that are no longer than this (seconds): system calls take an int.
LONGEST_WAIT = 24 * 3600.0
# More guests than this are waited for with a selector.
MOST_POLLED = 16
READ, WRITE = 1, 2  # selectors.EVENT_READ, EVENT_WRITE
if sys.platform != "win32":
    POLLED = {READ: select.POLLIN, READ | WRITE: select.POLLIN | select.POLLOUT}


class Guest:
    """A client that is being greeted, from where, and until when."""

    __slots__ = ("address", "ends_at", "events", "greeting")

    def __init__(self, greeting: Greeting, address: Any, ends_at: float) -> None:
        self.greeting = greeting
        self.address = address
        self.ends_at = ends_at
        self.events = 0


class Listener:
    """Waits for clients at an address and gives a connection for each.

    :param address: ``(host, port)``, where port 0 takes a free one; a path, or on Linux an abstract
        name that begins with a zero byte; None for a fresh one
    :param family: ``"AF_INET"``, ``"AF_INET6"``, ``"AF_UNIX"``; None to tell from the address, or
        else the fastest that there is
    :param backlog: how many clients may wait to be accepted, at least
    :param authenticate: whether both ends show that they know the key; also if a key is given
    :param authkey: the key, bytes or a string (which is encoded as UTF-8); None for that of the
        current process
    :param ssl_context: a server's context, for TLS
    :param compat: ``"multiprocessing"`` where clients are of the standard library
    :param max_message_size: how long a received message may be, in bytes; None for 256 MiB over
        AF_INET and AF_INET6, and for no limit over AF_UNIX
    :param handshake_timeout: how long, in seconds, a client may take for TLS and authentication
    :param keepalive: after how many seconds without a sign of life a peer machine counts as gone;
        None for what the system does

    :raises InvalidArgument: (a ValueError) when an argument makes no sense, an empty key included
    :raises InvalidType: (a TypeError) when an argument is of the wrong type
    :raises OSError: when the address cannot be had

    The file of an AF_UNIX socket can be used by its owner only, from its first moment on, and is
    removed when the listener is closed or collected, or the process that made it ends. Any number
    of threads may use a listener; forked children may accept from it, too.
    """

    def __init__(
        self,
        address: Address | bytes | os.PathLike[str] | None = None,
        family: str | None = None,
        backlog: int = 1,
        authenticate: bool = False,
        authkey: bytes | str | None = None,
        *,
        ssl_context: SSLContext | None = None,
        compat: str | None = None,
        max_message_size: int | None = None,
        handshake_timeout: float | None = HANDSHAKE_SECONDS,
        keepalive: float | None = KEEPALIVE_SECONDS,
    ) -> None:
        family = addresses.checked_family(family, address)
        if address is not None:
            address = addresses.normal_address(address, family)
        self._timeout = checked_timeout(handshake_timeout)
        self._manners = checked_manners(
            family,
            authenticate=authenticate,
            authkey=authkey,
            ssl_context=ssl_context,
            compat=compat,
            max_message_size=max_message_size,
            keepalive=keepalive,
            is_listener=True,
        )
        backlog = operator.index(backlog)
        if backlog < 0:
            raise InvalidArgument(f"backlog must be a number of clients, not {backlog}")
        if family == "AF_PIPE":
            raise NotImplementedError("listeners for AF_PIPE do not exist yet; use AF_INET")
        self._closed = True
        # Held by the thread that looks after the guests. Re-entrant, so that a signal handler in
        # that thread may close the listener.
        self._lock = threading.RLock()
        self._results: deque[tuple[Connection[Any, Any] | Exception, Any]] = deque()
        self._last_accepted: Any = None
        self._file: SocketFile | None = None
        self._at_exit: ExitCallback | None = None
        self._socket = sockets.socket(getattr(sockets, family), self._manners.kind)
        try:
            self._bind(family, address)
            self._socket.listen(max(backlog, LEAST_BACKLOG))
            self._start()
        except BaseException:  # a signal handler's as well: nothing stays behind
            self._socket.close()
            self._remove_file()
            raise
        self._closed = False

    def _bind(self, family: str, address: Any) -> None:
        sock = self._socket
        try:
            if family == "AF_UNIX":
                self._bind_unix(address)
            else:
                if sys.platform != "win32":
                    # A port that only the connections of an earlier listener still linger on.
                    sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
                if family == "AF_INET6":
                    sock.setsockopt(sockets.IPPROTO_IPV6, sockets.IPV6_V6ONLY, 1)
                default = ("localhost" if family == "AF_INET" else "::1", 0)
                sock.bind(address or default)
                self._address = sock.getsockname()
        except OSError as error:
            error.add_note(f"the address is {addresses.shown(address)}")
            raise

    def _bind_unix(self, address: str | None) -> None:
        if address is not None and addresses.is_abstract(address):
            self._socket.bind(os.fsencode(address))
            self._address = address
            return
        path = fresh_path() if address is None else address
        try:
            self._file = SocketFile(self._socket, path, folder=address is None)
        except BaseException:  # as above
            if address is None:
                os.rmdir(os.path.dirname(path))
            raise
        self._address = path
        self._at_exit = at_exit(self._file.remove)

    def _start(self) -> None:
        """Begin to look after guests, in this process."""
        self._pid = os.getpid()
        self._socket.setblocking(False)
        # A byte sent into one end makes the other readable, and wakes whoever waits in accept.
        self._alarm, self._awake = _socket_pair()
        # In the order in which they have come, which is that of their ends.
        self._guests: dict[int, Guest] = {}
        # While they are few, they are waited for with poll(2), where one that stays for only some
        # microseconds needs no system calls to be added and removed.
        self._selector: BaseSelector | None = None
        if sys.platform == "win32":
            self._select()
        else:
            self._poller = select.poll()
            self._polled: set[int] = set()
            self._poller.register(self._socket.fileno(), select.POLLIN)
            self._poller.register(self._awake.fileno(), select.POLLIN)

    def _select(self) -> BaseSelector:
        """Have a selector from now on; whoever holds the lock moves the guests to it."""
        import selectors

        selector = selectors.DefaultSelector()
        selector.register(self._socket.fileno(), READ, None)
        selector.register(self._awake.fileno(), READ, None)
        self._selector = selector
        return selector

    def _check_process(self) -> None:
        """After a fork, leave the parent's guests alone."""
        if self._pid != os.getpid():
            self._lock = threading.RLock()
            self._results = deque()
            self._drop_all()
            self._start()

    @property
    def address(self) -> Any:
        """The address that clients connect to: (host, port), a path or an abstract name."""
        return self._address

    @property
    def last_accepted(self) -> Any:
        """The address of the client that accept() returned last; None if it has none."""
        return self._last_accepted

    @property
    def closed(self) -> bool:
        """Whether the listener was closed."""
        return self._closed

    def fileno(self) -> int:
        """A descriptor that is readable when ``accept(0)`` has something to do.

        Then it gives a connection, or raises TimeoutError where that is not set up yet.
        """
        if self._closed:
            raise OSError("the listener is closed")
        self._check_process()
        selector = self._selector or self._select()
        # If another thread has the lock, it is in accept() and looks after the guests.
        taken: list[bool] = []
        try:
            taken += map(self._lock.acquire, (False,))
            if taken[0]:
                self._move_guests(selector)
        finally:
            if True in taken:
                self._lock.release()
        number: int = getattr(selector, "fileno", self._socket.fileno)()
        return number

    def accept(self, timeout: float | None = None) -> Connection[Any, Any]:
        """Wait for a client that does all that is asked of it; returns the connection to it.

        ``timeout`` in seconds, None without limit. Clients are greeted only while some thread is in
        this method.

        :raises AuthenticationError: when a client does not know the key, or otherwise cannot be
            agreed with; the message has its address. The listener goes on: call again.
        :raises TimeoutError: when the time ran out
        :raises OSError: when the listener is closed, by whatever thread
        """
        deadline = Deadline(checked_timeout(timeout))
        if self._closed:
            raise OSError("the listener is closed")
        self._check_process()
        left = deadline.seconds()
        taken: list[bool] = []
        try:
            # In one step of C: a signal handler that raises finds the lock noted, or not taken.
            taken += map(
                self._lock.acquire, (True,), (-1 if left is None else min(left, LONGEST_WAIT),)
            )
            if not taken[0]:
                raise TimeoutError("no client has come")
            first = True
            while not self._results:
                if self._closed:
                    raise OSError("the listener is closed")
                if deadline.passed and not first:
                    raise TimeoutError("no client has come")
                first = False
                self._attend(deadline)
            result, address = self._results.popleft()
        finally:
            if True in taken:
                self._lock.release()
        if isinstance(result, Exception):
            raise result
        self._last_accepted = address or None
        return result

    def _attend(self, deadline: Deadline) -> None:
        """Wait until something happens, and look after it."""
        left = deadline.seconds()
        until_end = self._seconds_to_next_end()
        if until_end is not None:
            left = until_end if left is None else min(left, until_end)
        try:
            ready = self._ready(None if left is None else min(left, LONGEST_WAIT))
        except (OSError, ValueError):
            if self._closed:
                return
            raise
        for number in ready:
            if self._closed:
                return
            if number == self._socket.fileno():
                self._admit()
            elif number in self._guests:
                self._greet(number)
        now = time.monotonic()
        while self._guests:
            number, guest = next(iter(self._guests.items()))
            if guest.ends_at > now:
                break
            self._turn_away(number, guest, AuthenticationError("it took too long"))

    def _ready(self, seconds: float | None) -> list[int]:
        """Wait until something is ready; the descriptors."""
        selector = self._selector
        if selector is None and len(self._guests) > MOST_POLLED:
            selector = self._select()
        if sys.platform != "win32" and selector is None:
            limit = None if seconds is None else math.ceil(seconds * 1000)
            return [number for number, _ in self._poller.poll(limit)]
        assert selector is not None
        self._move_guests(selector)
        return [key.fd for key, _ in selector.select(seconds)]

    def _move_guests(self, selector: BaseSelector) -> None:
        """Have the selector look after all guests; the lock is held."""
        if sys.platform != "win32" and self._polled:
            for number in self._polled:
                selector.register(number, self._guests[number].events, None)
            self._polled = set()

    def _seconds_to_next_end(self) -> float | None:
        """When the time of the next guest is up; None if there is none, or they may take any."""
        if not self._guests or self._timeout is None:
            return None
        return max(0.0, next(iter(self._guests.values())).ends_at - time.monotonic())

    def _admit(self) -> None:
        """Take clients from the system's queue."""
        # To find that there is no other costs a system call, so that is not tried in quiet times.
        for _ in range(TAKEN_AT_ONCE if self._guests else 1):
            try:
                # Not socket.accept(), which makes an object; typeshed does not have it.
                number, address = self._socket._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, ConnectionError):
                return  # another thread or process was faster; or the client has left already
            except OSError as error:
                if error.errno not in EXHAUSTED or not self._guests:
                    raise
                self._make_room()
                continue
            sock = sockets.socket(self._socket.family, self._socket.type, 0, number)
            if len(self._guests) >= MOST_GREETINGS:
                self._make_room()
            try:
                greeting = Greeting(sock, self._manners)
            except OSError:
                sock.close()  # it has left already
                continue
            limit = float("inf") if self._timeout is None else time.monotonic() + self._timeout
            self._guests[number] = Guest(greeting, address, limit)
            self._greet(number)

    def _make_room(self) -> None:
        number, guest = next(iter(self._guests.items()))  # the one that has taken longest
        self._turn_away(number, guest, AuthenticationError("too many clients came after it"))

    def _greet(self, number: int) -> None:
        """Take one greeting on."""
        guest = self._guests[number]
        greeting = guest.greeting
        try:
            done = greeting.go_on()
        except (AuthenticationError, OSError) as error:
            self._turn_away(number, guest, error)
            return
        if not done:
            events = READ | WRITE if greeting.wants_to_write else READ
            if events != guest.events:
                self._watch(number, guest, events)
            return
        self._forget(number, guest)
        try:
            connection = greeting.connection()
        except OSError as error:
            greeting.close()
            self._results.append((error, guest.address))
        else:
            self._results.append((connection, guest.address))

    def _watch(self, number: int, guest: Guest, events: int) -> None:
        """Wait for these events of a guest from now on."""
        before, guest.events = guest.events, events
        selector = self._selector
        if sys.platform != "win32" and (selector is None or number in self._polled):
            self._polled.add(number)
            self._poller.register(number, POLLED[events])
        elif selector is not None:
            (selector.modify if before else selector.register)(number, events, None)

    def _forget(self, number: int, guest: Guest) -> None:
        del self._guests[number]
        if not guest.events:
            return
        if sys.platform != "win32" and number in self._polled:
            self._polled.remove(number)
            self._poller.unregister(number)
        elif self._selector is not None:
            self._selector.unregister(number)

    def _turn_away(self, number: int, guest: Guest, why: Exception) -> None:
        self._forget(number, guest)
        guest.greeting.refuse()
        error = AuthenticationError(
            f"the client {addresses.shown(guest.address)} was turned away: {why}"
        )
        error.__cause__ = why
        self._results.append((error, guest.address))

    def close(self) -> None:
        """Stop listening. Threads in accept() get an OSError. May be called again.

        Clients that nobody has accepted yet are cut off. In a forked child the listener of the
        parent stays.
        """
        if self._closed:
            return
        self._closed = True
        self._check_process()
        with suppress(OSError):
            # A byte and not only the end, which a forked child's copy would keep away.
            self._alarm.send(b"\0")
        with self._lock:
            self._socket.close()
            self._remove_file()
            self._drop_all()
            while self._results:
                result, _ = self._results.popleft()
                if not isinstance(result, Exception):
                    result.close()

    def _drop_all(self) -> None:
        for guest in self._guests.values():
            guest.greeting.close()
        self._guests = {}
        if self._selector is not None:
            self._selector.close()
        self._alarm.close()
        self._awake.close()

    def _remove_file(self) -> None:
        if self._file is not None:
            if self._at_exit is not None:
                self._at_exit.cancel()
            self._file.remove()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            with suppress(OSError):
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

    def __repr__(self) -> str:
        state = "closed" if self._closed else addresses.shown(self._address)
        return f"<{type(self).__name__} {state}>"


def _socket_pair() -> tuple[sockets.socket, sockets.socket]:
    if sys.platform == "win32":
        import socket  # _socket has no pairs there

        first, second = socket.socketpair()
        return sockets.socket(fileno=first.detach()), sockets.socket(fileno=second.detach())
    else:
        return sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM)
