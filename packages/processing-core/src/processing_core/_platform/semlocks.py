"""The one module that imports CPython's ``_multiprocessing``: semaphores at C speed.

``SemLock`` counts, knows its owner if it is recursive, and lets a signal handler run, and raise,
while it waits. ``SemLock._rebuild(address, kind, maxvalue, None)`` makes one of an unnamed
semaphore.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Protocol, Self

    class SemaphoreLike(Protocol):
        """What operates a semaphore, whatever that is made of."""

        @property
        def kind(self) -> int: ...
        @property
        def maxvalue(self) -> int: ...
        def acquire(self, block: bool = True, timeout: float | None = None) -> bool: ...
        def release(self) -> None: ...
        def __enter__(self) -> bool: ...
        def __exit__(
            self,
            kind: type[BaseException] | None = None,
            error: BaseException | None = None,
            traceback: TracebackType | None = None,
            /,
        ) -> None: ...
        def _count(self) -> int: ...
        def _is_mine(self) -> bool: ...
        def _get_value(self) -> int: ...
        def _is_zero(self) -> bool: ...

    class SemLock(SemaphoreLike):
        """The type of ``_multiprocessing.SemLock``."""

        SEM_VALUE_MAX: int
        handle: int

        @classmethod
        def _rebuild(cls, handle: int, kind: int, maxvalue: int, name: str | None, /) -> Self: ...
        def _after_fork(self) -> None: ...

    AVAILABLE: bool
    SEM_VALUE_MAX: int
    _Any = Any
else:
    try:
        from _multiprocessing import SemLock

        SEM_VALUE_MAX = SemLock.SEM_VALUE_MAX
        AVAILABLE = True
    except (ImportError, AttributeError):  # a build without working semaphores
        SemLock = object
        SEM_VALUE_MAX = 2**31 - 1
        AVAILABLE = False

__all__ = ["AVAILABLE", "RECURSIVE", "SEMAPHORE", "SEM_VALUE_MAX", "SemLock"]

# The kinds of SemLock.
RECURSIVE, SEMAPHORE = 0, 1
