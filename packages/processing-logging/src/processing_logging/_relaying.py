"""Owns what this process has to do with relayed records: which it receives, which it sends."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass, field

assert sys.platform != "win32"

from processing_core.lowlevel import at_exit
from processing_logging._listener import EXIT_PRIORITY, Listener
from processing_logging._route import Route
from processing_logging._source import RelayHandler, capture, finish, release
from processing_logging._tree import Level, adopt, lead_to, levels, restore

__all__ = ["Passed", "Relaying"]


@dataclass
class Passed:
    """What children are given: the ways that records go, and the levels; the way of the output."""

    routes: dict[str, tuple[Route, list[Level]]]
    output: Route | None


@dataclass
class Relaying:
    """The state of one process."""

    listener: Listener | None = None
    received: set[str] = field(default_factory=set)
    """The names of loggers whose records come from children to the handlers here."""

    receives_output: bool = False
    sent: dict[str, Route] = field(default_factory=dict)
    """The names of loggers whose records go to another process, with the way."""

    output: Route | None = None
    """The way of what this process writes."""

    def receive(self, name: str, *, records: bool, output: bool) -> None:
        """Have the records of a logger, and the output, of all children from now on come here."""
        if records or output:
            if self.listener is None:
                self.listener = Listener(self._after_fork)
            if output:
                self.listener.add_outputs()
                self.receives_output = True
        self.received.discard(name)
        if records:
            self.received.add(name)

    def send_no_more(self, name: str) -> None:
        """A logger that sent its records has handlers here again."""
        if self.sent.pop(name, None) is not None:
            restore(name, RelayHandler)

    def flush(self) -> None:
        """Return when everything has been handled that children have sent before."""
        if self.listener is not None:
            self.listener.flush()

    def stop(self) -> None:
        """Receive and send no more."""
        listener, self.listener = self.listener, None
        self.received.clear()
        self.receives_output = False
        if listener is not None:
            listener.close()
        for name in list(self.sent):
            self.send_no_more(name)
        if self.output is not None:
            self.output = None
            release()

    def passed(self, names: Collection[str]) -> Passed:
        """What a child that is started now is given."""
        routes = dict(self.sent)
        output = self.output
        if self.listener is not None:
            routes |= dict.fromkeys(self.received, self.listener.route)
            if self.receives_output:
                output = self.listener.route
        return Passed({name: (way, levels(name, names)) for name, way in routes.items()}, output)

    def take(self, passed: Passed, names: Collection[str]) -> None:
        """In a child that was not forked: send what the parent wants to have."""
        # The main module may have enabled it on its own, without looking where it runs.
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.close()
        self.received.clear()
        for name, (route, known) in passed.routes.items():
            adopt(known)
            self._send(name, route, names)

    def take_output(self, passed: Passed) -> None:
        """In every child: send what it writes."""
        if passed.output is not None:
            self.output = passed.output
            capture(passed.output)
            at_exit(finish, priority=EXIT_PRIORITY)

    def _send(self, name: str, route: Route, names: Collection[str]) -> None:
        self.sent[name] = route
        lead_to(RelayHandler(route), name, names)

    def _after_fork(self, listener: Listener) -> None:
        """In a forked child: what came here from children goes there now."""
        received, self.received = self.received, set()
        names = {*self.sent, *received}
        for name in received:
            self._send(name, listener.route, names)
        if self.receives_output:
            self.receives_output = False
            self.output = listener.route
        self.listener = None
