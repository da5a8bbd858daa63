"""The same as ``processing.queues``, under the documented name."""

from __future__ import annotations

from processing.queues import Empty as Empty
from processing.queues import Full as Full
from processing.queues import JoinableQueue as JoinableQueue
from processing.queues import Queue as Queue
from processing.queues import SimpleQueue as SimpleQueue

__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "SimpleQueue"]
