"""Owns the start method ``forkserver``: a helper process forks the children (see server)."""

from __future__ import annotations

import _socket as sockets
import os
import sys
import time
from contextlib import suppress

assert sys.platform != "win32"

from processing_core._cpickle import PROTOCOL, dumps
from processing_core._lifecycle import flush_standard_streams
from processing_core._platform import rights
from processing_core._platform.anonymous import anonymous_file, write_all
from processing_core._platform.children import STATUS, ServedChild
from processing_core._platform.lifeline import GIVEN_UP
from processing_core._platform.polling import wait_for
from processing_core._platform.signals import block_interrupts, restore_mask
from processing_core._runtime import runtime
from processing_core._start import spec
from processing_core._start.commandline import child_command
from processing_core._start.main_module import describe
from processing_core._start.server import ACCEPTED, REQUEST, blocked_signals
from processing_core._start.spawn import run_interpreter
from processing_core.errors import SerializationError, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import ChildHandle, KnownServer, Startable

__all__ = ["ForkServer", "launch"]

# Whether descriptors on their way survive that their sender closes its own copies. macOS has been
# seen to lose them, so there we wait for the answer first, looking now and then for the server.
SENT_IS_KEPT = sys.platform != "darwin"
ANSWER_SECONDS = 0.05

# How long to wait for a server that is known to be dying to be gone.
LOOK_SECONDS, DYING_LOOKS = 0.001, 1000


class ForkServer:
    """The way to a fork server, which this process shares with its parents and children.

    Requests are single messages, so any number of processes and threads may send them.
    """

    __slots__ = ("_requests", "pid", "users")

    def __init__(self, requests: int, pid: int | None) -> None:
        # A bare descriptor, because it stays open to the very end of the process.
        self._requests = requests
        # Known only to the process that started the server, and must reap it.
        self.pid = pid
        # Threads that are sending a request; the last one closes a server that was found dead.
        self.users = 0

    @classmethod
    def start(cls) -> ForkServer:
        """Start a fork server."""
        ours, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM)
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
            command = child_command("forkserver", passed)
            # Ctrl-C is not for the server, at no moment of its life.
            mask = block_interrupts()
            try:
                pid = run_interpreter(command, passed)
            finally:
                restore_mask(mask)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(file)
        return cls(ours.detach(), pid)

    @classmethod
    def adopt(cls, descriptors: list[int]) -> ForkServer:
        """The server of the process that started this one."""
        return cls(descriptors[0], None)

    def descriptors(self) -> list[int]:
        """What a child needs to use the same server."""
        return [self._requests]

    def request(self, size: int, dies_with_parent: bool, descriptors: list[int]) -> None:
        """Ask for a child. :raises ConnectionError: when the server is gone."""
        requests = sockets.socket(fileno=self._requests)
        try:
            requests.settimeout(None)
            request = REQUEST.pack(size, dies_with_parent, blocked_signals())
            rights.send(requests, request, descriptors)
        finally:
            requests.detach()

    @property
    def is_gone(self) -> bool:
        """Whether the server has ended: it never sends anything here, so only that is readable."""
        return self._requests < 0 or wait_for(self._requests, 0)

    def close(self) -> None:
        """Forget a server that is dying, and reap it if that is this process's duty."""
        os.close(self._requests)
        self._requests = -1
        if self.pid is None:
            return
        for _ in range(DYING_LOOKS):
            try:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
            except ChildProcessError:
                return  # reaped by others, or not our child because we were forked since
            time.sleep(LOOK_SECONDS)


class _NoAnswerError(StartError):
    """The server ended without having accepted the request: there is no child."""


