"""Memory that a process can be made to die over, store by store, for tests of what lies in it."""

from __future__ import annotations

__all__ = ["Death", "StoppableMemory", "StoppableWords"]


class Death(BaseException):
    """The process is killed here."""


class Fuse:
    """Counts stores, and burns out at a chosen one; before it, as SIGKILL would."""

    def __init__(self) -> None:
        self.left: int | None = None

    def step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Death
            self.left -= 1


class StoppableWords:
    """8-byte words over a buffer; each store is a step."""

    def __init__(self, buffer: bytearray, fuse: Fuse) -> None:
        self._words = memoryview(buffer).cast("Q")
        self._fuse = fuse

    def __getitem__(self, index: int) -> int:
        return self._words[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._fuse.step()
        self._words[index] = value

    def __len__(self) -> int:
        return len(self._words)


class StoppableMemory:
    """Bytes over the same buffer. A slice is stored in two steps: half of it may be there."""

    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.fuse = Fuse()
        self.words = StoppableWords(self.buffer, self.fuse)
        self.discarded: list[tuple[int, int]] = []
        self.full = False

    def __getitem__(self, index: slice) -> bytes:
        return bytes(self.buffer[index])

    def __setitem__(self, index: slice, value: bytes) -> None:
        assert index.stop - index.start == len(value)
        middle = index.start + len(value) // 2
        self.fuse.step()
        self.buffer[index.start : middle] = value[: middle - index.start]
        self.fuse.step()
        self.buffer[middle : index.stop] = value[middle - index.start :]

    def reserve(self, offset: int, length: int) -> None:
        assert 0 <= offset <= offset + length <= len(self.buffer)
        self.fuse.step()
        if self.full:
            raise MemoryError("no room, says the test")

    def discard(self, offset: int, length: int) -> None:
        assert 0 <= offset <= offset + length <= len(self.buffer)
        self.fuse.step()
        # Whoever still needed it shall find rubbish.
        self.buffer[offset : offset + length : 8] = b"\xee" * -(-length // 8)
        self.discarded.append((offset, length))
