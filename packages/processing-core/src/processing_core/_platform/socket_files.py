"""Owns the files of Unix sockets: only their owner may ever use them, and they are removed."""

from __future__ import annotations

import _socket as sockets
import errno
import os
import stat
import sys

__all__ = ["SocketFile", "fresh_path"]

OWNER_ONLY = 0o600
# Where temporary files go, by Python's documentation of tempfile.
TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")
TEMPORARY_FOLDERS = ("/tmp", "/var/tmp", "/usr/tmp", ".")  # noqa: S108 - a folder is made there


def fresh_path() -> str:
    """A path for a socket in a new folder that only this user can enter.

    :raises OSError: when there is no place for one
    """
    return os.path.join(_new_folder(), "listener")


def _new_folder() -> str:
    """As tempfile.mkdtemp(), whose import takes longer than all else that a listener needs."""
    module = sys.modules.get("tempfile")
    chosen = None if module is None else module.tempdir
    places = [chosen, *map(os.environ.get, TEMPORARY_VARIABLES), *TEMPORARY_FOLDERS]
    first: OSError | None = None
    for place in filter(None, places):
        try:
            return _make_folder(os.path.abspath(os.fsdecode(place)))
        except OSError as error:
            first = first or error
    assert first is not None
    raise first


def _make_folder(place: str) -> str:
    while True:
        path = os.path.join(place, f"processing-{os.urandom(6).hex()}")
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        return path


class SocketFile:
    """The file that a socket is bound to; ``folder``: whether its folder is removed with it."""

    def __init__(self, sock: sockets.socket, path: str, *, folder: bool = False) -> None:
        self.path = path
        self._folder = folder
        self._owner = os.getpid()
        bind(sock, path)
        status = os.lstat(path)
        self._identity = (status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Remove the file if it is still ours. A forked child does not."""
        if self._owner != os.getpid():
            return
        try:
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == self._identity:
                os.unlink(self.path)
            if self._folder:
                os.rmdir(os.path.dirname(self.path))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EACCES, errno.EPERM):
                raise


def bind(sock: sockets.socket, path: str) -> None:
    """Bind a socket to a path, for its owner only. :raises OSError: when that is taken"""
    if sys.platform == "linux":
        # The file gets the mode of the socket, as far as the umask lets it (unix(7)). So there is
        # no moment at which others could connect, and the umask, which all threads share, stays.
        os.fchmod(sock.fileno(), OWNER_ONLY)
        sock.bind(path)
    else:
        bind_aside(sock, path)


def bind_aside(sock: sockets.socket, path: str) -> None:
    """Bind in a folder that nobody else can enter, then give the file its name."""
    import tempfile

    folder = tempfile.mkdtemp(prefix=".processing-", dir=os.path.dirname(path) or ".")
    hidden = os.path.join(folder, "s")
    try:
        sock.bind(hidden)
        try:
            os.chmod(hidden, OWNER_ONLY)
            os.link(hidden, path, follow_symlinks=False)
        except FileExistsError:
            raise OSError(errno.EADDRINUSE, "Address already in use") from None
        finally:
            os.unlink(hidden)
    finally:
        os.rmdir(folder)
    assert stat.S_IMODE(os.lstat(path).st_mode) == OWNER_ONLY