def launch(process: Startable, dies_with_parent: bool) -> ChildHandle:
    """Have a fork server fork a child that becomes ``process``.

    :raises SerializationError: when the process does not pickle; nothing was started
    :raises StartError: when the fork server died or has no room for the child
    :raises OSError: when the fork server cannot be started
    """
    flush_standard_streams()
    with spec.fork_server_in_use() as known:
        if known is not None:
            try:
                return _launch_by(known, process, dies_with_parent)
            except (ConnectionError, _NoAnswerError):
                # It was killed; of the threads that find out, one starts another.
                with runtime.forkserver_lock:
                    if runtime.forkserver is known:
                        runtime.forkserver = None
    with runtime.forkserver_lock:
        if runtime.forkserver is None:
            runtime.forkserver = ForkServer.start()
    with spec.fork_server_in_use() as server:
        if server is None:
            raise StartError("the fork server died as soon as it was started")
        try:
            return _launch_by(server, process, dies_with_parent)
        except (ConnectionError, _NoAnswerError) as error:
            raise StartError("the fork server died as soon as it was started") from error


def _launch_by(server: KnownServer, process: Startable, dies_with_parent: bool) -> ChildHandle:
    ours, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM)
    ours.settimeout(None)
    try:
        reader, writer = runtime.private.pipe()
    except BaseException:
        ours.close()
        theirs.close()
        raise
    sent = [reader]
    try:
        _send_request(server, process, dies_with_parent, theirs.fileno(), sent)
        if not SENT_IS_KEPT:
            _await_answer(ours, server)
        # With our copy gone, the death of the server is the end of file here.
        theirs.close()
        pid, pidfd = _receive_pid(ours)
    except BaseException:
        # There may be a child, if the server died or somebody interrupted us: it shall not run.
        with suppress(OSError):
            os.write(writer, GIVEN_UP)
        runtime.private.close(writer)
        ours.close()
        raise
    finally:
        theirs.close()
        for descriptor in sent:
            os.close(descriptor)
    return ServedChild(pid, pidfd, writer, ours.detach())


def _send_request(
    server: KnownServer,
    process: Startable,
    dies_with_parent: bool,
    status: int,
    sent: list[int],
) -> None:
    """Send a request. ``sent`` holds the child's end of the lifeline; the spec's file is added."""
    message = spec.build(process, server=server, with_environment=True)
    file = anonymous_file("child")
    sent.append(file)
    write_all(file, [memoryview(message.payload)], 0)
    descriptors = [status, sent[0], file, *message.descriptors]
    if len(descriptors) > rights.MOST_DESCRIPTORS:
        raise SerializationError(
            f"{process.name} refers to {len(descriptors)} descriptors; "
            f"at most {rights.MOST_DESCRIPTORS} can be passed to a child of the fork server"
        )
    server.request(len(message.payload), dies_with_parent, descriptors)


def _await_answer(status: sockets.socket, server: KnownServer) -> None:
    """Wait until the server has answered, and so has received the descriptors, or is gone."""
    while not wait_for(status.fileno(), ANSWER_SECONDS):
        if server.is_gone:
            return


def _receive_pid(status: sockets.socket) -> tuple[int, int | None]:
    """The answer of the server; its death ends the wait."""
    answer, _ = _receive_number(status)
    if answer is None:
        raise _NoAnswerError("the fork server died before it accepted the request")
    pidfd = None
    if answer == ACCEPTED:
        answer, pidfd = _receive_number(status)
    if answer is None:
        raise StartError(
            "the fork server died while it forked; whether there is a child is unknown"
        )
    if answer < 0:
        raise StartError(f"the fork server cannot fork: {os.strerror(-answer)}")
    return answer, pidfd


def _receive_number(status: sockets.socket) -> tuple[int | None, int | None]:
    """A number and the descriptor that came with it; None for the number at the end of file."""
    try:
        message, descriptors, _ = rights.receive(status, STATUS.size)
    except ConnectionResetError:
        return None, None  # the server died without having read the request
    if len(message) != STATUS.size:
        return None, None
    return STATUS.unpack(message)[0], descriptors[0] if descriptors else None
