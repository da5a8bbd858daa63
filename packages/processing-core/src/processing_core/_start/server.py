"""Owns the fork server: a process that has everything imported and forks children on request.

It is single-threaded. A request is one message on the socket that all its users share: the spec of
the child, and as descriptors the user's end for status, the child's lifeline and what the spec
carries. The answers, on the status socket: ACCEPTED, then the pid together with a pidfd or a
negative errno, later the exit code. The server ends when the last user has closed the request
socket, and every child drops the server's descriptors first of all, so that the death of the server
is seen at once.

The sockets are streams, because not every system has packet sockets (macOS). The messages are
records of a fixed size, far smaller than what a kernel would split, each sent by one system call;
so they stay whole, whoever else sends, and are read one at a time together with their descriptors.
"""

from __future__ import annotations

import _socket as sockets
import errno
import mmap
import os
import select
import signal
import struct
import sys

assert sys.platform != "win32"

from processing_core._cpickle import loads
from processing_core._lifecycle import forget_inherited_exit_functions
from processing_core._platform import lifeline, rights
from processing_core._platform.children import STATUS, open_pidfd
from processing_core._runtime import runtime
from processing_core._start.entry import run
from processing_core._start.main_module import MainModule, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["ACCEPTED", "REQUEST", "blocked_signals", "serve"]

# size of the spec in its file, dies_with_parent?, blocked signals as bits;
# descriptors: status, lifeline, spec file, others
REQUEST = struct.Struct("=Q?Q")
# From this answer on there may be a child; without it there is none, and another server may do it.
ACCEPTED = 0


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
        # Ctrl-C is for the users; each child gets the default back. Until here it was blocked.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
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
                self._requests.close()
                return

    def _answer(self) -> bool:
        """Take a request and fork; False when there are no users left."""
        message, descriptors, complete = rights.receive(self._requests, REQUEST.size)
        if not message:
            return False
        if not complete or len(descriptors) < 3:
            if descriptors:
                _tell(descriptors[0], -errno.EMFILE)
            for descriptor in descriptors:
                os.close(descriptor)
            return True
        size, dies_with_parent, blocked = REQUEST.unpack(message)
        status, line, file, *others = descriptors
        _tell(status, ACCEPTED)
        try:
            pid = os.fork()
        except OSError as error:
            _tell(status, -(error.errno or errno.EAGAIN))
            os.close(status)
        else:
            if pid == 0:
                self._become(status, line, file, size, dies_with_parent, blocked, others)
            self._tell_pid(status, pid)
            self._status[pid] = status
        for descriptor in (line, file, *others):
            os.close(descriptor)
        return True

    @staticmethod
    def _tell_pid(status: int, pid: int) -> None:
        # Until it is reaped here the pid cannot be another's, so the pidfd is the child's.
        try:
            pidfd = open_pidfd(pid)
        except OSError:
            pidfd = None  # no descriptors left; the status socket tells the end of the child, too
        if pidfd is None:
            _tell(status, pid)
            return
        end = sockets.socket(fileno=status)
        try:
            rights.send(end, STATUS.pack(pid), [pidfd])
        except ConnectionError:
            return  # the user is gone; the child finds out by its lifeline
        finally:
            end.detach()
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
            _tell(end, os.waitstatus_to_exitcode(status))
            os.close(end)

    def _become(
        self,
        status: int,
        line: int,
        file: int,
        size: int,
        dies_with_parent: bool,
        blocked: int,
        descriptors: list[int],
    ) -> NoReturn:
        """The child's side."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # As of who asked: so it is with the other start methods.
            signal.pthread_sigmask(signal.SIG_SETMASK, signals_of(blocked))
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
        except BaseException:  # noqa: BLE001 - shown, and the process ends
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            os._exit(code)


def blocked_signals() -> int:
    """The signals that this thread blocks, as bits."""
    return sum(1 << number - 1 for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def signals_of(bits: int) -> list[int]:
    """Signals from bits."""
    return [place + 1 for place in range(bits.bit_length()) if bits >> place & 1]


def _tell(status: int, value: int) -> None:
    """Send a user one number, if it is still there to hear it."""
    try:
        os.write(status, STATUS.pack(value))
    except ConnectionError:
        return


def _preload(settings: int) -> None:
    """Import what the children will need; a failure is the child's to show, when it needs it."""
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
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the child will show it
            text = f"processing: the fork server cannot preload {name}: {error!r}"
            print(text, file=sys.stderr)  # noqa: T201 - there is no user to tell otherwise
            if name == "__main__":
                _forget_main()
    sys.stdout.flush()
    sys.stderr.flush()


def _forget_main() -> None:
    sys.modules.pop("__mp_main__", None)
    runtime.main_module = None
