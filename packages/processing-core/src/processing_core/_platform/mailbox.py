"""Owns mailboxes: sockets into which any process that has them puts small messages for another.

A mailbox carries what shared memory cannot: descriptors, and readability, for which a process can
wait together with other things. On Linux it is one datagram socket that is connected to itself;
elsewhere the two ends of a pair.
"""

from __future__ import annotations

import _socket as sockets
import errno
import os
import sys

assert sys.platform != "win32"

from processing_core._platform import rights
from processing_core._platform.own_sockets import OwnSocket

__all__ = ["Mailbox"]

MESSAGE_BYTES = 64
# What may be in a mailbox, with what the kernel needs for each message, which is some 800 bytes; it
# may allow less.
WANTED_BYTES = 4 << 20


class Mailbox:
    """A mailbox; ``descriptors`` are what another process needs to use it. Nothing here waits."""

    __slots__ = ("_inlet", "_outlet")

    def __init__(self, descriptors: list[int]) -> None:
        self._outlet = OwnSocket(fileno=descriptors[0])
        self._inlet = OwnSocket(fileno=descriptors[-1]) if descriptors[1:] else self._outlet
        for end in (self._outlet, self._inlet):
            end.setblocking(False)

    @classmethod
    def create(cls) -> Mailbox:
        """A new, empty mailbox. :raises OSError: when there are no descriptors left"""
        if sys.platform == "linux":
            one = sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM)
            try:
                # An empty address has the kernel choose one (unix(7), autobind). From the moment it
                # is connected, only this socket may send to it.
                one.bind(b"")
                one.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, WANTED_BYTES)
                one.connect(one.getsockname())
                box = cls([one.detach()])
            finally:
                one.close()
            box.empty()
            return box
        else:
            outlet, inlet = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_DGRAM)
            return cls([outlet.detach(), inlet.detach()])

    @property
    def descriptors(self) -> list[int]:
        outlet = self._outlet.fileno()
        return [outlet] if self._inlet is self._outlet else [outlet, self._inlet.fileno()]

    def fileno(self) -> int:
        """What is readable when there is a message."""
        return self._outlet.fileno()

    def put(self, message: bytes, descriptors: list[int]) -> bool:
        """Put a message; False when there is no room for it now."""
        try:
            rights.send(self._inlet, message, descriptors)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in (errno.ENOBUFS, errno.ETOOMANYREFS):  # too much is on its way
                return False
            raise
        return True

    def take(self) -> tuple[bytes, list[int]] | None:
        """Take the oldest message; None when there is none.

        :raises OSError: when this process cannot open the descriptors in it; it is lost
        """
        return self._receive(peek=False)

    def peek(self) -> tuple[bytes, list[int]] | None:
        """The oldest message, which stays, and descriptors of one's own; None when there is none.

        :raises OSError: when this process cannot open the descriptors
        """
        return self._receive(peek=True)

    def _receive(self, *, peek: bool) -> tuple[bytes, list[int]] | None:
        try:
            message, descriptors, complete = rights.receive(self._outlet, MESSAGE_BYTES, peek=peek)
        except BlockingIOError:
            return None
        if not complete:
            for descriptor in descriptors:
                os.close(descriptor)
            raise OSError(errno.EMFILE, "this process cannot open the descriptors of a message")
        return message, descriptors

    def drop(self) -> bool:
        """Drop the oldest message; False when there is none."""
        try:
            self._outlet.recv(1)
        except BlockingIOError:
            return False
        return True

    def empty(self) -> None:
        """Take and drop everything."""
        while self.drop():
            continue

    def close(self) -> None:
        """Close the sockets. May be called again."""
        self._outlet.close()
        self._inlet.close()
