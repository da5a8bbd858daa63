"""Synchronization: ``Lock``, ``RLock``, ``Semaphore``, ``BoundedSemaphore``."""

from __future__ import annotations

from processing_core._sync.locks import BoundedSemaphore, Lock, RLock, Semaphore

__all__ = ["BoundedSemaphore", "Lock", "RLock", "Semaphore"]
