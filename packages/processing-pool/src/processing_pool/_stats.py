"""Owns what a pool tells of itself."""

from __future__ import annotations

import sys
from dataclasses import dataclass

assert sys.platform != "win32"

from processing_pool._memory import resident_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    ItemT = TypeVar("ItemT")

__all__ = ["Counts", "PoolStats", "WorkerStats", "copied"]


class Counts:
    """What has happened so far."""

    __slots__ = ("done", "failed", "lost", "recycled")

    def __init__(self) -> None:
        self.done: int = 0
        self.failed: int = 0
        self.lost: int = 0
        self.recycled: int = 0


def copied(items: Iterable[ItemT]) -> list[ItemT]:
    """A list of what another thread changes at the same time."""
    while True:
        try:
            return list(items)
        except RuntimeError:
            continue  # it was changed while it was copied


@dataclass(frozen=True)
class WorkerStats:
    """A worker at one moment."""

    name: str
    pid: int
    busy: float
    """The share of its time that it spent on tasks, from 0 to 1."""
    tasks: int
    """How many tasks it has done. With chunks, each chunk is one."""
    memory: int
    """Resident memory in bytes; 0 where the system does not tell."""

    @classmethod
    def of(cls, number: int, pid: int, busy: float, tasks: int) -> WorkerStats:
        """A worker whose memory is asked for now."""
        return cls(f"PoolWorker-{number}", pid, busy, tasks, resident_bytes(pid))


@dataclass(frozen=True)
class PoolStats:
    """A pool at one moment. What ``pool.stats()`` returns."""

    done: int
    """Tasks that have ended, those that failed included. With chunks, each chunk is one task."""
    failed: int
    """Tasks that raised, were lost, or ran out of time."""
    retried: int
    """Runs of tasks that were lost with their worker and begun again."""
    lost: int
    """Workers that died."""
    recycled: int
    """Workers that were replaced as planned."""
    waiting: int
    """Tasks that no worker has yet."""
    running: int
    """Tasks that workers have, begun or not."""
    workers: tuple[WorkerStats, ...]

    @classmethod
    def of(
        cls,
        counts: Counts,
        retried: int,
        waiting: int,
        running: int,
        workers: list[WorkerStats],
    ) -> PoolStats:
        """The snapshot for these counts."""
        return cls(
            counts.done,
            counts.failed,
            retried,
            counts.lost,
            counts.recycled,
            waiting,
            running,
            tuple(workers),
        )


for _public in (PoolStats, WorkerStats):
    _public.__module__ = "processing_pool"
del _public
