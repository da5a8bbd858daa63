"""Owns SharedMemory: a block of shared memory as an object, and how it travels."""

from __future__ import annotations

import operator
import sys
import weakref

from processing_core import ClosedError, InvalidArgument, InvalidType, SharingError
from processing_core.lowlevel import Packer, register_carrier

if sys.platform == "win32":
    from processing_sharedctypes import _named_memory_windows as memory
else:
    from processing_sharedctypes import _named_memory as memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self, SupportsIndex

__all__ = ["SharedMemory"]


class SharedMemory:
    """A block of memory that several processes can use, and find by its name.

    :param name: what to call a new block; the block to use. None gives a new block a name that
        nobody has
    :param create: whether to make a new block
    :param size: of a new block, in bytes; ignored otherwise
    :param track: whether a new block goes with the process that makes it; ignored otherwise
    :raises FileExistsError: when a new block is to have a name that is taken
    :raises FileNotFoundError: when there is no block of the name, or no names on this system
    :raises MemoryError: when there is no room for a new block
    :raises InvalidArgument: (a ValueError) when the size is negative, or zero for a new block; when
        neither a name is given nor a new block asked for
    :raises InvalidType: (a TypeError) when the name is not a string or the size not an int

    The process that makes a block owns it: the name, and with it the memory unless others use it,
    goes when the owner ends, however it ends, or when anybody calls :meth:`unlink`. With
    ``track=False`` a new block has no owner and stays until then. A process that uses a block by
    name never removes it by ending.

    The object can be passed to children and sent through connections and queues, which needs no
    name to be there any more. Pickled otherwise it stands for the block of its name.

    Threads and processes may use it at the same time. Nothing orders their accesses to the memory.

    Source: Python's documentation of ``multiprocessing.shared_memory``.
    """

    __module__ = "processing_sharedctypes.shared_memory"

    def __init__(
        self,
        name: str | None = None,
        create: bool = False,
        size: SupportsIndex = 0,
        *,
        track: bool = True,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise InvalidType(f"name must be a string or None, not {name!r}")
        count = _checked_size(size)
        if create:
            if count == 0:
                raise InvalidArgument("size must be a positive number for a new block, not 0")
            self._make(name, count, owned=track, group=None)
        elif name is None:
            raise InvalidArgument("name must be given unless a new block is to be made")
        else:
            self._assemble(name, True, memory.attach(name))

    @classmethod
    def _of_group(cls, size: SupportsIndex, group: object) -> Self:
        """A new block of a manager."""
        count = _checked_size(size)
        if count == 0:
            raise InvalidArgument("size must be a positive number for a new block, not 0")
        block = cls.__new__(cls)
        block._make(None, count, owned=True, group=group)
        return block

    def _make(self, name: str | None, size: int, *, owned: bool, group: object) -> None:
        self._assemble(*memory.create(name, size, owned=owned, group=group))

    def _assemble(self, name: str, named: bool, file: memory.Mapping) -> None:
        self._name = name
        self._named = named
        self._size = file.size
        self._identity = file.identity
        # Taken out by close(): of several threads exactly one gets it. Without close() the mapping
        # goes with the last view of it.
        self._open = [(file, memoryview(file.map))]

    @property
    def name(self) -> str:
        """What others find the block by."""
        return self._name

    @property
    def size(self) -> int:
        """Its size in bytes. A block may be larger than was asked for."""
        return self._size

    @property
    def buf(self) -> memoryview:
        """The memory, as bytes that can be read and written.

        :raises ClosedError: (a ValueError) after close()
        """
        for _, view in self._open:
            return view
        raise ClosedError(f"{self!r} was closed")

    def close(self) -> None:
        """Use the block no longer in this process. May be called again.

        The block stays for others; see unlink().

        :raises BufferError: when there are views of ``buf`` or arrays on it; the block stays open
        """
        try:
            file, view = self._open.pop()
        except IndexError:
            return
        mapping = weakref.ref(file.map)
        in_use = f"{self!r} cannot be closed while views of its memory are in use"
        try:
            view.release()
        except BufferError:
            self._open.append((file, view))
            raise BufferError(in_use) from None
        # Slices and arrays of numpy refer to the mapping itself. They must not be left on nothing.
        del file.map
        used = mapping()
        if used is not None:
            file.map = used
            self._open.append((file, memoryview(used)))
            raise BufferError(in_use)
        file.close()

    def unlink(self) -> None:
        """Remove the name. The memory goes when nobody uses it any more.

        To be called once, by any process. No effect on Windows, where a name goes with its last
        user, and for a block without a name to be found by.

        :raises FileNotFoundError: when the name is gone already
        """
        if self._named:
            memory.remove(self._name, self._identity)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the block."""
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, size={self._size})"

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._named:
            raise SharingError(
                f"{self!r} has no name to be found by: it can be passed to a child process, and "
                "sent through connections and queues, but it cannot be pickled otherwise"
            )
        return type(self), (self._name, False, self._size)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Unless it says itself how it is to be pickled.
        if cls.__reduce__ is SharedMemory.__reduce__ and cls.__reduce_ex__ is object.__reduce_ex__:
            register_carrier(cls, _send)


def _checked_size(size: SupportsIndex) -> int:
    try:
        count = operator.index(size)
    except TypeError:
        raise InvalidType(f"size must be an int, not {size!r}") from None
    if count < 0:
        raise InvalidArgument(f"size must be a positive number, not {count}")
    if count > sys.maxsize:
        raise MemoryError(f"no room for {count} bytes of shared memory")
    return count


def _send(block: SharedMemory, packer: Packer) -> tuple[Any, ...]:
    for file, _ in block._open:
        if sys.platform != "win32":
            index = memory.send(file, packer)
            return _receive, (type(block), block._name, block._named, block._size, index)
    return block.__reduce__()


def _receive(
    cls: type[SharedMemory], name: str, named: bool, size: int, index: int
) -> SharedMemory:
    block = cls.__new__(cls)
    block._assemble(name, named, memory.adopt(index, size))
    return block


register_carrier(SharedMemory, _send)
