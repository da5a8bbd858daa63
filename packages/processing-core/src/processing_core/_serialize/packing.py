"""Owns packing small objects at speed: pickles of one piece, by packers that are used again."""

from __future__ import annotations

from processing_core._cpickle import PROTOCOL, dumps
from processing_core._serialize.packer import Packer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["LEAF_LENGTH", "SCALARS", "pack"]

# Objects of these types pickle without help, the fastest way; texts and bytes up to this length.
SCALARS = frozenset((int, float, bool, complex, type(None)))
LEAF_LENGTH = 16_000
# A packer that has made a longer pickle is not used again: its table of objects may have grown.
KEPT_PICKLE_BYTES = 4096

# Packers that are not at work, each with its methods at hand. list.pop and list.append are atomic,
# so threads, signal handlers and reducers that send messages themselves never share a packer.
_idle: list[Any] = []


def pack(obj: Any) -> bytes | Packer:
    """The pickle of an object; the packer itself if there is more than one piece, or cargo.

    Whatever the pickling raises is raised here.
    """
    cls = type(obj)
    if cls in SCALARS or ((cls is bytes or cls is str) and len(obj) <= LEAF_LENGTH):
        pickled: bytes = dumps(obj, PROTOCOL)
        return pickled
    try:
        entry = _idle.pop()
    except IndexError:
        packer = Packer()
        entry = packer, packer.dump, packer.pieces, packer.cargo, packer.clear_memo
    packer, dump, pieces, cargo, clear_memo = entry
    # If dump raises, the packer is in an unknown state and not put back.
    dump(obj)
    if len(pieces) != 1 or cargo:
        big: Packer = packer
        return big
    data: bytes = pieces.pop()
    clear_memo()
    if len(data) <= KEPT_PICKLE_BYTES:
        _idle.append(entry)
    return data
