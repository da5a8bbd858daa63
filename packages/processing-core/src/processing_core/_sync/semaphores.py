"""Owns the semaphores that everything here is made of: in shared memory, and operated at C speed.

``new_semaphore`` makes one. Whatever it is made of, it has the interface of CPython's ``SemLock``,
which counts, knows its owner if it is recursive, and lets signal handlers run while it waits.

One object stands for a semaphore in each process, however often it is sent there and back: it is
what knows that a thread of this process holds a recursive lock, and how often.
"""

from __future__ import annotations

import sys
import weakref

assert sys.platform != "win32"

from processing_core import _lifecycle
from processing_core._memory.arena import Block, allocate
from processing_core._platform.descriptor_semaphores import DescriptorSemaphore
from processing_core._platform.pthreads import SEMAPHORE_BYTES, pthreads
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

    from processing_core._serialize.packer import Packer
    from processing_core._sync.shells import SemaphoreLike

__all__ = [
    "RECURSIVE",
    "SEMAPHORE",
    "SEM_VALUE_MAX",
    "MemorySemaphore",
    "new_semaphore",
    "one_for",
    "one_for_key",
    "semaphore_at",
]


class MemorySemaphore(SemLock):
    """A SemLock on an unnamed semaphore, which keeps the block alive that the semaphore is in."""

    __slots__ = ("__weakref__", "block")

    block: Block


# All of this process. Additions and removals are single steps in C, since they may come at any
# moment, by finalizers.
_all: set[weakref.ref[MemorySemaphore]] = set()
_add, _discard = _all.add, _all.discard
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
    if functions is not None and AVAILABLE:
        block = allocate(SEMAPHORE_BYTES)
        fresh = _fresh.get(value)
        if fresh is None:
            functions.init_semaphore(block.address, value)
            if value <= MOST_FRESH:
                _fresh[value] = bytes(block.view())
        else:
            block.arena.bytes[block.offset : block.offset + SEMAPHORE_BYTES] = fresh
        return semaphore_at(block, block.address, kind, maxvalue)
    return DescriptorSemaphore.create(kind, value, maxvalue)


def semaphore_at(block: Block, address: int, kind: int, maxvalue: int) -> MemorySemaphore:
    """The object for a semaphore that is somewhere in a block."""
    if not _Hook.installed:
        _lifecycle.on_fork_in_child(_after_fork_in_child)
        _Hook.installed = True
    semaphore = MemorySemaphore._rebuild(address, kind, maxvalue, None)
    semaphore.block = block
    _add(weakref.ref(semaphore, _discard))
    return semaphore


def _after_fork_in_child() -> None:
    """What threads of the parent hold is not held by the child's, whose numbers may be the same."""
    for reference in list(_all):
        semaphore = reference()
        if semaphore is not None:
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
    one_for(semaphore.block, lambda: semaphore)
    return _attach, (semaphore.block, semaphore.kind, semaphore.maxvalue)


def _attach(block: Block, kind: int, maxvalue: int) -> Any:
    def make() -> MemorySemaphore:
        # It may be one of ours that a forked child has inherited and sends back.
        semaphore = _find(block.address) if block.arena.owned else None
        return semaphore or semaphore_at(block, block.address, kind, maxvalue)

    return one_for(block, make)


def _find(address: int) -> MemorySemaphore | None:
    for reference in list(_all):
        semaphore = reference()
        if semaphore is not None and semaphore.handle == address:
            return semaphore
    return None


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
