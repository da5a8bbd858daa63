"""Owns what requests and replies look like, over rings and over connections alike.

A request is a header and a pickle. So is a reply. Both are ``bytes`` where that is possible. What
has descriptors or large buffers beside its pickle travels as a ``Loaded``, which is unpickled while
its message is, and keeps an exception that this raises: so a request or a reply that cannot be
unpickled is known by its header all the same, and its caller is told.
"""

from __future__ import annotations

from struct import Struct

from processing_core.lowlevel import Packer, PickleBuffer, loads, register_carrier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from processing_core import Connection

    # The number of the object and the name, the arguments, and keyword arguments if there are any.
    BatchedCall: TypeAlias = (
        tuple[tuple[int, str], tuple[Any, ...]]
        | tuple[tuple[int, str], tuple[Any, ...], dict[str, Any]]
    )

__all__ = [
    "ABANDON",
    "BATCH",
    "CALL",
    "ENDED",
    "FAILURE",
    "FORKED",
    "IDENT",
    "LINK",
    "NONE",
    "NOTHING",
    "ORDERED",
    "PICKLED",
    "RELEASE",
    "REPLY",
    "REQUEST",
    "SERVER",
    "UNLINK",
    "VALUE",
    "Loaded",
    "Shipment",
    "read_body",
    "receive_message",
    "send_message",
]

# At the end of a request, behind its pickle, which ends by itself: the link that it comes over, the
# object it is for, the number that its reply has, and what it is.
REQUEST = Struct("<QQIB")
# A call of a method: (name, arguments) or (name, arguments, keyword arguments).
CALL = 0
# As CALL, but not before the earlier ones of this kind from the link to the object are done.
ORDERED = 1
# Many calls, done one after the other, each a BatchedCall.
# The reply has a list of results, and in a dictionary those that are PICKLED or a FAILURE.
BATCH = 2
# The client has given up references: their numbers in a row; instead of the link the session is
# named. No reply.
RELEASE = 3
# The client does not wait for the reply to this number any more. No reply.
ABANDON = 4
# A thread of the client has ended, and its link with it. No reply.
UNLINK = 5
# Not bytes but tuples, for they carry descriptors.
# (LINK, session, link, owner, slot for replies): a thread of a client begins.
# (FORKED, session, new session, description, connection): a client forks.
LINK = 6
FORKED = 7
# What the server says to itself when it sees that a client has ended; instead of the link the
# session is named. What that has asked for comes before.
ENDED = 8
# A request that nobody makes: for no link.
NOTHING = REQUEST.pack(0, 0, 0, RELEASE)

# At the end of a reply: the number of the request and how it went.
REPLY = Struct("<IB")
VALUE = 0
NONE = 1
FAILURE = 2
# Only within the reply to a batch: a pickle of its own.
PICKLED = 3

# What pickles end with, as trailers do not.
PICKLE_END = b"."

IDENT = Struct("<Q")
# The number of the server itself among its objects.
SERVER = 0


class Shipment:
    """A message whose pickle has descriptors or large buffers beside it."""

    __slots__ = ("packer", "trailer")

    def __init__(self, packer: Packer, trailer: bytes) -> None:
        self.trailer: bytes = trailer
        self.packer: Packer = packer


class Loaded:
    """A shipment that has arrived: its trailer, and the object or the exception of unpickling."""

    __slots__ = ("error", "trailer", "value")

    def __init__(self, trailer: bytes, data: bytes, buffers: list[Any]) -> None:
        self.trailer: bytes = trailer
        self.value: Any = None
        self.error: Exception | None = None
        try:
            self.value = loads(data, buffers=buffers)
        except Exception as error:  # noqa: BLE001 - unpickling runs code of others
            self.error = error


def _ship(shipment: Shipment, outer: Packer) -> tuple[Any, ...]:
    inner = shipment.packer
    # The inner pickle knows its descriptors by their place, so they must be the first.
    assert not outer.descriptors
    outer.descriptors.extend(inner.descriptors)
    outer.cargo.extend(inner.cargo)
    outer.companions.update(inner.companions)
    buffers = [PickleBuffer(view) for view in inner.buffers]
    return Loaded, (shipment.trailer, b"".join(inner.pieces), buffers)


register_carrier(Shipment, _ship)


def read_body(message: bytes | Loaded) -> Any:
    """The object that came before the trailer. Raises what its unpickling raises."""
    if type(message) is bytes:
        return loads(message)
    assert isinstance(message, Loaded)
    if message.error is not None:
        raise message.error
    return message.value


def send_message(connection: Connection[Any, Any], message: bytes | Shipment) -> None:
    """Send a request or reply through a connection."""
    if type(message) is bytes:
        connection.send_bytes(message)
    else:
        connection.send(message)


def receive_message(connection: Connection[Any, Any]) -> Any:
    """Receive a request or reply from a connection; of a stranger it may be anything."""
    message = connection.recv_bytes()
    # A shipment is a pickle; all others end in their trailer, whose last byte is smaller.
    return loads(message) if message[-1:] == PICKLE_END else message
