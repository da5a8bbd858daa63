"""Queues: ``Queue``, ``JoinableQueue``, ``SimpleQueue``, and the exceptions they raise."""

from __future__ import annotations

from queue import Empty, Full

from processing_core._queues import JoinableQueue, Queue, SimpleQueue

__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "SimpleQueue"]
