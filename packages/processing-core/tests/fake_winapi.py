"""Stands in for CPython's ``_winapi``: message pipes and process handles inside one process.

It follows what Microsoft's documentation says of named pipes in message mode, as far as the library
relies on it, so that the library's own logic for Windows is run at least once before it gets there.
It proves nothing of Windows itself.
"""

# ruff: noqa: N802 - the functions are named as in Windows

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from typing import Any

(
    DUPLICATE_SAME_ACCESS,
    FILE_FLAG_FIRST_PIPE_INSTANCE,
    FILE_FLAG_OVERLAPPED,
    GENERIC_READ,
    GENERIC_WRITE,
    NMPWAIT_WAIT_FOREVER,
    NULL,
    OPEN_EXISTING,
    PIPE_ACCESS_DUPLEX,
    PIPE_ACCESS_INBOUND,
    PIPE_READMODE_MESSAGE,
    PIPE_TYPE_MESSAGE,
    PIPE_WAIT,
    PROCESS_DUP_HANDLE,
    SYNCHRONIZE,
) = (2, 0x80000, 0x40000000, 1 << 31, 1 << 30, 0xFFFFFFFF, 0, 3, 3, 1, 2, 4, 0, 0x40, 0x100000)
ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_MORE_DATA = 109, 232, 234
ERROR_IO_PENDING, ERROR_OPERATION_ABORTED = 997, 995
INFINITE, WAIT_OBJECT_0, WAIT_ABANDONED_0, WAIT_TIMEOUT = 0xFFFFFFFF, 0, 128, 258

BUFFER_BYTES = 64 * 1024

_lock = threading.Condition()
_numbers = itertools.count(4, 4)
_objects: dict[int, Any] = {}
_servers: dict[str, int] = {}
_exit_codes: dict[int, int] = {}


class FakeWindowsError(OSError):
    def __init__(self, winerror: int) -> None:
        super().__init__(winerror, f"[WinError {winerror}]")
        self.winerror = winerror


class _End:
    """One end of a pipe: ``queue`` is what it has to read."""

    def __init__(self) -> None:
        self.queue: deque[tuple[memoryview, Overlapped]] = deque()
        self.other: _End = self
        self.open = True
        self.readers: list[Overlapped] = []

    def serve(self) -> None:
        """Complete what can be completed; to be called with the lock held."""
        while self.readers:
            reader = self.readers[0]
            if not self.queue:
                if self.other.open:
                    return
                self.readers.pop(0).complete(ERROR_BROKEN_PIPE)
                continue
            self.readers.pop(0)
            message, writer = self.queue.popleft()
            taken, rest = message[: reader.size], message[reader.size :]
            reader.data = bytes(taken)
            if len(rest):
                self.queue.appendleft((rest, writer))
                reader.complete(ERROR_MORE_DATA)
            else:
                reader.complete(0)
                if writer.error == ERROR_IO_PENDING:
                    writer.complete(0)


class Overlapped:
    def __init__(self, end: _End, size: int = 0) -> None:
        self.end, self.size = end, size
        self.data: bytes | None = None
        self.error = ERROR_IO_PENDING
        self.event = next(_numbers)
        _objects[self.event] = False

    def complete(self, error: int) -> None:
        self.error = error
        _objects[self.event] = True
        _lock.notify_all()

    def cancel(self) -> None:
        with _lock:
            if self.error == ERROR_IO_PENDING:
                if self in self.end.readers:
                    self.end.readers.remove(self)
                queue = self.end.other.queue
                for entry in [one for one in queue if one[1] is self]:
                    queue.remove(entry)
                self.complete(ERROR_OPERATION_ABORTED)

    def GetOverlappedResult(self, wait: bool) -> tuple[int, int]:
        with _lock:
            while self.error == ERROR_IO_PENDING:
                assert wait
                _lock.wait(20)
            _objects.pop(self.event, None)
            if self.error in {0, ERROR_MORE_DATA, ERROR_OPERATION_ABORTED}:
                return len(self.data or b""), self.error
            raise FakeWindowsError(self.error)

    def getbuffer(self) -> bytes | None:
        return self.data


def CreateNamedPipe(name: str, *_: object) -> int:
    with _lock:
        number = next(_numbers)
        _objects[number] = _End()
        _servers[name] = number
        return number


