"""The public door of processing-sharedctypes: ctypes values and arrays in shared memory."""

from __future__ import annotations

from processing_sharedctypes.__about__ import __version__ as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_sharedctypes._raw import copy as copy
    from processing_sharedctypes._shared_array import SharedArray as SharedArray
    from processing_sharedctypes._synchronized import Synchronized as Synchronized
    from processing_sharedctypes._synchronized import SynchronizedArray as SynchronizedArray
    from processing_sharedctypes._synchronized import SynchronizedBase as SynchronizedBase
    from processing_sharedctypes._synchronized import SynchronizedString as SynchronizedString
    from processing_sharedctypes._synchronized import SynchronizedText as SynchronizedText
    from processing_sharedctypes._values import Array as Array
    from processing_sharedctypes._values import RawArray as RawArray
    from processing_sharedctypes._values import RawValue as RawValue
    from processing_sharedctypes._values import Value as Value
    from processing_sharedctypes._values import synchronized as synchronized
else:
    _HOMES = {
        "Array": "_values",
        "RawArray": "_values",
        "RawValue": "_values",
        "SharedArray": "_shared_array",
        "Synchronized": "_synchronized",
        "SynchronizedArray": "_synchronized",
        "SynchronizedBase": "_synchronized",
        "SynchronizedString": "_synchronized",
        "SynchronizedText": "_synchronized",
        "Value": "_values",
        "copy": "_raw",
        "synchronized": "_values",
    }

    def __getattr__(name):
        # ctypes and the core are imported when something is first used.
        if name in _HOMES:
            import importlib

            module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
            value = globals()[name] = getattr(module, name)
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


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
    "__version__",
    "copy",
    "synchronized",
]
