"""Owns ShareableList: a list of fixed length in shared memory, as bytes and as an object.

The bytes are those of the standard library's lists, so that each can use the other's. In order, all
numbers as the machine has them:

- the number of items, 8 bytes;
- where each item begins in the data, and where the last one ends, 8 bytes each;
- the data: 8 bytes for a number, a bool or None; a string or bytes have 1 to 8 zeros more than they
  need, up to a multiple of 8;
- the format of each item for the module struct, 8 bytes each, padded with zeros;
- what the format does not say of each item, 1 byte each: 0 for a number or bool, 1 for a string,
  2 for bytes, 3 for None.

The format of a string says how much room there is, and nothing says how long it is: zeros at its
end do not count. (A format of the exact length would tell, but the standard library keeps the
format when it puts another string there, and would cut that off.)
"""

from __future__ import annotations

import itertools
import operator
import struct
from types import GenericAlias

from processing_core import InvalidArgument, InvalidType
from processing_sharedctypes._shared_memory import SharedMemory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Generic, SupportsIndex, TypeVar, overload

    Item = int | float | str | bytes | None
    ItemT = TypeVar("ItemT", bound=Item)

    class _Base(Generic[ItemT]): ...
else:

    class _Base:
        __class_getitem__ = classmethod(GenericAlias)


__all__ = ["ShareableList", "packed"]

WORD = 8
NUMBER, TEXT, BYTES, NONE = range(4)
BOOL_FORMAT, NONE_FORMAT = "xxxxxxx?", "xxxxxx?x"


class ShareableList(_Base["ItemT"]):
    """A list in shared memory that several processes can read and change, but not make longer.

    :param sequence: the items of a new list: None, bool, int (of 64 bits), float, str or bytes;
        None for the list that ``name`` stands for
    :param name: what to call a new list; the list to use
    :raises FileExistsError: when a new list is to have a name that is taken
    :raises FileNotFoundError: when there is no block of the name
    :raises InvalidArgument: (a ValueError) when an item has no room, or the block holds no list
    :raises InvalidType: (a TypeError) when an item is of another type

    An item can be replaced by one of any of the types, if it has room: numbers, bools and None
    always have, a string or bytes up to the next multiple of 8 above the length that the item had
    first, or 8 bytes.

    Null characters and zeros at the end of a string or bytes are lost: they are what the rest of
    its room is filled with.

    It lives in :attr:`shm`, whose methods close and remove it. It can be passed to children, sent
    through connections and queues, and pickled as its ``shm`` can. Nothing orders accesses by
    several processes, not even to one item: use a lock where one writes what another reads.

    Source: Python's documentation of ``multiprocessing.shared_memory``.
    """

    __module__ = "processing_sharedctypes.shared_memory"

    if TYPE_CHECKING:

        @overload
        def __init__(self, sequence: Iterable[ItemT], *, name: str | None = None) -> None: ...
        @overload
        def __init__(
            self: ShareableList[Item], sequence: Iterable[Item], *, name: str | None = None
        ) -> None: ...
        @overload
        def __init__(self, sequence: None = None, *, name: str | None = None) -> None: ...

    def __init__(self, sequence: Iterable[Any] | None = None, *, name: str | None = None) -> None:
        if sequence is None and name is not None:
            self._assemble(SharedMemory(name))
        else:
            image = packed(() if sequence is None else sequence)
            self._fill(SharedMemory(name, create=True, size=len(image)), image)

    @classmethod
    def _made_by(
        cls, make: Callable[[int], SharedMemory], sequence: Iterable[object]
    ) -> ShareableList[Any]:
        """A new list in a block that a manager makes."""
        image = packed(sequence)
        made: ShareableList[Any] = cls.__new__(cls)
        made._fill(make(len(image)), image)
        return made

    def _fill(self, shm: SharedMemory, image: bytes) -> None:
        # The number of items comes last: until then others find an empty list.
        shm.buf[WORD : len(image)] = image[WORD:]
        shm.buf[:WORD] = image[:WORD]
        self._assemble(shm)

    def _assemble(self, shm: SharedMemory) -> None:
        self.shm = shm
        self._offsets = _offsets_in(shm)
        self._length = len(self._offsets) - 1
        self._data = WORD * (self._length + 2)
        self._formats = self._data + self._offsets[-1]
        self._codes = self._formats + WORD * self._length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: SupportsIndex) -> ItemT:
        index = self._checked(position, "index")
        memory = self.shm.buf
        value: Any
        try:
            (value,) = struct.unpack_from(
                self._format(index), memory, self._data + self._offsets[index]
            )
            code = memory[self._codes + index]
            if code == NONE:
                value = None
            elif code in {TEXT, BYTES}:
                value = value.rstrip(b"\0")
                if code == TEXT:
                    value = value.decode()
        except (struct.error, ValueError, AttributeError) as error:
            raise InvalidArgument(f"item {index} of {self.shm!r} is damaged: {error}") from None
        item: ItemT = value
        return item

    def __setitem__(self, position: SupportsIndex, value: ItemT) -> None:
        index = self._checked(position, "assignment index")
        room = self._offsets[index + 1] - self._offsets[index]
        form, code, data = _encoded(value, room)
        if len(data) > room:
            raise InvalidArgument(
                f"item {index} has room for {room} bytes; {_short(value)} needs {len(data)}"
            )
        memory = self.shm.buf
        struct.pack_into("8s", memory, self._formats + WORD * index, form.encode())
        memory[self._codes + index] = code
        start = self._data + self._offsets[index]
        memory[start : start + room] = data.ljust(room, b"\0")

    def __iter__(self) -> Iterator[ItemT]:
        return (self[index] for index in range(self._length))

    @property
    def format(self) -> str:
        """The formats of all items, as the module struct has them."""
        return "".join(self._format(index) for index in range(self._length))

    def count(self, value: object) -> int:
        """How many items equal the value."""
        return sum(item == value for item in self)

    def index(self, value: object) -> int:
        """The position of the first item that equals the value.

        :raises InvalidArgument: (a ValueError) when none does
        """
        for position, item in enumerate(self):
            if item == value:
                return position
        raise InvalidArgument(f"{_short(value)} is not in this list")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)}, name={self.shm.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.shm)

    def _checked(self, position: SupportsIndex, what: str) -> int:
        try:
            index = operator.index(position)
        except TypeError:
            raise InvalidType(f"positions are ints, not {position!r}") from None
        if not -self._length <= index < self._length:
            raise IndexError(f"{what} {index} out of range for {self._length} items")
        return index % self._length

    def _format(self, index: int) -> str:
        start = self._formats + WORD * index
        return bytes(self.shm.buf[start : start + WORD]).rstrip(b"\0").decode()


