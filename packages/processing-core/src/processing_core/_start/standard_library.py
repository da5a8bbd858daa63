"""Owns how objects of the standard library's multiprocessing get to children that we start.

``concurrent.futures`` makes such a queue, whatever context it is given. That module decides by
itself whether an object may be pickled and asks for help with descriptors; here is who it asks.
Nothing of it is imported: who has none of its objects has not loaded it.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

from processing_core._serialize.transfer import take_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from processing_core._serialize.packer import Packer

__all__ = ["accepting", "reducer_of"]

THEIRS = "multiprocessing."


class Passed:
    """A descriptor on its way, as multiprocessing's functions that rebuild objects expect it."""

    __slots__ = ("_index",)

    def __init__(self, index: int) -> None:
        self._index = index

    def __reduce__(self) -> tuple[Any, ...]:
        return Passed, (self._index,)

    def detach(self) -> int:
        """The descriptor, in the child."""
        return take_descriptor(self._index)


class _Passage:
    """What multiprocessing asks for while objects are pickled for a child."""

    DupFd = Passed

    def __init__(self, packer: Packer) -> None:
        self._packer = packer

    def duplicate_for_child(self, descriptor: int) -> int:
        return self._packer.attach(descriptor)


@contextmanager
def accepting(packer: Packer) -> Iterator[None]:
    """While this thread pickles for a child: multiprocessing lets its objects be pickled."""
    contexts: Any = _loaded("context")
    if contexts is None or sys.platform == "win32":  # there, handles are not passed so
        yield
        return
    before = contexts.get_spawning_popen()
    contexts.set_spawning_popen(_Passage(packer))
    try:
        yield
    finally:
        contexts.set_spawning_popen(before)


def reducer_of(cls: type) -> Callable[[Any], Any] | None:
    """How multiprocessing pickles objects of a class of its own, if not as all others do."""
    if not cls.__module__.startswith(THEIRS):
        return None
    reduction: Any = _loaded("reduction")
    if reduction is None:
        return None
    found: Callable[[Any], Any] | None = reduction.ForkingPickler._extra_reducers.get(cls)
    return found


def _loaded(name: str) -> object:
    """A module of multiprocessing, if it is loaded and really that."""
    module = sys.modules.get(THEIRS + name)
    return module if getattr(module, "__name__", None) == THEIRS + name else None
