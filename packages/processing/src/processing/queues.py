"""Queues and what they raise: the names of ``processing_core.queues``."""

from __future__ import annotations

from processing_core.queues import Empty as Empty
from processing_core.queues import Full as Full
from processing_core.queues import JoinableQueue as JoinableQueue
from processing_core.queues import Queue as Queue
from processing_core.queues import SimpleQueue as SimpleQueue

__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "SimpleQueue"]
