"""Owns private copies of large memory: where the system offers huge pages, they are asked for.

Memory of this size is mapped afresh for every object, and touching its pages one by one costs
several times what the copying does (measured: 38 against 8 ms for 64 MiB). madvise(2) lets the
kernel map it in steps of 2 MiB.
"""

from __future__ import annotations

import mmap
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["private_buffer", "private_bytes", "private_space"]

# glibc's malloc never keeps memory of this size for reuse (mallopt(3), M_MMAP_THRESHOLD).
LARGE_BYTES = 32 << 20

_new_space: Callable[[int], tuple[bytes | bytearray, memoryview]] | None = None


def private_bytes(view: memoryview) -> bytes:
    """The contents of a view as bytes."""
    if len(view) < LARGE_BYTES:
        return bytes(view)
    contents, space = private_space(len(view))
    space[:] = view
    return bytes(contents)  # no copy if it is bytes


def private_space(size: int) -> tuple[bytes | bytearray, memoryview]:
    """Memory for so many bytes: what will be its contents, and the view to fill it in by.

    Large memory is not touched before it is filled in. Keep the contents as long as the view, and
    show them to nobody before the view has done its work.
    """
    global _new_space  # noqa: PLW0603 - found out once
    if size >= LARGE_BYTES:
        if _new_space is None:
            _new_space = _huge_page_space()
            if _new_space is None:
                _new_space = _plain_space
        return _new_space(size)
    return _plain_space(size)


def _plain_space(size: int) -> tuple[bytearray, memoryview]:
    contents = bytearray(size)
    return contents, memoryview(contents)


def private_buffer(view: memoryview) -> bytearray | mmap.mmap:
    """The contents of a view in a writable buffer."""
    if len(view) >= LARGE_BYTES and sys.platform == "linux":
        buffer = mmap.mmap(-1, len(view), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            buffer.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            return bytearray(view)  # a kernel built without huge pages
        buffer[:] = view
        return buffer
    return bytearray(view)


if sys.platform == "linux":

    def _huge_page_space() -> Callable[[int], tuple[bytes | bytearray, memoryview]] | None:
        """A function that makes a bytes object of huge pages; None where that cannot be.

        PyBytes_FromStringAndSize without a source gives an object whose contents its only owner
        fills in before anybody else sees it, as the C API allows.
        """
        if sys.implementation.name != "cpython":
            return None
        try:
            import ctypes
        except ImportError:
            return None
        new = ctypes.pythonapi.PyBytes_FromStringAndSize
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        # The characters of a bytes object follow its header; its size counts a final zero byte.
        header = bytes.__basicsize__ - 1

        def make(size: int) -> tuple[bytes, memoryview]:
            contents: bytes = new(None, size)
            start = id(contents) + header
            page = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            # Advice only: where it is refused, the pages come one by one.
            length = (start + size - page) // mmap.PAGESIZE * mmap.PAGESIZE
            madvise(page, length, mmap.MADV_HUGEPAGE)
            target = (ctypes.c_char * size).from_address(start)
            return contents, memoryview(target).cast("B")

        return make

else:

    def _huge_page_space() -> Callable[[int], tuple[bytes | bytearray, memoryview]] | None:
        """Huge pages cannot be asked for here."""
        return None
