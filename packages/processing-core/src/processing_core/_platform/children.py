"""Owns the handles of started children on POSIX: waiting, reaping, signalling; thread-safe."""

from __future__ import annotations

import errno
import os
import signal
import struct
import sys
import threading
import time

assert sys.platform != "win32"

from processing_core import _log
from processing_core._clock import Deadline
from processing_core._platform.polling import wait_for
from processing_core._runtime import runtime
from processing_core.errors import ClosedError

__all__ = ["UNKNOWN_EXIT", "DirectChild", "Lines", "ServedChild", "has_ended", "open_pidfd"]

# The exit code of a child of which only is known that it has ended.
UNKNOWN_EXIT = 255

STATUS = struct.Struct("=q")

# For how long a fork server may be busy, or stopped, until its children seem to run on.
SERVER_ANSWER_SECONDS = 1.0


def open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends (pidfd_open(2)), None without.

    :raises OSError: when there are no descriptors left
    """
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):  # not in builds for old kernels
        try:
            return os.pidfd_open(pid)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            return None  # an old kernel or a seccomp filter
    else:
        return None


def has_ended(pid: int) -> bool:
    """Whether a process, not necessarily a child, has ended, reaped or not (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The state follows the command in parentheses, which may contain anything.
            return file.read().rpartition(b") ")[2][:1] in (b"Z", b"X")
    except OSError:
        return not _exists(pid)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's, so it is there
    return True


class _Child:
    """What both kinds share: the pid, the exit code when known, our end of the lifeline."""

    __slots__ = ("_code", "_lifeline", "_lock", "_pidfd", "pid")

    def __init__(self, pid: int, pidfd: int | None, lifeline: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._lifeline: int | None = lifeline
        self._code: int | None = None
        # Guards reaping: only while it is held can the pid be given to a new process.
        self._lock = threading.Lock()
        if pidfd is not None:
            runtime.private.add(pidfd)

    def _ended(self, code: int) -> int:
        self._code = code
        if self._lifeline is not None:
            runtime.private.close(self._lifeline)
            self._lifeline = None
        return code

    def close(self) -> None:
        """Give the descriptors back. The handle can still tell an exit code that is known."""
        with self._lock:
            for descriptor in (self._pidfd, self._lifeline):
                if descriptor is not None:
                    runtime.private.close(descriptor)
            self._pidfd = self._lifeline = None

    def __del__(self) -> None:
        # Nobody calls close() on a process that has simply ended; descriptors must not pile up.
        if self._code is not None:
            self.close()


class DirectChild(_Child):
    """A child that this process forked or spawned itself, and that it alone can reap.

    Where the system has no pidfd, ``witness`` is the read end of a pipe whose write end the child
    holds. It hangs up when the child ends, unless a descendant keeps the write end.
    """

    __slots__ = ("_witness",)

    def __init__(self, pid: int, pidfd: int | None, lifeline: int, witness: int | None) -> None:
        super().__init__(pid, pidfd, lifeline)
        self._witness = witness if witness is None else runtime.private.add(witness)

    @property
    def sentinel(self) -> int:
        """Readable when the child has ended."""
        descriptor = self._witness if self._pidfd is None else self._pidfd
        if descriptor is None:
            raise ClosedError(f"the handle of process {self.pid} is closed")
        return descriptor

    def close(self) -> None:
        super().close()
        with self._lock:
            if self._witness is not None:
                runtime.private.close(self._witness)
                self._witness = None

    def poll(self) -> int | None:
        if self._code is None:
            taken: list[bool] = []
            try:
                # In one step of C: a signal handler that raises finds the lock noted, or not taken.
                taken += map(self._lock.acquire, (False,))
                # Whoever else holds the lock is about to learn the exit code.
                if taken[0]:
                    return self._reap(os.WNOHANG)
            finally:
                if True in taken:
                    self._lock.release()
        return self._code

    def wait(self, timeout: float | None) -> int | None:
        if self._code is not None:
            return self._code
        if self._pidfd is not None:
            if not wait_for(self._pidfd, timeout):
                return None
            with self._lock:
                return self._reap(0)
        return self._wait_without_pidfd(timeout)

    def _wait_without_pidfd(self, timeout: float | None) -> int | None:
        # Without a descriptor to wait for, look now and then: at first often, later seldom.
        deadline, pause = Deadline(timeout), 0.0005
        while (code := self.poll()) is None and not deadline.passed:
            left = deadline.seconds()
            time.sleep(pause if left is None else min(pause, left))
            pause = min(pause * 2, 0.05)
        return code

    def _reap(self, options: int) -> int | None:
        """Ask the kernel, with the lock held."""
        if self._code is not None:
            return self._code
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:
            # SIGCHLD is ignored, or somebody waited for any child: the kernel has forgotten it.
            _log.warning("exit code of process %d is unknown: reaped by others", self.pid)
            return self._ended(UNKNOWN_EXIT)
        return self._ended(os.waitstatus_to_exitcode(status)) if pid else None

    def send_signal(self, signum: int) -> None:
        with self._lock:
            if self._reap(os.WNOHANG) is None:
                os.kill(self.pid, signum)


class ServedChild(_Child):
    """A child that a fork server forked for us, and whose exit status the server tells.

    ``status`` is our end of a socket pair whose other end the server alone holds: one message with
    the exit code, or the end of file when the server itself is gone.
    """

    __slots__ = ("_status",)

    def __init__(self, pid: int, pidfd: int | None, lifeline: int, status: int) -> None:
        super().__init__(pid, pidfd, lifeline)
        self._status: int | None = runtime.private.add(status)

    @property
    def sentinel(self) -> int:
        return self._open_status() if self._pidfd is None else self._pidfd

    def poll(self) -> int | None:
        if self._code is None:
            taken: list[bool] = []
            try:
                taken += map(self._lock.acquire, (False,))
                # Once the child has ended, the server tells at once: who was told so by the
                # sentinel is to be told the exit code, too.
                ended = taken[0] and wait_for(self.sentinel, 0)
                if ended and wait_for(self._open_status(), SERVER_ANSWER_SECONDS):
                    return self._read_status()
            finally:
                if True in taken:
                    self._lock.release()
        return self._code

    def wait(self, timeout: float | None) -> int | None:
        if self._code is None:
            deadline = Deadline(timeout)
            if not wait_for(self.sentinel, deadline.seconds()):
                return None
            # The server tells at once, or its death does.
            if not wait_for(self._open_status(), deadline.seconds()):
                return None
            with self._lock:
                return self._read_status()
        return self._code

    def _open_status(self) -> int:
        if self._status is None:
            raise ClosedError(f"the handle of process {self.pid} is closed")
        return self._status

    def _read_status(self) -> int:
        """Read what is there to read, with the lock held."""
        if self._code is not None:
            return self._code
        message = os.read(self._open_status(), STATUS.size)
        if len(message) != STATUS.size:
            _log.warning("exit code of process %d is unknown: its fork server died", self.pid)
            return self._ended(UNKNOWN_EXIT)
        (code,) = STATUS.unpack(message)
        return self._ended(int(code))

    def send_signal(self, signum: int) -> None:
        if self.poll() is not None:
            return
        try:
            if (
                self._pidfd is not None
                and sys.platform == "linux"
                and hasattr(signal, "pidfd_send_signal")
            ):
                signal.pidfd_send_signal(self._pidfd, signum)
            else:
                os.kill(self.pid, signum)
        except ProcessLookupError:
            return  # it has just ended, which is what a signal to it would have come to

    def close(self) -> None:
        super().close()
        with self._lock:
            if self._status is not None:
                runtime.private.close(self._status)
                self._status = None


class Lines:
    """What connects this process with a child that it is about to fork or spawn.

    Everything that can fail for lack of descriptors fails here, before there is a child.
    """

    __slots__ = ("_probe", "_witness", "_witnessed", "_writer", "reader")

    def __init__(self) -> None:
        # The lifeline: the child gets the read end.
        self.reader, self._writer = runtime.private.pipe()
        self._witness: int | None = None
        self._witnessed: int | None = None
        try:
            # Kept open until there is a child, the probe reserves a place for the child's pidfd.
            self._probe = open_pidfd(os.getpid())
            if self._probe is None:
                self._witness, self._witnessed = os.pipe()
        except OSError:
            os.close(self.reader)
            runtime.private.close(self._writer)
            raise

    @property
    def ends(self) -> list[int]:
        """The descriptors that the child must have."""
        return [self.reader] if self._witnessed is None else [self.reader, self._witnessed]

    @property
    def witnessed(self) -> int:
        """The end of the witness that the child must hold until it ends, -1 where there is none."""
        return -1 if self._witnessed is None else self._witnessed

    def enter_child(self) -> None:
        """In a forked child: close what is its parent's, keep the witness from its own forks."""
        for descriptor in (self._probe, self._witness):
            if descriptor is not None:
                os.close(descriptor)
        if self._witnessed is not None:
            runtime.private.add(self._witnessed)

    def handle(self, pid: int) -> DirectChild:
        """The handle of the child that was started."""
        self._close_ends()
        try:
            pidfd = None if self._probe is None else open_pidfd(pid)
        except OSError:
            # Another thread took the place; the child can still be waited for.
            pidfd = None
        return DirectChild(pid, pidfd, self._writer, self._witness)

    def abandon(self) -> None:
        """Close everything: there is no child."""
        self._close_ends()
        runtime.private.close(self._writer)
        if self._witness is not None:
            os.close(self._witness)

    def _close_ends(self) -> None:
        for descriptor in self.ends:
            os.close(descriptor)
        if self._probe is not None:
            os.close(self._probe)
