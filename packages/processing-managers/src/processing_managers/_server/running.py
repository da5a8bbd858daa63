"""Owns running calls: one by one, one after the other, and batches; and answering them."""

from __future__ import annotations

from collections import deque
from functools import partial

from processing_core import RemoteError
from processing_core.lowlevel import PROTOCOL, dumps, loads, pack_failure
from processing_managers._server.calls import PENDING, state_lock
from processing_managers._server.objects import ASIDE, INLINE, SERVED, Entry, Objects
from processing_managers._server.replies import SCALARS, Reference, Replies
from processing_managers._server.sessions import Link, RemoteCall, Timers
from processing_managers._server.threads import run_aside
from processing_managers._wire import (
    FAILURE,
    NONE,
    PICKLED,
    REPLY,
    VALUE,
    Loaded,
    read_body,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Done: TypeAlias = "Callable[[Any, BaseException | None], None]"

__all__ = ["Runner"]

# What a result may be to be sent as it is.
PLAIN = SCALARS | {type(None)}
# How much of a result is shown in the message that it cannot be sent.
MOST_SHOWN = 200


class Runner:
    """Runs the calls of a server; for any thread of it."""

    def __init__(self, objects: Objects, replies: Replies, timers: Timers) -> None:
        self._objects = objects
        self._replies = replies
        self._timers = timers

    def call(  # noqa: PLR0912 - the hot path is one function
        self, link: Link, ident: int, serial: int, message: bytes | Loaded
    ) -> None:
        """Run a call and answer it, now or later."""
        try:
            request = loads(message) if type(message) is bytes else read_body(message)
            entry = self._objects.get(ident)
            name = request[0]
            found = entry.methods.get(name)
            if found is None:
                found = entry.method(name)
            entry.calls += 1
            # The hot path: a short method, whose result is a copy.
            if found[1] == INLINE:
                if len(request) == 2:
                    value = found[0](*request[1])
                else:
                    value = found[0](*request[1], **request[2])
                if entry.registration.method_to_typeid:
                    value = self._referred(entry, name, value)
            elif found[1] == SERVED:
                # Most calls are answered at once, so one object does for many.
                call = link.spare or RemoteCall(link, self._timers)
                link.spare = None
                call.serial = serial
                call.done = partial(self._answer, link, serial)
                with state_lock:
                    if len(request) == 2:
                        value = found[0](call, *request[1])
                    else:
                        value = found[0](call, *request[1], **request[2])
                    if value is PENDING:
                        call.remember()
                        return
                link.spare = call
            else:
                entry.calls -= 1
                self._start(link, entry, request, serial, partial(self._answer, link, serial))
                return
        except BaseException as error:  # noqa: BLE001 - whatever a method raises is the caller's
            self._answer(link, serial, None, error)
            return
        if value is None:
            link.put(REPLY.pack(serial, NONE))
        elif type(value) in SCALARS:
            link.put(dumps(value, PROTOCOL) + REPLY.pack(serial, VALUE))
        else:
            self._answer(link, serial, value, None)

    def ordered(self, link: Link, ident: int, serial: int, message: bytes | Loaded) -> None:
        """As call(), but after the earlier ones of this kind from the link to the object.

        One that puts its answer off is passed by those that follow: it may wait for them.
        """

        def start() -> None:
            try:
                request = read_body(message)
                entry = self._objects.get(ident)
                aside = entry.method(request[0])[1] == ASIDE
            except BaseException as error:  # noqa: BLE001 - as above
                self._answer(link, serial, None, error)
                self._next_in_line(link, ident)
                return

            def done(value: Any, error: BaseException | None) -> None:
                self._answer(link, serial, value, error)
                if aside:
                    self._next_in_line(link, ident)

            self._start(link, entry, request, serial, done)
            if not aside:
                self._next_in_line(link, ident)

        with state_lock:
            line = link.queued.get(ident)
            if line is not None:
                line.append(start)
                return
            link.queued[ident] = deque()
        start()

    def _next_in_line(self, link: Link, ident: int) -> None:
        with state_lock:
            line = link.queued[ident]
            if not line:
                del link.queued[ident]
                return
            following = line.popleft()
        # Not from here: a long line of short calls would be as deep a recursion.
        run_aside(following)

    def batch(self, link: Link, serial: int, message: bytes | Loaded) -> None:
        """Run many calls one after the other."""
        try:
            calls = read_body(message)
        except BaseException as error:  # noqa: BLE001 - as above
            self._answer(link, serial, None, error)
            return
        _Batch(self, link, serial, calls).go_on()

    def _start(self, link: Link, entry: Entry, request: Any, serial: int, done: Done) -> None:
        """Run a call of any kind; ``done`` gets its outcome, now or later, in any thread."""
        name, args = request[0], request[1]
        kwds = request[2] if len(request) > 2 else {}
        try:
            method, how = entry.method(name)
        except BaseException as error:  # noqa: BLE001 - as above
            done(None, error)
            return
        entry.calls += 1
        if how == ASIDE:
            run_aside(lambda: self._run(entry, name, method, args, kwds, done))
        elif how == INLINE:
            self._run(entry, name, method, args, kwds, done)
        else:
            self._serve(link, method, args, kwds, serial, done)

    def _run(
        self,
        entry: Entry,
        name: str,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        kwds: dict[str, Any],
        done: Done,
    ) -> None:
        try:
            value = method(*args, **kwds)
            if entry.registration.method_to_typeid:
                value = self._referred(entry, name, value)
        except BaseException as error:  # noqa: BLE001 - as above
            done(None, error)
            return
        done(value, None)

    def _referred(self, entry: Entry, name: str, value: Any) -> Any:
        typeid = entry.registration.method_to_typeid.get(name)
        if typeid is None:
            return value
        return Reference(self._objects.add(value, self._objects.registered(typeid)))

    def _serve(
        self,
        link: Link,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        kwds: dict[str, Any],
        serial: int,
        done: Done,
    ) -> None:
        """Run a method that may put its answer off."""
        call = RemoteCall(link, self._timers)
        call.serial = serial
        call.done = done
        try:
            with state_lock:
                if link.session.ended:
                    return  # it would get a lock, or an item, that nobody gives back
                value = method(call, *args, **kwds)
                if value is PENDING:
                    call.remember()
                    return
        except BaseException as error:  # noqa: BLE001 - as above
            done(None, error)
            return
        done(value, None)

    def _answer(self, link: Link, serial: int, value: Any, error: BaseException | None) -> None:
        if error is None:
            try:
                status, body = self._replies.of_result(value, link.session)
            except BaseException as problem:  # noqa: BLE001 - pickling runs code of others
                status, body = FAILURE, pack_failure(unpicklable(value, problem))
        else:
            status, body = FAILURE, pack_failure(error)
        link.reply(serial, status, body)


def unpicklable(value: Any, problem: BaseException) -> RemoteError:
    """What is raised instead of returning something that cannot be sent."""
    try:
        shown = repr(value)
    except Exception as error:  # noqa: BLE001 - this one is not what is to be told
        shown = f"a {type(value).__name__}, whose repr raised {type(error).__name__}"
    if len(shown) > MOST_SHOWN:
        shown = f"{shown[:MOST_SHOWN]}..."
    result = RemoteError(
        f"the method was called, but its result cannot be sent: {shown}: "
        f"{type(problem).__name__}: {problem}"
    )
    result.__cause__ = problem
    return result


class _Batch:
    """A batch that is being run; in one thread at a time.

    ``_values`` are the results as far as they are plain, and ``_others`` the replies to those calls
    whose results are not, by their places.
    """

    def __init__(self, runner: Runner, link: Link, serial: int, calls: list[Any]) -> None:
        self._runner = runner
        self._link = link
        self._serial = serial
        self._calls = calls
        self._values: list[Any] = []
        self._others: dict[int, tuple[int, bytes]] = {}
        self._waiting = False

    def go_on(self) -> None:
        """Run those that are left, until one puts its answer off."""
        runner, link, values, calls = self._runner, self._link, self._values, self._calls
        # Of a series of calls, all have the same target, as one tuple.
        last: Any = None
        found: Any = None
        for index in range(len(values), len(calls)):
            call = calls[index]
            target, args = call[0], call[1]
            try:
                if target is not last:
                    entry = runner._objects.get(target[0])
                    found = entry, *entry.method(target[1])
                    last = target
                entry, method, how = found
                if how == INLINE:
                    entry.calls += 1
                    value = method(*args) if len(call) == 2 else method(*args, **call[2])
                    if type(value) in PLAIN:
                        values.append(value)
                        continue
                    if entry.registration.method_to_typeid:
                        value = runner._referred(entry, target[1], value)
                    self._add(value, None)
                    continue
            except BaseException as error:  # noqa: BLE001 - whatever a method raises is the caller's
                self._add(None, error)
                continue
            self._waiting = False
            runner._start(link, entry, (target[1], *call[1:]), self._serial, self._done)
            with state_lock:
                if len(values) == index:
                    self._waiting = True
                    return
        link.reply(self._serial, VALUE, dumps((values, self._others), PROTOCOL))

    def _done(self, value: Any, error: BaseException | None) -> None:
        """One that was not run in passing is done, perhaps before go_on() looks."""
        with state_lock:
            self._add(value, error)
            waiting, self._waiting = self._waiting, False
        if waiting:
            run_aside(self.go_on)

    def _add(self, value: Any, error: BaseException | None) -> None:
        """Add the outcome of a call."""
        place = len(self._values)
        if error is None and type(value) not in PLAIN:
            try:
                pickled = self._runner._replies.in_one_piece(value, self._link.session)
            except BaseException as problem:  # noqa: BLE001 - pickling runs code of others
                error = unpicklable(value, problem)
            else:
                self._others[place] = (PICKLED, pickled)
                value = None
        if error is not None:
            self._others[place] = (FAILURE, pack_failure(error))
            value = None
        self._values.append(value)
