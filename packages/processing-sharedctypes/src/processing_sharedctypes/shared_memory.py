"""The public door to shared memory that has names, with the interface of the standard library's."""

from __future__ import annotations

from processing_sharedctypes._shareable_list import ShareableList as ShareableList
from processing_sharedctypes._shared_memory import SharedMemory as SharedMemory
from processing_sharedctypes._shared_memory_manager import (
    SharedMemoryManager as SharedMemoryManager,
)

__all__ = ["ShareableList", "SharedMemory", "SharedMemoryManager"]
