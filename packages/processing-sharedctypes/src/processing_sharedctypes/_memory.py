"""Owns where the memory comes from: the arenas of processing-core, where they exist."""

from __future__ import annotations

import sys

TYPE_CHECKING = False

__all__ = ["Block", "allocate", "allocate_filled"]

if sys.platform != "win32":
    from processing_core.lowlevel import Block, allocate, allocate_filled
else:
    if TYPE_CHECKING:
        import mmap

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
