"""Owns messages on Unix sockets that carry descriptors (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import _socket as sockets
import os
import struct
import sys

assert sys.platform != "win32"

__all__ = ["MOST_DESCRIPTORS", "receive", "send"]

# The Linux kernel sends at most 253 (SCM_MAX_FD); no system is known that takes fewer than 250.
MOST_DESCRIPTORS = 250

# Linux makes received descriptors close-on-exec at once. Elsewhere they are made so afterwards,
# and a program that another thread starts in between may inherit them.
CLOSES_ON_EXEC = sys.platform == "linux"


def send(sock: sockets.socket, message: bytes, descriptors: list[int]) -> None:
    """Send a message; with descriptors it must not be empty."""
    rights = struct.pack(f"={len(descriptors)}i", *descriptors)
    sock.sendmsg([message], [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, rights)] if rights else [])


def receive(
    sock: sockets.socket, size: int, *, peek: bool = False
) -> tuple[bytes, list[int], bool]:
    """Receive up to ``size`` bytes; returns them, the descriptors, and whether all of these came.

    Some are missing when this process cannot open that many. ``peek`` leaves the message where it
    is, with descriptors of its own.
    """
    closing = 0
    if sys.platform == "linux" and CLOSES_ON_EXEC:
        closing = sockets.MSG_CMSG_CLOEXEC
    flags = closing | (sockets.MSG_PEEK if peek else 0)
    message, ancillary, answer, _ = sock.recvmsg(
        size, sockets.CMSG_SPACE(4 * MOST_DESCRIPTORS), flags
    )
    descriptors = [
        number
        for level, kind, data in ancillary
        if level == sockets.SOL_SOCKET and kind == sockets.SCM_RIGHTS
        for (number,) in struct.iter_unpack("=i", data[: len(data) // 4 * 4])
    ]
    if not closing:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
    return message, descriptors, not answer & sockets.MSG_CTRUNC
