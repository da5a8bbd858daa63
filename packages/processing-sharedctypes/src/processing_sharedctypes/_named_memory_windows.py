"""Owns blocks of shared memory that have names, on Windows, where a name goes with its last user.

The one module of this distribution that imports CPython's ``_winapi``.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys

assert sys.platform == "win32"

import _winapi

from processing_core.lowlevel import Packer

__all__ = ["Mapping", "adopt", "attach", "create", "new_name", "remove", "remove_group", "send"]

_INVALID_HANDLE = -1


class Mapping:
    """A block and its mapping, as processing-core's SharedFile is on other systems."""

    __slots__ = ("descriptor", "identity", "map", "size")

    def __init__(self, name: str, size: int) -> None:
        self.map = mmap.mmap(-1, size, tagname=name)
        self.identity = (0, 0)
        self.descriptor = -1
        self.size = size

    def close(self) -> None:
        """Nothing: the mapping goes with its last view."""


# What managers keep, so that it lasts until they end it.
_groups: dict[int, list[Mapping]] = {}


def new_name() -> str:
    """A name that nobody has."""
    return f"processing_{os.urandom(6).hex()}"


def create(name: str | None, size: int, *, owned: bool, group: object) -> tuple[str, bool, Mapping]:
    """A new block of zeros; see _named_memory. Its name goes with its last user, owned or not."""
    del owned
    given = new_name() if name is None else name
    handle = _winapi.CreateFileMapping(
        _INVALID_HANDLE,
        _winapi.NULL,
        _winapi.PAGE_READWRITE,
        (size >> 32) & 0xFFFFFFFF,
        size & 0xFFFFFFFF,
        given,
    )
    try:
        if _winapi.GetLastError() == _winapi.ERROR_ALREADY_EXISTS:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), given)
        file = Mapping(given, size)
    finally:
        _winapi.CloseHandle(handle)
    if group is not None:
        _groups.setdefault(id(group), []).append(file)
    return given, True, file


def attach(name: str) -> Mapping:
    """The mapping of the block of this name."""
    handle = _winapi.OpenFileMapping(_winapi.FILE_MAP_READ, False, name)
    try:
        address = _winapi.MapViewOfFile(handle, _winapi.FILE_MAP_READ, 0, 0, 0)
    finally:
        _winapi.CloseHandle(handle)
    try:
        size = _winapi.VirtualQuerySize(address)
    finally:
        _winapi.UnmapViewOfFile(address)
    return Mapping(name, size)


def remove(name: str, identity: tuple[int, int]) -> None:
    """No effect: the name goes with its last user."""
    del name, identity


def remove_group(group: object) -> None:
    """No longer keep the blocks of a group."""
    _groups.pop(id(group), None)


def send(file: Mapping, packer: Packer) -> int:
    """Blocks travel by name here."""
    raise NotImplementedError(f"{file!r} cannot be given to {packer!r}")


def adopt(index: int, size: int) -> Mapping:
    """Blocks travel by name here."""
    raise NotImplementedError(f"there is no block {index} of {size} bytes in the message")
