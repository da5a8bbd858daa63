"""Owns the server: its loop, its clients coming and going, and its end.

Clients on the same machine put their requests into one ring, from which the loop takes them; for
the others a thread reads each of their connections. Short methods run where their request was read.

A client's connection tells that it lives. When it ends, so does the session: what only that client
referred to is given up, its locks go to who waits for them, and its waiting calls are forgotten.
"""

from __future__ import annotations

import os
import queue
import selectors
import sys
import threading
import time
from contextlib import suppress
from functools import partial

from processing_core import AuthenticationError
from processing_core.connection import Listener
from processing_core.lowlevel import log_info, log_warning, on_fork_in_child
from processing_managers import _arrivals
from processing_managers._registry import Registration
from processing_managers._server.calls import state_lock
from processing_managers._server.control import CONTROL_METHODS, Control
from processing_managers._server.objects import Objects
from processing_managers._server.replies import Replies
from processing_managers._server.running import Runner
from processing_managers._server.sessions import (
    TICKET_SECONDS,
    Link,
    Session,
    Ticket,
    Timers,
    new_number,
)
from processing_managers._server.threads import end_idle_threads, run_aside
from processing_managers._wire import (
    ABANDON,
    BATCH,
    CALL,
    ENDED,
    FORKED,
    IDENT,
    LINK,
    NOTHING,
    ORDERED,
    RELEASE,
    REQUEST,
    SERVER,
    UNLINK,
    Loaded,
    receive_message,
    send_message,
)

if sys.platform != "win32":
    from processing_managers._slots import Desk, ReplyWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import Any

    from processing_core import Connection

    if sys.platform == "win32":
        from typing import TypeAlias

        Intake: TypeAlias = Any  # there are none
    else:
        from processing_managers._slots import Intake

__all__ = ["Server"]

READ = selectors.EVENT_READ
REQUEST_BYTES = REQUEST.size
# How long a client may take to say what it wants, once it has shown that it knows the key.
HELLO_SECONDS = 10.0
# How often the loop looks after its clients' ends, in seconds, while requests come without a pause
# that is long enough for it to do so by itself.
LOOK_SECONDS = 0.02
# The longest wait where there is no queue of requests, whose waits have such a limit themselves: a
# signal that comes in just before a wait is handled only after it.
WAIT_SECONDS = 1.0
# How long the loop may take to end.
STOP_SECONDS = 3.0
# How often tickets are looked through, in seconds.
TICKET_LOOK_SECONDS = 60.0
# How long to wait when the process has no descriptors left for a client.
CROWDED_SECONDS = 0.05


