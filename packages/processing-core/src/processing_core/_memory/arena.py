"""Owns arenas: shared memory without a name from which small blocks are cut.

A process cuts blocks only from arenas that it made itself, so the account of what is free is its
own and no lock is shared. Other processes get an arena's descriptor when they are forked, started
or sent a block, and map it. The kernel frees it with the last of them.

When the process that made a block drops it, others may still use it: children that were forked
while it was there, and those it was sent to. Each of them has a hold on it (see
``_platform.holds``), as has every message on its way. A block that others may know is retired, and
given out again once the kernel says that there is no hold on it.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import weakref
from collections import deque

assert sys.platform != "win32"

from processing_core import _lifecycle
from processing_core._memory.allocator import Allocator, rounded
from processing_core._platform import holds
from processing_core._platform.anonymous import write_all
from processing_core._platform.pthreads import address_of, pthreads
from processing_core._platform.shared_file import SharedFile
from processing_core._serialize.packer import Companion, Packer, register_carrier
from processing_core._serialize.transfer import borrow_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "Arena",
    "Block",
    "allocate",
    "allocate_copy",
    "allocate_filled",
    "arenas_of_this_process",
]

# Only what is used of it takes memory (see SharedFile); where that cannot be, less is asked for.
ARENA_BYTES = 16 << 20
LEAST_ARENA_BYTES = 64 << 10
# From here on a block has an arena of its own, whose memory goes back to the system with it.
LARGE_BYTES = 1 << 20
# Large ones that nobody else knew are kept up to so many bytes, for blocks that are filled at once:
# pages that are there take them at ten times the speed of fresh ones.
KEPT_BYTES = 16 << 20
# Retired blocks are looked at when there is no free one, but not again before as many more were
# retired as were still held then.
LEAST_RETIRED = 16


class Block:
    """A part of an arena, zeroed when it is allocated. Freed when no process has the object."""

    __slots__ = ("__weakref__", "_epoch", "address", "arena", "offset", "shared", "size")

    def __init__(self, arena: Arena, offset: int, size: int) -> None:
        self.arena: Arena = arena
        self.offset: int = offset
        self.size: int = size
        # For pthreads; without them nobody may use it.
        self.address: int = arena.base + offset
        self._epoch = arena.epoch
        # Whether another process may have been told of it.
        self.shared: bool = False

    @classmethod
    def adopt(cls, arena: Arena, offset: int, size: int, epoch: int) -> Block:
        """A block of what allocate_copy() has given."""
        block = cls(arena, offset, size)
        block._epoch = epoch
        return block

    def words(self, start: int = 0, count: int | None = None) -> memoryview:
        """The block as 8-byte words; ``start`` and ``count`` in words."""
        first = self.offset // 8 + start
        last = (self.offset + self.size) // 8 if count is None else first + count
        return self.arena.words[first:last]

    @property
    def has_address(self) -> bool:
        """Whether ``address`` is where the block is; not without pthreads."""
        return self.arena.base != 0

    @property
    def map(self) -> mmap.mmap:
        """The mapping that the block is in, from ``offset`` on; whoever uses it keeps the block."""
        return self.arena.file.map

    def view(self) -> memoryview:
        """The block as bytes."""
        return self.arena.bytes[self.offset : self.offset + self.size]

    def give_up(self) -> tuple[Arena, int, int]:
        """Leave to the caller what nobody else knows: the arena, offset and epoch."""
        place = self.arena, self.offset, self._epoch
        self.shared = True
        return place

    def __del__(self) -> None:
        # One that is shared is let go when its weak reference is cleared, since until then another
        # thread may get it again.
        if not self.shared:
            self.arena.drop(self.offset, self.size, self._epoch)


class _Known(weakref.ref[Block]):
    """A weak reference to a shared block, which lets go of it when that is gone."""

    __slots__ = ("arena", "offset", "size")

    arena: weakref.ref[Arena]
    offset: int
    size: int

    @classmethod
    def of(cls, block: Block) -> _Known:
        known = cls(block, cls._gone)
        known.arena = weakref.ref(block.arena)
        known.offset, known.size = block.offset, block.size
        return known

    @staticmethod
    def _gone(known: weakref.ref[Block]) -> None:
        assert isinstance(known, _Known)
        arena = known.arena()
        if arena is not None:
            arena.forget(known)


class Arena:
    """An arena as this process sees it. ``owned``: it was made here, and blocks are cut here."""

    __slots__ = (
        "__weakref__",
        "_aliases",
        "_coarse",
        "_free_at_fork",
        "_holder",
        "_holder_is_file",
        "_known",
        "_lock",
        "_next_look",
        "_retired_at_fork",
        "_token",
        "allocator",
        "base",
        "bytes",
        "epoch",
        "file",
        "large",
        "owned",
        "retired",
        "untraceable",
        "words",
    )

    def __init__(self, file: SharedFile, *, owned: bool) -> None:
        self.file: SharedFile = file
        self.owned: bool = owned
        self.base: int = address_of(file.map) if pthreads() is not None else 0
        self.bytes: memoryview = memoryview(file.map)
        self.words: memoryview = self.bytes.cast("Q")
        self.allocator: Allocator = Allocator(file.size if owned else 0)
        # Whether it is that of a single large block.
        self.large: bool = False
        # Forks since the beginning: a block of an earlier epoch may be known to a child.
        self.epoch: int = 0
        self.retired: deque[tuple[int, int]] = deque()
        self._next_look = LEAST_RETIRED
        self._lock = threading.RLock()
        # The blocks that others may have sent here, or have been sent by us: one object for each.
        self._known: dict[int, _Known] = {}
        # How many objects stand for a block that came back while one that is not known was there.
        self._aliases: dict[int, int] = {}
        # Where this process's holds are; the maker of the arena needs none.
        self._holder: int | None = None if owned else file.descriptor
        # Then the file closes it.
        self._holder_is_file = not owned
        # What lies below was inherited by a fork, and is held as a whole.
        self._coarse = 0
        # Set when somebody may have got a block without a hold: then none that was shared is free.
        self.untraceable: bool = False
        self._free_at_fork: set[tuple[int, int]] | None = None
        self._retired_at_fork: list[tuple[int, int]] = []
        # Between a fork's beginning and its end: what the child shall have.
        self._token: int | None = None
        _arenas[file.identity] = self

    # Allocation, by the maker

    def allocate(self, size: int) -> Block | None:
        """A zeroed block of a rounded size; None when there is no room."""
        offset = self.allocator.take(size)
        if offset is None:
            offset = self._take_more(size)
            if offset is None:
                return None
        else:
            self.file.map[offset : offset + size] = bytes(size)
        return Block(self, offset, size)

    def _take_more(self, size: int) -> int | None:
        with self._lock:
            if len(self.retired) >= self._next_look:
                self.collect()
            offset = self.allocator.take(size)
            if offset is None:
                before = self.allocator.end
                offset = self.allocator.extend(size)
                if offset is None and self.retired:
                    self.collect()
                    offset = self.allocator.take(size)
                elif offset is not None:
                    self.file.reserve(before, self.allocator.end - before)
                    if self._token is not None:
                        # A child that is being forked may have it, too.
                        holds.hold(self._token, before, self.allocator.end - before)
                    return offset
            if offset is not None:
                self.file.map[offset : offset + size] = bytes(size)
            return offset

    def collect(self) -> None:
        """Free the retired blocks that nobody holds any more."""
        if self.untraceable:
            return
        with self._lock:
            for _ in range(len(self.retired)):
                offset, size = self.retired.popleft()
                if holds.is_held_by_others(self.file.descriptor, offset):
                    self.retired.append((offset, size))
                else:
                    self.allocator.give_back(offset, size)
            self._next_look = max(LEAST_RETIRED, 2 * len(self.retired))

    # On the way to other processes

    def attach(self, offset: int, size: int) -> Block:
        """The block that another process has sent, as the one object that stands for it here."""
        with self._lock:
            known = self._known.get(offset)
            block = None if known is None else known()
            if block is None:
                if (offset, size) in self.retired:
                    # It was dropped here while a message with it was on its way back.
                    self.retired.remove((offset, size))
                    if self._token is not None:
                        holds.hold(self._token, offset, size)  # as in _take_more
                elif self.owned or (offset < self._coarse and not self._was_free(offset, size)):
                    # There is an object already, which a forked child has inherited and sent.
                    self._aliases[offset] = self._aliases.get(offset, 1) + 1
                elif self._holder is not None:
                    holds.hold(self._holder, offset)
                block = Block(self, offset, size)
                block.shared = True
                self._known[offset] = _Known.of(block)
            return block

    def _was_free(self, offset: int, size: int) -> bool:
        """Whether a block was free when this process was forked: so it has inherited none there."""
        if self._free_at_fork is None:
            self._free_at_fork = {
                (place, length)
                for length, places in self.allocator.free.items()
                for place in places
            }
            self._free_at_fork.update(self._retired_at_fork)
        return (offset, size) in self._free_at_fork

    def remember(self, block: Block) -> None:
        """A block is sent away, and may come back."""
        with self._lock:
            if not block.shared:
                block.shared = True
                self._known[block.offset] = _Known.of(block)

    def drop(self, offset: int, size: int, epoch: int) -> None:
        """An object that stands for a block is gone."""
        if self._aliases:
            with self._lock:
                others = self._aliases.pop(offset, 1) - 1
                if others > 1:
                    self._aliases[offset] = others
                if others:
                    return
        if not self.owned:
            if self._holder is not None:
                holds.let_go(self._holder, offset)
        elif epoch == self.epoch:
            self.allocator.give_back(offset, size)
            if self.large:
                _keep(self)
        else:
            self.retired.append((offset, size))

    def forget(self, known: _Known) -> None:
        """Nothing in this process uses a shared block any more."""
        with self._lock:
            # Unless it has come back in the meantime.
            if self._known.get(known.offset) is known:
                del self._known[known.offset]
                # The epoch of no block: who has been sent it may use it.
                self.drop(known.offset, known.size, -1)

    # Forks

    def before_fork(self) -> None:
        try:
            token = holds.reopen(self.file.descriptor)
        except OSError:
            token = None  # no descriptors left; the fork shall not fail for that
        if token is None:
            self.untraceable = True
        else:
            with self._lock:
                self._hold_for_child(token)
                self._token = token
            return
        self._token = None

    def _hold_for_child(self, token: int) -> None:
        """Hold what a child inherits, with the lock held."""
        coarse = self.allocator.end if self.owned else self._coarse
        if coarse:
            holds.hold(token, 0, coarse)
        if self.owned:
            # Not what nobody has here, or it would be held as long as one child follows the other.
            for start, size in _joined(self.retired):
                holds.let_go(token, start, size)
        else:
            for offset in list(self._known):
                holds.hold(token, offset)

    def after_fork_in_parent(self) -> None:
        self.epoch += 1
        if self._token is not None:
            os.close(self._token)
            self._token = None

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()
        if self.owned:
            self.owned = False
            self._coarse = self.allocator.end
            self._retired_at_fork = list(self.retired)
            self.retired.clear()
        elif self._holder is not None and not self._holder_is_file:
            os.close(self._holder)
        self._holder, self._token = self._token, None
        self._holder_is_file = False

    def __del__(self) -> None:
        if hasattr(self, "words"):
            self.words.release()
            self.bytes.release()
            # In a cycle of garbage the file may have been closed before.
            if self._holder is not None and not self._holder_is_file:
                os.close(self._holder)
            self.file.close()


def _joined(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same parts, of which those that touch are one."""
    found: list[tuple[int, int]] = []
    for start, size in sorted(parts):
        if found and sum(found[-1]) == start:
            found[-1] = found[-1][0], found[-1][1] + size
        else:
            found.append((start, size))
    return found


