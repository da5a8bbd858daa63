"""Owns where the memory comes from: the arenas of processing-core, where they exist."""

from __future__ import annotations

import sys

TYPE_CHECKING = False

__all__ = [
    "ROOM_BYTES",
    "Block",
    "MemorySemaphore",
    "allocate",
    "allocate_filled",
    "room_behind",
]

if sys.platform != "win32":
    from processing_core.lowlevel import (
        ROOM_BYTES,
        Block,
        MemorySemaphore,
        allocate,
        allocate_filled,
        room_behind,
    )
else:
    if TYPE_CHECKING:
        import mmap

    ROOM_BYTES = 0

    class MemorySemaphore:
        """Stands for a semaphore in shared memory, of which there is none."""

        block: Block
        room: int

    def room_behind(semaphore: object) -> MemorySemaphore | None:  # noqa: ARG001
        """There are no semaphores."""
        return None

    class Block:
        """Stands for a block of shared memory, of which there is none."""

        map: mmap.mmap
        offset: int
        address: int
        has_address: bool

    def allocate(size: int) -> Block:
        """Not there yet on Windows. :raises NotImplementedError: always"""
        raise NotImplementedError(f"shared memory ({size} bytes) on Windows")

    def allocate_filled(source: memoryview) -> Block:
        """Not there yet on Windows. :raises NotImplementedError: always"""
        raise NotImplementedError(f"shared memory ({source.nbytes} bytes) on Windows")
