"""Owns how a log record and a piece of output become bytes, and bytes become them again.

The bytes are those of ``marshal``: both sides are processes of one program, and reading them runs
no code. A record is one of two tuples. Most have the values that records of the same place in a
program have in common, as bytes that are made once, and then the others. The rest have all values
and a dictionary of what only they have. A piece of output is a tuple of the stream's number and the
text.
"""

from __future__ import annotations

import logging
import pickle
from marshal import dumps, loads
from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    KeyT = TypeVar("KeyT")
    ValueT = TypeVar("ValueT")

__all__ = [
    "KEYS",
    "PLACES",
    "are_plain",
    "decode",
    "encode",
    "encode_at",
    "encode_output",
    "place_of",
]

# Without references to earlier values, which cost more here than they save.
VERSION = 2

KEYS = tuple(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
ARGS = KEYS.index("args")
# What differs between records of the same place, and what does not.
OWN = ("msg", "args", "created", "msecs", "relativeCreated")
COMMON = tuple(key for key in KEYS if key not in OWN)
# How many places to remember. Some programs make code as they go.
PLACES = 1024
# What formatters add, each for itself.
ADDED = frozenset({"asctime", "message"})
# Whose copies are equal to them, and print alike. Subclasses may do otherwise.
PLAIN = frozenset({str, int, float, bool, bytes, complex, type(None)})

_own, _common = itemgetter(*OWN), itemgetter(*COMMON)
are_plain = PLAIN.issuperset
_count = len(KEYS)
_exceptions = logging.Formatter()
# What was sent of places: the common values, and their bytes. What came: the other way round.
_sent: dict[tuple[Any, ...], bytes] = {}
_received: dict[bytes, dict[str, Any]] = {}


def encode(record: logging.LogRecord) -> bytes:
    """A record as bytes. The record itself stays as it is.

    Arguments travel apart from the message if all are plain values; otherwise the message is
    formatted here. An exception becomes text.
    """
    state = record.__dict__
    args = record.args
    if (
        (not args or (type(args) is tuple and are_plain(map(type, args))))
        and len(state) == _count
        and record.exc_info is None
        and state.get("stack_info") is None
        and type(record.msg) is str
        # True would be taken for 1.
        and type(state.get("levelno")) is type(state.get("lineno")) is int
    ):
        try:
            common = _common(state)
            place = _sent.get(common)
            if place is None:
                place = _remember(_sent, common, dumps(common, VERSION))
            return dumps((place, *_own(state)), VERSION)
        except (KeyError, TypeError, ValueError):
            pass  # a value is missing or of another type than usual
    return _encode_slowly(record)


def place_of(record: logging.LogRecord) -> bytes:
    """What a record has in common with all others of its place in the program, as bytes."""
    return dumps(_common(record.__dict__), VERSION)


def encode_at(
    place: bytes,
    msg: str,
    args: tuple[Any, ...],
    created: float,
    msecs: float,
    relative_created: float,
) -> bytes:
    """A record of a place as bytes. The arguments are plain values."""
    return dumps((place, msg, args, created, msecs, relative_created), VERSION)


def _remember(known: dict[KeyT, ValueT], key: KeyT, value: ValueT) -> ValueT:
    if len(known) >= PLACES:
        known.clear()
    known[key] = value
    return value


def _encode_slowly(record: logging.LogRecord) -> bytes:
    state = dict(record.__dict__)
    args = record.args
    if type(record.msg) is not str or (
        args and not (type(args) is tuple and are_plain(map(type, args)))
    ):
        state["msg"], args = str(record.getMessage()), None
    if state["exc_info"]:
        if not state["exc_text"]:
            state["exc_text"] = _exceptions.formatException(state["exc_info"])
        state["exc_info"] = None
    state["args"] = None
    values: list[Any] = [_plain(state.pop(key, None)) for key in KEYS]
    values[ARGS] = args or None
    extra = {str(key): _packed(state[key]) for key in state if key not in ADDED}
    return dumps((*values, extra), VERSION)


def _plain(value: object) -> object:
    return value if type(value) in PLAIN else str(value)


def _packed(value: object) -> tuple[Any, ...]:
    """A plain value, or a pickle if there is one, and the text in its place if not."""
    if type(value) in PLAIN:
        return (value,)
    text = repr(value)
    try:
        return pickle.dumps(value), text
    except Exception:  # noqa: BLE001 - the user's code: the text is there in any case
        return None, text


def _unpacked(packed: tuple[Any, ...]) -> object:
    if len(packed) == 1:
        return packed[0]
    data, text = packed
    if data is None:
        return text
    try:
        return pickle.loads(data)
    except Exception:  # noqa: BLE001 - the user's code, or a class that only the sender has
        return text


def encode_output(stream: int, text: str) -> bytes:
    """Text that a process has written to stdout (1) or stderr (2)."""
    return dumps((stream, text), VERSION)


def decode(data: bytes) -> logging.LogRecord | tuple[int, str]:
    """What the bytes stand for: a record, or a stream's number and text."""
    values = loads(data)  # noqa: S302 - what our own children send
    if len(values) == 2:
        return values  # type: ignore[no-any-return]
    record = object.__new__(logging.LogRecord)
    if len(values) == len(OWN) + 1:
        place = values[0]
        known = _received.get(place)
        if known is None:
            common = dict(zip(COMMON, loads(place), strict=True))  # noqa: S302 - as above
            known = _remember(_received, place, {key: common.get(key) for key in KEYS})
        state = record.__dict__ = known.copy()
        _, state["msg"], state["args"], state["created"], state["msecs"], last = values
        state["relativeCreated"] = last
        return record
    state = record.__dict__ = dict(zip(KEYS, values))  # noqa: B905 - the last one is extra
    state.update({key: _unpacked(value) for key, value in values[-1].items()})
    return record
