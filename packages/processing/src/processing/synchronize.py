"""Locks and their like: the names of ``processing_core.synchronize``."""

from __future__ import annotations

from processing_core.synchronize import Barrier as Barrier
from processing_core.synchronize import BoundedSemaphore as BoundedSemaphore
from processing_core.synchronize import BrokenBarrierError as BrokenBarrierError
from processing_core.synchronize import Condition as Condition
from processing_core.synchronize import Event as Event
from processing_core.synchronize import Lock as Lock
from processing_core.synchronize import RLock as RLock
from processing_core.synchronize import Semaphore as Semaphore

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
