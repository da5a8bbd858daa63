"""Owns the start method ``spawn`` on Windows: the child is a new interpreter.

The child learns on its command line the pid of its parent and the number of a pipe's end there. It
opens the parent, which is its lifeline, and copies that end to itself. Then it reads its own pid,
the handles that were copied into it and sockets that are shared with it, and the spec. Nothing is
inherited, so no handle gets into a process for which it is not meant. (The child's side is in
entry_windows.)
"""

from __future__ import annotations

import _socket as sockets
import os
import signal
import sys

assert sys.platform == "win32"

from processing_core import _log
from processing_core._connection.windows import PipeConnection
from processing_core._cpickle import PROTOCOL, dumps
from processing_core._lifecycle import flush_standard_streams
from processing_core._platform import winapi
from processing_core._platform.windows_children import WindowsChild
from processing_core._platform.windows_pipes import message_pipe
from processing_core._start import spec
from processing_core._start.commandline import child_command
from processing_core._start.quoting import command_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_core.abc import ChildHandle, Startable

__all__ = ["launch"]

# With this variable an interpreter takes itself for the one of a virtual environment.
LAUNCHER_VARIABLE = "__PYVENV_LAUNCHER__"


def launch(process: Startable, dies_with_parent: bool) -> ChildHandle:
    """Start a new interpreter that becomes ``process``.

    :raises SerializationError: when the process does not pickle; nothing was started
    :raises OSError: when the interpreter cannot be started
    """
    message = spec.build(process, server=None, with_environment=False)
    flush_standard_streams()
    reader, writer = message_pipe(duplex=False)
    try:
        child = _start_interpreter(reader, dies_with_parent)
    except BaseException:
        winapi.CloseHandle(reader)
        winapi.CloseHandle(writer)
        raise
    connection: PipeConnection[Any, Any] = PipeConnection(
        writer, readable=False, writable=True, peer=child.handle
    )
    with connection:
        try:
            _tell(child, connection, message)
        except BaseException:
            child.send_signal(signal.SIGTERM)
            child.wait(None)
            child.close()
            raise
    return child


def _start_interpreter(reader: int, dies_with_parent: bool) -> WindowsChild:
    """Start the program; the child keeps ``reader`` open here, from where it copies it."""
    command = child_command("spawn", [os.getpid(), reader, int(dies_with_parent)])
    environment = dict(os.environ)
    base: str = getattr(sys, "_base_executable", sys.executable)
    if (
        not getattr(sys, "frozen", False)
        and _same_path(command[0], sys.executable)
        and not _same_path(base, sys.executable)
    ):
        # The python.exe of a virtual environment only starts the real one, whose process is then
        # another than the one whose handle we get. So we start the real one, as that one would.
        command[0] = base
        environment[LAUNCHER_VARIABLE] = sys.executable
    handle, thread, pid, _ = winapi.CreateProcess(
        command[0], command_line(command), None, None, False, 0, environment, None, None
    )
    winapi.CloseHandle(thread)
    return WindowsChild(pid, handle, reader)


def _same_path(one: str, other: str) -> bool:
    return os.path.normcase(one) == os.path.normcase(other)


def _tell(
    child: WindowsChild, connection: PipeConnection[Any, Any], message: spec.ChildSpec
) -> None:
    """Give the child its handles and send it the spec; one that has ended is left to its exit code.

    Waits for the child to read only if the spec is longer than the pipe's buffer.
    """
    try:
        carried = [_copy_into(child, number) for number in message.descriptors]
        connection.send_bytes(dumps((child.pid, carried), PROTOCOL))
        connection.send_bytes(message.payload)
    except OSError:
        if child.wait(0.0) is None:
            raise
        _log.info("process %d ended before it had read what it is to do", child.pid)


def _copy_into(child: WindowsChild, number: int) -> int | bytes:
    """Copy a handle into the child, which is told its number there; share a socket, by a text."""
    try:
        # The family is not looked at, but without one a socket that is not bound would be refused.
        one = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM, 0, fileno=number)
    except OSError as error:
        if error.winerror != winapi.ERROR_NOT_SOCKET:
            raise
        return winapi.DuplicateHandle(
            winapi.GetCurrentProcess(),
            number,
            child.handle,
            0,
            False,
            winapi.DUPLICATE_SAME_ACCESS,
        )
    try:
        return one.share(child.pid)
    finally:
        one.detach()
