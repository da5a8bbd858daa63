"""Values and arrays in shared memory: the names of ``processing_sharedctypes``."""

from __future__ import annotations

from processing_sharedctypes import Array as Array
from processing_sharedctypes import RawArray as RawArray
from processing_sharedctypes import RawValue as RawValue
from processing_sharedctypes import SharedArray as SharedArray
from processing_sharedctypes import Synchronized as Synchronized
from processing_sharedctypes import SynchronizedArray as SynchronizedArray
from processing_sharedctypes import SynchronizedBase as SynchronizedBase
from processing_sharedctypes import SynchronizedString as SynchronizedString
from processing_sharedctypes import SynchronizedText as SynchronizedText
from processing_sharedctypes import Value as Value
from processing_sharedctypes import copy as copy
from processing_sharedctypes import synchronized as synchronized

__all__ = [
    "Array",
    "RawArray",
    "RawValue",
    "SharedArray",
    "Synchronized",
    "SynchronizedArray",
    "SynchronizedBase",
    "SynchronizedString",
    "SynchronizedText",
    "Value",
    "copy",
    "synchronized",
]
