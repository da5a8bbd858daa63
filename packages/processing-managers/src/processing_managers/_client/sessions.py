"""Owns sessions: what this process has of each server that it has proxies of.

A session ends with the last proxy and manager that use it. Each thread has a link of its own. A
forked child gets a session of its own before the fork, with references to all that its parent has
proxies of, so nothing is given up in between.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from contextlib import suppress

from processing_core import (
    AuthenticationError,
    MisuseError,
    Pipe,
    RemoteError,
    current_process,
)
from processing_core.connection import Client
from processing_core.lowlevel import on_fork
from processing_managers._client.links import ConnectionLink, Link, State
from processing_managers._wire import FORKED, IDENT, RELEASE, REQUEST, SERVER
from processing_managers.errors import ManagerLost

if sys.platform != "win32":
    from processing_managers._client.links import RingLink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ssl import SSLContext
    from typing import Any

    from processing_core import Connection

    if sys.platform == "win32":
        from typing import TypeAlias

        Intake: TypeAlias = Any  # there are none
    else:
        from processing_managers._slots import Intake

__all__ = [
    "Session",
    "known_session",
    "new_number",
    "pipe_for_server",
    "session_at",
    "session_with",
]


def new_number() -> int:
    """A number that nobody else has."""
    return int.from_bytes(os.urandom(8), "little")


def describe() -> dict[str, Any]:
    """What the server is told of this process."""
    return {"pid": os.getpid(), "name": current_process().name}


class _Lease:
    """A link of a thread, given up when the thread ends."""

    __slots__ = ("link", "pid", "session")

    def __init__(self, link: Link, session: Session) -> None:
        self.link = link
        self.pid = os.getpid()
        self.session = weakref.ref(session)

    def __del__(self) -> None:
        if self.pid != os.getpid() or sys.is_finalizing():
            return
        session = self.session()
        if session is None or not isinstance(self.link, ConnectionLink):
            self.link.close()
        else:
            session.rest(self.link)


class _Local(threading.local):
    link: Link | None = None
    lease: _Lease | None = None
    spare: tuple[Link, ...] = ()


class Session:
    """What a process has of a server; for all of its threads.

    :ivar address: where the server is
    :ivar authkey: its key
    :ivar proxytypes: the classes of proxies by type, as managers of this process know them
    """

    def __init__(
        self,
        state: State,
        address: Any,
        authkey: bytes,
        *,
        control: Connection[Any, Any] | None = None,
        intake: Intake | None = None,
        first: Connection[Any, Any] | None = None,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self.state: State = state
        self.address: Any = address
        self.authkey: bytes = authkey
        self.ssl_context: SSLContext | None = ssl_context
        self.proxytypes: dict[str, Any] = {}
        self._control = control
        self._intake = intake
        # Without rings: the connection that the session began with, until a thread takes it. Two
        # threads that pop at once do not get the same one.
        self._first = [] if first is None else [first]
        self._ticket: int | None = None
        # Without rings: the connection of the thread that has ended last. It stays open, since the
        # manager takes the end of all connections for that of the process.
        self._resting: Link | None = None
        # Of all threads: a forked child closes them.
        self._connections: weakref.WeakSet[Connection[Any, Any]] = weakref.WeakSet(self._first)
        self._local = _Local()
        self._forking: tuple[int, Connection[Any, Any]] | None = None
        _sessions.add(self)

    # Calls

    def call(
        self, ident: int, name: str, args: tuple[Any, ...] = (), kwds: dict[str, Any] | None = None
    ) -> Any:
        """Call a method of an object of the server. See Link.call."""
        link = self._local.link
        if link is None or link.busy:
            link = self.link()
        if self.state.releases:
            self.flush()
        return link.call(ident, name, args, kwds)

    def ask(self, name: str, /, *args: Any, **kwds: Any) -> Any:
        """Call a method of the server itself."""
        return self.call(SERVER, name, args, kwds)

    def link(self) -> Link:
        """The link of this thread, or another one while that is in use."""
        local = self._local
        if local.link is None:
            local.link = self._new_link(new_number())
            local.lease = _Lease(local.link, self)
            return local.link
        if not local.link.busy:
            return local.link
        # A signal handler, or an object that is collected, calls while a call waits.
        for link in local.spare:
            if not link.busy:
                return link
        link = self._new_link(local.link.owner)
        local.spare = (*local.spare, link)
        return link

    def _new_link(self, owner: int) -> Link:
        state = self.state
        state.check()
        if self._control is not None and self._intake is not None and sys.platform != "win32":
            return RingLink(state, new_number(), owner, self._intake, self._control)
        with suppress(IndexError):
            return ConnectionLink(state, *self._first_numbers, self._first.pop())
        number = new_number()
        try:
            connection = _connect(self.address, self.authkey, self.ssl_context)
            answer = _say_hello(
                connection, self.address, state.session, number, owner, self._ticket, rings=False
            )
        except OSError as error:
            raise state.lose(f"the manager cannot be reached any more: {error}") from error
        if answer["server"] != state.server:
            connection.close()
            raise state.lose("the manager has ended; another one is at its address now")
        self._ticket = None
        self._connections.add(connection)
        return ConnectionLink(state, number, owner, connection)

    _first_numbers: tuple[int, int] = (0, 0)

    def rest(self, link: Link) -> None:
        """The thread of a link with a connection has ended. For any moment."""
        resting, self._resting = self._resting, link
        if resting is not None:
            resting.close()

    # References

    def give_up(self, ident: int) -> None:
        """A proxy is gone. For any moment, the collection of garbage included."""
        self.state.releases.append(ident)
        try:
            self.flush()
        except (MisuseError, ManagerLost, OSError):
            return  # this thread is just sending something, or the server is gone

    def flush(self) -> None:
        """Tell the server what proxies gave up, unless nothing can be sent at this moment."""
        state = self.state
        if state.lost is not None:
            return
        if self._intake is not None:
            send: Callable[[bytes], None] = self._intake.put
        else:
            link = self._local.link
            if link is None or link.busy:
                return  # with the next call
            send = link.send
        releases = state.releases
        idents: list[int] = []
        try:
            while releases:
                idents.append(releases.popleft())
            if idents:
                trailer = REQUEST.pack(state.session, 0, 0, RELEASE)
                send(b"".join(map(IDENT.pack, idents)) + trailer)
        except IndexError:
            releases.extend(idents)  # another thread is at it, too
        except BaseException:  # Ctrl-C too: the server is told the next time
            releases.extend(idents)
            raise

    @property
    def alive(self) -> bool:
        """Whether the server can be reached, as far as that is known."""
        if self.state.lost is None and self._control is not None and self._control.poll(0):
            self.state.lose("the manager's process has ended")
        return self.state.lost is None

    def end(self, why: str) -> None:
        """The server has ended: waiting calls find out, later ones raise at once."""
        self.state.lose(why)
        self._control = self._intake = self._resting = None
        self._first.clear()
        self._local = _Local()

    # Forks

    def before_fork(self) -> None:
        """Have the server keep for a child what this process has proxies of."""
        if self.state.lost is not None:
            return
        if self._intake is not None:
            try:
                ours, theirs = Pipe()
            except OSError:
                return  # no descriptors left; the child is told when it calls
            number = new_number()
            description = {**describe(), "name": f"a child of {current_process().name}"}
            self._intake.put((FORKED, self.state.session, number, description, theirs))
            theirs.close()
            self._forking = (number, ours)
        else:
            try:
                self._forking = (self.ask("fork"), None)  # type: ignore[assignment]  # a ticket
            except (ManagerLost, RemoteError):
                return

    def after_fork_in_parent(self) -> None:
        """The child has its own."""
        forking, self._forking = self._forking, None
        if forking is not None and forking[1] is not None:
            forking[1].close()

    def after_fork_in_child(self) -> None:
        """Leave the parent's session alone and begin one's own."""
        forking, self._forking = self._forking, None
        self._local, self._resting = _Local(), None
        if self._control is not None:
            self._control.close()
        for connection in list(self._connections):
            connection.close()
        self._first.clear()
        state = self.state
        self.state = State(state.server, new_number())
        self.state.releases.extend(state.releases)
        self.state.lost = state.lost
        if state.lost is not None:
            return
        if forking is None:
            self.end("there was no session for this process when it was forked")
        elif self._intake is not None:
            self.state.session, self._control = forking
        else:
            self._ticket = forking[0]


class _Sessions:
    """The sessions of this process, and the fork hooks, which are installed with the first."""

    def __init__(self) -> None:
        # Held while sessions are made, and around forks.
        self.lock = threading.RLock()
        self._all: weakref.WeakValueDictionary[int, Session] = weakref.WeakValueDictionary()
        # Connections of servers that are just being started.
        self.starting: weakref.WeakSet[Any] = weakref.WeakSet()
        self._hooked = False
        self._at_fork: list[Session] = []

    def hook(self) -> None:
        """Have forks go well from now on."""
        with self.lock:
            if not self._hooked:
                self._hooked = True
                on_fork(self._before, self._after_in_parent, self._after_in_child)

    def add(self, session: Session) -> None:
        self.hook()
        self._all[session.state.server] = session

    def find(self, server: int) -> Session | None:
        return self._all.get(server)

    def get(self, server: int) -> Session | None:
        session = self._all.get(server)
        return session if session is not None and session.alive else None

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._all.values()))

    def _before(self) -> None:
        self.lock.acquire()
        self._at_fork = list(self)
        for session in self._at_fork:
            session.before_fork()

    def _after_in_parent(self) -> None:
        for session in self._at_fork:
            session.after_fork_in_parent()
        self._at_fork = []
        self.lock.release()

    def _after_in_child(self) -> None:
        self.lock = threading.RLock()
        for connection in list(self.starting):
            connection.close()
        for session in self._at_fork:
            session.after_fork_in_child()
        self._at_fork = []


_sessions = _Sessions()


def known_session(server: int) -> Session | None:
    """The session with a server, if there is one and the server lives."""
    return _sessions.get(server)


def session_with(server: int) -> Session | None:
    """As known_session(), whether the server lives or not."""
    return _sessions.find(server)


def pipe_for_server() -> tuple[Connection[Any, Any], Connection[Any, Any]]:
    """A pair of connections for a server that is to be started; forked children close the first."""
    _sessions.hook()
    with _sessions.lock:
        ours, theirs = Pipe()
        _sessions.starting.add(ours)
    return ours, theirs


def session_at(
    address: Any, authkey: bytes | str | None = None, ssl_context: SSLContext | None = None
) -> Session:
    """The session with the server at an address; begins one if there is none.

    :raises AuthenticationError: when the server has another key
    :raises OSError: when there is no server
    """
    key = current_process().authkey if authkey is None else authkey
    key = key.encode() if isinstance(key, str) else bytes(key)
    for session in _sessions:
        if session.address == address and session.authkey == key and session.alive:
            return session
    connection = _connect(address, key, ssl_context)
    number, link, owner = new_number(), new_number(), new_number()
    answer = _say_hello(connection, address, number, link, owner, rings=ssl_context is None)
    with _sessions.lock:
        known = _sessions.get(answer["server"])
        if known is not None:
            connection.close()  # another thread was faster, or it has several addresses
            return known
        state = State(answer["server"], number)
        if answer["intake"] is not None:
            return Session(state, address, key, control=connection, intake=answer["intake"])
        session = Session(state, address, key, first=connection, ssl_context=ssl_context)
        session._first_numbers = link, owner
        return session


def _connect(address: Any, authkey: bytes, ssl_context: SSLContext | None) -> Connection[Any, Any]:
    if not authkey:
        raise AuthenticationError(
            f"this process has no key for the manager at {address!r}; "
            "give it one by current_process().authkey"
        )
    return Client(address, authkey=authkey, ssl_context=ssl_context)


def _say_hello(
    connection: Connection[Any, Any],
    address: Any,
    session: int,
    link: int,
    owner: int,
    ticket: int | None = None,
    *,
    rings: bool = True,
) -> dict[str, Any]:
    """Tell the server who we are; returns what it answers."""
    # What processes share can be sent through sockets that have a path.
    ring = rings and sys.platform != "win32" and not isinstance(address, tuple)
    try:
        connection.send(
            {
                "session": session,
                "link": link,
                "owner": owner,
                "ring": ring,
                "ticket": ticket,
                "description": describe(),
            }
        )
        answer: dict[str, Any] = connection.recv()
    except (EOFError, OSError) as error:
        connection.close()
        raise ManagerLost(f"what answers at this address is not a manager: {error}") from error
    except BaseException:  # Ctrl-C too
        connection.close()
        raise
    return answer
