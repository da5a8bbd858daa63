"""Owns the handler by which several processes log to one file, each for itself."""

from __future__ import annotations

import logging
import os
import sys

assert sys.platform != "win32"

import fcntl

from processing_core import InvalidArgument

__all__ = ["SharedFileHandler"]

MODE = 0o666


class SharedFileHandler(logging.Handler):
    """Appends to a file that other processes append to, and may rotate, at the same time.

    :param filename: where the file is; it is made by the first record
    :param max_bytes: at which size it is renamed to ``filename.1``, that one to ``filename.2`` and
        so on, and a new one begun; 0 for never
    :param backup_count: how many such files are kept; with 0 nothing is rotated
    :param encoding: of the file
    :param errors: what is done with characters that it does not have, as for ``str.encode``

    :raises InvalidArgument: (a ValueError) when a number is negative
    :raises LookupError: when the encoding is not known
    :raises NotImplementedError: on Windows, when the name is used

    The file is locked (flock(2)) for each record, so lines are whole, none is lost to a rotation,
    and what a process was killed in the middle of ends with its line. The kernel gives the lock
    back when its holder ends. Every process must use this handler for the file. If others rename
    or remove the file, a new one is begun.

    Safe from several threads and in forked children. Not for network file systems without locks.
    """

    terminator = "\n"

    def __init__(
        self,
        filename: str | os.PathLike[str],
        max_bytes: int = 0,
        backup_count: int = 0,
        encoding: str = "utf-8",
        errors: str = "backslashreplace",
    ) -> None:
        for what, number in (("max_bytes", max_bytes), ("backup_count", backup_count)):
            if number < 0:
                raise InvalidArgument(f"{what} must not be negative, not {number}")
        "".encode(encoding, errors)
        super().__init__()
        # Absolute, so that a process that changes its folder goes on with the same file.
        self.baseFilename: str = os.path.abspath(os.fspath(filename))
        self.max_bytes = max_bytes
        self.backup_count = backup_count
        self.encoding = encoding
        self.errors = errors
        self._descriptor = -1
        self._pid = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record."""
        try:
            text = self.format(record) + self.terminator
            self._append(text.encode(self.encoding, self.errors))
        except Exception:  # noqa: BLE001 - as every handler: a program does not fail by logging
            self.handleError(record)

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        self.acquire()
        try:
            self._close()
        finally:
            self.release()
        super().close()

    def _append(self, data: bytes) -> None:
        assert sys.platform != "win32"
        while True:
            descriptor = self._open()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if self._is_renamed(descriptor):
                    self._close()  # by another process: on with the new one
                    continue
                size = os.fstat(descriptor).st_size
                if self.max_bytes and self.backup_count and 0 < size > self.max_bytes - len(data):
                    self._rotate()
                    self._close()
                    continue
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    # Who wrote this was killed meanwhile. Nobody else writes: the lock is ours.
                    data = b"\n" + data
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                return
            finally:
                if self._descriptor == descriptor:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _open(self) -> int:
        """The descriptor of this process: a copy that a fork made would share the lock, too."""
        if self._pid != os.getpid():
            self._close()
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.baseFilename, flags, MODE)
            self._pid = os.getpid()
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _is_renamed(self, descriptor: int) -> bool:
        try:
            there = os.stat(self.baseFilename)
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(descriptor))

    def _rotate(self) -> None:
        """With the lock. Whoever is killed meanwhile leaves a gap, which the next one fills."""
        name = self.baseFilename
        last = 1
        while last < self.backup_count and os.path.exists(f"{name}.{last}"):
            last += 1
        for number in range(last, 1, -1):
            os.replace(f"{name}.{number - 1}", f"{name}.{number}")
        os.replace(name, f"{name}.1")

    def __repr__(self) -> str:
        level = logging.getLevelName(self.level)
        return f"<{type(self).__name__} {self.baseFilename} ({level})>"


SharedFileHandler.__module__ = "processing_logging"