class Server:
    """Holds objects and serves clients.

    :param intake: where clients of this machine leave requests; None where they cannot
    :param owner: the connection to the process that has started the server, and its session
    """

    def __init__(
        self,
        registry: dict[str, Registration],
        kinds: dict[type, str],
        address: Any,
        authkey: bytes,
        *,
        intake: Intake | None,
        ssl_context: SSLContext | None = None,
        family: str | None = None,
    ) -> None:
        self.number: int = new_number()
        self._intake = intake
        # A Desk, while the loop serves an intake.
        self._desk: Any = None
        self._listener = Listener(
            address, family, backlog=128, authkey=authkey, ssl_context=ssl_context
        )
        self.address: Any = self._listener.address
        self._stopping = False
        self._tickets: dict[int, Ticket] = {}
        self._sessions: dict[int, Session] = {}
        self._links: dict[int, Link] = {}
        self._timers = Timers(self._timer_was_set)
        self._thread = 0
        self._objects = Objects(registry)
        for cls, typeid in kinds.items():
            if typeid in registry:
                self._objects.know_kind(cls, registry[typeid])
        replies = Replies(self._objects, self.number)
        self._runner = Runner(self._objects, replies, self._timers)
        self._control = Control(
            self._objects, self._sessions, self._tickets, self.stop, self.address
        )
        control = Registration("the manager", exposed=CONTROL_METHODS, blocking=False)
        self._objects.add_at(SERVER, self._control, control)
        # Those that tell of clients: a connection and its session, by descriptor.
        self._clients: dict[int, tuple[Connection[Any, Any], Session]] = {}
        # Who has started the server: it ends with that.
        self._owner: Session | None = None
        self._owner_connection: Connection[Any, Any] | None = None
        self._stopped = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._alarm, self._awake = _pipe()
        self._selector.register(self._awake, READ, None)
        self._next_ticket_look = time.monotonic() + TICKET_LOOK_SECONDS
        _arrivals.servers[self.number] = self
        _running.add_server(self)

    def referent(self, ident: int) -> Any:
        """The object of a number. :raises ReferentGoneError: when there is none"""
        return self._objects.get(ident).obj

    def claim_here(self, ident: int, ticket: int) -> Any:
        """The object of a proxy that is unpickled in this process."""
        obj = self.referent(ident)
        self._control.void(ticket)
        return obj

    # The loop

    def serve(self) -> None:
        """Serve until ``stop``. Signals of the terminal are for those who started the server."""
        self._thread = threading.get_ident()
        acceptor = threading.Thread(target=self._accept, name="ManagerAccept", daemon=True)
        acceptor.start()
        if self._owner is not None:
            threading.Thread(target=self._watch_owner, name="ManagerOwner", daemon=True).start()
        try:
            if self._intake is None:
                while not self._stopping:
                    seconds = self._timers.seconds()
                    self._look_after_clients(WAIT_SECONDS if seconds is None else seconds)
                    self._timers.expire()
            else:
                self._serve_desk(self._intake)
        finally:
            self._stopping = True
            self._close()
            if self._owner is None:
                acceptor.join()  # otherwise the process ends

    def _serve_desk(self, intake: Intake) -> None:
        if sys.platform == "win32":
            return
        else:
            desk = self._desk = Desk(intake, self._look_after_clients)
            self._selector.register(desk.descriptor, READ, None)
            timers, get, handle, now = self._timers, desk.get, self._handle, time.monotonic
            moments = timers.moments
            next_look = 0.0
            while not self._stopping:
                try:
                    message = get(timers.seconds() if moments else None)
                except queue.Empty:
                    next_look = 0.0
                except Exception as error:  # noqa: BLE001 - of a message that is not ours
                    log_warning("a request could not be read: %r", error)
                else:
                    handle(message)
                if moments:
                    timers.expire()
                # By the clock: few requests that come regularly may leave no pause, too.
                if now() >= next_look:
                    next_look = now() + LOOK_SECONDS
                    self._look_after_clients(0)

    def _look_after_clients(self, seconds: float | None) -> bool:
        """Wait until something happens; True if it was something else than a request."""
        woken = False
        for key, _ in self._selector.select(seconds):
            if key.fd == self._awake:
                woken = True
                with suppress(BlockingIOError):
                    os.read(self._awake, 4096)
            elif key.fd in self._clients:
                woken = True
                self._client_has_ended(key.fd)
        if time.monotonic() >= self._next_ticket_look:
            self._next_ticket_look = time.monotonic() + TICKET_LOOK_SECONDS
            self._void_old_tickets()
        return woken

    def _client_has_ended(self, descriptor: int) -> None:
        connection, session = self._clients[descriptor]
        self._forget_client(descriptor)
        connection.close()
        if self._intake is None:
            self._end_session(session)
        else:
            # Behind what it has put there before, such as that it has forked.
            self._intake.put(REQUEST.pack(session.number, 0, 0, ENDED))

    def _watch_owner(self) -> None:
        """Wait, in a thread, until who has started the server ends it or has ended."""
        assert self._owner_connection is not None
        try:
            self._owner_connection.recv_bytes()
        except (EOFError, OSError):
            if self._owner is not None:
                self._end_session(self._owner)
        else:
            log_info("manager received shutdown message")
        self.stop()
        if not self._stopped.wait(STOP_SECONDS):
            # The loop does not come back, from a method of a user perhaps that never ends.
            self._listener.close()
            os._exit(1)

    def _timer_was_set(self) -> None:
        """Another thread than the loop's may have set it for sooner than that knows of."""
        if threading.get_ident() != self._thread:
            self.wake()

    def wake(self) -> None:
        """Have the loop look at what has changed."""
        if self._intake is not None:
            self._intake.put(NOTHING)
            return
        with suppress(BlockingIOError):
            os.write(self._alarm, b"\0")

    def stop(self) -> None:
        """End serving. May be called by any thread, and again."""
        self._stopping = True
        self.wake()

    def _close(self) -> None:
        self._listener.close()
        for session in list(self._sessions.values()):
            self._end_session(session)
        self._stopped.set()
        end_idle_threads()
        for connection, _ in self._clients.values():
            connection.close()
        self._clients.clear()
        self._selector.close()
        os.close(self._alarm)
        os.close(self._awake)
        _arrivals.servers.pop(self.number, None)

    # Requests

    def _handle(self, message: Any) -> None:
        """Do what a message says. For any thread."""
        if type(message) is bytes:
            number, ident, serial, what = REQUEST.unpack_from(message, -REQUEST_BYTES)
        elif type(message) is Loaded:
            number, ident, serial, what = REQUEST.unpack(message.trailer)
        else:
            self._handle_companion(message)
            return
        link = self._links.get(number)
        if link is None:
            # Of a client that has ended meanwhile, or for the session as a whole.
            of_session = self._sessions.get(number)
            if of_session is None:
                return
            if what == RELEASE:
                self._release(of_session, message)
            elif what == ENDED:
                self._end_session(of_session)
            return
        session = link.session
        if what == CALL:
            session.calls += 1
            self._runner.call(link, ident, serial, message)
        elif what == ORDERED:
            session.calls += 1
            self._runner.ordered(link, ident, serial, message)
        elif what == BATCH:
            session.calls += 1
            self._runner.batch(link, serial, message)
        elif what == ABANDON:
            self._abandon(link, serial)
        elif what == UNLINK:
            self._unlink(link)

    def _handle_companion(self, message: Any) -> None:
        match message:
            case (what, session_number, number, owner, slot) if what == LINK:
                session = self._sessions.get(session_number)
                if session is not None and sys.platform != "win32" and self._desk is not None:
                    put = ReplyWriter(slot).put
                    link = Link(number, owner, session, put, may_block=False)
                    with state_lock:
                        link.place = self._desk.add(slot)
                    self._add_link(link)
            case (what, session_number, number, description, connection) if what == FORKED:
                parent = self._sessions.get(session_number)
                if parent is not None:
                    self._add_forked(parent, number, description, connection)

    def _add_link(self, link: Link) -> None:
        with state_lock:
            link.session.links[link.number] = link
            self._links[link.number] = link

    def _release(self, session: Session, message: bytes) -> None:
        for (ident,) in IDENT.iter_unpack(message[:-REQUEST_BYTES]):
            self._objects.release(ident, session)

    def _abandon(self, link: Link, serial: int) -> None:
        if link.place is not None:
            # The call may be in the slot still.
            message = self._desk.take_from(link.place)
            if message is not None:
                self._handle(message)
        with state_lock:
            call = link.calls.pop(serial, None)
            if call is not None and call.waiter is not None:
                call.waiter.leave()

    def _unlink(self, link: Link) -> None:
        with state_lock:
            self._links.pop(link.number, None)
            link.session.links.pop(link.number, None)
            link.spare = None  # it refers to the link
            if link.place is not None:
                self._desk.remove(link.place)

    # Clients

    def add_owner(self, number: int, connection: Connection[Any, Any]) -> None:
        """The process that has started the server is a client, and the server ends with it."""
        session = self._add_session(number, {"pid": os.getppid(), "name": "owner"})
        self._owner = session
        self._owner_connection = connection
        with _running.lock:
            _running.connections.add(connection)

    def _add_session(self, number: int, description: dict[str, Any]) -> Session:
        session = Session(number, description)
        with state_lock:
            self._sessions[number] = session
        return session

    def _watch(self, connection: Connection[Any, Any], session: Session) -> None:
        with _running.lock:
            descriptor = connection.fileno()
            self._clients[descriptor] = (connection, session)
            self._selector.register(descriptor, READ, None)

    def _forget_client(self, descriptor: int) -> None:
        with _running.lock:
            del self._clients[descriptor]
            self._selector.unregister(descriptor)

    def _add_forked(
        self,
        parent: Session,
        number: int,
        description: dict[str, Any],
        connection: Connection[Any, Any],
    ) -> None:
        """A client forks: the child has proxies to all that the parent has proxies to."""
        session = self._add_session(number, description)
        with state_lock:
            for ident, count in parent.references.items():
                self._objects.hold(ident, count)
                session.references[ident] = count
        self._watch(connection, session)

    def _accept(self) -> None:
        """Let clients in, in a thread of its own."""
        while not self._stopping:
            try:
                connection = self._listener.accept()
            except AuthenticationError:
                continue  # it has been told so
            except OSError:
                if not self._stopping:
                    time.sleep(CROWDED_SECONDS)
                continue
            run_aside(partial(self._greet, connection, self._listener.last_accepted))

    def _greet(self, connection: Connection[Any, Any], peer: object) -> None:
        """Find out what a client wants; serve it if it has no ring."""
        session = None
        try:
            if not connection.poll(HELLO_SECONDS):
                connection.close()
                return
            hello = connection.recv()
            session = self._session_of(hello, peer)
            ring = bool(hello["ring"] and self._intake is not None)
            connection.send(
                {
                    "server": self.number,
                    "address": self.address,
                    "intake": self._intake if ring else None,
                }
            )
        except Exception as error:  # noqa: BLE001 - whatever a stranger sends
            connection.close()
            if session is not None:
                self._greeted(session)
            if not isinstance(error, (EOFError, OSError)):
                log_warning("a client was turned away: %r", error)
            return
        if ring:
            self._watch(connection, session)
            with state_lock:
                session.expected -= 1
            self.wake()
        else:
            self._read(connection, session, hello["link"], hello["owner"])

    def _session_of(self, hello: dict[str, Any], peer: object) -> Session:
        """The session that a link is for that is being greeted."""
        number, description, ticket_number = (
            hello["session"],
            hello["description"],
            hello["ticket"],
        )
        with state_lock:
            session = self._sessions.get(number)
            if session is None:
                # An address is of the network; of other sockets there is nothing to tell.
                came_from = peer if isinstance(peer, tuple) else None
                session = self._add_session(number, {**description, "peer": came_from})
                ticket = self._tickets.pop(ticket_number, None)
                if ticket is not None:
                    ticket.session.tickets.discard(ticket)
                    self._objects.hand_over(ticket.idents, session)
            session.expected += 1
        return session

    def _greeted(self, session: Session) -> None:
        """One that was greeted has not come, or has gone; without others the session has ended."""
        with state_lock:
            session.expected -= 1
            if session.links or session.expected:
                return
        self._end_session(session)

    def _read(
        self, connection: Connection[Any, Any], session: Session, number: int, owner: int
    ) -> None:
        """Serve a client's connection until it ends."""

        def put(message: Any) -> None:
            try:
                send_message(connection, message)
            except OSError:
                connection.close()  # the reader finds out

        link = Link(number, owner, session, put, may_block=True)
        self._add_link(link)
        with _running.lock:
            _running.connections.add(connection)
        try:
            while True:
                self._handle(receive_message(connection))
        except (EOFError, OSError):
            connection.close()
        except Exception as error:  # noqa: BLE001 - of a message that is not ours
            connection.close()
            log_warning("a request could not be read: %r", error)
        finally:
            with _running.lock:
                _running.connections.discard(connection)
            self._unlink(link)
            self._cancel(link)
            self._greeted(session)

    def _cancel(self, link: Link) -> None:
        """Nobody waits for the calls of a link any more, because its client has ended."""
        with state_lock:
            calls = list(link.calls.values())
            link.calls.clear()
            for call in calls:
                waiter = call.waiter
                if waiter is not None:
                    waiter.leave()
                    if waiter.died is not None:
                        waiter.died()

    def _end_session(self, session: Session) -> None:
        """A client has ended."""
        with state_lock:
            if session.ended:
                return
            session.ended = True
            self._sessions.pop(session.number, None)
            self._control.past_calls += session.calls
            for link in list(session.links.values()):
                self._cancel(link)
                self._unlink(link)
            for lock in list(session.held):
                lock.holder_has_died()
            limit = time.monotonic() + TICKET_SECONDS
            for ticket in session.tickets:
                ticket.limit = limit
            references = list(session.references.items())
        for ident, count in references:
            self._objects.release(ident, session, count)

    def _void_old_tickets(self) -> None:
        now = time.monotonic()
        with state_lock:
            old = [t.number for t in self._tickets.values() if t.limit and t.limit <= now]
        for number in old:
            self._control.void(number)


class _Running:
    """The servers of this process, and the lock that keeps forks away while sockets come and go.

    A forked child closes what it has inherited, or clients would not notice the server's end.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.servers: list[Any] = []
        self.connections: set[Any] = set()

    def add_server(self, server: Server) -> None:
        """Have a forked child close what belongs to the server."""
        import weakref  # only here: clients do not need it

        if not self.servers:
            on_fork_in_child(self.close_inherited)
        self.servers.append(weakref.ref(server))

    def close_inherited(self) -> None:
        """In a forked child."""
        self.lock = threading.RLock()
        for reference in self.servers:
            server = reference()
            if server is not None:
                for connection, _ in server._clients.values():
                    connection.close()
        for connection in self.connections:
            connection.close()
        _arrivals.servers.clear()


_running = _Running()


def _pipe() -> tuple[int, int]:
    """What wakes the loop: the end to write to, and the one that is readable then."""
    if sys.platform == "win32":
        import socket

        reader, writer = socket.socketpair()
        reader.setblocking(False)
        return writer.detach(), reader.detach()
    else:
        end, start = os.pipe()
        os.set_blocking(end, False)
        os.set_blocking(start, False)
        return start, end
