"""Owns the semaphores that everything here is made of: in shared memory, and operated at C speed.

``new_semaphore`` makes one. Whatever it is made of, it has the interface of CPython's ``SemLock``,
which counts, knows its owner if it is recursive, and lets signal handlers run while it waits.

One object stands for a semaphore in each process, however often it is sent there and back: it is
what knows that a thread of this process holds a recursive lock, and how often.
"""

from __future__ import annotations

import gc
import sys
import weakref
from contextlib import suppress

assert sys.platform != "win32"

from processing_core import _lifecycle
from processing_core._memory.arena import Arena, Block, allocate, allocate_copy
from processing_core._platform.descriptor_semaphores import DescriptorSemaphore
from processing_core._platform.pthreads import (
    SEMAPHORE_BYTES,
    SEMAPHORE_END,
    Pthreads,
    object_of,
    pthreads,
)
from processing_core._platform.semlocks import (
    AVAILABLE,
    RECURSIVE,
    SEM_VALUE_MAX,
    SEMAPHORE,
    SemLock,
)
from processing_core._runtime import runtime
from processing_core._serialize.packer import register_carrier
from processing_core._serialize.transfer import take_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_core._platform.semlocks import SemaphoreLike
    from processing_core._serialize.packer import Packer

__all__ = [
    "RECURSIVE",
    "ROOM_BYTES",
    "SEMAPHORE",
    "SEM_VALUE_MAX",
    "MemorySemaphore",
    "new_semaphore",
    "one_for",
    "one_for_key",
    "room_behind",
]


class MemorySemaphore(SemLock):
    """A SemLock on an unnamed semaphore, which keeps the memory that the semaphore is in.

    That is a place in an arena, and becomes a block when others are told of it: the block then
    gives the memory back. Whoever deletes ``_epoch`` is the one to decide about the place.
    """

    __slots__ = ("__weakref__", "_arena", "_block", "_epoch", "_offset")

    _block: Block | None
    _arena: Arena
    _offset: int
    _epoch: int

    @property
    def block(self) -> Block:
        """The block that the semaphore is in.

        :raises LookupError: when the memory was given back, by another thread at this moment
        """
        with runtime.lock:
            if self._block is None:
                epoch = self._take_epoch()
                if epoch is None:
                    raise LookupError("the semaphore is being freed")
                self._block = Block.adopt(self._arena, self._offset, SEMAPHORE_BYTES, epoch)
            return self._block

    @property
    def room(self) -> int:
        """The address of ROOM_BYTES for what the semaphore guards, zeroed when it was made."""
        return self.handle + SEMAPHORE_END

    def _take_epoch(self) -> int | None:
        try:
            epoch = self._epoch
            del self._epoch
        except AttributeError:
            return None
        return epoch

    def __del__(self) -> None:
        if _all.get(self.handle) == id(self):
            del _all[self.handle]
        if (epoch := self._take_epoch()) is not None:
            self._arena.drop(self._offset, SEMAPHORE_BYTES, epoch)


# What is behind a semaphore in its block.
ROOM_BYTES = SEMAPHORE_BYTES - SEMAPHORE_END

# Where all semaphores of this process are, and the id() of each, whose entry is gone before it is.
# A weak reference would be one object more for each lock. Only where there is no other thread, in a
# child that was just forked, an object may be had by its number.
_all: dict[int, int] = {}
# Those that were sent or received, by arena and offset, or by token.
_known: weakref.WeakValueDictionary[object, Any] = weakref.WeakValueDictionary()


# How a semaphore looks that was just made, by its value: copying that takes a fraction of the time.
# It is a plain struct of numbers in glibc, which is the only C library here.
_fresh: dict[int, bytes] = {}
MOST_FRESH = 8


class _Hook:
    installed = False


def new_semaphore(kind: int, value: int, maxvalue: int) -> SemaphoreLike:
    """A semaphore with a value.

    :raises MemoryError: when there is no room for it
    """
    functions = pthreads()
    if functions is None or not AVAILABLE:
        return DescriptorSemaphore.create(kind, value, maxvalue)
    fresh = _fresh.get(value)
    if fresh is None:
        fresh = _image(functions, value)
    arena, offset, epoch = allocate_copy(fresh)
    address = arena.base + offset
    semaphore = MemorySemaphore._rebuild(address, kind, maxvalue, None)
    _all[address] = id(semaphore)
    semaphore._arena = arena
    semaphore._offset = offset
    semaphore._block = None
    semaphore._epoch = epoch
    return semaphore


def room_behind(semaphore: object) -> MemorySemaphore | None:
    """The semaphore itself if there is room behind it in its memory: ROOM_BYTES at ``room``."""
    return semaphore if type(semaphore) is MemorySemaphore else None


def _image(functions: Pthreads, value: int) -> bytes:
    _hook_into_forks()
    block = allocate(SEMAPHORE_BYTES)
    functions.init_semaphore(block.address, value)
    image = bytes(block.view())
    if value <= MOST_FRESH:
        _fresh[value] = image
    return image


def _hook_into_forks() -> None:
    if not _Hook.installed:
        _lifecycle.on_fork_in_child(_after_fork_in_child)
        _Hook.installed = True


def _after_fork_in_child() -> None:
    """What threads of the parent hold is not held by the child's, whose numbers may be the same."""
    for number in list(_all.values()):
        semaphore: MemorySemaphore = object_of(number)
        semaphore._after_fork()


def one_for(block: Block, make: Callable[[], Any]) -> Any:
    """The one object of this process that stands for what is in a block, made if there is none."""
    return one_for_key((block.arena.file.identity, block.offset), make)


def one_for_key(key: object, make: Callable[[], Any]) -> Any:
    """The same for what has another key."""
    with runtime.lock:
        one = _known.get(key)
        if one is None:
            one = _known[key] = make()
        return one


def _reduce(semaphore: MemorySemaphore, _packer: Packer) -> tuple[Any, ...]:
    block = semaphore.block
    one_for(block, lambda: semaphore)
    return _attach, (block, semaphore.kind, semaphore.maxvalue)


def _attach(block: Block, kind: int, maxvalue: int) -> Any:
    def make() -> MemorySemaphore:
        # It may be one that a fork has copied and somebody now sends; that happens once for each.
        if block.address in _all:
            for one in gc.get_objects():
                if type(one) is MemorySemaphore and one.handle == block.address:
                    with suppress(LookupError):
                        assert one.block.offset == block.offset
                        return one
        _hook_into_forks()
        semaphore = MemorySemaphore._rebuild(block.address, kind, maxvalue, None)
        _all[block.address] = id(semaphore)
        semaphore._block = block
        return semaphore

    return one_for(block, make)


def _reduce_descriptors(semaphore: DescriptorSemaphore, packer: Packer) -> tuple[Any, ...]:
    one_for_key(semaphore.token, lambda: semaphore)
    reader = packer.attach(semaphore.reader)
    writer = reader if semaphore.writer == semaphore.reader else packer.attach(semaphore.writer)
    return _rebuild, (reader, writer, semaphore.kind, semaphore.maxvalue, semaphore.token)


def _rebuild(reader: int, writer: int, kind: int, maxvalue: int, token: bytes) -> Any:
    def make() -> DescriptorSemaphore:
        first = take_descriptor(reader)
        second = first if writer == reader else take_descriptor(writer)
        return DescriptorSemaphore(first, second, kind, maxvalue, token)

    return one_for_key(token, make)


register_carrier(MemorySemaphore, _reduce)
register_carrier(DescriptorSemaphore, _reduce_descriptors)
