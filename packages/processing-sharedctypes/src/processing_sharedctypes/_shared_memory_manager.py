"""Owns SharedMemoryManager: blocks of shared memory that end together, without a server."""

from __future__ import annotations

import contextlib
import os
import sys

from processing_core import ClosedError, InvalidArgument, MisuseError, SharingError
from processing_sharedctypes._shareable_list import ShareableList
from processing_sharedctypes._shared_memory import SharedMemory

if sys.platform == "win32":
    from processing_sharedctypes import _named_memory_windows as memory
else:
    from processing_sharedctypes import _named_memory as memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, NoReturn, Self, SupportsIndex, overload

    from processing_sharedctypes._shareable_list import Item, ItemT

__all__ = ["SharedMemoryManager"]


class SharedMemoryManager:
    """Makes blocks of shared memory, and removes their names all at once.

    :param address: must be None: there is no server process that could be reached
    :param authkey: accepted for code that was written for the standard library, and not used
    :raises InvalidArgument: (a ValueError) when an address is given

    The names go at :meth:`shutdown` or the end of a ``with`` statement, when the manager itself is
    collected, and when the process ends that made it, however it ends. Processes that use a block
    then can go on doing so.

    Only the process that made a manager can use it. Its methods are safe to call from several
    threads.

    Source: Python's documentation of ``multiprocessing.managers.SharedMemoryManager``.
    """

    __module__ = "processing_sharedctypes.shared_memory"

    def __init__(self, address: object = None, authkey: bytes | str | None = None) -> None:
        self._pid = os.getpid()
        self._state = "not started yet"
        # What the blocks are known by. Not the manager itself, which would never be collected.
        self._group = object()
        if address is not None:
            raise InvalidArgument(
                f"address must be None, not {address!r}: a SharedMemoryManager has no server"
            )
        del authkey

    def start(self) -> None:
        """Allow blocks to be made.

        :raises MisuseError: (an AssertionError) when it was started before
        """
        if self._state != "not started yet":
            raise MisuseError(f"{self!r} was started before; a manager starts once")
        self._state = "started"

    def shutdown(self) -> None:
        """Remove the names of all blocks that were made. May be called again.

        :raises MisuseError: (an AssertionError) before start, and in another process
        """
        self._check_creator()
        if self._state == "not started yet":
            raise MisuseError(f"{self!r} cannot be shut down before it is started")
        self._state = "shut down"
        memory.remove_group(self._group)

    def SharedMemory(self, size: SupportsIndex) -> SharedMemory:  # noqa: N802 - documented name
        """A new block.

        :param size: in bytes
        :raises ClosedError: (a ValueError) before start and after shutdown
        :raises InvalidArgument: (a ValueError) when the size is not positive
        :raises MemoryError: when there is no room
        :raises MisuseError: (an AssertionError) in another process
        """
        self._check_started()
        return SharedMemory._of_group(size, self._group)

    if TYPE_CHECKING:

        @overload
        def ShareableList(self, sequence: Iterable[ItemT]) -> ShareableList[ItemT]: ...
        # What the one above does not match is a mixed sequence, which has no one type.
        @overload
        def ShareableList(  # type: ignore[overload-cannot-match]
            self, sequence: Iterable[Item]
        ) -> ShareableList[Item]: ...

    def ShareableList(  # noqa: N802 - documented name
        self, sequence: Iterable[Any]
    ) -> ShareableList[Any]:
        """A new list of these items.

        :param sequence: None, bool, int, float, str or bytes each
        :raises ClosedError: (a ValueError) before start and after shutdown
        :raises InvalidArgument: (a ValueError) when an item has no room
        :raises InvalidType: (a TypeError) when an item is of another type
        :raises MemoryError: when there is no room
        :raises MisuseError: (an AssertionError) in another process
        """
        self._check_started()
        return ShareableList._made_by(self.SharedMemory, sequence)

    def __enter__(self) -> Self:
        """Start the manager unless it was started."""
        if self._state != "started":
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut it down."""
        self.shutdown()

    def __del__(self) -> None:
        # At the end of the interpreter the exit sequence has done it already.
        if self._state == "started" and self._pid == os.getpid():
            with contextlib.suppress(AttributeError, TypeError):
                memory.remove_group(self._group)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._state})>"

    def __reduce__(self) -> NoReturn:
        raise SharingError(
            "a SharedMemoryManager stays in its process: pass the blocks that it makes instead"
        )

    def _check_creator(self) -> None:
        if self._pid != os.getpid():
            raise MisuseError(f"{self!r} can only be used by process {self._pid}, which made it")

    def _check_started(self) -> None:
        self._check_creator()
        if self._state != "started":
            raise ClosedError(f"{self!r} makes no blocks")