# All arenas that this process has mapped, by the file's identity.
_arenas: weakref.WeakValueDictionary[tuple[int, int], Arena] = weakref.WeakValueDictionary()


class _Own:
    """The arenas that this process made: all of them live to its end, blocks come from the last."""

    arenas: list[Arena]
    kept: list[Arena]
    lock = threading.RLock()
    hooked = False


_Own.arenas = []
_Own.kept = []


def allocate(size: int) -> Block:
    """A zeroed block of at least ``size`` bytes of shared memory.

    A large one takes memory only as far as it is written, and a descriptor.

    :raises MemoryError: when there is no room
    :raises OSError: when there are no descriptors left
    """
    if size >= LARGE_BYTES:
        return _allocate_large(size)
    size = rounded(size)
    if _Own.arenas:
        block = _Own.arenas[-1].allocate(size)
        if block is not None:
            return block
    with _Own.lock:
        for arena in _Own.arenas:
            if (block := arena.allocate(size)) is not None:
                return block
        _hook_into_forks()
        wanted = max(ARENA_BYTES, size)
        least = max(LEAST_ARENA_BYTES, size)
        arena = Arena(SharedFile.create("arena", wanted, least), owned=True)
        _Own.arenas.append(arena)
        block = arena.allocate(size)
        assert block is not None
        return block


