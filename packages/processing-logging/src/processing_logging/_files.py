"""Owns the handler by which several processes log to one file, each for itself."""

from __future__ import annotations

import codecs
import logging
import os
import sys
import weakref
from collections import deque

assert sys.platform != "win32"

import fcntl

from processing_core import InvalidArgument
from processing_core.lowlevel import on_fork_in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["SharedFileHandler"]

MODE = 0o666
# More than the bytes of one character in any encoding.
TAIL_BYTES = 64


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
    or remove the file, a new one is begun. Of a record that cannot be written as a whole, because
    the disk is full for example, nothing stays in the file. While the file cannot be renamed, it
    grows; like all errors that is shown as ``logging.Handler.handleError`` does it, once.

    Safe from several threads, signal handlers and in forked children. Can be pickled if its
    formatter and filters can: the copy is another handler of the same file. Not for network file
    systems without locks.
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
        self._prepare()

    def _prepare(self) -> None:
        self._descriptor = -1
        self._cannot_rotate = False
        # Records that a signal handler logs while its thread is at work on another.
        self._busy = False
        self._waiting: deque[logging.LogRecord] = deque()
        # Some encodings begin every text with a mark of the byte order: the file has one.
        self._mark = "".encode(self.encoding)
        self._newline = self._encode("\n")
        _handlers.add(self)
        _hook_into_forks()

    def __getstate__(self) -> dict[str, Any]:
        left_out = {"lock", "_descriptor", "_waiting"}
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        self.__dict__.update(state)
        self._prepare()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record."""
        self._waiting.append(record)
        # If it is busy this is a signal handler: whom it interrupts has the lock, and goes on.
        while self._waiting and not self._busy:
            self._busy = True
            try:
                # Between the question and the answer a signal handler may have done it all.
                if self._waiting:
                    self._emit(self._waiting.popleft())
            finally:
                self._busy = False

    def _emit(self, record: logging.LogRecord) -> None:
        try:
            self._append(self.format(record) + self.terminator, record)
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

    def _encode(self, text: str) -> bytes:
        return text.encode(self.encoding, self.errors)[len(self._mark) :]

    def _append(self, text: str, record: logging.LogRecord) -> None:
        assert sys.platform != "win32"
        data = self._encode(text)
        rotates = bool(self.max_bytes and self.backup_count)
        while True:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_renamed(descriptor):
                    self._close()  # by another process: on with the new one
                    continue
                size = os.fstat(descriptor).st_size
                if rotates and 0 < size > self.max_bytes - len(data):
                    if self._rotate(record):
                        self._close()
                        continue
                    rotates = False
                if not size:
                    data = self._mark + data
                elif not self._ends_with_newline(descriptor, size):
                    # Who wrote this was killed meanwhile. Nobody else writes: the lock is ours.
                    size = self._cut_character(descriptor, size)
                    data = self._newline + data
                self._write(descriptor, data, size)
                return
            finally:
                if self._descriptor == descriptor:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _write(self, descriptor: int, data: bytes, size: int) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            os.ftruncate(descriptor, size)
            raise

    def _ends_with_newline(self, descriptor: int, size: int) -> bool:
        width = len(self._newline)
        return size % width == 0 and os.pread(descriptor, width, size - width) == self._newline

    def _cut_character(self, descriptor: int, size: int) -> int:
        """Cut off what a file ends with that is less than a character; returns the new size."""
        width = len(self._newline)
        begin = max(0, size - TAIL_BYTES) // width * width
        data = os.pread(descriptor, size - begin, begin)
        if width > 1:
            left = len(data) % width
        else:
            decoder = codecs.getincrementaldecoder(self.encoding)("replace")
            decoder.decode(data)
            left = len(decoder.getstate()[0])
        if left:
            os.ftruncate(descriptor, size - left)
        return size - left

    def _open(self) -> int:
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.baseFilename, flags, MODE)
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

    def _rotate(self, record: logging.LogRecord) -> bool:
        """With the lock. Whoever is killed meanwhile leaves a gap, which the next one fills."""
        name = self.baseFilename
        last = 1
        try:
            while last < self.backup_count and os.path.exists(f"{name}.{last}"):
                last += 1
            for number in range(last, 1, -1):
                os.replace(f"{name}.{number - 1}", f"{name}.{number}")
            os.replace(name, f"{name}.1")
        except OSError:
            if not self._cannot_rotate:
                self._cannot_rotate = True
                self.handleError(record)
            return False
        self._cannot_rotate = False
        return True

    def _after_fork_in_child(self) -> None:
        """Let go of the parent's file: whoever shares it shares its lock, and would keep that when
        the parent is killed.
        """
        self._close()
        self._busy = False
        self._waiting.clear()

    def __repr__(self) -> str:
        level = logging.getLevelName(self.level)
        return f"<{type(self).__name__} {self.baseFilename} ({level})>"


SharedFileHandler.__module__ = "processing_logging"

_handlers: weakref.WeakSet[SharedFileHandler] = weakref.WeakSet()


class _Hooks:
    installed = False


def _hook_into_forks() -> None:
    if not _Hooks.installed:
        _Hooks.installed = True
        on_fork_in_child(_after_fork_in_child)


def _after_fork_in_child() -> None:
    for handler in list(_handlers):
        handler._after_fork_in_child()
