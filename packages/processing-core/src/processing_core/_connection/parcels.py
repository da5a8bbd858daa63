"""Owns parcels: messages that are too large for a packet or carry descriptors.

A parcel goes over a socket pair of its own, because only there the receiver reads with recvmsg(2),
which alone takes descriptors along. A marker with the parcel's token goes over the message socket
after it and keeps its place among the other messages. So a marker is never there before its parcel,
and whoever reads the marker is the one who gets the parcel.

Parcels need not be in the order of their markers, and where several processes share an end, each
finds the parcels of others in its way. It lays them aside in a box that all of them have: a
mailbox, so that what is in it is lost with none of them. A parcel that is neither in the socket nor
in the box is in somebody's hands between the two, and its receiver looks again for a while.

A sender killed before the marker, or a receiver interrupted after it, leaves a parcel that nobody
asks for, an orphan. Few of them fill the socket, so a sender that finds no room sends a nudge over
the message socket, and a receiver that reads it lays them aside. What was in the box for long when
no messages are left is delivered all the same.
"""

from __future__ import annotations

import _socket as sockets
import math
import os
import select
import struct
import sys
import threading
import time
import weakref
from contextlib import suppress

assert sys.platform == "linux"

from processing_core._connection.blocks import (
    FREE,
    HEADER_BYTES,
    BlockReader,
    BlockWriter,
    Mapping,
)
from processing_core._cpickle import loads
from processing_core._lifecycle import on_fork
from processing_core._platform.mailbox import Mailbox
from processing_core._platform.own_sockets import OwnSocket
from processing_core._platform.pages import private_buffer, private_bytes
from processing_core._platform.rights import MOST_DESCRIPTORS
from processing_core._serialize.transfer import Arrival, arriving
from processing_core.errors import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

__all__ = ["TOKEN_BYTES", "Parcel", "ParcelSocket", "parcel_socket_pair"]

TOKEN_BYTES = 16

# token, number of sizes in the block's table, number of descriptors after the block's, kept?, when
# it was first laid aside (CLOCK_MONOTONIC, which is the same for all processes), 0 before
LABEL = struct.Struct(f"={TOKEN_BYTES}sII?d")
SIZE = struct.Struct("=Q")
# Buffers out of band begin at multiples of this, for the sake of vector instructions.
ALIGNMENT = 64
# The socket's buffer is as small as the kernel allows (4,608 bytes), which holds two labels of this
# length: one parcel waits while the next is filled, and no more memory than that is under way.
SEND_BUFFER_BYTES = 1
PADDING = bytes(1000 - LABEL.size)
# The socket never holds more than this, whatever the kernel's way of counting.
MOST_IN_SOCKET = 8
# How long a sender waits for room before it nudges (struct timeval). It sleeps in sendmsg(2), which
# wakes it when one label is read; poll(2) would only when none is left.
SEND_TIMEOUT = struct.pack("@ll", 0, 100_000)

# How often a receiver looks for a parcel that somebody may be holding, and the pauses between, in
# seconds: a second in all, and longer on a machine that is too busy to run anybody in time.
LOOKS = 200
FIRST_PAUSE, LONGEST_PAUSE = 50e-6, 5e-3
# A parcel that was laid aside for so long is an orphan: whoever has its marker has stopped looking.
ORPHAN_SECONDS = 2.0
# But not before no message has come for so long: its sender may be about to send the marker.
IDLE_SECONDS = 0.05


