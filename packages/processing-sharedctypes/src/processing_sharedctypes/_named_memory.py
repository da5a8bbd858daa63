"""Owns blocks of shared memory that have names, on POSIX: made, found, removed with their owner.

The owner of a block is the process that made it. This module keeps the account of what this process
owns: a forked child starts with nothing, and what is left at the end of the process is removed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sys
import threading

assert sys.platform != "win32"

from processing_core import InvalidArgument
from processing_core.lowlevel import (
    Companion,
    Packer,
    SharedFile,
    at_exit,
    on_child_end,
    on_fork,
    take_descriptor,
)

if sys.platform == "linux":
    from processing_sharedctypes import _shm_files as names
else:
    from processing_sharedctypes import _shm_posix as names

__all__ = ["Mapping", "adopt", "attach", "create", "new_name", "remove", "remove_group", "send"]

# How many blocks are looked at when one is made.
LOOKS = 16

_NO_ROOM = (errno.EFBIG, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)

Mapping = SharedFile
Identity = tuple[int, int]


def new_name() -> str:
    """A name that nobody has. Short enough for every system: 30 characters are portable."""
    return f"processing_{os.urandom(6).hex()}"


class _Owned:
    """A block that this process owns: its name, the descriptor that says so, its manager."""

    __slots__ = ("descriptor", "group", "name")

    def __init__(self, name: str, descriptor: int, group: object) -> None:
        self.name = name
        self.descriptor = descriptor
        self.group = group


class _Account:
    """What this process owns, by the identity of the file."""

    def __init__(self) -> None:
        # Held by forks too, so that none copies a descriptor which is not entered yet. It is
        # re-entrant because a signal handler may fork or make a block.
        self.lock = threading.RLock()
        self.blocks: dict[Identity, _Owned] = {}
        self._forks = self._ends = self._forking = False
        self._made_since_sweep = 0
        self._seen_by_sweep = 0

    def claim(self, name: str, group: object) -> tuple[int, Identity]:
        """Make a block that this process owns; returns its descriptor and identity."""
        with self.lock:
            self.hook()
            self._tidy()
            descriptor, owning = names.claim(name)
            status = os.fstat(descriptor)
            identity = (status.st_dev, status.st_ino)
            self.blocks[identity] = _Owned(name, owning, group)
        return descriptor, identity

    def drop(self, identity: Identity) -> None:
        """No longer own a block."""
        with self.lock:
            owned = self.blocks.pop(identity, None)
            if owned is not None and owned.descriptor >= 0:
                os.close(owned.descriptor)

    def let_stay(self, identity: Identity) -> None:
        """No longer own a block, which stays."""
        with self.lock:
            names.release(self.blocks.pop(identity).descriptor)

    def remove(self, name: str, identity: Identity) -> None:
        """Remove a name, whoever owns the block."""
        with self.lock:
            try:
                names.remove(name, identity)
            except FileNotFoundError:
                self.drop(identity)
                raise
            self.drop(identity)

    def remove_all(self, group: object = None) -> None:
        """Remove the names of all blocks of a group, or of all."""
        with self.lock:
            for identity, owned in list(self.blocks.items()):
                if group is None or owned.group is group:
                    try:
                        self.remove(owned.name, identity)
                    except OSError:
                        continue  # somebody else has removed it

    def sweep(self) -> None:
        """Remove what others have left, and let go of what others have removed. Never raises."""
        with self.lock:
            self._let_go(len(self.blocks))
            self._seen_by_sweep = names.sweep(self.blocks)
            self._made_since_sweep = 0

    def _tidy(self) -> None:
        """Sweep now and then, so that a new block does not cost more the more there are."""
        self._made_since_sweep += 1
        if self._made_since_sweep > self._seen_by_sweep:
            self.sweep()
        else:
            self._let_go(LOOKS)

    def _let_go(self, looks: int) -> None:
        """Look at some blocks whether others have removed them: our descriptor keeps the memory."""
        for identity in list(itertools.islice(self.blocks, looks)):
            owned = self.blocks.pop(identity)
            if owned.descriptor >= 0 and os.fstat(owned.descriptor).st_nlink == 0:
                os.close(owned.descriptor)
            else:
                self.blocks[identity] = owned  # at the end: the others come first next time

    def hook(self) -> None:
        """Have this looked after at the end of the process, and by forks."""
        if not self._ends:
            self._ends = True
            # After the children have ended: until then they may look for the names.
            at_exit(self._end, priority=-100)
        if not self._forks:
            self._forks = True
            on_fork(self._before_fork, self._after_fork, self._in_forked_child)

    def _end(self) -> None:
        self.remove_all()
        self.sweep()

    def _before_fork(self) -> None:
        self.lock.acquire()
        self._forking = True

    def _after_fork(self) -> None:
        # Not so when the hooks were installed in the middle of another thread's fork.
        if self._forking:
            self._forking = False
            self.lock.release()

    def _in_forked_child(self) -> None:
        for owned in self.blocks.values():
            if owned.descriptor >= 0:
                os.close(owned.descriptor)
        self.blocks = {}
        self._ends = False
        if self._forking:
            self._forking = False
            self.lock.release()
        else:
            self.lock = threading.RLock()


_account = _Account()
on_child_end(_account.sweep)


def create(name: str | None, size: int, *, owned: bool, group: object) -> tuple[str, bool, Mapping]:
    """A new block of zeros, not smaller than asked for: its name, whether others can find it by
    that, its mapping.

    :param name: what it is called; None for a name that nobody has
    :param size: in bytes
    :param owned: whether the name goes with this process
    :param group: what remove_group() knows it by, if not None
    :raises FileExistsError: when the name is taken
    :raises FileNotFoundError: when a name is asked for where there are none
    :raises MemoryError: when there is no room
    """
    try:
        return _create(name, size, owned, group)
    except MemoryError:
        # What dead processes have left may be what takes the room.
        _account.sweep()
        return _create(name, size, owned, group)


def _create(name: str | None, size: int, owned: bool, group: object) -> tuple[str, bool, Mapping]:
    if not names.is_available():
        if name is not None:
            raise names.missing_names(name)
        file = SharedFile.create("shared-memory", size, size)
        file.reserve(0, size)
        return new_name(), False, file
    given = new_name() if name is None else name
    descriptor, identity = _account.claim(given, group)
    try:
        file = _sized(descriptor, size)
        if not owned:
            _account.let_stay(identity)
    except BaseException:
        with contextlib.suppress(OSError):  # somebody else may have removed it
            _account.remove(given, identity)
        raise
    return given, True, file


def _sized(descriptor: int, size: int) -> Mapping:
    """Give a new file its size, and memory; owns the descriptor from then on."""
    try:
        os.ftruncate(descriptor, size)
    except OSError as error:
        os.close(descriptor)
        if error.errno in _NO_ROOM:
            raise MemoryError(f"no room for {size} bytes of shared memory") from error
        raise
    file = SharedFile(descriptor, size)
    if sys.platform == "linux":
        try:
            file.reserve(0, size)
        except MemoryError as error:
            # The error would keep the mapping through its traceback.
            file.close()
            raise MemoryError(f"no room for {size} bytes of shared memory: {error}") from None
    return file


def attach(name: str) -> Mapping:
    """The mapping of the block of this name.

    :raises FileNotFoundError: when there is none
    :raises InvalidArgument: (a ValueError) when it is empty
    """
    # A fork must not copy the lock that is tried on the file: see the account's.
    with _account.lock:
        _account.hook()
        descriptor = names.open_name(name)
    size = os.fstat(descriptor).st_size
    if size == 0:
        os.close(descriptor)
        raise InvalidArgument(f"{name!r} is empty, or its creator has not given it a size yet")
    return SharedFile(descriptor, size)


def remove(name: str, identity: Identity) -> None:
    """Remove a name if it stands for this block.

    :raises FileNotFoundError: when it does not
    """
    _account.remove(name, identity)


def remove_group(group: object) -> None:
    """Remove the names of all blocks of a group."""
    _account.remove_all(group)


# Pickling


def send(file: Mapping, packer: Packer) -> int:
    """Send a block along with a message; returns what adopt() takes."""
    token = Companion(os.dup(file.descriptor))
    index = packer.attach(token.descriptor)
    packer.companions[token] = token, index
    return index


def adopt(index: int, size: int) -> Mapping:
    """The mapping of a block that came along with a message."""
    return SharedFile(take_descriptor(index), size)
