"""Owns asking processing-core for what it keeps between uses: the fork server, and its arenas.

Nothing is guessed from names: the library's own records are read. A library that was not imported
keeps nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from processing_testkit import _procfs
from processing_testkit.leaks import Kept

__all__ = ["kept_by_library"]


def kept_by_library() -> Kept:
    """What the library has now and is meant to have until the process ends."""
    pids, descriptors = _fork_server()
    arenas = _arenas()
    return Kept(
        pids=frozenset(pids),
        descriptors=frozenset(descriptors | _descriptors_of(arenas)),
        files=frozenset(arena.file.identity for arena in arenas),
        used=sum(_used(arena) for arena in arenas),
    )


def _fork_server() -> tuple[set[int], set[int]]:
    """The running fork server's pid, and the descriptors that lead to it."""
    module = sys.modules.get("processing_core._runtime")
    server = None if module is None else module.runtime.forkserver
    if server is None:
        return set(), set()
    return set() if server.pid is None else {server.pid}, set(server.descriptors())


def _arenas() -> list[Any]:
    """The arenas that this process made. One that came from another process is nobody's to keep."""
    module = sys.modules.get("processing_core._memory.arena")
    return [] if module is None else list(module.arenas_of_this_process())


def _descriptors_of(arenas: list[Any]) -> set[int]:
    """The arenas' descriptors: the one that each has, and the copy that its mmap object made.

    Which one the copy is cannot be asked. So one more of the same file is let pass, and a third is
    a leak: that of a descriptor which was on its way to another process.
    """
    if not arenas:
        return set()
    kept = {arena.file.identity: {arena.file.descriptor} for arena in arenas}
    for number in sorted(_procfs.descriptors()):
        try:
            status = os.fstat(number)
        except OSError:
            continue  # it was the one that the folder was read with
        of_file = kept.get((status.st_dev, status.st_ino))
        if of_file is not None and len(of_file) < 2:
            of_file.add(number)
    return set().union(*kept.values())


def _used(arena: Any) -> int:
    """The bytes in blocks that this process has, without those that wait for others to end."""
    arena.collect()
    return int(arena.allocator.used - sum(size for _, size in arena.retired))
