"""Pools of workers, their results and errors: the names of ``processing_pool``."""

from __future__ import annotations

from processing_core import RemoteTraceback as RemoteTraceback
from processing_core import SerializationError
from processing_core import TimeoutError as TimeoutError
from processing_pool import AsyncResult as AsyncResult
from processing_pool import IMapIterator as IMapIterator
from processing_pool import MapResult as MapResult
from processing_pool import Pool as Pool
from processing_pool import PoolExecutor as PoolExecutor
from processing_pool import PoolStats as PoolStats
from processing_pool import TaskCancelled as TaskCancelled
from processing_pool import TaskTimeout as TaskTimeout
from processing_pool import ThreadPool as ThreadPool
from processing_pool import WorkerLost as WorkerLost
from processing_pool import WorkerStats as WorkerStats
from processing_pool import worker_state as worker_state

# Names that programs take from multiprocessing.pool, though it does not document them.
ApplyResult = AsyncResult
IMapUnorderedIterator = IMapIterator
MaybeEncodingError = SerializationError

__all__ = [
    "ApplyResult",
    "AsyncResult",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "PoolExecutor",
    "PoolStats",
    "RemoteTraceback",
    "TaskCancelled",
    "TaskTimeout",
    "ThreadPool",
    "TimeoutError",
    "WorkerLost",
    "WorkerStats",
    "worker_state",
]
