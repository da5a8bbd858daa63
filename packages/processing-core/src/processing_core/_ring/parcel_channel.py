"""Owns messages that do not fit the ring, on their way: their blocks, descriptors and mappings."""

from __future__ import annotations

import os
import queue
import sys
import time
from contextlib import suppress

assert sys.platform != "win32"

from processing_core._platform import holds
from processing_core._platform.mailbox import Mailbox
from processing_core._platform.rights import MOST_DESCRIPTORS
from processing_core._platform.shared_file import SharedFile
from processing_core._ring.channel import CROWDED_LOOK_SECONDS, Channel, patient
from processing_core._ring.guards import TooLateError, soon
from processing_core._ring.layout import FOR_ROOM, GETTERS, TAIL
from processing_core._ring.parcels import (
    NO_BLOCK,
    Label,
    Mapped,
    Parcel,
    fill,
    is_of_later,
    map_privately,
    new_token,
)
from processing_core._ring.ring import SPECIAL
from processing_core._serialize.packer import Packer
from processing_core.errors import InvalidArgument, SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["INLINE_BYTES", "ParcelChannel"]

# A message of at most this size lies in the ring.
INLINE_BYTES = 32 << 10


class FullMailboxError(Exception):
    """No more descriptors can be on their way."""


class ParcelChannel(Channel):
    """A channel for parcels."""

    def __init__(
        self, file: SharedFile, mailbox: Mailbox, room: Mailbox | None, maxsize: int, ceiling: int
    ) -> None:
        super().__init__(file, mailbox, room, maxsize, ceiling)
        # What belongs to the SPECIAL message that is being taken.
        self._accepted: Parcel | None = None
        # How often this process has put descriptors into the mailbox.
        self._attempts = 0

    # Putting

    def _put_limited(
        self,
        kind: int,
        data: bytes,
        weight: int,
        prepare: Callable[[], bytes] | None,
        limit: float | None,
    ) -> None:
        """Put a message that there may be no room for.

        ``prepare`` is called with the guard held before it is put, and returns its data.
        """
        self._check_weight(weight)

        def attempt() -> bool:
            if self._is_full(weight):
                return False
            message = data if prepare is None else prepare()
            if not self._ring.push(message, kind, weight):
                return False
            if self._words[GETTERS]:
                self._wake_getters()
            self._silence_room()
            return True

        self._wait(attempt, FOR_ROOM, limit, queue.Full)

    def _check_weight(self, weight: int) -> None:
        ceiling = self._ring.ceiling
        if ceiling is not None and weight > ceiling:
            raise InvalidArgument(
                f"an item of {weight} bytes can never be put on a queue of max_bytes={ceiling}"
            )

    def _put_parcel(self, data: bytes | Packer, limit: float | None) -> None:
        """Put a message that is too large for the ring or carries descriptors."""
        if isinstance(data, Packer):
            parts: list[list[Any]] = [list(data.pieces), *([view] for view in data.buffers)]
            descriptors = data.descriptors
        else:
            parts, descriptors = [[data]], []
        sizes = [sum(map(len, part)) for part in parts]
        if len(descriptors) > MOST_DESCRIPTORS:
            raise SerializationError(
                f"{len(descriptors)} descriptors in one item; "
                f"at most {MOST_DESCRIPTORS} can travel together"
            )
        label = Label(NO_BLOCK, len(descriptors), sizes)
        self._check_weight(label.weight)
        warm = False
        if len(parts) == 1 and sizes[0] <= INLINE_BYTES:
            label.inline = b"".join(parts[0])
        else:
            if limit == 0.0 and self._is_full(label.weight):
                raise queue.Full  # before anything is copied
            label.block, warm = self._putting.run(lambda: self._table.take(label.room, self._pid))
        try:
            if label.block != NO_BLOCK:
                offset, _ = self._table.place(label.block)
                fill(self._memory, self._file.descriptor, offset, parts, warm=warm)

            self._put_labelled(label, descriptors, limit)
        except BaseException:
            if label.block != NO_BLOCK:
                self._give_back(label.block, unless_queued=True)
            raise

    def _put_labelled(self, label: Label, descriptors: list[int], limit: float | None) -> None:
        """Put the record of a parcel, after its descriptors."""

        def prepare() -> bytes:
            if label.block != NO_BLOCK:
                self._table.assign(label.block)
            if descriptors:
                self._attempts += 1
                label.token = new_token(self._words[TAIL] >> 32, self._pid, self._attempts)
                if not self._mailbox.put(label.token, descriptors):
                    raise FullMailboxError
            return label.encode()

        while True:
            try:
                self._put_limited(SPECIAL, b"", label.weight, prepare, limit)
            except FullMailboxError:
                self._wait_for_mailbox(limit)
            else:
                return

    def _wait_for_mailbox(self, limit: float | None) -> None:
        """Wait for a while, in which there may be room; the kernel does not tell.

        :raises queue.Full: when the time has passed
        """
        # It may be full of what producers have left who were killed.
        with suppress(TooLateError):
            self._getting.run(lambda: self._other_guard(self._silence), patient(limit))
        if limit is not None and time.monotonic() >= limit:
            raise queue.Full
        time.sleep(CROWDED_LOOK_SECONDS)

    def _give_back(self, block: int, *, unless_queued: bool = False) -> None:
        """Be done with a block."""
        # If a signal handler raised after the commit, the message has it.
        if unless_queued and self._table.is_queued(block):
            return
        self._table.release(block)
        # It can wait for another time: who gets must not wait for a producer that was stopped.
        with suppress(TooLateError):
            self._putting.run(self._table.trim, soon())

    # Getting

    def _accept(self, data: bytes) -> int:
        """Take what belongs to a SPECIAL message; returns its weight."""
        label = Label.decode(data)
        descriptors = self._collect(label.token) if label.descriptors else None
        if label.block != NO_BLOCK:
            self._table.accept(label.block, self._pid)
        self._accepted = Parcel(label, descriptors)
        return label.weight

    def _collect(self, token: bytes) -> list[int] | None:
        """The descriptors of a message from the mailbox, where they are in the same order.

        There they stay until the message is removed: who is killed before has taken nothing. What
        is older is a bell, or was left by one who was killed, either putting or after the removal.
        None when they are not there, which nobody of ours does.

        :raises OSError: when this process cannot open them; the message stays where it is
        """
        while (found := self._mailbox.peek()) is not None:
            message, descriptors = found
            if message == token:
                return descriptors
            for descriptor in descriptors:
                os.close(descriptor)
            if is_of_later(message, token):
                break
            self._mailbox.drop()
        return None

    def _load(self, data: Parcel) -> Any:
        """The object of a parcel that was taken."""
        block = data.label.block
        if block == NO_BLOCK:
            return data.load(memoryview(b""), lambda _: None)
        offset, size = self._table.place(block)
        mapped = False

        def map_block(wanted: int) -> Mapped | None:
            nonlocal mapped
            view = self._map(block, offset, wanted)
            mapped = view is not None
            return view

        try:
            with memoryview(self._memory)[offset : offset + size] as memory:
                result = data.load(memory, map_block)
        except KeyboardInterrupt:
            # The message will be kept, and its block with it even if that was mapped already.
            self._table.accept(block, self._pid)
            raise
        except BaseException:
            if not mapped:
                self._give_back(block)
            raise
        if not mapped:
            self._give_back(block)
        return result

    # Blocks that are mapped

    def _map(self, block: int, offset: int, size: int) -> Mapped | None:
        """Map a block of this process's, which goes back when the mapping is gone."""
        if self._holder is None:
            try:
                self._holder = holds.reopen(self._file.descriptor)
            except OSError:
                return None  # no descriptors left: a copy will do
            if self._holder is None:
                return None
        view = map_privately(self._file.descriptor, offset, size)
        if view is None:
            return None
        holds.hold(self._holder, offset)
        self._mapped[offset] = self._mapped.get(offset, 0) + 1
        self._table.map(block)
        view.when_gone = _Gone(self, offset)
        return view

    def _unmap(self, offset: int) -> None:
        count = self._mapped.pop(offset, 1) - 1
        if count:
            self._mapped[offset] = count
        elif self._holder is not None and offset not in self._pinned:
            holds.let_go(self._holder, offset)


class _Gone:
    """What a mapping calls when it is gone; keeps the channel until then."""

    __slots__ = ("_channel", "_offset")

    def __init__(self, channel: ParcelChannel, offset: int) -> None:
        self._channel = channel
        self._offset = offset

    def __call__(self) -> None:
        self._channel._unmap(self._offset)
