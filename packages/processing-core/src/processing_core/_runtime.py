"""Owns the state that a process has exactly once, as one object that a child builds anew.

Nothing is made at import: the object starts empty and each part is filled when it is first needed.
"""

from __future__ import annotations

import io
import os
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from processing_core._process import ParentProcess, Process
    from processing_core._start.main_module import MainModule
    from processing_core.abc import KnownServer

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
        """Close all of them, in a forked child. The fork left the lock with this thread."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = set()
        self.lock.release()


class EmptyInput(io.RawIOBase):
    """An input that is at its end; the null device where somebody asks for the descriptor."""

    _descriptor: int | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:  # noqa: ARG002
        return 0

    def fileno(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(os.devnull, os.O_RDONLY)
        return self._descriptor


class Runtime:
    """The state of the library in this process."""

    __slots__ = (
        "bootstrapping",
        "children",
        "current",
        "executable",
        "forkserver",
        "forkserver_lock",
        "freeze_support_called",
        "lifeline",
        "lock",
        "main_module",
        "parent",
        "preload",
        "private",
        "start_method",
        "stdin",
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
        # Whether a frozen program, started again as a child, will notice; forks keep it.
        self.freeze_support_called = False
        self.preload: tuple[str, ...] = ("__main__",)
        self.forkserver: KnownServer | None = None
        # Held while a request is sent, which waits only for a server that is alive.
        self.forkserver_lock = threading.Lock()
        # How a child finds its __main__ again, once this process was itself told.
        self.main_module: MainModule | None = None
        # True while a child imports its __main__: starting processes then would never end.
        self.bootstrapping = False
        # What a child has as sys.stdin, and what it had before (kept, because its end costs time).
        self.stdin: tuple[TextIO | None, TextIO | None] = (None, None)

    def prepare_stdin(self) -> None:
        """Make the empty input that children read, so that a fork finds it ready."""
        if self.stdin[0] is None:
            raw = io.BufferedReader(EmptyInput())
            self.stdin = (io.TextIOWrapper(raw, encoding="utf-8"), None)

    def replace_stdin(self) -> None:
        """Read nothing from now on: the parent alone reads from the terminal they share."""
        self.prepare_stdin()
        self.stdin = (self.stdin[0], sys.stdin)
        sys.stdin = self.stdin[0]

    def after_fork_in_child(self) -> None:
        """Drop what belongs to the parent; called by every fork, the user's own included."""
        self.lock = threading.RLock()
        self.forkserver_lock = threading.Lock()
        self.private.close_in_child()
        self.children = set()


runtime = Runtime()