def CreateFile(name: str, *_: object) -> int:
    with _lock:
        server = _objects[_servers.pop(name)]
        number = next(_numbers)
        client = _objects[number] = _End()
        server.other, client.other = client, server
        return number


def SetNamedPipeHandleState(*_: object) -> None:
    return


def ConnectNamedPipe(handle: int, overlapped: bool) -> Overlapped:
    result = Overlapped(_objects[handle])
    result.error = 0
    return result


def CloseHandle(handle: int) -> None:
    with _lock:
        end = _objects.pop(handle)
        if isinstance(end, _End) and end not in _objects.values():
            end.open = False
            for _, writer in end.queue:
                if writer.error == ERROR_IO_PENDING:
                    writer.complete(ERROR_NO_DATA)
            end.queue.clear()
            end.other.serve()


def PeekNamedPipe(handle: int, size: int = 0) -> tuple[int, int]:
    with _lock:
        end = _end(handle)
        if not end.queue and not end.other.open:
            raise FakeWindowsError(ERROR_BROKEN_PIPE)
        sizes = [len(message) for message, _ in end.queue]
        return sum(sizes), sizes[0] if sizes else 0


def ReadFile(handle: int, size: int, overlapped: bool) -> tuple[Overlapped, int]:
    assert overlapped
    with _lock:
        end = _end(handle)
        reader = Overlapped(end, size)
        end.readers.append(reader)
        end.serve()
        if reader.error not in {0, ERROR_MORE_DATA, ERROR_IO_PENDING}:
            raise FakeWindowsError(reader.error)
        return reader, reader.error


def WriteFile(handle: int, buffer: Any, overlapped: bool) -> tuple[Overlapped, int]:
    assert overlapped
    with _lock:
        end = _end(handle)
        if not end.other.open:
            raise FakeWindowsError(ERROR_NO_DATA)
        data = bytes(buffer)
        assert data, "the library never sends an empty message"
        writer = Overlapped(end)
        waiting = sum(len(message) for message, _ in end.other.queue)
        if waiting + len(data) <= BUFFER_BYTES:
            writer.complete(0)
        end.other.queue.append((memoryview(data), writer))
        end.other.serve()
        return writer, writer.error


def WaitForMultipleObjects(handles: list[int], wait_all: bool, milliseconds: int) -> int:
    assert not wait_all
    assert 0 < len(handles) <= 63
    end = None if milliseconds == INFINITE else time.monotonic() + milliseconds / 1000
    with _lock:
        while True:
            for index, handle in enumerate(handles):
                if _objects[handle] is True:
                    return WAIT_OBJECT_0 + index
            left = 20.0 if end is None else end - time.monotonic()
            if left <= 0:
                return WAIT_TIMEOUT
            _lock.wait(left)


def WaitForSingleObject(handle: int, milliseconds: int) -> int:
    return WaitForMultipleObjects([handle], False, milliseconds)


def new_process() -> int:
    """A handle to be waited for, until ``end_process``."""
    with _lock:
        number = next(_numbers)
        _objects[number] = False
        return number


def end_process(handle: int, code: int = 0) -> None:
    with _lock:
        _objects[handle] = True
        _exit_codes[handle] = code
        _lock.notify_all()


def DuplicateHandle(
    source: int, handle: int, target: int, access: int, inherit: bool, options: int
) -> int:
    # One process stands for all, so there is only one table of handles.
    assert options == DUPLICATE_SAME_ACCESS
    assert not inherit
    assert {source, target} & {GetCurrentProcess()}
    with _lock:
        number = next(_numbers)
        _objects[number] = _objects[handle]
        return number


def GetCurrentProcess() -> int:
    return -1


# What CreateProcess was called with, and the handles that it returned.
created: list[tuple[tuple[Any, ...], int]] = []


def CreateProcess(*arguments: Any) -> tuple[int, int, int, int]:
    process = new_process()
    created.append((arguments, process))
    return process, new_process(), os.getpid(), 1


def GetExitCodeProcess(handle: int) -> int:
    return _exit_codes.get(handle, 259)


def TerminateProcess(handle: int, code: int) -> None:
    if _objects[handle]:
        raise PermissionError("it has ended")
    end_process(handle, code)


def _end(handle: int) -> _End:
    if handle not in _objects:
        raise FakeWindowsError(6)
    end = _objects[handle]
    assert isinstance(end, _End)
    return end


def _missing(*_: object) -> Any:
    raise NotImplementedError


OpenProcess = _missing
