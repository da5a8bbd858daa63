"""The public door of processing-pool: pools of worker processes."""

from __future__ import annotations

import sys

from processing_pool.__about__ import __version__ as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    if sys.platform != "win32":
        from processing_pool._buffer import IMapIterator as IMapIterator
        from processing_pool._executor import PoolExecutor as PoolExecutor
        from processing_pool._pool import Pool as Pool
        from processing_pool._pool import ThreadPool as ThreadPool
        from processing_pool._results import AsyncResult as AsyncResult
        from processing_pool._results import MapResult as MapResult
        from processing_pool._stats import PoolStats as PoolStats
        from processing_pool._stats import WorkerStats as WorkerStats
        from processing_pool._worker import worker_state as worker_state
    else:
        from typing import Any

        # They are still to come there.
        IMapIterator: Any
        PoolExecutor: Any
        Pool: Any
        ThreadPool: Any
        AsyncResult: Any
        MapResult: Any
        PoolStats: Any
        WorkerStats: Any
        worker_state: Any
    from processing_pool.errors import TaskCancelled as TaskCancelled
    from processing_pool.errors import TaskTimeout as TaskTimeout
    from processing_pool.errors import WorkerLost as WorkerLost
else:
    _HOMES = {
        "AsyncResult": "_results",
        "IMapIterator": "_buffer",
        "MapResult": "_results",
        "Pool": "_pool",
        "PoolExecutor": "_executor",
        "PoolStats": "_stats",
        "TaskCancelled": "errors",
        "TaskTimeout": "errors",
        "ThreadPool": "_pool",
        "WorkerLost": "errors",
        "WorkerStats": "_stats",
        "worker_state": "_worker",
    }

    def __getattr__(name):
        # What a pool needs is imported when the first is made; a worker needs only its part of it.
        if name in _HOMES:
            if sys.platform == "win32" and _HOMES[name] != "errors":
                raise NotImplementedError(f"{name} is not available on Windows yet")
            import importlib

            module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
            value = globals()[name] = getattr(module, name)
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "AsyncResult",
    "IMapIterator",
    "MapResult",
    "Pool",
    "PoolExecutor",
    "PoolStats",
    "TaskCancelled",
    "TaskTimeout",
    "ThreadPool",
    "WorkerLost",
    "WorkerStats",
    "__version__",
    "worker_state",
]
