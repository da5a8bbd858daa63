"""Owns how objects become messages of a channel and messages objects: put and get.

A PLAIN message is a pickle, a RAW one a bytes object as it is, and a SPECIAL one the label of a
parcel.

Getting never loses a message to a signal handler that raises: what was taken and not returned is
kept for the next call in the same process.
"""

from __future__ import annotations

import queue
import sys
from collections import deque
from time import perf_counter

assert sys.platform != "win32"

from processing_core._cpickle import loads
from processing_core._generic import TYPE_CHECKING, Container, ItemT
from processing_core._platform.mailbox import Mailbox
from processing_core._platform.patience import BUDGETS
from processing_core._platform.shared_file import SharedFile
from processing_core._ring.channel import moment, patient
from processing_core._ring.guards import DEADLOCK, TooLateError, soon
from processing_core._ring.layout import (
    COUNT_ONE,
    FOR_MESSAGES,
    GETTERS,
    HEAD,
    LOW_32,
    LOW_64,
    PUTTERS,
    TAIL,
)
from processing_core._ring.parcel_channel import INLINE_BYTES, ParcelChannel
from processing_core._ring.parcels import Parcel
from processing_core._ring.ring import (
    KEPT_END,
    LENGTH,
    LOW_KINDS,
    MARK_BYTES,
    PLAIN,
    RAW,
    SPECIAL,
)
from processing_core._serialize.packer import Packer
from processing_core._serialize.packing import pack
from processing_core.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    # A pickle, a parcel, or an object that is rebuilt already, as the only element of a tuple.
    Message: TypeAlias = "bytes | Parcel | tuple[Any]"

__all__ = ["MessageChannel"]

# How often to look for a message before looking at the clock, some two microseconds.
LOOKS = 40


