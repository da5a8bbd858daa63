"""Synchronization: locks, semaphores, conditions, events and barriers."""

from __future__ import annotations

from threading import BrokenBarrierError

from processing_core._sync.barriers import Barrier
from processing_core._sync.conditions import Condition
from processing_core._sync.events import Event
from processing_core._sync.locks import BoundedSemaphore, Lock, RLock, Semaphore

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "Condition",
    "Event",
    "Lock",
    "RLock",
    "Semaphore",
]

# What users see in tracebacks, reprs and pickles is where they import it from.
for _public in (Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore):
    _public.__module__ = "processing_core"
del _public
