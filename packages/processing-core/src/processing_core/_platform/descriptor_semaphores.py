"""Owns semaphores for where there are none in shared memory: a counter that the kernel keeps.

That is an eventfd in semaphore mode on Linux, and elsewhere a pipe with as many bytes as the value.
Both are passed to other processes as descriptors, and a process that is killed leaves nothing but
the value. The interface is that of CPython's ``SemLock``.
"""

from __future__ import annotations

import os
import sys
import threading

assert sys.platform != "win32"

from processing_core._clock import Deadline, checked_timeout
from processing_core._platform.polling import wait_for
from processing_core._platform.semlocks import RECURSIVE
from processing_core.errors import InvalidArgument

__all__ = ["DescriptorSemaphore"]

TOKEN_BYTES = 16


class DescriptorSemaphore:
    """A semaphore on the descriptors from which it is counted down and up, often the same one.

    ``token`` tells it from all others, in every process.
    """

    __slots__ = (
        "__weakref__",
        "_depth",
        "_owner",
        "_pid",
        "kind",
        "maxvalue",
        "reader",
        "token",
        "writer",
    )

    def __init__(self, reader: int, writer: int, kind: int, maxvalue: int, token: bytes) -> None:
        self.reader = reader
        self.writer = writer
        self.kind = kind
        self.maxvalue = maxvalue
        self.token = token
        # The thread that has it, and how often, if it is one of this process.
        self._pid = os.getpid()
        self._owner = 0
        self._depth = 0

    @classmethod
    def create(cls, kind: int, value: int, maxvalue: int) -> DescriptorSemaphore:
        """A semaphore with a value.

        :raises InvalidArgument: when a pipe cannot hold as much
        """
        token = os.urandom(TOKEN_BYTES)
        if sys.platform == "linux" and hasattr(os, "eventfd"):
            flags = os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC
            descriptor = os.eventfd(value, flags)
            return cls(descriptor, descriptor, kind, maxvalue, token)
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        semaphore = cls(reader, writer, kind, maxvalue, token)
        if value:
            try:
                written = os.write(writer, bytes(value))
            except (BlockingIOError, MemoryError):
                written = 0
            if written != value:
                raise InvalidArgument(f"this system has no semaphore of value {value}")
        return semaphore

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Count down; returns whether that was done."""
        if self.kind == RECURSIVE and self._is_mine():
            self._depth += 1
            return True
        deadline = Deadline(checked_timeout(timeout) if block else 0.0)
        while True:
            try:
                os.read(self.reader, 8 if self.reader == self.writer else 1)
            except BlockingIOError:
                if deadline.passed or not wait_for(self.reader, deadline.seconds()):
                    return False
            else:
                if self._pid != os.getpid():
                    self._pid, self._depth = os.getpid(), 0
                self._owner = threading.get_ident()
                self._depth += 1
                return True

    def release(self) -> None:
        """Count up."""
        if self.kind == RECURSIVE:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._depth > 1:
                self._depth -= 1
                return
        elif self._get_value() >= self.maxvalue:
            raise ValueError("semaphore or lock released too many times")
        self._depth -= 1
        one = (1).to_bytes(8, sys.byteorder) if self.reader == self.writer else b"\0"
        os.write(self.writer, one)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._depth if self._pid == os.getpid() else 0

    def _is_mine(self) -> bool:
        return self._count() > 0 and self._owner == threading.get_ident()

    def _get_value(self) -> int:
        if self.reader == self.writer:
            with open(f"/proc/self/fdinfo/{self.reader}", encoding="ascii") as file:
                for line in file:
                    if line.startswith("eventfd-count:"):
                        return int(line.split()[1], 16)
        # Only here: most processes have no use for these.
        import fcntl
        import termios

        size = fcntl.ioctl(self.reader, termios.FIONREAD, bytes(4))
        return int.from_bytes(size, sys.byteorder)

    def _is_zero(self) -> bool:
        return self._get_value() == 0

    def __del__(self) -> None:
        if hasattr(self, "reader"):
            os.close(self.reader)
            if self.writer != self.reader:
                os.close(self.writer)
