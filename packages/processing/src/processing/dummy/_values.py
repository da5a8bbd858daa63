"""Owns values and arrays of ctypes with a lock of threads."""

from __future__ import annotations

import processing_sharedctypes
from processing.dummy._locks import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    # The types are the same: the lock is given, and nothing else differs.
    from processing_sharedctypes import Array as Array
    from processing_sharedctypes import Value as Value
else:

    def Value(typecode_or_type, *args, lock=True, ctx=None):  # noqa: ARG001, N802 - as that of processes
        """A ctypes object with a lock of threads. See ``processing_sharedctypes.Value``.

        :param lock: True for an RLock of this module; a Lock or RLock; False for no lock
        """
        own = RLock() if lock is True or lock is None else lock
        return processing_sharedctypes.Value(typecode_or_type, *args, lock=own)

    def Array(typecode_or_type, size_or_initializer, *, lock=True, ctx=None):  # noqa: ARG001, N802 - as above
        """A ctypes array with a lock of threads. See ``processing_sharedctypes.Array``.

        :param lock: True for an RLock of this module; a Lock or RLock; False for no lock
        """
        own = RLock() if lock is True or lock is None else lock
        return processing_sharedctypes.Array(typecode_or_type, size_or_initializer, lock=own)

    for _public in (Array, Value):
        _public.__module__ = "processing.dummy"
    del _public

__all__ = ["Array", "Value"]
