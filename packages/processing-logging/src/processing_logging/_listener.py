"""Owns the receiving end: the thread that hands the records of other processes to the handlers of
this one, and writes their output to its stdout and stderr.

The thread is not there while this process forks: a fork of a process with threads makes Python warn
since 3.12, and would find the locks of handlers held. It ends before and another goes on
afterwards; what it has taken from the queue and not handled yet stays with the listener.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator

assert sys.platform != "win32"

from processing_core import Queue
from processing_core.lowlevel import ExitCallback, Receiver, at_exit
from processing_logging._records import decode
from processing_logging._route import Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Listener"]

BATCH = 200
CHUNK = 65_536
# How long a fork waits for a handler that is at work. Longer, and the child is forked nevertheless:
# it does without the thread's locks, but Python may warn.
FORK_PATIENCE_SECONDS = 5.0
# After the children were ended, and whoever else wants to log at the end.
EXIT_PRIORITY = -100


class Listener:
    """Receives from every process that has its route.

    Used by several threads. ``on_fork`` is called in every forked child with the route, which is
    all that is left of the listener there.
    """

    def __init__(self, on_fork: Callable[[Listener], None]) -> None:
        self._on_fork = on_fork
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._pausing = False
        # Held for a moment: by the thread when it leaves, and by who would have it stay.
        self._turn = threading.Lock()
        self._pauses = 0
        self._closed = False
        self._pending: deque[bytes] = deque()
        self._loggers = Loggers()
        self._begun: dict[int, bytes] = {}
        self._streams: dict[int, int] = {}
        self._unflushed: set[int] = set()
        inbox: Queue[bytes] = Queue()
        # Nothing may fork between the making of a pipe and its entry here.
        self._exit: ExitCallback = at_exit(self.close, priority=EXIT_PRIORITY)
        _watch_forks()
        with _forks.lock:
            lifeline, self._end_of_lifeline = os.pipe()
            self._woken, self._wake = os.pipe()
            os.set_blocking(self._woken, False)
            _forks.listener = self
        self.route = Route(inbox, lifeline)
        self._receiver = Receiver(inbox, self._sleep)
        self._poll = select.poll()
        self._poll.register(self._receiver.descriptor, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        self._start()

    # What others call

    def add_outputs(self) -> None:
        """Have pipes for what children write to the descriptors 1 and 2."""
        with self._paused():
            if self.route.outputs or self._closed:
                return
            with _forks.lock:
                pipes = [os.pipe() for _ in range(2)]
                self._streams = {pipe[0]: number for number, pipe in enumerate(pipes, 1)}
                self.route.outputs = tuple(pipe[1] for pipe in pipes)
            for descriptor in self._streams:
                os.set_blocking(descriptor, False)
                self._poll.register(descriptor, select.POLLIN)

    def flush(self) -> None:
        """Return when everything has been handled that was sent before the call."""
        if threading.current_thread() is self._thread:
            return  # a handler that waited for itself would wait for ever
        with self._paused():
            if not self._closed:
                self._drain()
                self._write_begun()

    def close(self) -> None:
        """Handle what was sent and receive no more. May be called again."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a handler cannot end the thread that it is called by")
        with self._paused():
            if self._closed:
                return
            self._drain()
            self._write_begun()
            self._closed = True
            self._exit.cancel()
            with _forks.lock:
                _forks.forget(self)
                self._close_own()
            self.route.queue.close()
            self.route.close()

    def _close_own(self) -> None:
        """Close what no other process may have: others must see that nobody receives any more."""
        for descriptor in (self._end_of_lifeline, self._woken, self._wake, *self._streams):
            os.close(descriptor)

    # The thread

    def _start(self) -> None:
        self._pausing = False
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, CHUNK)
        self._thread = threading.Thread(target=self._run, name="processing-logging", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def _paused(self, patience: float | None = None) -> Iterator[None]:
        self.pause(patience)
        try:
            yield
        finally:
            self.resume()

    def pause(self, patience: float | None = None) -> None:
        """Have no thread until as many calls of resume(). Other threads that call it wait."""
        self._lock.acquire()
        self._pauses += 1
        thread = self._thread
        if thread is None:
            return
        try:
            self._pausing = True
            os.write(self._wake, b"!")
            thread.join(patience)
        except BaseException:
            self.resume()  # a KeyboardInterrupt has its way, and nothing stays locked
            raise
        finally:
            if not thread.is_alive():
                self._thread = None

    def resume(self) -> None:
        """Go on."""
        self._pauses -= 1
        if not self._pauses and not self._closed:
            with self._turn:
                self._pausing = False
                if self._thread is None:
                    self._start()
        self._lock.release()

    def _run(self) -> None:
        get_many = self._receiver.get_many
        while True:
            while not self._pausing:
                self._pending.extend(get_many(BATCH))
                self._handle_pending()
                if self._streams:
                    self._read_outputs()
            with self._turn:
                # It may have been too busy to notice until it shall go on.
                if self._pausing:
                    self._thread = None
                    return

    def _sleep(self, seconds: float) -> bool:
        """What the receiver does while there is no record; true when there is something else."""
        self._flush_streams()
        events = self._poll.poll(seconds * 1000)
        return self._pausing or any(found in self._streams for found, _ in events)

    def _handle_pending(self) -> None:
        pending, popleft, handle = self._pending, self._pending.popleft, self._handle
        while pending and not self._pausing:
            handle(popleft())

    def _drain(self) -> None:
        """In place of the thread: handle what is there now, and not what comes meanwhile."""
        inbox = self.route.queue
        left = len(self._pending) + inbox.qsize()
        while left > 0:
            if not self._pending:
                self._pending.extend(inbox.get_many(BATCH, 0))
                if not self._pending:
                    break
            self._handle(self._pending.popleft())
            left -= 1
        self._read_outputs()
        self._flush_streams()

    # Records

    def _handle(self, data: bytes) -> None:
        try:
            message = decode(data)
            if isinstance(message, tuple):
                self._write(*message)
                return
            # Levels and filters of loggers were asked where it was logged.
            self._loggers[message.name].callHandlers(message)
        except BaseException:  # noqa: BLE001 - one handler's failure must not stop all the others
            _report()

    # Output

    def _read_outputs(self) -> None:
        for descriptor, stream in self._streams.items():
            try:
                # Those who write without end must not keep the records waiting.
                data = os.read(descriptor, CHUNK)
            except BlockingIOError:
                continue
            whole, newline, begun = (self._begun.pop(descriptor, b"") + data).rpartition(b"\n")
            if begun:
                self._begun[descriptor] = begun
            if newline:
                self._write(stream, (whole + newline).decode(errors="backslashreplace"))

    def _write_begun(self) -> None:
        """Of descriptors, also what has no end: nobody knows whether there will be one."""
        for descriptor, begun in self._begun.items():
            self._write(self._streams[descriptor], begun.decode(errors="backslashreplace"))
        self._begun.clear()
        self._flush_streams()

    def _write(self, stream: int, text: str) -> None:
        try:
            file = _stream(stream)
            if file is not None:
                _write_text(file, text)
                self._unflushed.add(stream)
        except (OSError, ValueError):
            return  # it is closed here, as it might be for who wrote it

    def _flush_streams(self) -> None:
        while self._unflushed:
            try:
                file = _stream(self._unflushed.pop())
                if file is not None:
                    file.flush()
            except (OSError, ValueError):
                continue

    # Forks

    def before_fork(self) -> None:
        """Have no thread while this process forks."""
        self.pause(FORK_PATIENCE_SECONDS)

    def after_fork_in_child(self) -> None:
        """Be nothing but a route."""
        self._thread = None
        self._closed = True
        self._pending.clear()
        self._close_own()
        self._on_fork(self)


class Loggers(dict[str, logging.Logger]):
    """Loggers by name, without asking ``logging`` and its lock each time."""

    def __missing__(self, name: str) -> logging.Logger:
        logger = self[name] = logging.getLogger(name)
        return logger


class _Forks:
    """The listener of this process, for the hooks around forks."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.listener: Listener | None = None
        self.paused: Listener | None = None
        self.watched = False

    def forget(self, listener: Listener) -> None:
        if self.listener is listener:
            self.listener = None

    def before(self) -> None:
        listener = self.listener
        # A handler that forks is called by the very thread.
        if listener is not None and threading.current_thread() is not listener._thread:
            listener.before_fork()
            self.paused = listener
        self.lock.acquire()

    def after_in_parent(self) -> None:
        self.lock.release()
        listener, self.paused = self.paused, None
        if listener is not None:
            listener.resume()

    def after_in_child(self) -> None:
        self.lock = threading.RLock()
        listener, self.listener, self.paused = self.listener, None, None
        if listener is not None:
            listener.after_fork_in_child()


_forks = _Forks()


def _watch_forks() -> None:
    """Once, and after ``logging`` and core have: what is registered last is called first, before
    the locks are taken that a handler may need in order to finish.
    """
    if not _forks.watched:
        _forks.watched = True
        os.register_at_fork(
            before=_forks.before,
            after_in_parent=_forks.after_in_parent,
            after_in_child=_forks.after_in_child,
        )


def _stream(number: int) -> TextIO | None:
    return sys.stdout if number == 1 else sys.stderr


def _write_text(file: TextIO, text: str) -> None:
    try:
        file.write(text)
    except UnicodeEncodeError:
        # The child's output has all characters, and loses none that are unknown here.
        encoding = file.encoding or "ascii"
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _report() -> None:
    """As logging.Handler.handleError: show what a handler let escape."""
    if logging.raiseExceptions and sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            traceback.print_exc(file=sys.stderr)
