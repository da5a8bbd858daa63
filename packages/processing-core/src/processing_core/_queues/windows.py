"""Owns what stands for the queues on Windows, where they are still to come, and says so."""

from __future__ import annotations

from processing_core._generic import TYPE_CHECKING, Container, ItemT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from processing_core.abc import StartsProcesses

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


class SimpleQueue(Container[ItemT]):
    """As on POSIX. :raises NotImplementedError: always"""

    def __init__(self, *, ctx: StartsProcesses | None = None) -> None:
        raise NotImplementedError(f"{type(self).__name__} is not available on Windows yet")

    if TYPE_CHECKING:

        def put(self, obj: ItemT, block: bool = True, timeout: float | None = None) -> None: ...
        def get(self, block: bool = True, timeout: float | None = None) -> ItemT: ...
        def empty(self) -> bool: ...
        def close(self) -> None: ...
        def fileno(self) -> int: ...


class Queue(SimpleQueue[ItemT]):
    """As on POSIX. :raises NotImplementedError: always"""

    def __init__(
        self,
        maxsize: int = 0,  # noqa: ARG002
        *,
        max_bytes: int | None = None,  # noqa: ARG002
        ctx: StartsProcesses | None = None,
    ) -> None:
        super().__init__(ctx=ctx)

    if TYPE_CHECKING:

        def put_nowait(self, obj: ItemT) -> None: ...
        def get_nowait(self) -> ItemT: ...
        def put_many(self, iterable: Iterable[ItemT]) -> None: ...
        def get_many(self, max_items: int, timeout: float | None = None) -> list[ItemT]: ...
        async def aget(self) -> ItemT: ...
        async def aput(self, obj: ItemT) -> None: ...
        def qsize(self) -> int: ...
        def full(self) -> bool: ...
        def join_thread(self) -> None: ...
        def cancel_join_thread(self) -> None: ...

        putNoWait = put_nowait
        getNoWait = get_nowait
        putMany = putmany = put_many
        joinThread = jointhread = join_thread
        cancelJoin = canceljoin = cancelJoinThread = cancel_join_thread


class JoinableQueue(Queue[ItemT]):
    """As on POSIX. :raises NotImplementedError: always"""

    if TYPE_CHECKING:

        def task_done(self) -> None: ...
        def join(self) -> None: ...

        taskDone = task_done
