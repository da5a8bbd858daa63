"""Owns how results become replies: what is a copy, and what is a proxy to something here."""

from __future__ import annotations

from processing_core import SerializationError
from processing_core.lowlevel import PROTOCOL, Packer, dumps
from processing_managers._arrivals import arrive
from processing_managers._server.objects import Entry, Objects
from processing_managers._wire import NONE, VALUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from processing_managers._server.sessions import Session

    Reply: TypeAlias = "tuple[int, bytes | Packer]"

__all__ = ["SCALARS", "Copy", "Reference", "Replies"]

# Results of these types need no help. A text may be any: it has no parts.
SCALARS = frozenset((int, float, bool, complex, str, bytes))
VIEWS: Any = (type({}.keys()), type({}.values()), type({}.items()))
# A packer that has made a longer pickle is not used again: its table of objects may have grown.
KEPT_PICKLE_BYTES = 4096


class Reference:
    """Stands for an object that a reply is to have a proxy of."""

    __slots__ = ("entry",)

    def __init__(self, entry: Entry) -> None:
        self.entry = entry


class Copy:
    """Stands for a copy of an object that is otherwise passed by reference."""

    __slots__ = ("obj",)

    def __init__(self, obj: Any) -> None:
        self.obj = obj


class ReplyPacker(Packer):
    """Pickles a result for a session."""

    def __init__(self, replies: Replies, *, out_of_band: bool = True) -> None:
        super().__init__(out_of_band=out_of_band)
        self._replies = replies
        self.session: Session | None = None
        # What is copied although it is known: the whole that somebody wants the value of.
        self.copied: object = None
        self.made: list[Entry] = []

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Reference:
            return self._refer(obj.entry)
        if obj is not self.copied:
            entry = self._replies.objects.known(obj)
            if entry is not None:
                return self._refer(entry)
        if isinstance(obj, VIEWS):
            return list, (list(obj),)
        return super().reducer_override(obj)

    def _refer(self, entry: Entry) -> tuple[Any, ...]:
        session = self.session
        assert session is not None
        self._replies.objects.refer(entry, session)
        self.made.append(entry)
        registration = entry.registration
        exposed = entry.exposed if registration.proxytype is None else None
        return arrive, (self._replies.server, registration.typeid, entry.ident, exposed)


class Replies:
    """Makes replies, for any thread of the server."""

    def __init__(self, objects: Objects, server: int) -> None:
        self.objects = objects
        self.server = server
        self._idle: list[ReplyPacker] = []

    def of_result(self, value: Any, session: Session) -> Reply:
        """As of_value(), but an iterator that cannot be pickled becomes a reference to itself."""
        try:
            return self.of_value(value, session)
        except Exception:
            if not hasattr(value, "__next__"):
                raise
            registration = self.objects.registered("iter")
            return self.of_value(Reference(self.objects.add(value, registration)), session)

    def of_value(self, value: Any, session: Session) -> Reply:
        """The reply that gives a value. Raises what the pickling raises; nothing is referred to
        then.
        """
        if value is None:
            return NONE, b""
        cls = type(value)
        if cls in SCALARS:
            return VALUE, dumps(value, PROTOCOL)
        try:
            packer = self._idle.pop()
        except IndexError:
            packer = ReplyPacker(self)
        self._pack(packer, value, session)
        if len(packer.pieces) != 1 or packer.cargo:
            return VALUE, packer
        data = packer.pieces.pop()
        packer.clear_memo()
        if len(data) <= KEPT_PICKLE_BYTES:
            self._idle.append(packer)
        return VALUE, data

    def in_one_piece(self, value: Any, session: Session) -> bytes:
        """The pickle of a result, which may not have descriptors."""
        packer = ReplyPacker(self, out_of_band=False)
        try:
            self._pack(packer, value, session)
        except Exception:
            if not hasattr(value, "__next__"):
                raise
            entry = self.objects.add(value, self.objects.registered("iter"))
            return self.in_one_piece(Reference(entry), session)
        if packer.descriptors:
            raise SerializationError("what has descriptors cannot be a result within a batch")
        return b"".join(packer.pieces)

    def _pack(self, packer: ReplyPacker, value: Any, session: Session) -> None:
        packer.session = session
        if type(value) is Copy:
            value = packer.copied = value.obj
        try:
            packer.dump(value)
        except BaseException:
            for entry in packer.made:
                self.objects.release(entry.ident, session)
            raise
        packer.made.clear()
        packer.session = packer.copied = None
