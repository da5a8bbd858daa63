"""Owns sockets that are closed without a word when they are collected.

The library's objects close theirs when they go. In a cycle of garbage a socket may be collected
before the object that it is of, and would then tell a program that it has forgotten something.
"""

from __future__ import annotations

import _socket as sockets

__all__ = ["OwnSocket"]


class OwnSocket(sockets.socket):
    """A socket that belongs to an object of the library."""

    __slots__ = ()

    def __del__(self) -> None:
        self.close()
