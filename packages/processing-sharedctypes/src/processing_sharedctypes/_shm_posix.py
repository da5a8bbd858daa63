"""Owns the names of shared memory on POSIX systems other than Linux, through CPython's own module.

Such names can be opened and removed, but not listed, locked or marked. So they are removed when
their owner ends by itself; one whose owner was killed stays until it is removed by name.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Collection

assert sys.platform not in {"win32", "linux"}

# Type checkers do not know it.
from _posixshmem import shm_open, shm_unlink  # type: ignore[import-not-found]

__all__ = ["claim", "is_available", "missing_names", "open_name", "release", "remove", "sweep"]


def is_available() -> bool:
    """Whether there are names."""
    return True


def missing_names(name: str) -> OSError:
    """The error for a name where there are no names."""
    return FileNotFoundError(errno.ENOENT, "shared memory has no names here", name)


def claim(name: str) -> tuple[int, int]:
    """Make an object; returns a descriptor to use, and -1 because none makes us its owner."""
    return int(shm_open(_path(name), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)), -1


def release(owning: int) -> None:
    """Nothing has to be done for a name to stay."""
    del owning


def open_name(name: str) -> int:
    """A descriptor of the object of this name."""
    return int(shm_open(_path(name), os.O_RDWR, 0o600))


def remove(name: str, identity: tuple[int, int]) -> None:
    """Remove a name."""
    del identity  # it tells nothing here
    shm_unlink(_path(name))


def sweep(alive: Collection[tuple[int, int]]) -> int:
    """Nobody can look for names here."""
    del alive
    return 0


def _path(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"
