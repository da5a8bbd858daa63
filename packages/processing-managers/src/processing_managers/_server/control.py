"""Owns what clients ask of the server itself: object number SERVER among its objects."""

from __future__ import annotations

import os
import time

from processing_managers._server.calls import PENDING, Call, served, state_lock
from processing_managers._server.containers import plain
from processing_managers._server.objects import Objects
from processing_managers._server.replies import Copy, Reference
from processing_managers._server.sessions import Ticket, new_number
from processing_managers._server.threads import busy_threads, run_aside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_managers._info import ClientInfo, ManagerInfo, TypeFigures
    from processing_managers._registry import Registration
    from processing_managers._server.sessions import Session

__all__ = ["CONTROL_METHODS", "Control"]

# What clients may call.
CONTROL_METHODS = (
    "claim",
    "create",
    "debug_info",
    "fork",
    "info",
    "methods",
    "number_of_objects",
    "ping",
    "shutdown",
    "ticket",
    "value",
)


class Control:
    """Makes objects, gives tickets, tells about the server, and ends it."""

    def __init__(
        self,
        objects: Objects,
        sessions: dict[int, Session],
        tickets: dict[int, Ticket],
        stop: Callable[[], None],
        address: Any,
    ) -> None:
        self._objects = objects
        self._sessions = sessions
        self._tickets = tickets
        self._stop = stop
        self._address = address
        self._since = time.time()
        self._began = time.monotonic()
        # How many requests there were of clients that are gone.
        self.past_calls = 0

    @served
    def create(self, call: Call, typeid: str, /, *args: Any, **kwds: Any) -> object:
        """Make an object of a type; a proxy to it."""
        registration = self._objects.registered(typeid)
        if registration.blocking is not True:
            return self._make(registration, args, kwds)

        def make() -> None:
            try:
                made = self._make(registration, args, kwds)
            except BaseException as error:  # noqa: BLE001 - whatever the callable raises
                call.fail(error)
            else:
                call.finish(made)

        run_aside(make)
        return PENDING

    def _make(
        self, registration: Registration, args: tuple[Any, ...], kwds: dict[str, Any]
    ) -> Reference:
        obj = self._objects.make(registration, args, kwds)
        return Reference(self._objects.add(obj, registration))

    @served
    def value(self, call: Call, ident: int) -> object:
        """A copy of an object."""
        del call
        return Copy(plain(self._objects.get(ident).obj))

    @served
    def methods(self, call: Call, ident: int) -> tuple[str, ...]:
        """The methods of an object that proxies may call."""
        del call
        return self._objects.get(ident).exposed

    # References on their way

    @served
    def ticket(self, call: Call, ident: int) -> int:
        """Hold an object for who comes with the number that is returned."""
        self._objects.hold(ident)
        return self.new_ticket(call.session, {ident: 1}).number

    def new_ticket(self, session: Session, idents: dict[int, int]) -> Ticket:
        """A ticket for references that are held already."""
        ticket = Ticket(new_number(), idents, session)
        with state_lock:
            self._tickets[ticket.number] = ticket
            session.tickets.add(ticket)
        return ticket

    @served
    def claim(self, call: Call, ident: int, number: int) -> None:
        """Refer to an object, by a ticket where it is good for one.

        :raises ReferentGoneError: when the ticket is void and nobody else refers to the object
        """
        entry = self._objects.get(ident)
        self._objects.refer(entry, call.session)
        self.void(number)

    def void(self, number: int) -> None:
        """A ticket is not needed any more, or never was."""
        with state_lock:
            ticket = self._tickets.pop(number, None)
            if ticket is None:
                return
            ticket.session.tickets.discard(ticket)
        for ident, count in ticket.idents.items():
            self._objects.drop(ident, count)

    @served
    def fork(self, call: Call) -> int:
        """Hold all that the session refers to for a process that it forks."""
        session = call.session
        idents = dict(session.references)
        for ident, count in idents.items():
            self._objects.hold(ident, count)
        return self.new_ticket(session, idents).number

    # About the server

    @served
    def ping(self, call: Call) -> None:
        """Nothing."""

    @served
    def number_of_objects(self, call: Call) -> int:
        """How many objects there are."""
        del call
        return len(self._objects.entries())

    @served
    def debug_info(self, call: Call) -> str:
        """A line for each object: its number, how many references there are, and what it is."""
        del call
        lines = []
        for entry in sorted(self._objects.entries(), key=lambda one: one.ident):
            try:
                shown = str(entry.obj)[:75]
            except Exception as error:  # noqa: BLE001 - of somebody's __str__
                shown = f"<its __str__ raised {type(error).__name__}>"
            lines.append(f"  {entry.ident:x}:       refcount={entry.references}\n    {shown}")
        return "\n".join(lines)

    @served
    def info(self, call: Call) -> ManagerInfo:
        """What ``inspect`` shows."""
        sessions = list(self._sessions.values())
        return {
            "pid": os.getpid(),
            "address": self._address,
            "since": self._since,
            "now": time.time(),
            "uptime": time.monotonic() - self._began,
            "types": self._types(),
            "registered": sorted(self._objects.registry),
            "clients": [_client(session, call) for session in sessions],
            "calls": self.past_calls + sum(session.calls for session in sessions),
            "tickets": len(self._tickets),
            "threads": busy_threads(),
        }

    def _types(self) -> dict[str, TypeFigures]:
        # Calls are counted without a lock, so one of many at the same moment may be missed.
        types = {typeid: (0, 0, calls) for typeid, calls in self._objects.past_calls.items()}
        for entry in self._objects.entries():
            objects, references, calls = types.get(entry.registration.typeid, (0, 0, 0))
            types[entry.registration.typeid] = (
                objects + 1,
                references + entry.references,
                calls + entry.calls,
            )
        return types

    @served
    def shutdown(self, call: Call) -> None:
        """End the server."""
        del call
        self._stop()


def _client(session: Session, call: Call) -> ClientInfo:
    return {
        "number": session.number,
        "pid": session.description["pid"],
        "name": session.description["name"],
        "peer": session.description.get("peer"),
        "asks": session is call.session,
        "links": len(session.links),
        "references": sum(session.references.values()),
        "locks": len(session.held),
        "calls": session.calls,
        "since": session.since,
    }