def _allocate_large(size: int) -> Block:
    _hook_into_forks()
    size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    arena = Arena(SharedFile.create("block", size, size), owned=True)
    arena.large = True
    block = arena.allocate(size)
    assert block is not None
    return block


def allocate_filled(source: memoryview) -> Block:
    """A block with what a contiguous buffer has in it.

    :raises MemoryError: when there is no room
    :raises OSError: when there are no descriptors left
    """
    size = source.nbytes
    if size < LARGE_BYTES:
        block = allocate(size)
        block.map[block.offset : block.offset + size] = source
        return block
    kept = _take_kept(size)
    if kept is not None:
        kept.map[:size] = source
        return kept
    block = _allocate_large(size)
    try:
        pieces = [source.cast("B")]
    except TypeError:  # a format with a byte order, which ctypes gives
        block.map[:size] = source
    else:
        # The system fills fresh pages faster than they can be mapped one by one.
        write_all(block.arena.file.descriptor, pieces, 0)
    return block


def _take_kept(size: int) -> Block | None:
    with _Own.lock:
        for index, arena in enumerate(_Own.kept):
            if size <= arena.file.size <= 2 * size:
                del _Own.kept[index]
                offset = arena.allocator.take(arena.file.size)
                assert offset == 0
                return Block(arena, 0, arena.file.size)
    return None


