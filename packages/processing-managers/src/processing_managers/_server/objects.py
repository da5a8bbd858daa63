"""Owns the objects that the server holds: their numbers, their methods, who refers to them."""

from __future__ import annotations

import os
import weakref
from inspect import getattr_static
from types import BuiltinFunctionType, FunctionType, ModuleType

from processing_core import InvalidArgument
from processing_managers._registry import Registration, public_methods
from processing_managers._server.calls import served, state_lock
from processing_managers._wire import SERVER
from processing_managers.errors import NotExposedError, ReferentGoneError, UnknownTypeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_managers._server.sessions import Session

__all__ = ["ASIDE", "INLINE", "SERVED", "Entry", "Objects"]

# How a method is done: at once; at once, with the call as its first argument and the state lock
# held; by a thread.
INLINE, SERVED, ASIDE = 0, 1, 2
# What exists once in a process: a copy in another is the same, so these are never known again.
PLAIN_TYPES = (type, ModuleType, FunctionType, BuiltinFunctionType)


class Entry:
    """An object, its number and its type; ``references`` counts proxies and tickets."""

    __slots__ = ("calls", "exposed", "ident", "methods", "obj", "references", "registration")

    def __init__(self, ident: int, obj: Any, registration: Registration) -> None:
        self.ident = ident
        self.obj = obj
        self.registration = registration
        self.references = 0
        self.calls = 0
        exposed = registration.exposed
        self.exposed = public_methods(obj) if exposed is None else exposed
        # Those that were called before, and how they are done.
        self.methods: dict[str, tuple[Callable[..., Any], int]] = {}

    def method(self, name: str) -> tuple[Callable[..., Any], int]:
        """A method, and how it is done.

        :raises NotExposedError: when proxies may not call it
        """
        found = self.methods.get(name)
        if found is not None:
            return found
        if name not in self.exposed:
            found = self._for_everybody(name)
        else:
            static = getattr_static(self.obj, name, None)
            if isinstance(static, served):
                found = (static.function.__get__(self.obj), SERVED)
            else:
                how = ASIDE if self.registration.may_block(name) else INLINE
                found = (getattr(self.obj, name), how)
        self.methods[name] = found
        return found

    def _for_everybody(self, name: str) -> tuple[Callable[..., Any], int]:
        how = ASIDE if self.registration.may_block(name) else INLINE
        if name == "#STR":
            return (lambda: str(self.obj)), how
        if name == "#REPR":
            return (lambda: repr(self.obj)), how
        raise NotExposedError(
            f"the method {name!r} of {self.registration.typeid!r} objects is not exposed; "
            f"exposed are: {', '.join(self.exposed) or 'none'}"
        )


