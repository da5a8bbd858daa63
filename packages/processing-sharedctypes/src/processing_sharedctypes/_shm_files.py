"""Owns the names of shared memory on Linux: files in /dev/shm, which every library finds there.

A name must not outlive its owner, and no process watches for that. So the file of an owned block
has two things that everybody can look at: a mark, which is the sticky bit of its mode (without
meaning on a file), and a lock (flock(2)) that the owner has through a descriptor of its own. The
kernel drops the lock when the owner ends, however it ends. A file with the mark and without a lock
is ownerless, and whoever comes across it removes it. Files without the mark, those of the standard
library among them, are left alone.

The mark is there from the first moment, the lock a moment later: who finds a file in between
removes it, which its creator notices. Who removes a file on request holds a shared lock meanwhile,
who removes an ownerless one an exclusive lock, so that nobody ever removes a file that was given
the same name since.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Collection

assert sys.platform == "linux"

import fcntl

__all__ = ["claim", "is_available", "missing_names", "open_name", "release", "remove", "sweep"]

FOLDER = "/dev/shm"  # noqa: S108 - where shm_open(3) has its files
MARK = stat.S_ISVTX
MODE = 0o600

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


def is_available() -> bool:
    """Whether this process can make files there."""
    return os.access(FOLDER, os.R_OK | os.W_OK | os.X_OK)


def missing_names(name: str) -> OSError:
    """The error for a name where there are no names."""
    reason = (
        f"shared memory has no names here, because {FOLDER} is missing or cannot be written: pass "
        "the SharedMemory object itself to the processes that need it"
    )
    return FileNotFoundError(errno.ENOENT, reason, name)


def claim(name: str) -> tuple[int, int]:
    """Make an owned file; returns a descriptor to use, and the one that makes us its owner.

    :raises FileExistsError: when the name is taken
    """
    while True:
        owning = _make(name)
        try:
            fcntl.flock(owning, fcntl.LOCK_SH)
            if os.fstat(owning).st_nlink:
                # An open file description of its own: copies of this descriptor, which children
                # inherit and mappings have, must not keep the lock.
                descriptor = os.open(_path(name), os.O_RDWR | _FLAGS)
                if _same(os.fstat(descriptor), os.fstat(owning)):
                    return descriptor, owning
                os.close(descriptor)
                raise FileNotFoundError(errno.ENOENT, "removed while it was made", name)
        except BaseException:
            os.close(owning)
            raise
        os.close(owning)


def _make(name: str) -> int:
    """A new, empty, marked file, in place of an ownerless one if need be."""
    path = _path(name)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, MODE | MARK)
        except FileExistsError:
            if not _remove_if_ownerless(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        except OSError as error:
            raise _explained(error, name) from None
        else:
            os.fchmod(descriptor, MODE | MARK)  # whatever the umask is
            return descriptor


def release(owning: int) -> None:
    """Have a file stay until somebody removes it; closes the descriptor that owns it."""
    os.fchmod(owning, MODE)
    os.close(owning)


def open_name(name: str) -> int:
    """A descriptor of the file of this name.

    :raises FileNotFoundError: when there is none, or only one without an owner
    """
    path = _path(name)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | _FLAGS)
        except OSError as error:
            raise _explained(error, name) from None
        if not (_is_marked(os.fstat(descriptor)) and _remove_if_ownerless(path)):
            return descriptor
        os.close(descriptor)


def remove(name: str, identity: tuple[int, int]) -> None:
    """Remove a name if it still stands for this file (device and inode).

    :raises FileNotFoundError: when it does not
    """
    path = _path(name)
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError as error:
        raise _explained(error, name) from None
    try:
        status = os.fstat(descriptor)
        if _is_marked(status):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        if (status.st_dev, status.st_ino) != identity or not _leads_to(path, descriptor):
            raise FileNotFoundError(errno.ENOENT, "the name stands for another block by now", name)
        os.unlink(path)
    finally:
        os.close(descriptor)


def sweep(alive: Collection[tuple[int, int]]) -> int:
    """Remove all ownerless files of this user. Never raises; returns how many files it saw.

    :param alive: device and inode of files that are known to have an owner
    """
    seen = 0
    try:
        entries = os.scandir(FOLDER)
    except OSError:
        return 0  # where there is no such folder there are no such files
    with entries:
        for entry in entries:
            seen += 1
            try:
                status = entry.stat(follow_symlinks=False)
                if _is_marked(status) and (status.st_dev, status.st_ino) not in alive:
                    _remove_if_ownerless(entry.path)
            except OSError:
                continue  # somebody else removed it, or no descriptor is left: the next one tries
    return seen


def _remove_if_ownerless(path: str) -> bool:
    """Remove a file that is marked and not locked; tells whether there is none there now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    try:
        if not _is_marked(os.fstat(descriptor)):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if _leads_to(path, descriptor):
            os.unlink(path)
        return True
    finally:
        os.close(descriptor)


def _is_marked(status: os.stat_result) -> bool:
    return status.st_mode == stat.S_IFREG | MODE | MARK and status.st_uid == os.geteuid()


def _leads_to(path: str, descriptor: int) -> bool:
    try:
        return _same(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _path(name: str) -> str:
    # What shm_open(3) makes of a name, and refuses.
    stem = name.lstrip("/")
    if "\0" in name:
        raise ValueError(f"embedded null character in {name!r}")
    if stem in {"", ".", ".."} or "/" in stem or len(os.fsencode(stem)) > 255:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    return f"{FOLDER}/{stem}"


def _explained(error: OSError, name: str) -> OSError:
    """The same error about the name instead of the path."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR} and not os.path.isdir(FOLDER):
        return missing_names(name)
    return OSError(error.errno, error.strerror, name)