def _keep(arena: Arena) -> None:
    """Keep a large arena whose block was given back, for the next, in place of older ones."""
    kept = _Own.kept
    kept.append(arena)
    while sum(one.file.size for one in list(kept)) > KEPT_BYTES:
        del kept[0]


def allocate_copy(data: bytes) -> tuple[Arena, int, int]:
    """Memory for ``data``, whose length is that of a class of sizes, with a copy of it.

    Returns the arena, offset and epoch, by which ``Arena.drop`` gives it back or ``Block.adopt``
    makes a block of it: a small object has them instead of a block, which saves half of the time.

    :raises MemoryError: when there is no room
    """
    size = len(data)
    if _Own.arenas:
        arena = _Own.arenas[-1]
        offset: int | None
        try:
            offset = arena.allocator.free[size].pop()
        except (KeyError, IndexError):
            offset = None
        if offset is not None:
            arena.bytes[offset : offset + size] = data
            return arena, offset, arena.epoch
    block = allocate(size)
    block.view()[:] = data
    return block.give_up()


def arenas_of_this_process() -> list[Arena]:
    """The arenas that this process made."""
    return [arena for arena in list(_arenas.values()) if arena.owned]


def _hook_into_forks() -> None:
    if not _Own.hooked:
        _Own.hooked = True
        _lifecycle.on_fork(_before_fork, _after_fork_in_parent, _after_fork_in_child)


# Those that a child which is being forked inherits. What runs after a fork copies the memory that
# it touches, so it does not go through the weak dictionary.
_forking: list[Arena] = []


def _before_fork() -> None:
    _forking[:] = _arenas.values()
    for arena in _forking:
        arena.before_fork()


def _after_fork_in_parent() -> None:
    while _forking:
        _forking.pop().after_fork_in_parent()


def _after_fork_in_child() -> None:
    _Own.arenas = []
    _Own.kept = []
    _Own.lock = threading.RLock()
    while _forking:
        _forking.pop().after_fork_in_child()


# Pickling


def _token(arena: Arena, packer: Packer) -> tuple[Companion, int]:
    """The token of this arena for the message that is being packed, and its index there."""
    companions = packer.companions
    if arena not in companions:
        descriptor = holds.reopen(arena.file.descriptor)
        if descriptor is None:
            descriptor = os.dup(arena.file.descriptor)
            arena.untraceable = True
        companions[arena] = Companion(descriptor), packer.attach(descriptor)
    token, index = companions[arena]
    assert isinstance(token, Companion)
    return token, index


def _reduce_block(block: Block, packer: Packer) -> tuple[Any, ...]:
    arena = block.arena
    token, _ = _token(arena, packer)
    arena.remember(block)
    holds.hold(token.descriptor, block.offset)
    return _attach, (arena, block.offset, block.size)


def _reduce_arena(arena: Arena, packer: Packer) -> tuple[Any, ...]:
    _, index = _token(arena, packer)
    return _rebuild_arena, (index, arena.file.size)


def _rebuild_arena(index: int, size: int) -> Arena:
    # The token stays open until the whole message is rebuilt, and its holds with it.
    token = borrow_descriptor(index)
    status = os.fstat(token)
    arena = _arenas.get((status.st_dev, status.st_ino))
    if arena is None:
        own = holds.reopen(token)
        if own is None:
            own = os.dup(token)
        _hook_into_forks()
        arena = Arena(SharedFile(own, size), owned=False)
    return arena


def _attach(arena: Arena, offset: int, size: int) -> Block:
    return arena.attach(offset, size)


register_carrier(Block, _reduce_block)
register_carrier(Arena, _reduce_arena)
