"""Queues: what users put objects into and get them out of, over channels in shared memory."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from processing_core._queues.windows import JoinableQueue, Queue, SimpleQueue
else:
    from processing_core._queues.queues import JoinableQueue, Queue, SimpleQueue

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]
