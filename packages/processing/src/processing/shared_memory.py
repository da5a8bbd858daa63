"""Shared memory that has names: what ``processing_sharedctypes.shared_memory`` offers."""

from __future__ import annotations

from processing_sharedctypes.shared_memory import ShareableList as ShareableList
from processing_sharedctypes.shared_memory import SharedMemory as SharedMemory
from processing_sharedctypes.shared_memory import SharedMemoryManager as SharedMemoryManager

__all__ = ["ShareableList", "SharedMemory", "SharedMemoryManager"]
