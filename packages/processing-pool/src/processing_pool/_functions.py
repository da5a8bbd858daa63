"""Owns how calls are packed in the submitter's thread, and what is known of each function."""

from __future__ import annotations

import reprlib
import sys
from types import BuiltinFunctionType, FunctionType

assert sys.platform != "win32"

from processing_core import SerializationError
from processing_core.lowlevel import Packer, pack
from processing_pool import _wire as wire
from processing_pool._by_value import dumps_by_value, serialize
from processing_pool._context_values import InContext
from processing_pool._scheduler import Timing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

__all__ = ["Function", "Functions", "Whole"]

KEPT_FUNCTIONS = 1000
TEXT_LENGTH = 200
# The pickle of a call may be so long to travel with others.
BULK_BYTES = 8000

_ADVICE = (
    "; functions that cannot be imported, such as lambdas, need serializer='cloudpickle' "
    "(pip install cloudpickle)"
)


class Function:
    """A function as it travels: its pickle; whether workers may keep it; what it takes."""

    __slots__ = ("call", "chunk_timing", "data", "kept", "name", "timing")

    def __init__(self, data: bytes, name: str, *, kept: bool) -> None:
        self.data: bytes = data
        self.name: str = name
        self.kept: bool = kept
        self.timing: Timing = Timing()
        self.chunk_timing: Timing = Timing()
        # The function itself, if it does not travel.
        self.call: Callable[..., Any] | None = None

    def describe_call(self, payload: Any) -> str:
        """A call in words, cut to size."""
        try:
            if type(payload) is tuple:
                args, kwds = payload, {}
            elif type(payload) is bytes:
                # Only here: few pools have to describe a task.
                from processing_pool._showing import load_for_show

                args, kwds = load_for_show(payload)
            else:
                return f"{self.name}(...)"
            words = [_short(each) for each in args]
            words += [f"{name}={_short(value)}" for name, value in kwds.items()]
            return _cut(f"{self.name}({', '.join(words)})")
        except Exception:  # noqa: BLE001 - describing is not what is to fail
            return f"{self.name}(...)"

    def describe_item(self, items: Sequence[Any], index: int, chunk: int) -> str:
        """A task of a map in words, cut to size."""
        try:
            if chunk == 1:
                return _cut(f"{self.name}({_short(items[index])})")
            first, last = index * chunk, min((index + 1) * chunk, len(items)) - 1
            return _cut(f"{self.name}, items {first} to {last}, from {_short(items[first])} on")
        except Exception:  # noqa: BLE001 - describing is not what is to fail
            return f"{self.name}(...)"


class Functions:
    """The functions of a pool, and how it packs them and their arguments."""

    def __init__(self, serializer: str | None, *, propagate_context: bool = False) -> None:
        self._serializer = serializer
        self._propagate_context = propagate_context
        self._known: dict[Any, Function] = {}

    @property
    def pickler(self) -> Callable[[Any], bytes | Packer]:
        """What workers pickle their results with."""
        return serialize if self._serializer == "cloudpickle" else pack

    def find(self, function: Callable[..., Any]) -> Function:
        """The function, ready to travel.

        :raises SerializationError: when it cannot be pickled
        """
        kind = type(function)
        plain = not self._propagate_context and (
            kind is FunctionType or kind is BuiltinFunctionType
        )
        if plain:
            known = self._known.get(function)
            if known is not None:
                return known
        name = getattr(function, "__qualname__", None) or _short(function)
        if self._propagate_context:
            inside = InContext(function)
            inside.check(self.pack)
            function = inside
        try:
            if self._serializer == "cloudpickle":
                data = dumps_by_value(function)
                plain = False  # it may be sent with all that it refers to, which may change
            else:
                data = packed(function)
        except Exception as error:
            advice = "" if self._serializer else _ADVICE
            raise SerializationError(
                f"the function {_short(function)} cannot be pickled: {type(error).__name__}: "
                f"{error}{advice}"
            ) from error
        found = Function(data, name, kept=plain and kind is FunctionType)
        if plain:
            if len(self._known) >= KEPT_FUNCTIONS:
                self._known.clear()
            self._known[function] = found
        return found

    def pack_call(
        self, function: Function, args: Sequence[Any], kwds: Mapping[str, Any]
    ) -> tuple[Any, ...] | bytes | Packer | Whole:
        """The arguments of a call, ready to travel: as they are if they need no pickle.

        :raises SerializationError: when one cannot be pickled
        """
        args = tuple(args)
        if not kwds:
            for each in args:
                cls = type(each)
                if cls not in wire.SCALARS and not (
                    (cls is str or cls is bytes) and len(each) < wire.SHORT
                ):
                    break
            else:
                return args
        call = args, dict(kwds)
        try:
            data = self.pack(call)
        except Exception as error:
            raise SerializationError(
                f"{_culprit(args, kwds, self.pack)} of {function.name} cannot be pickled: "
                f"{type(error).__name__}: {error}"
            ) from error
        return data

    def pack(self, obj: Any) -> bytes | Packer | Whole:
        """Pickle an object. Whatever that raises is raised here."""
        data = serialize(obj) if self._serializer == "cloudpickle" else pack(obj)
        return Whole(data) if type(data) is bytes and len(data) > BULK_BYTES else data


class Whole:
    """A pickle that is too long to travel with others."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: bytes = data


def packed(obj: Any) -> bytes:
    """The pickle of an object that must not need more than that."""
    data = pack(obj)
    if isinstance(data, bytes):
        return data
    if data.descriptors:
        raise SerializationError(
            "it refers to an object with descriptors, such as a queue; pass that as an argument"
        )
    whole = Packer(out_of_band=False)
    whole.dump(obj)
    return b"".join(whole.pieces)


def _culprit(args: Sequence[Any], kwds: Mapping[str, Any], pack: Callable[[Any], object]) -> str:
    """Which argument cannot be pickled."""
    named = [*((f"argument {place}", each) for place, each in enumerate(args, 1))]
    named += [(f"argument {name!r}", each) for name, each in kwds.items()]
    for name, each in named:
        try:
            pack(each)
        except Exception:  # noqa: BLE001 - this is the one
            return f"{name}, of type {type(each).__name__},"
    return "an argument"


def _short(obj: Any) -> str:
    try:
        return _cut(_repr.repr(obj))
    except Exception:  # noqa: BLE001 - its repr is not what is to fail
        return f"<{type(obj).__name__}>"


def _cut(text: str) -> str:
    """The text, which ends in an ellipsis if it was too long."""
    return text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH - 1]}…"


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60