class SealedParcel:
    """A parcel as it travels: the descriptor of its block, and then those of its contents."""

    __slots__ = ("count", "descriptors", "kept", "laid_aside", "token")

    def __init__(self, label: bytes, descriptors: list[int]) -> None:
        self.token, self.count, carried, self.kept, self.laid_aside = LABEL.unpack_from(label)
        self.descriptors = descriptors
        if len(descriptors) != carried + 1:
            self.close()
            raise OSError(
                f"a message with {carried + 1} descriptors is lost: this process cannot open more"
            )

    @property
    def label(self) -> bytes:
        carried = len(self.descriptors) - 1
        return LABEL.pack(self.token, self.count, carried, self.kept, self.laid_aside)

    def close(self) -> None:
        """Close our copies of the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


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
    def total(self) -> int:
        """The number of bytes of the message with the buffers beside it."""
        return sum(map(len, self._parts))

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
    """One end of the socket pair for parcels, in the process that made this object.

    ``box`` is where those who share the end lay parcels aside. One that is None is made when the
    end becomes shared: when another process is sent its descriptors, or this one forks. What is
    needed for parcels is made for the first, since many connections never have one.
    """

    __slots__ = (
        "__weakref__",
        "_box",
        "_held",
        "_look_at",
        "_pid",
        "_reader",
        "_receiving",
        "_sending",
        "_socket",
        "_writer",
    )

    def __init__(self, sock: sockets.socket, box: Mailbox | None, *, receives: bool = True) -> None:
        self._socket = OwnSocket(sockets.AF_UNIX, sockets.SOCK_SEQPACKET, 0, sock.detach())
        self._box = box
        # -1 before the first use.
        self._pid = -1
        # When to look for orphans: what this process laid aside, or missed, may be one by then.
        self._look_at = math.inf
        if box is None and receives:
            _unshared.add(self)

    def _start(self) -> None:
        self._socket.settimeout(None)
        self._socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDTIMEO, SEND_TIMEOUT)
        # Two locks, because a thread that waits for room must not stop another from receiving.
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._writer = BlockWriter()
        self._reader = BlockReader()
        # Parcels to lay aside while there is no box, or for which it has no room, since hundreds of
        # senders had theirs overtaken or the system limits descriptors on their way.
        self._held: dict[bytes, SealedParcel] = {}
        self._look_at = math.inf
        self._pid = os.getpid()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def has_room(self) -> bool:
        """Whether the socket takes a parcel now; surely when none is in it."""
        poller = select.poll()
        poller.register(self._socket.fileno(), select.POLLOUT)
        return bool(poller.poll(0))

    @property
    def descriptors(self) -> list[int]:
        """What another process needs to use this end: the socket and, if it receives, the box.

        :raises OSError: when there are no descriptors left for a box
        """
        self.share()
        return [self._socket.fileno(), *(self._box.descriptors if self._box else [])]

    def share(self) -> None:
        """Have a box from now on, if this end receives."""
        with _unshared.lock:
            if not _unshared.remove(self):
                return
            try:
                self._box = Mailbox.create()
            except OSError:
                _unshared.add(self)
                raise
        # A thread that has the lock, or that we are a signal handler of, has what is held as well.
        if self._pid == os.getpid():
            taken: list[bool] = []
            try:
                taken += map(self._receiving.acquire, (False,))  # see NetworkConnection.poll
                if taken[0]:
                    self._lay_held_aside()
            finally:
                if True in taken:
                    self._receiving.release()

    def _drop_inherited(self) -> None:
        """Begin with parcels; after a fork anew, without all that the parent had under way."""
        if self._pid == os.getpid():
            return
        with _unshared.lock:
            if self._pid == os.getpid():
                return
            if self._pid >= 0:
                self._writer.close()
                for sealed in self._held.values():
                    sealed.close()
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
                label = LABEL.pack(token, len(parts), len(descriptors), kept, 0.0)
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
        while True:
            try:
                self._socket.sendmsg([label], ancillary)
            except BlockingIOError:
                nudge()
            else:
                return

    def receive(self, token: bytes, *, announced: bool = True) -> Parcel | None:
        """The parcel with this token; None when it is not there.

        ``announced``: its marker was read, so it was sent, and nobody else will deliver it. If it
        is not there, somebody is laying it aside, and we wait; but not for ever, since that one may
        have been killed or stopped.
        """
        self._drop_inherited()
        for look in range(LOOKS if announced else 1):
            if look:
                time.sleep(min(FIRST_PAUSE * 2**look, LONGEST_PAUSE))
            with self._receiving:
                # What was in the socket when the marker came is out of it after the first look.
                if (sealed := self._find(token, in_socket=look == 0)) is not None:
                    return self._open(sealed)
            # If anything ends the wait, the parcel will be there later, for anybody.
            self._watch(time.monotonic())
        return None

    def make_room(self) -> None:
        """After a nudge: clear the socket of parcels that nobody asks for."""
        self._drop_inherited()
        with self._receiving:
            for sealed in self._in_socket():
                self._lay_aside(sealed)

    def orphan(self) -> bytes | None:
        """The token of a parcel that nobody asks for, if it is time to look for any.

        To be called only when no message is left; the parcel is then received unannounced.
        """
        now = time.monotonic()
        if now < self._look_at:
            return None
        self._drop_inherited()
        found = None
        with self._receiving:
            self._look_at = math.inf
            for sealed in self._in_box():
                self._lay_aside(sealed)
                if sealed.laid_aside <= now - ORPHAN_SECONDS:
                    found = sealed.token
            for sealed in self._held.values():
                if sealed.laid_aside <= now - ORPHAN_SECONDS:
                    found = sealed.token
        return found

    def orphan_at_end(self) -> bytes | None:
        """The same, when no message will come any more: waits until no parcel is left, or one is
        an orphan.
        """
        while True:
            self._look_at = 0.0
            if (token := self.orphan()) is not None or self._look_at == math.inf:
                return token
            time.sleep(LONGEST_PAUSE)

    def until_look(self) -> float | None:
        """How long to wait for a message (seconds) before looking for orphans; None if for none."""
        if self._look_at == math.inf:
            return None
        return max(self._look_at - time.monotonic(), IDLE_SECONDS)

    # The following are called with the lock held.

    def _find(self, token: bytes, *, in_socket: bool) -> SealedParcel | None:
        """Take out the parcel with this token, and lay aside those that are in the way."""
        if (held := self._held.pop(token, None)) is not None:
            return held
        for source in (self._in_socket, self._in_box) if in_socket else (self._in_box,):
            for sealed in source():
                if sealed.token == token:
                    return sealed
                self._lay_aside(sealed)
        return None

    def _in_socket(self) -> Iterator[SealedParcel]:
        """Take what is in the socket now, but not without end what senders add meanwhile."""
        for _ in range(MOST_IN_SOCKET):
            if (sealed := self._fetch()) is None:
                return
            yield sealed

    def _in_box(self) -> Iterator[SealedParcel]:
        """Take each parcel in the box once; the caller puts it back before it takes the next.

        So no more than one is out at a time, for others to miss or to be lost if we are killed.
        """
        if self._box is None:
            return
        self._lay_held_aside()
        seen = set()
        while (message := self._box.take()) is not None:
            sealed = SealedParcel(*message)
            yield sealed
            if sealed.token in seen:
                return
            seen.add(sealed.token)

    def _lay_aside(self, sealed: SealedParcel) -> None:
        """Put a parcel where whoever has its marker finds it."""
        sealed.laid_aside = sealed.laid_aside or time.monotonic()
        self._watch(sealed.laid_aside)
        try:
            placed = self._box is not None and self._box.put(sealed.label, sealed.descriptors)
        except OSError:
            placed = False  # the kernel has no memory for it
        if placed:
            sealed.close()
        else:
            self._held[sealed.token] = sealed

    def _lay_held_aside(self) -> None:
        """Put what there was no room for into the box as far as there is now."""
        while self._held and self._box is not None:
            _, sealed = self._held.popitem()
            self._lay_aside(sealed)
            if sealed.token in self._held:
                return

    def _watch(self, laid_aside: float) -> None:
        """Look for orphans when what was laid aside then would be one."""
        self._look_at = min(self._look_at, laid_aside + ORPHAN_SECONDS)

    def _fetch(self) -> SealedParcel | None:
        """Take one parcel from the socket; None when there is none."""
        while True:
            try:
                label, ancillary, _, _ = self._socket.recvmsg(
                    LABEL.size + len(PADDING),
                    sockets.CMSG_SPACE(4 * MOST_DESCRIPTORS),
                    sockets.MSG_DONTWAIT | sockets.MSG_CMSG_CLOEXEC,
                )
            except BlockingIOError:
                return None
            except ConnectionResetError:
                continue  # the other end is closed; what it had sent before is still there
            break
        if not label:
            return None
        descriptors = [
            number
            for level, kind, data in ancillary
            if level == sockets.SOL_SOCKET and kind == sockets.SCM_RIGHTS
            for (number,) in struct.iter_unpack("=i", data[: len(data) // 4 * 4])
        ]
        return SealedParcel(label, descriptors)

    def _open(self, sealed: SealedParcel) -> Parcel:
        arrival = Arrival(sealed.descriptors[1:])
        try:
            mapping = self._reader.map(sealed.descriptors[0], kept=sealed.kept)
        except BaseException:
            arrival.close()
            raise
        return Parcel(mapping, sealed.count, arrival, kept=sealed.kept)

    def close(self) -> None:
        """Close this end. May be called again."""
        _unshared.remove(self)
        if self._pid < 0:
            self._socket.close()
            if self._box is not None:
                self._box.close()
            return
        self._drop_inherited()
        self._socket.close()
        with self._sending:
            self._writer.close()
        with self._receiving:
            self._lay_held_aside()  # for others who share this end
            while self._held:
                self._held.popitem()[1].close()
            self._reader.close()
            if self._box is not None:
                self._box.close()


class _Unshared:
    """The ends without a box that only this process has. Before a fork they get one.

    The lock is held while one of them gets a box, or begins, and during a fork. Re-entrant for
    signal handlers.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._ends: dict[int, weakref.ref[ParcelSocket]] = {}
        self._hooked = False

    def add(self, end: ParcelSocket) -> None:
        """Have an end be given a box before this process forks."""
        with self.lock:
            if not self._hooked:
                self._hooked = True
                on_fork(self._before_fork, self._after_fork, self._renew_lock)
            self._ends[id(end)] = weakref.ref(end)

    def remove(self, end: ParcelSocket) -> bool:
        """Forget an end; whether it was known."""
        reference = self._ends.pop(id(end), None)
        return reference is not None and reference() is end

    def _before_fork(self) -> None:
        self.lock.acquire()
        for reference in list(self._ends.values()):
            if (end := reference()) is not None:
                # Without descriptors the two processes cannot lay parcels aside for each other.
                with suppress(OSError):
                    end.share()

    def _after_fork(self) -> None:
        self.lock.release()

    def _renew_lock(self) -> None:
        self.lock = threading.RLock()


_unshared = _Unshared()


def parcel_socket_pair() -> tuple[sockets.socket, sockets.socket]:
    """Two connected sockets for parcels."""
    return sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
