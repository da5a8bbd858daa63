"""Owns message pipes on Windows: making one, reading and writing whole messages, looking for one.

They are named pipes in message mode (CreateNamedPipe), with a random name that is used once: the
anonymous pipes of Windows know no overlapped operations, and without those a waiting read or write
could be ended neither by Ctrl-C nor by the death of a process.
"""

from __future__ import annotations

import errno
import itertools
import os
import sys

assert sys.platform == "win32"

from processing_core._clock import Deadline
from processing_core._platform import winapi
from processing_core._platform.windows_handles import wait_for_any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _winapi import Overlapped

__all__ = ["Probe", "message_pipe", "next_size", "read", "wait_for_message", "write"]

# What the system keeps of messages that nobody has read yet, before writers have to wait.
BUFFER_BYTES = 64 * 1024

# How the other end's absence is told: to readers; to writers; after a disconnection.
_GONE = (winapi.ERROR_BROKEN_PIPE, winapi.ERROR_NO_DATA, winapi.ERROR_PIPE_NOT_CONNECTED)

_numbers = itertools.count()


def message_pipe(duplex: bool) -> tuple[int, int]:
    """The handles of two connected ends; without ``duplex`` the second only writes to the first.

    Children do not inherit them.
    """
    # The name exists only until the second end is open. A stranger who takes that one place in
    # between makes our own CreateFile fail, and nothing was sent.
    name = rf"\\.\pipe\processing-{os.getpid()}-{next(_numbers)}-{os.urandom(8).hex()}"
    direction = winapi.PIPE_ACCESS_DUPLEX if duplex else winapi.PIPE_ACCESS_INBOUND
    first = winapi.CreateNamedPipe(
        name,
        direction | winapi.FILE_FLAG_OVERLAPPED | winapi.FILE_FLAG_FIRST_PIPE_INSTANCE,
        winapi.PIPE_TYPE_MESSAGE
        | winapi.PIPE_READMODE_MESSAGE
        | winapi.PIPE_WAIT
        | winapi.PIPE_REJECT_REMOTE_CLIENTS,
        1,
        BUFFER_BYTES,
        BUFFER_BYTES,
        winapi.NMPWAIT_WAIT_FOREVER,
        winapi.NULL,
    )
    second = None
    try:
        second = winapi.CreateFile(
            name,
            winapi.GENERIC_WRITE | (winapi.GENERIC_READ if duplex else 0),
            0,
            winapi.NULL,
            winapi.OPEN_EXISTING,
            winapi.FILE_FLAG_OVERLAPPED,
            winapi.NULL,
        )
        if duplex:
            winapi.SetNamedPipeHandleState(second, winapi.PIPE_READMODE_MESSAGE, None, None)
        winapi.ConnectNamedPipe(first, overlapped=True).GetOverlappedResult(True)
    except BaseException:
        winapi.CloseHandle(first)
        if second is not None:
            winapi.CloseHandle(second)
        raise
    return first, second


class Probe:
    """A read of no bytes: it ends when there is a message, or the end, and takes nothing away.

    That holds as long as no message is empty; an empty one would be taken.
    """

    __slots__ = ("_overlapped", "pending")

    def __init__(self, handle: int) -> None:
        self._overlapped: Overlapped | None = None
        self.pending = False
        try:
            self._overlapped, error = winapi.ReadFile(handle, 0, True)
        except OSError as problem:
            if problem.winerror not in _GONE:
                raise
        else:
            self.pending = error == winapi.ERROR_IO_PENDING

    @property
    def event(self) -> int:
        """Signalled when a pending read has ended."""
        return 0 if self._overlapped is None else self._overlapped.event

    def finish(self) -> bool:
        """End the read; tells whether there was a message or the end."""
        if self._overlapped is None:
            return True
        self._overlapped.cancel()
        try:
            _, error = self._overlapped.GetOverlappedResult(True)
        except OSError as problem:
            if problem.winerror not in _GONE:
                raise
            return True
        return error != winapi.ERROR_OPERATION_ABORTED


def wait_for_message(handle: int, deadline: Deadline) -> bool:
    """Wait until there is a message or the end; False when the time ran out."""
    probe = Probe(handle)
    try:
        if probe.pending:
            wait_for_any([probe.event], deadline)
    finally:
        found = probe.finish()
    return found


def next_size(handle: int) -> int:
    """The length of the next message, 0 when there is none yet.

    :raises EOFError: when everything was read and the other end is closed
    """
    try:
        answer = winapi.PeekNamedPipe(handle)
    except OSError as problem:
        raise _end_of_file(problem) from None
    # Bytes in the pipe, and how many of them belong to the next message.
    available, message = answer[-2], answer[-1]
    return max(int(message), 1) if available else 0


def read(handle: int, size: int) -> tuple[bytes, int]:
    """Up to ``size`` bytes of the next message, and how many bytes of it are left.

    Waits if there is none, which should be ruled out before: while it waits only Ctrl-C in the
    main thread ends it, and may cost a message that arrives at that moment.

    :raises EOFError: when everything was read and the other end is closed
    """
    try:
        overlapped, error = winapi.ReadFile(handle, size, True)
        try:
            if error == winapi.ERROR_IO_PENDING:
                wait_for_any([overlapped.event], Deadline(None))
        finally:
            overlapped.cancel()
            _, error = overlapped.GetOverlappedResult(True)
        data = overlapped.getbuffer() or b""
        left = winapi.PeekNamedPipe(handle)[-1] if error == winapi.ERROR_MORE_DATA else 0
    except OSError as problem:
        raise _end_of_file(problem) from None
    return data, int(left)


def write(handle: int, data: bytes | memoryview, peer: int | None = None) -> None:
    """Write one message. The end of the process ``peer`` ends the wait for its being read.

    :raises BrokenPipeError: when nobody can read any more
    """
    try:
        overlapped, error = winapi.WriteFile(handle, data, True)
        try:
            if error == winapi.ERROR_IO_PENDING:
                events = [overlapped.event] if peer is None else [overlapped.event, peer]
                wait_for_any(events, Deadline(None))
        finally:
            overlapped.cancel()
            _, error = overlapped.GetOverlappedResult(True)
    except OSError as problem:
        if problem.winerror not in _GONE:
            raise
        error = winapi.ERROR_OPERATION_ABORTED
    if error == winapi.ERROR_OPERATION_ABORTED:
        raise BrokenPipeError(errno.EPIPE, "the other end of the connection is closed")


def _end_of_file(problem: OSError) -> Exception:
    if problem.winerror in _GONE:
        return EOFError("the other end of the connection is closed")
    return problem
