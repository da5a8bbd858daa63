"""Owns the pickler: reducers for objects that need the library's help, buffers out of band."""

from __future__ import annotations

import os
from collections.abc import Callable

from processing_core._cpickle import PROTOCOL, Pickler
from processing_core._runtime import AuthKey
from processing_core._serialize.sockets import raw_socket, reduce_socket
from processing_core._serialize.transfer import is_starting_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pickle import PickleBuffer
    from typing import Any

__all__ = [
    "OUT_OF_BAND_BYTES",
    "Companion",
    "Packer",
    "register_carrier",
    "register_family_reducer",
    "register_reducer",
]

# A buffer of at least this size leaves the pickle: its own copy costs more than a few more words.
OUT_OF_BAND_BYTES = 32 * 1024

type_reducers: dict[type, Callable[..., Any]] = {}
type_carriers: dict[type, Callable[..., Any]] = {}
family_reducers: list[tuple[type, Callable[..., Any]]] = []


def register_reducer(cls: type, reduce: Callable[[Any], object]) -> None:
    """Have objects of exactly this class pickled by ``reduce`` on their way to other processes.

    ``reduce(obj)`` returns what ``object.__reduce__`` may return. Only the library's own pickling
    is affected, not ``pickle.dumps``.
    """
    if not callable(reduce):
        raise TypeError(f"a reducer must be callable, not {reduce!r}")
    type_reducers[cls] = reduce


def register_family_reducer(base: type, reduce: Callable[[Any], object]) -> None:
    """As register_reducer, for objects of all classes derived from ``base``.

    What has a reducer of its own is left to that. ``reduce`` may return NotImplemented.
    """
    family_reducers.append((base, reduce))


def register_carrier(cls: type, reduce: Callable[[Any, Packer], object]) -> None:
    """As register_reducer, for objects that hold descriptors: gives them to the packer."""
    type_carriers[cls] = reduce


class Companion:
    """A descriptor that lasts as long as the message that it is sent with, as one of the packer's
    companions.
    """

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class _Sink:
    """The file that a pickler writes to: keeps the pieces as they come, large objects uncopied."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write


def _buffer_taker(buffers: list[memoryview], cargo: list[object]) -> Callable[[PickleBuffer], bool]:
    """What a pickler gives buffers to.

    It refers to the lists and not to the packer: that would be a cycle, and the views with all the
    memory behind them would be kept until the next garbage collection.
    """

    def take_buffer(buffer: PickleBuffer) -> bool:
        """Tells the pickler whether the buffer stays in the pickle."""
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND_BYTES:
            return True
        buffers.append(view)
        cargo.append(view)
        return False

    return take_buffer


class Packer(Pickler):
    """Pickles into ``pieces``, with descriptors and large buffers beside the pickle.

    ``cargo`` is empty unless there are any, so that the common case is one look. Emptied of its
    pieces and memo a packer without cargo can be used again; one that raised must be dropped.
    """

    def __init__(self, *, out_of_band: bool = True) -> None:
        self.pieces: list[bytes] = []
        self.cargo: list[object] = []
        self.descriptors: list[int] = []
        self.buffers: list[memoryview] = []
        # What carriers keep for the message as a whole, by whatever they choose as key. It lives
        # until the packer goes, which must not be before the descriptors are sent.
        self.companions: dict[object, tuple[object, int]] = {}
        super().__init__(
            _Sink(self.pieces.append),
            PROTOCOL,
            buffer_callback=_buffer_taker(self.buffers, self.cargo) if out_of_band else None,
        )

    def attach(self, descriptor: int) -> int:
        """Send a descriptor along; returns the index by which the receiver takes it."""
        self.descriptors.append(descriptor)
        self.cargo.append(descriptor)
        return len(self.descriptors) - 1

    def reducer_override(self, obj: Any) -> Any:
        cls = type(obj)
        if cls in type_carriers:
            return type_carriers[cls](obj, self)
        if cls in type_reducers:
            return type_reducers[cls](obj)
        if isinstance(obj, raw_socket):
            return reduce_socket(obj, self.attach)
        for base, reduce in family_reducers:
            if isinstance(obj, base):
                return reduce(obj)
        return NotImplemented


def _reduce_authkey(key: AuthKey) -> tuple[object, ...]:
    return (AuthKey, (bytes(key),)) if is_starting_child() else key.__reduce__()


type_reducers[AuthKey] = _reduce_authkey
