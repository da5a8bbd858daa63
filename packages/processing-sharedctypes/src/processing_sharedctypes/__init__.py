"""The public door of processing-sharedctypes: ctypes values and arrays that live in shared memory.

There is no feature behind it yet; the README says what is to come.
"""

from __future__ import annotations

from processing_sharedctypes.__about__ import __version__ as __version__

__all__ = ["__version__"]
