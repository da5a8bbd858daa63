"""Owns the ring: messages of any size in segments of memory, first in, first out.

It is a state machine over memory and does no waiting and no locking: whoever puts holds the
producers' mutex, whoever gets the consumers', and what either side sees of the other may be a
little old, which does no harm. Every operation prepares what nobody looks at yet and then commits
by one aligned 8-byte store, to TAIL or to HEAD. A process that is killed in between has done
nothing. What it may leave, memory that is in use for nothing, ``recover`` puts right.

A record is a word with its kind and length, then its bytes; records begin at multiples of 16. A
segment is used as a ring of its own until it is full. Then a link leads on to a larger one, and
pages of segments that were left are given back. A ring that was drained goes back to the first
segment.
"""

from __future__ import annotations

from processing_core._ring.layout import (
    BYTES_IN,
    BYTES_OUT,
    FIRST_SEGMENT,
    HEAD,
    LOW_32,
    LOW_64,
    NEXT,
    TAIL,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableSequence
    from typing import Protocol

    class Memory(Protocol):
        """The file's bytes: an mmap, or a stand-in."""

        def __getitem__(self, index: slice, /) -> bytes: ...
        def __setitem__(self, index: slice, value: bytes, /) -> None: ...


__all__ = ["LENGTH", "LOW_KINDS", "PLAIN", "RAW", "SPECIAL", "Ring"]

# Kinds of records, added to the length in the first word. A message is PLAIN, RAW or SPECIAL, which
# is for the channel to interpret; the others lead on to where the next message is.
PLAIN, RAW, SPECIAL, WRAP, LINK = 0, 1 << 31, 1 << 56, 2 << 56, 3 << 56
# Of the first word: the length; and up to where it is a PLAIN or a RAW one.
LENGTH = RAW - 1
LOW_KINDS = LOW_32
# Room for a WRAP or a LINK is kept behind every record.
MARK_BYTES = 16
START = 1 << (FIRST_SEGMENT - 1)
# Segments below this position keep their pages.
KEPT_END = START << 3


def record_bytes(length: int) -> int:
    """The room that a message of this length takes."""
    return (length + 23) & ~15


class Ring:
    """The ring in a file of ``size`` bytes, of which it uses the first half.

    ``reserve`` and ``discard`` (offset, length) make sure of pages and give them back. ``ceiling``
    is the number of bytes that messages may take together, None without one.
    """

    __slots__ = ("_discard", "_reserve", "ceiling", "end", "left", "memory", "words")

    def __init__(
        self,
        memory: Memory,
        words: MutableSequence[int] | memoryview,
        size: int,
        reserve: Callable[[int, int], None],
        discard: Callable[[int, int], None],
        ceiling: int | None = None,
    ) -> None:
        self.memory = memory
        self.words = words
        self.end = size // 2
        self._reserve = reserve
        self._discard = discard
        self.ceiling = ceiling
        # Set when a large segment was left: the next with the producers' mutex gives it back.
        self.left = False

    def format(self) -> None:
        """Make fresh memory, which is zeroed, an empty ring."""
        self._reserve(0, 2 * START)
        self.words[TAIL] = self.words[HEAD] = START >> 4

    def __len__(self) -> int:
        words = self.words
        while True:
            head = words[HEAD]
            count: int = (words[TAIL] >> 32) - (head >> 32) & LOW_32
            if words[HEAD] == head:
                return count

    # Putting

    def push(self, data: bytes, kind: int = PLAIN, weight: int | None = None) -> bool:
        """Append a message; False when the ceiling does not allow it now.

        ``weight`` is what the message counts for, its length if not given.

        :raises MemoryError: when there is no room for it; nothing has changed
        """
        words = self.words
        tail = words[TAIL]
        position = (tail & LOW_32) << 4
        length = len(data)
        need = (length + 23) & ~15
        # What follows without a detour: up to the head, if that is ahead in the same segment, or to
        # the end of the segment.
        limit = 1 << position.bit_length()
        ahead = (words[HEAD] & LOW_32) << 4
        if position < ahead < limit:
            limit = ahead
        if self.ceiling is not None:
            weight = length if weight is None else weight
            if (words[BYTES_IN] - words[BYTES_OUT] & LOW_64) + weight > self.ceiling:
                return False
        drained = position >= KEPT_END and words[HEAD] == tail
        if need + MARK_BYTES > limit - position or drained:
            position = self._make_room(position, need, position)
        if self.ceiling is not None and weight is not None:
            # Too high if the commit does not follow; recover() puts it right.
            words[BYTES_IN] = words[BYTES_IN] + weight & LOW_64
        words[position >> 3] = length | kind
        start = position + 8
        self.memory[start : start + length] = data
        # The commit. TAIL's lower half takes the new position, the upper one message more.
        words[TAIL] = (((tail >> 32) + 1 & LOW_32) << 32) | (position + need) >> 4
        return True

    def push_many(self, kinds: Iterable[int], messages: Iterable[bytes]) -> None:
        """Append messages of PLAIN or RAW kind as one: all of them or, on an exception, none. The
        ceiling is not asked.

        :raises MemoryError: when there is no room for them
        """
        words, memory = self.words, self.memory
        tail = words[TAIL]
        start = position = (tail & LOW_32) << 4
        ahead = (words[HEAD] & LOW_32) << 4
        count = weight = 0
        limit = 1 << position.bit_length()
        if position < ahead < limit:
            limit = ahead
        for kind, data in zip(kinds, messages, strict=True):
            length = len(data)
            need = (length + 23) & ~15
            if need + MARK_BYTES > limit - position or position == start >= KEPT_END:
                # The segments in between are in use, though TAIL does not say so yet.
                position = self._make_room(position, need, start)
                limit = 1 << position.bit_length()
                if position < ahead < limit:
                    limit = ahead
            words[position >> 3] = length | kind
            begin = position + 8
            memory[begin : begin + length] = data
            position += need
            count += 1
            weight += length
        if count:
            if self.ceiling is not None:
                words[BYTES_IN] = words[BYTES_IN] + weight & LOW_64
            words[TAIL] = (((tail >> 32) + count & LOW_32) << 32) | position >> 4

    def _make_room(self, position: int, need: int, origin: int) -> int:
        """Lead on from ``position`` to a place with room for a record, and return that.

        ``origin`` is where TAIL is; records that are not committed yet may follow it.
        """
        words = self.words
        segment = position.bit_length()
        base = 1 << (segment - 1)
        head = (words[HEAD] & LOW_32) << 4
        drained = words[HEAD] == words[TAIL] and position == origin == head
        if drained and base >= KEPT_END and need + 2 * MARK_BYTES <= START:
            # Back from a large segment to the first.
            words[NEXT + segment] = FIRST_SEGMENT
            words[position >> 3] = LINK | FIRST_SEGMENT
            return START
        limit = head if position < head < 2 * base else 2 * base
        if need + MARK_BYTES <= limit - position:
            return position
        if base <= head <= position and base + need + MARK_BYTES <= head:
            # Begin anew in the same segment, before the head.
            words[position >> 3] = WRAP
            return base
        used = self._used_segments(head, origin) | self._used_segments(origin, position)
        target = self._free_segment(used, segment, need)
        words[NEXT + segment] = target
        words[position >> 3] = LINK | target
        return 1 << (target - 1)

    def _used_segments(self, head: int, tail: int) -> set[int]:
        segment, last = head.bit_length(), tail.bit_length()
        used = {segment}
        while segment != last:
            segment = self.words[NEXT + segment]
            used.add(segment)
        return used

    def _free_segment(self, used: set[int], segment: int, need: int) -> int:
        """The next larger segment that is free and large enough, or else any other."""
        least = max(FIRST_SEGMENT, (need + 2 * MARK_BYTES - 1).bit_length() + 1)
        most = (self.end - 1).bit_length()
        failure: MemoryError | None = None
        for candidate in (*range(max(segment + 1, least), most + 1), *range(least, segment)):
            if candidate not in used:
                start = 1 << (candidate - 1)
                try:
                    self._reserve(start, start)
                except MemoryError as error:
                    failure = error
                else:
                    return int(candidate)
        raise failure or MemoryError(f"no room for a message of {need} bytes in the queue")

    # Getting

    def pop(self, accept: Callable[[bytes], int] | None = None) -> tuple[int, bytes] | None:
        """Remove the oldest message and return its kind and bytes; None when there is none.

        ``accept`` is called with a SPECIAL one before that is removed, and returns its weight. An
        exception leaves the message where it is.
        """
        words = self.words
        head = words[HEAD]
        if head == words[TAIL]:
            return None
        position = (head & LOW_32) << 4
        word = words[position >> 3]
        while word >= WRAP:
            position = self._follow(head, position, word)
            head = words[HEAD]
            word = words[position >> 3]
        weight = length = word & LENGTH
        start = position + 8
        data = self.memory[start : start + length]
        if word >= SPECIAL:
            assert accept is not None
            weight = accept(data)
        result = word - length, data
        if self.ceiling is not None:
            words[BYTES_OUT] = words[BYTES_OUT] + weight & LOW_64
        position += (length + 23) & ~15
        head = (((head >> 32) + 1 & LOW_32) << 32) | position >> 4
        # The commit.
        words[HEAD] = head
        return result

    def pop_many(self, most: int) -> tuple[int, list[bytes]]:
        """Remove the oldest messages as one, at most so many, as far as all are PLAIN or all RAW;
        returns which and them.
        """
        words, memory = self.words, self.memory
        head, tail = words[HEAD], words[TAIL]
        position = (head & LOW_32) << 4
        count = min(most, (tail >> 32) - (head >> 32) & LOW_32)
        taken: list[bytes] = []
        append = taken.append
        weight = 0
        kind = words[position >> 3] & RAW
        for _ in range(count):
            length = words[position >> 3] - kind
            if not 0 <= length <= LENGTH:
                break  # another kind, or a mark
            start = position + 8
            append(memory[start : start + length])
            weight += length
            position += (length + 23) & ~15
        if taken:
            if self.ceiling is not None:
                words[BYTES_OUT] = words[BYTES_OUT] + weight & LOW_64
            words[HEAD] = ((head >> 32) + len(taken) & LOW_32) << 32 | position >> 4
        return kind, taken

    def _follow(self, head: int, position: int, word: int) -> int:
        """Move the head on to where a WRAP or a LINK leads; returns that."""
        if word == WRAP:
            return 1 << (position.bit_length() - 1)
        target: int = 1 << ((word & LOW_32) - 1)
        # A step of its own: the segment that is left may be used again afterwards.
        self.words[HEAD] = head & ~LOW_32 | target >> 4
        if position >= KEPT_END:
            self.left = True
        return target

    def give_back_unused(self) -> None:
        """With the producers' mutex: give back the pages of segments that are not in use."""
        head, tail = ((self.words[end] & LOW_32) << 4 for end in (HEAD, TAIL))
        used = self._used_segments(head, tail)
        for segment in range(KEPT_END.bit_length(), (self.end - 1).bit_length() + 1):
            if segment not in used:
                base = 1 << (segment - 1)
                self._discard(base, base)

    def give_back(self) -> None:
        """With the producers' mutex: give pages back that an empty ring has for nothing."""
        words = self.words
        if words[HEAD] == words[TAIL]:
            position = (words[TAIL] & LOW_32) << 4
            if position >= KEPT_END:
                base = 1 << (position.bit_length() - 1)
                # The head is here until a message follows, and is to find a record or a link.
                page = position & ~4095
                self._discard(base, page - base)
                self._discard(page + 4096, 2 * base - page - 4096)

    # After a death

    def recover(self, weigh: Callable[[int, bytes], int] = lambda _, data: len(data)) -> None:
        """With the producers' mutex: put right what one may have left who was killed with it.

        ``weigh`` tells from kind and bytes what a message counts for.
        """
        words = self.words
        self.give_back_unused()
        if self.ceiling is not None:
            stored = sum(weigh(kind, data) for kind, data in self.records())
            words[BYTES_IN] = words[BYTES_OUT] + stored & LOW_64

    def records(self) -> Iterable[tuple[int, bytes]]:
        """Kind and bytes of every message that is there, oldest first."""
        words = self.words
        position = (words[HEAD] & LOW_32) << 4
        for _ in range(len(self)):
            word = words[position >> 3]
            while word >= WRAP:
                if word == WRAP:
                    position = 1 << (position.bit_length() - 1)
                else:
                    position = 1 << ((word & LOW_32) - 1)
                word = words[position >> 3]
            length = word & LENGTH
            yield word - length, self.memory[position + 8 : position + 8 + length]
            position += (length + 23) & ~15
