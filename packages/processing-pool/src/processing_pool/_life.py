"""Owns the life of a pool: how it is closed, waited for and collected; what it tells of itself."""

from __future__ import annotations

import sys
import warnings

assert sys.platform != "win32"

from processing_core import MisuseError, ProcessError
from processing_pool._options import positive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from processing_pool._abc import Engine
    from processing_pool._stats import PoolStats

__all__ = ["Life"]


class _NotPicklableError(ProcessError, NotImplementedError):
    """Pools cannot be passed between processes."""


class _NotClosedError(MisuseError, ValueError):
    """A pool was joined that takes tasks."""


class Life:
    """A pool, apart from its calls."""

    _engine: Engine | None = None

    def close(self) -> None:
        """Take no more tasks. The workers end when all tasks are done."""
        if self._engine is not None:
            self._engine.close()

    def terminate(self) -> None:
        """End the workers at once. Tasks that are not done fail with TaskCancelled."""
        if self._engine is not None:
            self._engine.terminate()

    def join(self) -> None:
        """Wait until the workers have ended. After ``close()`` or ``terminate()`` only.

        :raises MisuseError: (an AssertionError, and a ValueError) before that
        """
        self._join(endless=True)

    def _join(self, *, endless: bool) -> None:
        engine = self._known()
        if engine.is_foreign:
            raise MisuseError("only the process that made a pool can join it")
        if not engine.closed:
            raise _NotClosedError("a pool can be joined only after close() or terminate()")
        engine.join(endless=endless)

    def resize(self, processes: int) -> None:
        """Have another number of workers. Those that are too many end when they are done.

        :raises InvalidArgument: (a ValueError) when it is not positive
        """
        self._running().resize(positive(processes, "processes"))

    def stats(self) -> PoolStats:
        """What the pool is doing, as a snapshot."""
        return self._known().stats()

    def dump_stacks(self) -> dict[int, str]:
        """What each worker is doing at this moment: the stacks of its threads, by process id.

        The text is empty for a worker that does not answer within a second, as one that is stopped.
        """
        return self._known().dump_stacks()

    def __enter__(self) -> Self:
        self._running()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.terminate()
        try:
            self._join(endless=False)
        except BaseException:
            self.terminate()
            raise

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import asyncio

        if kind is None:
            self.close()
        else:
            self.terminate()
        try:
            await asyncio.to_thread(self._join, endless=False)
        except BaseException:
            self.terminate()
            raise

    def __del__(self) -> None:
        engine = self._engine
        if engine is None or engine.is_foreign:
            return
        if engine.closed:
            engine.wake()  # nobody has joined, so the workers are looked after by the thread
            return
        engine.terminate()
        warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        engine = self._engine
        if engine is None:
            return f"<{type(self).__name__}>"
        state = "closed" if engine.closed else "running"
        return f"<{type(self).__name__} {state} processes={engine.processes}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise _NotPicklableError("pools cannot be passed between processes or pickled")

    # Inner workings

    def _running(self) -> Engine:
        engine = self._known()
        engine.check_open()
        return engine

    def _known(self) -> Engine:
        assert self._engine is not None
        return self._engine