def _rebuild(cls: type[ShareableList[Any]], shm: SharedMemory) -> ShareableList[Any]:
    rebuilt = cls.__new__(cls)
    rebuilt._assemble(shm)
    return rebuilt


def packed(values: Iterable[object]) -> bytes:
    """The bytes of a list of these items."""
    forms, codes, pieces, offsets = [], bytearray(), [], [0]
    for value in values:
        length = _length(value)
        room = WORD if length is None else (length // WORD + 1) * WORD
        form, code, data = _encoded(value, room)
        forms.append(form.encode().ljust(WORD, b"\0"))
        codes.append(code)
        pieces.append(data.ljust(room, b"\0"))
        offsets.append(offsets[-1] + room)
    head = struct.pack(f"{len(offsets) + 1}q", len(forms), *offsets)
    return b"".join([head, *pieces, *forms, codes])


def _length(value: object) -> int | None:
    """The bytes that a string or bytes have; None for everything else."""
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes) else None


def _encoded(value: object, room: int) -> tuple[str, int, bytes]:
    """Format, code and data of an item that has so many bytes of room."""
    if value is None:
        return NONE_FORMAT, NONE, bytes(WORD)
    if isinstance(value, bool):
        return BOOL_FORMAT, NUMBER, struct.pack(BOOL_FORMAT, value)
    if isinstance(value, float):
        return "d", NUMBER, struct.pack("d", value)
    if isinstance(value, int):
        try:
            return "q", NUMBER, struct.pack("q", value)
        except struct.error:
            raise InvalidArgument(f"{_short(value)} does not fit into 64 bits") from None
    if isinstance(value, (str, bytes)):
        code = TEXT if isinstance(value, str) else BYTES
        data = value.encode() if isinstance(value, str) else bytes(value)
        form = f"{room}s"
        if len(form) > WORD:
            raise InvalidArgument(f"{len(data)} bytes are too many for an item: {_short(value)}")
        return form, code, data
    raise InvalidType(
        f"items are None, bool, int, float, str or bytes, not {type(value).__name__}: "
        f"{_short(value)}"
    )


def _offsets_in(shm: SharedMemory) -> list[int]:
    """Where items begin, and the last one ends, in what a block holds."""
    memory, size = shm.buf, shm.size
    problem = InvalidArgument(f"{shm!r} does not hold a ShareableList")
    if size < 2 * WORD:
        raise problem
    (length,) = struct.unpack_from("q", memory)
    if not 0 <= length <= size // (2 * WORD):
        raise problem
    offsets = list(struct.unpack_from(f"{length + 1}q", memory, WORD))
    ordered = all(one <= other for one, other in itertools.pairwise(offsets))
    if offsets[0] != 0 or not ordered:
        raise problem
    if (length + 2) * WORD + offsets[-1] + length * (WORD + 1) > size:
        raise problem
    return offsets


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
