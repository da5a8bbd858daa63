"""Owns where the interpreter of a spawned child begins on Windows. See spawn_windows."""

from __future__ import annotations

import _socket as sockets
import os
import sys

assert sys.platform == "win32"

from processing_core._connection.windows import PipeConnection
from processing_core._cpickle import loads
from processing_core._lifecycle import flush_standard_streams
from processing_core._platform import lifeline, winapi
from processing_core._runtime import runtime
from processing_core._start.entry import run
from processing_core.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["spawned_on_windows"]


def spawned_on_windows(parent_pid: int, pipe: int, dies_with_parent: bool) -> None:
    """Become the process that is described in the pipe; does not return.

    ``pipe`` is the number that its end has in the parent.
    """
    code = 1
    try:
        parent = winapi.OpenProcess(
            winapi.PROCESS_DUP_HANDLE | winapi.SYNCHRONIZE, False, parent_pid
        )
        runtime.lifeline = parent
        if dies_with_parent:
            lifeline.arm(parent)
        payload, handles = receive_spec(parent, pipe)
        code = run(payload, handles)
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        sys.excepthook(*sys.exc_info())
        flush_standard_streams()
    finally:
        os._exit(code)


def receive_spec(parent: int, pipe: int) -> tuple[bytes, list[int]]:
    """The spec and the handles that it refers to.

    :raises EOFError: when the parent is gone, or has given the child up
    :raises StartError: when the handles were copied into another process
    """
    handle = winapi.DuplicateHandle(
        parent, pipe, winapi.GetCurrentProcess(), 0, False, winapi.DUPLICATE_SAME_ACCESS
    )
    connection: PipeConnection[Any, Any] = PipeConnection(handle, readable=True, writable=False)
    with connection:
        pid, carried = loads(connection.recv_bytes())
        payload = connection.recv_bytes()
    if carried and pid != os.getpid():
        raise StartError(
            f"connections and sockets were passed to process {pid}, which started this one "
            f"({os.getpid()}) in its place, as the python.exe of a virtual environment does. Let "
            "set_executable name the interpreter itself"
        )
    return payload, [
        one if isinstance(one, int) else sockets.socket(0, 0, 0, one).detach() for one in carried
    ]
