"""Owns the fork server: a process that has everything imported and forks children on request.

It is single-threaded. A request is one message on the socket that all its users share: the spec of
the child, and as descriptors the user's end for status, the child's lifeline and what the spec
carries. The answer, on the status socket: the pid together with a pidfd, later the exit code. The
server ends when the last user has closed the request socket, and every child drops the server's
descriptors first of all, so that the death of the server is seen at once.
"""

from __future__ import annotations

import _socket as sockets
import mmap
import os
import select
import signal
import struct
import sys

from processing_core._lifecycle import forget_inherited_exit_functions
from processing_core._platform import lifeline
from processing_core._platform.children import STATUS, open_pidfd
from processing_core._runtime import runtime
from processing_core._start.entry import run
from processing_core._start.main_module import MainModule, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["REQUEST", "serve"]

# size of the spec in its file, dies_with_parent?; descriptors: status, lifeline, spec file, others
REQUEST = struct.Struct("=Q?")
MOST_DESCRIPTORS = 253


def serve(requests: int, settings: int) -> NoReturn:
    """Serve until there are no users left."""
    _Server(requests).loop(settings)
    os._exit(0)


class _Server:
    def __init__(self, requests: int) -> None:
        self._requests = sockets.socket(fileno=requests)
        self._requests.setblocking(True)
        self._status: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        # Ctrl-C is for the users; each child gets the default back.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # A handler, though an empty one, makes the signal reach the wakeup descriptor.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def loop(self, settings: int) -> None:
        _preload(settings)
        poller = select.poll()
        poller.register(self._requests.fileno(), select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._woken in ready:
                os.read(self._woken, 65536)
                self._reap()
            if self._requests.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        """Take a request and fork; False when there are no users left."""
        message, ancillary, flags, _ = self._requests.recvmsg(
            REQUEST.size,
            sockets.CMSG_SPACE(4 * MOST_DESCRIPTORS),
            sockets.MSG_CMSG_CLOEXEC,
        )
        if not message:
            return False
        descriptors = [
            number
            for _level, _kind, data in ancillary
            for (number,) in struct.iter_unpack("=i", data[: len(data) // 4 * 4])
        ]
        if flags & sockets.MSG_CTRUNC or len(descriptors) < 3:
            # Without room for the descriptors; closing the status end tells the user.
            for descriptor in descriptors:
                os.close(descriptor)
            return True
        size, dies_with_parent = REQUEST.unpack(message)
        status, line, file, *others = descriptors
        try:
            pid = os.fork()
        except OSError as error:
            os.write(status, STATUS.pack(-(error.errno or 1)))
            os.close(status)
        else:
            if pid == 0:
                self._become(status, line, file, size, dies_with_parent, others)
            self._tell_pid(status, pid)
            self._status[pid] = status
        for descriptor in (line, file, *others):
            os.close(descriptor)
        return True

    @staticmethod
    def _tell_pid(status: int, pid: int) -> None:
        # Until it is reaped here the pid cannot be another's, so the pidfd is the child's.
        pidfd = open_pidfd(pid)
        end = sockets.socket(fileno=status)
        try:
            rights = [] if pidfd is None else [struct.pack("=i", pidfd)]
            end.sendmsg(
                [STATUS.pack(pid)], [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, one) for one in rights]
            )
        except ConnectionError:
            return  # the user is gone; the child finds out by its lifeline
        finally:
            end.detach()
            if pidfd is not None:
                os.close(pidfd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            end = self._status.pop(pid, None)
            if end is None:
                continue  # a child that a preloaded module started
            try:
                os.write(end, STATUS.pack(os.waitstatus_to_exitcode(status)))
            except ConnectionError:
                pass  # nobody wants to know any more  # noqa: S110
            finally:
                os.close(end)

    def _become(
        self,
        status: int,
        line: int,
        file: int,
        size: int,
        dies_with_parent: bool,
        descriptors: list[int],
    ) -> NoReturn:
        """The child's side."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for descriptor in (status, self._woken, self._wake, *self._status.values()):
                os.close(descriptor)
            self._requests.close()
            runtime.lifeline = line
            if dies_with_parent:
                lifeline.arm(line)
            forget_inherited_exit_functions()
            with mmap.mmap(file, size, access=mmap.ACCESS_READ) as payload:
                os.close(file)
                code = run(payload, descriptors)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            os._exit(code)


def _preload(settings: int) -> None:
    """Import what the children will need; a failure is the child's to show, when it needs it."""
    from processing_core._cpickle import loads

    with open(settings, "rb") as file:
        file.seek(0)
        wanted = loads(file.read())
    sys.path[:] = wanted["sys_path"]
    sys.argv[:] = wanted["sys_argv"]
    for name in wanted["preload"]:
        try:
            if name == "__main__":
                restore(MainModule(*wanted["main"]))
            else:
                __import__(name)
        except Exception as error:
            print(f"processing: the fork server cannot preload {name}: {error!r}", file=sys.stderr)
            if name == "__main__":
                _forget_main()
    sys.stdout.flush()
    sys.stderr.flush()


def _forget_main() -> None:
    sys.modules.pop("__mp_main__", None)
    runtime.main_module = None
