"""Owns what a child knows of the process that started it."""

from __future__ import annotations

from processing_core._clock import checked_timeout
from processing_core._platform import lifeline
from processing_core._platform.polling import wait_for
from processing_core.errors import ClosedError

__all__ = ["ParentProcess"]


class ParentProcess:
    """The process that started this one. What ``parent_process()`` returns."""

    def __init__(self, name: str, pid: int, authkey: bytes, line: int | None) -> None:
        self._name = name
        self._pid = pid
        self._authkey = authkey
        self._lifeline = line

    @property
    def name(self) -> str:
        """The name that it had when it started this process."""
        return self._name

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    ident = pid

    @property
    def authkey(self) -> bytes:
        """The authentication key that it gave this process."""
        return self._authkey

    @property
    def sentinel(self) -> int:
        """What ``wait`` and ``select`` find ready when it is gone."""
        if self._lifeline is None:
            raise ClosedError("the parent process is not known by a descriptor")
        return self._lifeline

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return not lifeline.hung_up(self.sentinel)

    isAlive = is_alive

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is gone, at most ``timeout`` seconds.

        :raises InvalidArgument: (a ValueError) when the timeout is NaN
        """
        wait_for(self.sentinel, checked_timeout(timeout))

    def __repr__(self) -> str:
        state = "started" if self.is_alive() else "stopped"
        return f"<{type(self).__name__}({self._name}, {state})>"
