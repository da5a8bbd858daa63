"""The protocol between a pool's front and what runs its tasks."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from processing_pool._options import Options
    from processing_pool._stats import PoolStats
else:
    # Only type checkers look at protocols.
    Protocol = object

__all__ = ["Engine", "Open", "Packs"]


class Open(Protocol):
    """Something that may have more to submit, such as imap."""

    @property
    def is_taking(self) -> bool:
        """Whether more is to come."""
        ...

    def break_off(self, error: BaseException) -> None:
        """No more results will come."""
        ...

    def take_all(self, *, endless: bool) -> None:
        """The pool is waited for: submit the rest, or what is known to have an end."""
        ...


class Packs(Protocol):
    """How functions and arguments are made ready to travel."""

    def find(self, function: Callable[..., Any]) -> Any: ...

    def pack_call(self, function: Any, args: Sequence[Any], kwds: Mapping[str, Any]) -> Any: ...


class Engine(Protocol):
    """What runs the tasks."""

    processes: int
    options: Options
    closed: bool
    deciding: Any
    """A lock that guards a result's step from pending to what follows, in short moments."""

    @property
    def functions(self) -> Packs: ...

    @property
    def is_foreign(self) -> bool:
        """Whether this process is a fork of the one that has the pool."""
        ...

    @property
    def is_current_thread(self) -> bool:
        """Whether this is the thread that results come by."""
        ...

    def check_open(self) -> None:
        """:raises ClosedError: when no more tasks are taken; MisuseError: in another process."""
        ...

    def open(self, source: Open) -> None:
        """There is something that may have more to submit."""
        ...

    def wake(self) -> None:
        """Something may have come to its end."""
        ...

    def submit(self, span: Any) -> None:
        """Have tasks run."""
        ...

    def run(self, result: Any) -> None:
        """Have a call run that the caller will wait for."""
        ...

    def expect_limits(self) -> None:
        """Some task has a time limit."""
        ...

    def withdraw(self, work: Any) -> None:
        """Nobody wants the results any more."""
        ...

    def where(self, work: Any) -> tuple[int, float] | None:
        """The process that runs it and when that began, time.monotonic()."""
        ...

    def close(self) -> None:
        """Take no more tasks; end when all are done."""
        ...

    def terminate(self) -> None:
        """End at once."""
        ...

    def join(self, *, endless: bool) -> None:
        """Wait for the end. What may be endless is taken to its end only if that is asked for."""
        ...

    def resize(self, processes: int) -> None:
        """Have another number of workers."""
        ...

    def stats(self) -> PoolStats:
        """A snapshot."""
        ...

    def dump_stacks(self) -> dict[int, str]:
        """What each worker is doing."""
        ...