class Objects:
    """All objects of a server. For any thread of it."""

    def __init__(self, registry: dict[str, Registration]) -> None:
        self.registry = registry
        # Numbers of another server, or of an earlier one at the same address, are never ours.
        self._next = int.from_bytes(os.urandom(7), "little") << 6 | 1
        self._entries: dict[int, Entry] = {}
        self._by_id: dict[int, Entry] = {}
        # What nobody refers to any more and somebody still has, in a container perhaps: when it is
        # met again it is the same.
        self._asleep: dict[int, tuple[Any, Registration]] = {}
        # How many calls there were of objects that are given up, by their types.
        self.past_calls: dict[str, int] = {}
        # Types of objects that are made otherwise than by name.
        self._kinds: dict[type, Registration] = {}

    def know_kind(self, cls: type, registration: Registration) -> None:
        """Have objects of exactly this class known when they are met."""
        self._kinds[cls] = registration

    def add(self, obj: Any, registration: Registration) -> Entry:
        """Give an object a number, unless it has one."""
        with state_lock:
            entry = self._by_id.get(id(obj))
            if entry is not None and entry.registration is registration:
                return entry
            entry = Entry(self._next, obj, registration)
            self._next += 1
            self._enter(entry)
            return entry

    def _enter(self, entry: Entry) -> None:
        """Have an object found by its number, and by itself."""
        self._entries[entry.ident] = entry
        if not isinstance(entry.obj, PLAIN_TYPES):
            self._by_id[id(entry.obj)] = entry
            self._asleep.pop(id(entry.obj), None)

    def get(self, ident: int) -> Entry:
        """The entry of a number. :raises ReferentGoneError: when there is none"""
        try:
            return self._entries[ident]
        except KeyError:
            raise ReferentGoneError(
                f"there is no object {ident:x} here: nobody referred to it any more, "
                "or it belongs to another manager"
            ) from None

    def known(self, obj: Any) -> Entry | None:
        """The entry of an object that is to be passed by reference; None for all others."""
        entry = self._by_id.get(id(obj))
        if entry is not None:
            return entry
        registration = self._kinds.get(type(obj))
        if registration is not None:
            return self.add(obj, registration)
        sleeping = self._asleep.get(id(obj))
        if sleeping is not None and sleeping[0]() is obj:
            return self.add(obj, sleeping[1])
        return None

    def registered(self, typeid: str) -> Registration:
        """What is known of a type. :raises UnknownTypeError: nothing"""
        try:
            return self.registry[typeid]
        except (KeyError, TypeError):
            if typeid == "Pool" and "Queue" in self.registry:
                # Only here: pools are another distribution's, and dear to look for.
                from processing_managers._server.pools import pool_registry

                self.registry.update(pool_registry())
                return self.registry[typeid]
            raise UnknownTypeError(
                f"no type {typeid!r} is registered with this manager; "
                f"registered are: {', '.join(sorted(self.registry))}"
            ) from None

    def make(self, registration: Registration, args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
        """A new object of a type."""
        if registration.make is None:
            if kwds or len(args) != 1:
                raise InvalidArgument(
                    f"{registration.typeid!r} has no callable, so it takes one object and no more"
                )
            return args[0]
        return registration.make(*args, **kwds)

    def refer(self, entry: Entry, session: Session, count: int = 1) -> None:
        """A session has got proxies to an object; one that has ended gives them up at once."""
        with state_lock:
            if self._entries.get(entry.ident) is not entry:
                # The last proxy was given up while the reply was made: it goes on as it was.
                self._enter(entry)
            entry.references += count
            if not session.ended:
                session.references[entry.ident] = session.references.get(entry.ident, 0) + count
                return
            given_up = self._drop(entry.ident, count)
        del given_up  # as in release()

    def release(self, ident: int, session: Session, count: int = 1) -> None:
        """A session has given proxies up; more than it had are ignored."""
        with state_lock:
            had = session.references.get(ident, 0)
            count = min(count, had)
            if count == 0:
                return
            if had == count:
                del session.references[ident]
            else:
                session.references[ident] = had - count
            ended = self._drop(ident, count)
        del ended  # without the lock: the end of an object may run anything

    def hold(self, ident: int, count: int = 1) -> None:
        """Refer to an object without a session, as a ticket does."""
        with state_lock:
            self.get(ident).references += count

    def hand_over(self, idents: dict[int, int], session: Session) -> None:
        """References of a ticket become those of a session."""
        with state_lock:
            for ident, count in idents.items():
                session.references[ident] = session.references.get(ident, 0) + count

    def add_at(self, ident: int, obj: Any, registration: Registration) -> None:
        """Add what has a number of its own and never goes."""
        entry = self._entries[ident] = Entry(ident, obj, registration)
        entry.references = 1

    def drop(self, ident: int, count: int = 1) -> None:
        """The opposite of ``hold``; when it was the last reference the object is given up."""
        with state_lock:
            ended = self._drop(ident, count)
        del ended  # as above

    def _drop(self, ident: int, count: int) -> Any:
        """Returns what the caller has to drop when it has released the lock."""
        entry = self._entries[ident]
        entry.references -= count
        if entry.references > 0:
            return None
        del self._entries[ident]
        if entry.calls:
            typeid = entry.registration.typeid
            self.past_calls[typeid] = self.past_calls.get(typeid, 0) + entry.calls
        if self._by_id.get(id(entry.obj)) is entry:
            del self._by_id[id(entry.obj)]
            self._let_sleep(entry.obj, entry.registration)
        return entry

    def _let_sleep(self, obj: Any, registration: Registration) -> None:
        if type(obj) in self._kinds:
            return
        key, asleep = id(obj), self._asleep
        try:
            asleep[key] = (weakref.ref(obj, lambda _: asleep.pop(key, None)), registration)
        except TypeError:
            return  # it cannot be referred to weakly, so copies of it will have to do

    def entries(self) -> list[Entry]:
        """All of them but the server's own."""
        with state_lock:
            return [entry for ident, entry in self._entries.items() if ident != SERVER]
