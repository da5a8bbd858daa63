"""The protocols between the layers: what a launcher, a child's handle and a context must offer."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Protocol
else:
    # Only type checkers look at protocols; the library never asks isinstance() about them.
    Protocol = object

__all__ = ["ChildHandle", "HasFileno", "KnownServer", "Launcher", "Startable", "StartsProcesses"]


class HasFileno(Protocol):
    """Anything that the operating system can wait for by a descriptor."""

    def fileno(self) -> int: ...


class StartsProcesses(Protocol):
    """A context: names the start method that a process made in it uses."""

    def get_start_method(self) -> str: ...


class ChildHandle(Protocol):
    """A started child, seen from the process that started it. Every method is thread-safe."""

    @property
    def pid(self) -> int: ...

    @property
    def sentinel(self) -> int:
        """What becomes ready (readable, signalled) when the child has ended."""
        ...

    def poll(self) -> int | None:
        """The exit code, None while the child runs.

        Waits, for a second at most, only for a fork server to tell the code of a child that has
        ended.
        """
        ...

    def wait(self, timeout: float | None) -> int | None:
        """As poll(), after waiting for at most ``timeout`` seconds (None: until it ends)."""
        ...

    def send_signal(self, signum: int) -> None:
        """Send a signal unless the child has ended; never reaches another process."""
        ...

    def close(self) -> None:
        """Give the descriptors back."""
        ...


class KnownServer(Protocol):
    """The way to a fork server."""

    pid: int | None
    users: int

    def descriptors(self) -> list[int]:
        """What a child needs to use the same server."""
        ...

    def request(self, size: int, dies_with_parent: bool, descriptors: list[int]) -> None:
        """Ask for a child."""
        ...

    @property
    def is_gone(self) -> bool:
        """Whether the server has ended."""
        ...

    def close(self) -> None:
        """Forget a server that is dying."""
        ...


class Startable(Protocol):
    """What a launcher needs to know of a process object."""

    @property
    def name(self) -> str: ...

    def _enter_child(self) -> int:
        """Run as the current process of a child; returns the exit code."""
        ...


class Launcher(Protocol):
    """Starts children by one method."""

    def __call__(self, process: Startable, dies_with_parent: bool) -> ChildHandle: ...
