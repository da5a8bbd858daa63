"""Owns the state that a process has exactly once, as one object that a child builds anew.

Nothing is made at import: the object starts empty and each part is filled when it is first needed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core._process import ParentProcess, Process
    from processing_core._start.forkserver import ForkServer
    from processing_core._start.main_module import MainModule

__all__ = ["AuthKey", "Runtime", "runtime"]

AUTHKEY_BYTES = 32


class AuthKey(bytes):
    """The key of a process; ``_serialize`` lets it travel only to a child that is being started."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(
            "the key of a process is not pickled, so that it cannot leak; children get it when "
            "they are started"
        )


class PrivateDescriptors:
    """Descriptors that belong to this process alone: a forked child closes them at once.

    A copy in a sibling would keep a pipe open after its owner has died. The lock is held from the
    making of a descriptor to its entry here, and by every fork, so that no fork falls in between.
    It is re-entrant because a signal handler may fork while its thread holds it.
    """

    __slots__ = ("_descriptors", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._descriptors: set[int] = set()

    def pipe(self) -> tuple[int, int]:
        """A new pipe (read end, write end) whose write end is private."""
        with self.lock:
            reader, writer = os.pipe()
            self._descriptors.add(writer)
        return reader, writer

    def add(self, descriptor: int) -> int:
        """Make a descriptor private that no fork can have copied unnoticed."""
        with self.lock:
            self._descriptors.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        """Close a private descriptor. No effect on one that was closed or dropped by a fork."""
        # Removal and closing are one step for forks: a child must not close a number in new use.
        with self.lock:
            if descriptor in self._descriptors:
                self._descriptors.discard(descriptor)
                os.close(descriptor)

    def close_in_child(self) -> None:
        """Close all of them, in a forked child whose other threads are gone."""
        self.lock = threading.RLock()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = set()


class Runtime:
    """The state of the library in this process."""

    __slots__ = (
        "bootstrapping",
        "children",
        "current",
        "executable",
        "forkserver",
        "forkserver_lock",
        "lifeline",
        "lock",
        "main_module",
        "parent",
        "preload",
        "private",
        "start_method",
    )

    def __init__(self) -> None:
        # Guards the sets and the lazily made parts; nothing blocks while it is held.
        self.lock = threading.RLock()
        self.private = PrivateDescriptors()
        # Started children that nobody has seen end.
        self.children: set[Process] = set()
        self.current: Process | None = None
        self.parent: ParentProcess | None = None
        # The read end of the pipe whose write end only the parent holds; None in the main process.
        self.lifeline: int | None = None
        self.start_method: str | None = None
        self.executable: str | None = None
        self.preload: tuple[str, ...] = ("__main__",)
        self.forkserver: ForkServer | None = None
        # Held while a request is sent, which waits only for a server that is alive.
        self.forkserver_lock = threading.Lock()
        # How a child finds its __main__ again, once this process was itself told.
        self.main_module: MainModule | None = None
        # True while a child imports its __main__: starting processes then would never end.
        self.bootstrapping = False

    def after_fork_in_child(self) -> None:
        """Drop what belongs to the parent; called by every fork, the user's own included."""
        self.lock = threading.RLock()
        self.forkserver_lock = threading.Lock()
        self.private.close_in_child()
        self.children = set()


runtime = Runtime()
