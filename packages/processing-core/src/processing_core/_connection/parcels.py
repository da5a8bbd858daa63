"""Owns parcels: messages that are too large for a packet or carry descriptors.

A parcel goes over a socket pair of its own, because only there the receiver reads with recvmsg(2),
which alone takes descriptors along. A marker with the parcel's token goes over the message socket
after it and keeps its place among the other messages. So a marker is never there before its parcel.

A sender killed between the two leaves a parcel without a marker, an orphan. Few of them fill the
socket, so a sender that finds no room for long sends a nudge over the message socket, and a
receiver that reads it takes the orphans out: those whose sender has ended.
"""

from __future__ import annotations

import _socket as sockets
import os
import struct
import sys
import threading

assert sys.platform == "linux"

from processing_core._connection.blocks import (
    FREE,
    HEADER_BYTES,
    BlockReader,
    BlockWriter,
    Mapping,
)
from processing_core._cpickle import loads
from processing_core._platform.children import has_ended
from processing_core._platform.pages import private_buffer, private_bytes
from processing_core._serialize.transfer import Arrival, arriving
from processing_core.errors import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["TOKEN_BYTES", "Parcel", "ParcelSocket", "parcel_socket_pair"]

TOKEN_BYTES = 16

# token, sender's pid, number of sizes in the block's table, number of descriptors after the
# block's, kept?
LABEL = struct.Struct(f"={TOKEN_BYTES}siII?")
SIZE = struct.Struct("=Q")
# SCM_MAX_FD of the Linux kernel: at most so many descriptors travel with one message.
MOST_DESCRIPTORS = 253
# Buffers out of band begin at multiples of this, for the sake of vector instructions.
ALIGNMENT = 64
# The socket's buffer is as small as the kernel allows (4,608 bytes), which holds two labels of this
# length: one parcel waits while the next is filled, and no more memory than that is under way.
SEND_BUFFER_BYTES = 1
PADDING = bytes(1000 - LABEL.size)
# How long a sender waits for room before it nudges (struct timeval). It sleeps in sendmsg(2), which
# wakes it when one label is read; poll(2) would only when none is left.
SEND_TIMEOUT = struct.pack("@ll", 0, 100_000)


class Parcel:
    """A received parcel. Its contents are copied out once, then the block goes back."""

    __slots__ = ("_arrival", "_kept", "_mapping", "_parts")

    def __init__(self, mapping: Mapping, count: int, arrival: Arrival, *, kept: bool) -> None:
        self._mapping = mapping
        self._kept = kept
        self._arrival = arrival
        self._parts: list[memoryview] = []
        position = HEADER_BYTES + SIZE.size * count
        for index in range(count):
            (size,) = SIZE.unpack_from(mapping.view, HEADER_BYTES + SIZE.size * index)
            if index:
                position = aligned(position)
            self._parts.append(mapping.view[position : position + size])
            position += size

    @property
    def size(self) -> int:
        """The number of bytes of the message proper."""
        return len(self._parts[0])

    @property
    def has_buffers(self) -> bool:
        """Whether buffers travel beside the pickle, which then does not load alone."""
        return len(self._parts) > 1

    def load(self) -> Any:
        """Rebuild the object; the buffers that travelled beside the pickle are copied once."""
        try:
            with arriving(self._arrival):
                return loads(self._parts[0], buffers=map(private_buffer, self._parts[1:]))
        finally:
            self.release()

    def bytes(self) -> bytes:
        """The message as bytes."""
        try:
            return private_bytes(self._parts[0])
        finally:
            self.release()

    def copy_into(self, target: memoryview) -> int:
        """Copy the message to the start of a buffer that is large enough."""
        try:
            size = self.size
            target[:size] = self._parts[0]
            return size
        finally:
            self.release()

    def forget(self) -> None:
        """Close our copies of the descriptors; the block is another process's to free."""
        self._arrival.close()

    def release(self) -> None:
        """Give the block back to its sender and close the descriptors that nobody took."""
        self._arrival.close()
        for part in self._parts:
            part.release()
        # The system calls before this store order it after the copying on every processor.
        self._mapping.mark(FREE)
        if not self._kept:
            self._mapping.close()


def aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT


