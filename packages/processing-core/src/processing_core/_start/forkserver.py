"""Owns the start method ``forkserver``: a helper process forks the children (see server)."""

from __future__ import annotations

import _socket as sockets
import os
import struct
import sys

from processing_core._cpickle import PROTOCOL, dumps
from processing_core._lifecycle import flush_standard_streams
from processing_core._platform.anonymous import anonymous_file, write_all
from processing_core._platform.children import STATUS, ServedChild
from processing_core._runtime import runtime
from processing_core._start import spec
from processing_core._start.commandline import child_command
from processing_core._start.main_module import describe
from processing_core._start.server import MOST_DESCRIPTORS, REQUEST
from processing_core._start.spawn import run_interpreter
from processing_core.errors import SerializationError, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import ChildHandle, Startable

__all__ = ["ForkServer", "launch"]


class ForkServer:
    """This process's way to a fork server, which it shares with its parents and children.

    Requests are single messages, so any number of processes and threads may send them.
    """

    __slots__ = ("_requests", "pid")

    def __init__(self, requests: sockets.socket, pid: int | None) -> None:
        self._requests = requests
        # Known only to the process that started the server, and must reap it.
        self.pid = pid

    @classmethod
    def start(cls) -> ForkServer:
        """Start a fork server."""
        ours, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
        ours.settimeout(None)
        file = anonymous_file("forkserver")
        try:
            settings = {
                "sys_path": [os.getcwd() if entry == "" else entry for entry in sys.path],
                "sys_argv": sys.argv,
                "preload": runtime.preload,
                "main": (describe().kind, describe().origin),
            }
            write_all(file, [memoryview(dumps(settings, PROTOCOL))], 0)
            passed = [theirs.fileno(), file]
            pid = run_interpreter(child_command("forkserver", passed), passed)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(file)
        return cls(ours, pid)

    @classmethod
    def adopt(cls, descriptors: list[int]) -> ForkServer:
        """The server of the process that started this one."""
        requests = sockets.socket(fileno=descriptors[0])
        requests.settimeout(None)
        return cls(requests, None)

    def descriptors(self) -> list[int]:
        """What a child needs to use the same server."""
        return [self._requests.fileno()]

    def request(self, size: int, dies_with_parent: bool, descriptors: list[int]) -> None:
        """Ask for a child. :raises ConnectionError: when the server is gone."""
        rights = struct.pack(f"={len(descriptors)}i", *descriptors)
        self._requests.sendmsg(
            [REQUEST.pack(size, dies_with_parent)],
            [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, rights)],
        )

    def close(self) -> None:
        """Forget a server that has died."""
        self._requests.close()
        if self.pid is not None:
            try:
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                return  # reaped by others, or not our child because we were forked since


def launch(process: Startable, dies_with_parent: bool) -> ChildHandle:
    """Have a fork server fork a child that becomes ``process``.

    :raises SerializationError: when the process does not pickle; nothing was started
    :raises StartError: when the fork server died or has no room for the child
    :raises OSError: when the fork server cannot be started
    """
    flush_standard_streams()
    ours, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
    ours.settimeout(None)
    reader, writer = runtime.private.pipe()
    try:
        _request_child(process, dies_with_parent, theirs.fileno(), reader)
        # With our copy gone, the death of the server is the end of file here.
        theirs.close()
        pid, pidfd = _receive_pid(ours)
    except BaseException:
        runtime.private.close(writer)
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(reader)
    return ServedChild(pid, pidfd, writer, ours.detach())


def _request_child(process: Startable, dies_with_parent: bool, status: int, line: int) -> None:
    """Send the request, to a new server if there is none or the one we knew was killed."""
    with runtime.forkserver_lock:
        known = runtime.forkserver
        if known is not None:
            try:
                _send_request(known, process, dies_with_parent, [status, line])
            except ConnectionError:
                runtime.forkserver = None
                known.close()
            else:
                return
        runtime.forkserver = ForkServer.start()
        _send_request(runtime.forkserver, process, dies_with_parent, [status, line])


def _send_request(
    server: ForkServer, process: Startable, dies_with_parent: bool, descriptors: list[int]
) -> None:
    message = spec.build(process, with_environment=True)
    file = anonymous_file("child")
    try:
        write_all(file, [memoryview(message.payload)], 0)
        descriptors = [*descriptors, file, *message.descriptors]
        if len(descriptors) > MOST_DESCRIPTORS:
            raise SerializationError(
                f"{process.name} refers to {len(descriptors)} descriptors; "
                f"at most {MOST_DESCRIPTORS} can be passed to a child of the fork server"
            )
        server.request(len(message.payload), dies_with_parent, descriptors)
    finally:
        os.close(file)


def _receive_pid(status: sockets.socket) -> tuple[int, int | None]:
    """The answer of the server; its death ends the wait."""
    message, ancillary, _, _ = status.recvmsg(
        STATUS.size, sockets.CMSG_SPACE(4), sockets.MSG_CMSG_CLOEXEC
    )
    if len(message) != STATUS.size:
        raise StartError("the fork server died, or has no descriptors left, before it had a child")
    (pid,) = STATUS.unpack(message)
    if pid < 0:
        raise StartError(f"the fork server cannot fork: {os.strerror(-pid)}")
    pidfds = [struct.unpack("=i", data)[0] for _level, _kind, data in ancillary]
    return pid, pidfds[0] if pidfds else None