class MessageChannel(Container[ItemT], ParcelChannel):
    """A channel of objects."""

    _closed = False

    def __init__(
        self, file: SharedFile, mailbox: Mailbox, room: Mailbox | None, maxsize: int, ceiling: int
    ) -> None:
        super().__init__(file, mailbox, room, maxsize, ceiling)
        # Messages that were taken for a call that did not return them.
        self._kept: deque[Message] = deque()
        # Whether put and get may take the short way: no limits, and not closed.
        self._direct = not (maxsize or ceiling)
        self._put_key, self._get_key = self._putting.key, self._getting.key
        # What this process knows from its last put: nobody has put since if TAIL is the same, and
        # then the place is free up to the same end, because the head only moves away.
        self._last_tail = -1
        self._position = self._end = 0

    def close(self) -> None:
        """Neither put nor get any more in this process. May be called again.

        What was put stays for the others.
        """
        self._closed = True
        self._direct = False

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the {type(self).__name__} is closed in this process")

    # Putting

    def put(self, obj: ItemT, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, waiting while the queue is full.

        :param block: False to raise at once instead of waiting
        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Full: when there was no room in time
        :raises ClosedError: (a ValueError) after ``close()`` in this process
        :raises InvalidArgument: (a ValueError) when the timeout is NaN, or when the item alone is
            larger than ``max_bytes``
        :raises MemoryError: when there is no memory for the item; nothing has changed

        Whatever the pickling of the item raises is raised here, and nothing was put.
        """
        limit = None if block and timeout is None else moment(block, timeout)
        if not self._direct:
            self._put_by_steps(obj, limit)
            return
        data: bytes
        if type(obj) is bytes and len(obj) <= INLINE_BYTES:  # type: ignore[arg-type]
            data, kind = obj, RAW  # type: ignore[assignment]
        else:
            kind = PLAIN
            packed = pack(obj)
            if type(packed) is not bytes or len(packed) > INLINE_BYTES:
                self._put_parcel(packed, limit)
                return
            data = packed
        # The hot path: Guard.run and Ring.push with nothing that is not needed here. Its invariant
        # is theirs: what is written before the last store is nobody's yet.
        words, key, length = self._words, self._put_key, len(data)
        need = (length + 23) & ~15
        code = 0
        try:
            code = self._trylock(key)
            if code:
                code = self._putting.lock_after(code, patient(limit))
            tail = words[0]  # TAIL
            position = self._position if tail == self._last_tail else self._find_end(tail)
            if position + need <= self._end and (position < KEPT_END or tail != words[8]):
                words[position >> 3] = length | kind
                start = position + 8
                self._memory[start : start + length] = data
                self._position = position + need
                words[0] = self._last_tail = tail + (need >> 4) + COUNT_ONE & LOW_64
            else:
                self._last_tail = -1
                self._ring.push(data, kind)
            if words[16]:  # GETTERS
                self._wake_getters()
        except TooLateError:
            raise queue.Full from None
        finally:
            if code != DEADLOCK:
                self._unlock(key)

    def _find_end(self, tail: int) -> int:
        """Find out how far messages can follow the tail without a detour; returns its position."""
        position = (tail & LOW_32) << 4
        end = 1 << position.bit_length()
        head = (self._words[HEAD] & LOW_32) << 4
        if position < head < end:
            end = head
        self._end = end - MARK_BYTES
        return position

    def _put_packed(self, packed: bytes | Packer) -> None:
        """Put what pack() has made of an object, again and again; on channels without a limit."""
        if isinstance(packed, Packer) or len(packed) > INLINE_BYTES:
            self._put_parcel(packed, None)
        else:
            self._put_all([PLAIN], [packed])

    def _put_by_steps(self, obj: Any, limit: float | None) -> None:
        """As put(), for a queue with limits and one that is closed."""
        self._check_open()
        if type(obj) is bytes and len(obj) <= INLINE_BYTES:
            self._put_limited(RAW, obj, len(obj), None, limit)
            return
        packed = pack(obj)
        if isinstance(packed, Packer) or len(packed) > INLINE_BYTES:
            self._put_parcel(packed, limit)
        else:
            self._put_limited(PLAIN, packed, len(packed), None, limit)

    def _put_many(self, objects: Iterable[Any]) -> None:
        """Put all or, on an exception, none; for channels without a limit."""
        kinds: list[int] = []
        messages: list[bytes] = []
        for obj in objects:
            if type(obj) is bytes and len(obj) <= INLINE_BYTES:
                kinds.append(RAW)
                messages.append(obj)
                continue
            data = pack(obj)
            if isinstance(data, Packer) or len(data) > INLINE_BYTES:
                # Those before it first, to keep the order.
                self._put_all(kinds, messages)
                kinds, messages = [], []
                self._put_parcel(data, None)
            else:
                kinds.append(PLAIN)
                messages.append(data)
        self._put_all(kinds, messages)

    def _put_all(self, kinds: list[int], messages: list[bytes]) -> None:
        def push() -> None:
            self._ring.push_many(kinds, messages)
            if self._words[GETTERS]:
                self._wake_getters(len(messages))

        if messages:
            self._putting.run(push)

    # Getting

    def get(  # noqa: C901, PLR0912 - the hot path is one function
        self, block: bool = True, timeout: float | None = None
    ) -> ItemT:
        """Remove the oldest item and return it, waiting while there is none.

        Large buffers that were pickled out of band (numpy arrays) are mapped, not copied: the
        object may be changed, which concerns this process alone, and its memory goes back when the
        last view of it is gone.

        :param block: False to raise at once instead of waiting
        :param timeout: for how many seconds to wait at most; None without limit
        :raises queue.Empty: when there was no item in time
        :raises ClosedError: (a ValueError) after ``close()`` in this process
        :raises InvalidArgument: (a ValueError) when the timeout is NaN

        Whatever the unpickling of the item raises is raised here, and the item is gone.
        """
        limit = None if block and timeout is None else moment(block, timeout)
        if not self._direct or self._kept:
            return self._get_by_steps(limit)  # type: ignore[no-any-return]
        data: Message | None = None
        loading, word = False, PLAIN
        begun = None
        try:
            # The hot path: Guard.run and Ring.pop with nothing that is not needed here. Its
            # invariant is theirs: until the store to HEAD the message is in the queue, from then on
            # it is in ``data``, and if a signal handler raises it is kept.
            words, key = self._words, self._get_key
            if words[8] == words[0] and limit != 0.0:  # HEAD, TAIL
                begun = self._look()
            if begun is None:
                code = 0
                try:
                    code = self._trylock(key)
                    if code:
                        code = self._getting.lock_after(code, patient(limit))
                    head = words[8]
                    if head != words[0]:
                        position = (head & LOW_32) << 4
                        word = words[position >> 3]
                        if word <= LOW_KINDS:
                            position += 8
                            length = word & LENGTH
                            data = self._memory[position : position + length]
                            words[8] = head + (length + 23 >> 4) + COUNT_ONE & LOW_64
                            if words[24]:  # PUTTERS
                                self._wake_putters()
                            if position >= KEPT_END and words[8] == words[0]:
                                self._tidy()
                        else:
                            word = PLAIN
                            data = self._take()
                finally:
                    if code != DEADLOCK:
                        self._unlock(key)
            if word >= RAW:
                return data  # type: ignore[return-value]
            if data is None:  # perhaps another was quicker
                data = self._wait_and_take(limit, begun)
            loading = True
            if type(data) is bytes:
                return loads(data)  # type: ignore[no-any-return]
            return self._rebuild(data)  # type: ignore[no-any-return]
        except TooLateError:
            raise queue.Empty from None
        except BaseException as error:
            self._keep(
                (data,) if word >= RAW and data is not None else data, error, loading=loading
            )
            raise

    def _look(self) -> tuple[int, float] | None:
        """Look for a message for as long as that pays; how the wait began if none has come.

        One who is as fast as the producers finds nothing now and then, and something a moment
        later: everything else that a wait takes would take longer.
        """
        words = self._words
        for _ in range(LOOKS):
            if words[8] != words[0]:  # HEAD, TAIL
                return None
        patience = self._patience[FOR_MESSAGES]
        start = perf_counter()
        way = patience.begin()
        if way:
            end = start + BUDGETS[way]
            while perf_counter() < end:
                for _ in range(LOOKS):
                    if words[8] != words[0]:
                        if not patience.sure:
                            patience.learn(way, start, found=True)
                        return None
        return way, start

    def _keep(self, data: Message | None, error: BaseException, *, loading: bool) -> None:
        """Keep a message that was taken, unless the error is its own."""
        if data is not None and (not loading or isinstance(error, KeyboardInterrupt)):
            self._kept.append(data)

    def _get_by_steps(self, limit: float | None) -> Any:
        """As get(), for a queue with limits and one that is closed, and within a time."""
        self._check_open()
        data: Message | None = None
        loading = False
        try:
            data = self._kept.popleft() if self._kept else self._wait_and_take(limit)
            loading = True
            return self._rebuild(data)
        except BaseException as error:
            self._keep(data, error, loading=loading)
            raise

    def _take(self) -> Message | None:
        """With the consumers' guard: take the oldest message, None when there is none."""
        popped = self._ring.pop(self._accept)
        if popped is None:
            return None
        kind, data = popped
        # The descriptors and the block of a SPECIAL one came before it was removed.
        message = self._accepted if kind == SPECIAL else (data,) if kind == RAW else data
        try:
            if isinstance(message, Parcel) and message.in_mailbox:
                self._mailbox.drop()
            if self._words[PUTTERS]:
                self._wake_putters()
            self._tidy()
        except BaseException:
            if message is not None:
                self._kept.append(message)
            raise
        return message

    def _tidy(self) -> None:
        """With the consumers' guard: give back the memory of messages that were taken."""
        # It can wait for another time: a producer that is stopped must not hold up who gets.
        try:
            if self._ring.left:
                self._other_guard(self._ring.give_back_unused, soon())
                self._ring.left = False
            if not self._has_messages() and (self._words[TAIL] & LOW_32) << 4 >= KEPT_END:
                self._other_guard(self._ring.give_back, soon())
        except TooLateError:
            return

    def _wait_and_take(
        self, limit: float | None, begun: tuple[int, float] | None = None
    ) -> Message:
        taken: list[Message] = []

        def attempt() -> bool:
            data = self._take()
            if data is not None:
                taken.append(data)
            return data is not None

        try:
            self._wait(attempt, FOR_MESSAGES, limit, queue.Empty, begun)
        except BaseException:
            self._kept.extend(taken)
            raise
        return taken[0]

    def _get_many(self, most: int, limit: float | None) -> list[Any]:
        taken: list[Message] = []
        while self._kept and len(taken) < most:
            taken.append(self._kept.popleft())
        results: list[Any] = []
        try:
            if taken:
                self._getting.run(lambda: self._take_many(taken, most))
            else:
                self._wait(lambda: self._take_many(taken, most), FOR_MESSAGES, limit, queue.Empty)
            append, rebuild = results.append, self._rebuild
            for data in taken:
                # One by one, because what failed must be known.
                if type(data) is tuple:
                    append(data[0])
                else:
                    append(loads(data) if type(data) is bytes else rebuild(data))
        except BaseException as error:
            if isinstance(error, queue.Empty) and not taken:
                return results
            # The one that failed by itself is gone, as with get(); the others come again.
            done = len(results)
            skip = 0 if isinstance(error, KeyboardInterrupt) or done == len(taken) else 1
            self._kept.extend([*zip(results), *taken[done + skip :]])
            raise
        return results

    def _take_many(self, taken: list[Message], most: int) -> bool:
        """With the consumers' guard: take what is there, until there are ``most``."""
        while len(taken) < most:
            kind, messages = self._ring.pop_many(most - len(taken))
            if messages:
                # In one step of C, as everything between taking and keeping.
                taken.extend(zip(messages) if kind == RAW else messages)
                continue
            data = self._take()
            if data is None:
                break
            taken.append(data)
        if taken:
            if self._words[PUTTERS]:
                self._wake_putters(len(taken))
            self._tidy()
        return bool(taken)

    def _rebuild(self, data: Message) -> Any:
        """The object of a message."""
        if isinstance(data, bytes):
            return loads(data)
        if isinstance(data, tuple):
            return data[0]
        return self._load(data)

    def _after_fork_in_child(self) -> None:
        super()._after_fork_in_child()
        # They are the parent's, which will return them.
        for data in self._kept:
            if isinstance(data, Parcel):
                data.drop()
        self._kept = deque()
        self._accepted = None

    def _memory_in_use(self) -> int:
        """Bytes of memory that the channel takes, after giving back what nobody needs."""

        def give_back() -> None:
            self._table.trim(0)
            self._ring.give_back()
            self._ring.give_back_unused()

        self._putting.run(give_back)
        return self._file.used_bytes