class ParcelSocket:
    """One end of the socket pair for parcels, in the process that made this object."""

    __slots__ = (
        "_outrun",
        "_pid",
        "_reader",
        "_receiving",
        "_sending",
        "_socket",
        "_stash",
        "_suspect",
        "_writer",
    )

    def __init__(self, descriptor: int) -> None:
        self._socket = sockets.socket(fileno=descriptor)
        self._socket.settimeout(None)
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        # Two locks, because a thread that waits for room must not stop another from receiving.
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._writer = BlockWriter()
        self._reader = BlockReader()
        # Parcels taken from the socket while looking for another; their markers are to come.
        self._stash: dict[bytes, Parcel] = {}
        # Tokens of parcels that were delivered before their marker came.
        self._outrun: set[bytes] = set()
        # The token of what was the first parcel in the socket at the last nudge.
        self._suspect: bytes | None = None

    def fileno(self) -> int:
        return self._socket.fileno()

    def _drop_inherited(self) -> None:
        """After a fork, drop all that the parent had under way."""
        if self._pid != os.getpid():
            self._writer.close()
            for parcel in self._stash.values():
                parcel.forget()
            self._start()

    def send(
        self,
        token: bytes,
        parts: Sequence[Sequence[bytes | memoryview]],
        descriptors: Sequence[int],
        nudge: Callable[[], None],
    ) -> None:
        """Send a parcel, before the marker with its token is sent.

        ``parts`` are the message proper and then the buffers beside it, each in pieces. Waits while
        too many parcels are under way; calls ``nudge`` when that takes long.

        :raises MemoryError: when there is no room; nothing was sent
        """
        if len(descriptors) >= MOST_DESCRIPTORS:
            raise SerializationError(
                f"{len(descriptors)} descriptors in one message; at most "
                f"{MOST_DESCRIPTORS - 1} can travel together"
            )
        pieces = self._lay_out(parts)
        self._drop_inherited()
        with self._sending:
            block, kept = self._writer.fill(pieces)
            try:
                label = LABEL.pack(token, self._pid, len(parts), len(descriptors), kept)
                self._send_label(label + PADDING, [block, *descriptors], nudge)
            finally:
                if not kept:
                    os.close(block)

    @staticmethod
    def _lay_out(parts: Sequence[Sequence[bytes | memoryview]]) -> list[memoryview]:
        """The contents of the block after its header: table of sizes, then the aligned parts."""
        sizes = [sum(map(len, part)) for part in parts]
        table = b"".join(map(SIZE.pack, sizes))
        pieces = [memoryview(table)]
        position = HEADER_BYTES + len(table)
        for index, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            if index and (gap := aligned(position) - position):
                pieces.append(memoryview(bytes(gap)))
                position += gap
            pieces.extend(map(memoryview, part))
            position += size
        return pieces

    def _send_label(self, label: bytes, descriptors: list[int], nudge: Callable[[], None]) -> None:
        rights = struct.pack(f"={len(descriptors)}i", *descriptors)
        ancillary = [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, rights)]
        attempt = 0
        while True:
            try:
                self._socket.sendmsg([label], ancillary)
            except BlockingIOError:
                # After 0.1 seconds, 0.2, 0.4 and so on.
                attempt += 1
                if attempt & (attempt - 1) == 0:
                    nudge()
            else:
                return

    def receive(self, token: bytes) -> Parcel | None:
        """The parcel that a marker announces; None when another receiver has taken it."""
        self._drop_inherited()
        with self._receiving:
            if (parcel := self._stash.pop(token, None)) is not None:
                return parcel
            if token in self._outrun:
                self._outrun.discard(token)
                return None
            while self._fetch():
                if (parcel := self._stash.pop(token, None)) is not None:
                    return parcel
            return None

    def early(self) -> bytes | None:
        """The token of a parcel whose marker has not come, to be received without it.

        To be called only when no message is left: the sender may have been killed before it sent
        the marker, or another process that shares this end has the marker.
        """
        if not self.has_stashed:
            return None
        with self._receiving:
            token = next(iter(self._stash), None)
            if token is not None:
                self._outrun.add(token)
            return token

    def take_orphans(self) -> None:
        """After a nudge: take parcels that nobody will announce, to be received early."""
        self._drop_inherited()
        with self._receiving:
            while (first := self._first()) is not None:
                token, sender = first
                if token != self._suspect and not has_ended(sender):
                    self._suspect = token
                    return
                self._fetch()

    def _first(self) -> tuple[bytes, int] | None:
        """Token and sender of the first parcel in the socket; None when there is none."""
        try:
            label = self._socket.recv(LABEL.size, sockets.MSG_PEEK | sockets.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionResetError):
            return None
        return LABEL.unpack(label)[:2] if label else None

    def is_stale(self, token: bytes) -> bool:
        """Whether a marker belongs to a parcel that was received without it."""
        return token in self._outrun and token not in self._stash

    @property
    def may_be_stale(self) -> bool:
        """Whether there are parcels that were received without their marker."""
        return bool(self._outrun)

    @property
    def has_stashed(self) -> bool:
        """Whether a parcel waits for its marker."""
        return bool(self._stash) and self._pid == os.getpid()

    def _fetch(self) -> bool:
        """Take one parcel from the socket into the stash; False when there is none."""
        try:
            label, ancillary, flags, _ = self._socket.recvmsg(
                LABEL.size + len(PADDING),
                sockets.CMSG_SPACE(4 * MOST_DESCRIPTORS),
                sockets.MSG_DONTWAIT | sockets.MSG_CMSG_CLOEXEC,
            )
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True  # the other end is closed; what it had sent before is still there
        if not label:
            return False
        descriptors = [
            number
            for level, kind, data in ancillary
            if level == sockets.SOL_SOCKET and kind == sockets.SCM_RIGHTS
            for (number,) in struct.iter_unpack("=i", data[: len(data) // 4 * 4])
        ]
        token, _, count, carried, kept = LABEL.unpack_from(label)
        if flags & sockets.MSG_CTRUNC or len(descriptors) != carried + 1:
            for descriptor in descriptors:
                os.close(descriptor)
            raise OSError(
                f"a message with {carried + 1} descriptors is lost: this process cannot open more"
            )
        arrival = Arrival(descriptors[1:])
        try:
            mapping = self._reader.map(descriptors[0], kept=kept)
        except BaseException:
            arrival.close()
            raise
        self._stash[token] = Parcel(mapping, count, arrival, kept=kept)
        return True

    def close(self) -> None:
        self._drop_inherited()
        self._socket.close()
        with self._sending:
            self._writer.close()
        with self._receiving:
            while self._stash:
                self._stash.popitem()[1].release()
            self._reader.close()


def parcel_socket_pair() -> tuple[int, int]:
    """Two connected sockets for parcels."""
    pair = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
    for end in pair:
        end.setblocking(True)
        end.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, SEND_BUFFER_BYTES)
        end.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDTIMEO, SEND_TIMEOUT)
    return pair[0].detach(), pair[1].detach()
