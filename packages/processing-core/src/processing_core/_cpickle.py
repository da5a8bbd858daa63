"""The one module that imports CPython's ``_pickle``.

``pickle`` itself imports ``re`` and more, which every spawned child would pay for at its start; the
names here are the same objects that ``pickle`` re-exports. An interpreter that lacks the
accelerator gets them from ``pickle``.
"""

from __future__ import annotations

try:
    from _pickle import PickleBuffer, Pickler, PicklingError, dumps, loads
except ImportError:  # an interpreter without the C accelerator
    from pickle import PickleBuffer, Pickler, PicklingError, dumps, loads

__all__ = [
    "PROTOCOL",
    "PickleBuffer",
    "Pickler",
    "PicklingError",
    "dumps",
    "loads",
]

# All interpreters that the library supports have protocol 5, which carries buffers out of band.
PROTOCOL = 5
