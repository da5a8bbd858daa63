"""Owns what stands in a child in place of the handlers, and of stdout and stderr."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
import weakref

assert sys.platform != "win32"

from processing_core import current_process
from processing_logging._names import Here
from processing_logging._records import encode, encode_output
from processing_logging._route import Route
from processing_logging._short import lengthen, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer

__all__ = ["RelayHandler", "capture", "finish", "release"]

STDOUT, STDERR = 1, 2
# Of how many loggers to know whether they can send their records themselves. Some programs make
# names as they go.
MOST_KNOWN = 10_000


class RelayHandler(logging.Handler):
    """Sends records to the handlers of another process.

    It takes no lock: the queue is safe from threads as it is. If nobody is there any more who could
    handle a record, the record goes where those of a program without handlers go.
    """

    def __init__(self, route: Route) -> None:
        super().__init__()
        self._send = route.send
        # The loggers that send their records themselves from their second one on, if they can.
        self._known: dict[str, logging.Logger | None] = {}

    def _shorten(self, name: str) -> None:
        manager = logging.Logger.manager
        logger = manager.root if name == manager.root.name else manager.loggerDict.get(name)
        if not isinstance(logger, logging.Logger):
            logger = None  # somebody has made the record himself
        self._known[name] = logger
        if logger is not None and not shorten(logger, self, self._send):
            self._known[name] = None

    def let_go(self) -> None:
        """Have all loggers give records to their handlers again."""
        while self._known:
            _, logger = self._known.popitem()
            if logger is not None:
                lengthen(logger)

    def handle(self, record: logging.LogRecord) -> bool:
        """Send a record."""
        try:
            if record.name not in self._known and len(self._known) < MOST_KNOWN:
                self._shorten(record.name)
            if record.process == Here.pid:
                record.processName = current_process().name
            sent = self._send(encode(record))
        except Exception:  # noqa: BLE001 - as every handler: a program does not fail by logging
            self.handleError(record)
            return True
        if not sent:
            last = logging.lastResort
            if last is not None and record.levelno >= last.level:
                last.handle(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """The same as handle()."""
        self.handle(record)


class Descriptor(io.BufferedWriter):
    """Writes bytes to a descriptor at once, and all of them."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.FileIO(descriptor, "w", closefd=False))

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes."""
        count = super().write(data)
        self.flush()
        return count


class Line:
    """What a thread has written of a line that has no end yet."""

    __slots__ = ("__weakref__", "text")

    def __init__(self) -> None:
        self.text = [""]


class LineWriter(io.TextIOBase):
    """A stdout or stderr whose whole lines are sent to another process.

    Each thread has a line of its own, so that lines never mix. What has no end yet is sent when it
    is flushed, or at the end of the thread or the process.
    """

    def __init__(self, stream: int, name: str, route: Route, fallback: int) -> None:
        self.stream = stream
        self.mode = "w"
        self.name = name
        # What writes bytes writes to the pipe that has the descriptor's number now.
        self.buffer = Descriptor(stream)
        self._route = route
        self._fallback = fallback
        # Each thread's line ends with it. A number that stands for a thread would come again.
        self._own = threading.local()
        self._lines: dict[weakref.ref[Line], list[str]] = {}
        self._ends = False

    encoding = "utf-8"
    errors = "backslashreplace"
    line_buffering = True

    def write(self, text: str, /) -> int:
        """Take text. Sends what is up to the last end of a line in it."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        cut = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        line = self._line()
        if cut:
            begun, line[0] = line[0], text[cut:]
            self._send(begun + text[:cut])
        else:
            line[0] += text
        if self._ends and line[0]:
            self.flush()
        return len(text)

    def _line(self) -> list[str]:
        try:
            return self._own.line.text  # type: ignore[no-any-return]
        except AttributeError:
            line = self._own.line = Line()
            self._lines[weakref.ref(line, self._thread_ended)] = line.text
            return line.text

    def _thread_ended(self, line: weakref.ref[Line]) -> None:
        text = self._lines.pop(line)[0]
        if text:
            self._send(text)

    def flush(self) -> None:
        """Send what this thread has written, even without an end."""
        line = self._line()
        begun, line[0] = line[0], ""
        if begun:
            self._send(begun)

    def finish(self) -> None:
        """Send what has no end, and from now on everything at once."""
        self._ends = True
        for line in list(self._lines.values()):
            begun, line[0] = line[0], ""
            if begun:
                self._send(begun)

    def reconfigure(self, **_: object) -> None:
        """Do nothing: text arrives as it is, and lines at once."""

    def _send(self, text: str) -> None:
        if not self._route.send(encode_output(self.stream, text)):
            data = memoryview(text.encode(self.encoding, self.errors))
            while data:
                data = data[os.write(self._fallback, data) :]

    def fileno(self) -> int:
        """The descriptor of the pipe that bytes go to."""
        return self.stream

    def isatty(self) -> bool:
        """It is none."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True


class _Captured:
    """What this process had before."""

    # Copies of the descriptors 1 and 2.
    descriptors: tuple[int, int] | None = None
    streams: tuple[TextIO | None, TextIO | None] = (None, None)
    writers: tuple[LineWriter, LineWriter] | None = None


def capture(route: Route) -> None:
    """Send what this process writes to stdout and stderr from now on.

    What Python code writes goes line by line in the order of the log records. What others write to
    the descriptors, such as libraries in C and programs that are run, goes through pipes.
    """
    if _Captured.descriptors is None:
        _Captured.descriptors = _copy(STDOUT), _copy(STDERR)
        _Captured.streams = sys.stdout, sys.stderr
        for before in _Captured.streams:
            # A forked child may have one that its parent has closed.
            if before is not None and not before.closed:
                with contextlib.suppress(OSError):
                    before.flush()
    kept = _Captured.descriptors
    for stream, pipe in zip((STDOUT, STDERR), route.outputs, strict=True):
        os.dup2(pipe, stream)
    writers = (
        LineWriter(STDOUT, "<stdout>", route, kept[0]),
        LineWriter(STDERR, "<stderr>", route, kept[1]),
    )
    _Captured.writers = writers
    sys.stdout, sys.stderr = writers


def _copy(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)  # this process was started without it


def finish() -> None:
    """At the end of the process: hold nothing back any more."""
    for writer in _Captured.writers or ():
        writer.finish()


def release() -> None:
    """Undo capture()."""
    if _Captured.writers is None or _Captured.descriptors is None:
        return
    finish()
    for stream, kept in zip((STDOUT, STDERR), _Captured.descriptors, strict=True):
        os.dup2(kept, stream)
        os.close(kept)
    sys.stdout, sys.stderr = _Captured.streams
    _Captured.writers = _Captured.descriptors = None
