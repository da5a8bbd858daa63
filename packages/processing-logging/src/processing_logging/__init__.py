"""The public door of processing-logging: log records from every process in one place."""

from __future__ import annotations

import sys

from processing_logging.__about__ import __version__ as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    if sys.platform != "win32":
        from processing_logging._files import SharedFileHandler as SharedFileHandler
    else:
        from typing import Any

        # They are still to come there.
        SharedFileHandler: Any
    from processing_logging._levels import DEFAULT_FORMAT as DEFAULT_FORMAT
    from processing_logging._levels import SUBDEBUG as SUBDEBUG
    from processing_logging._levels import SUBWARNING as SUBWARNING
    from processing_logging._setup import disable_logging as disable_logging
    from processing_logging._setup import disableLogging as disableLogging
    from processing_logging._setup import enable_logging as enable_logging
    from processing_logging._setup import enableLogging as enableLogging
    from processing_logging._setup import flush_logging as flush_logging
    from processing_logging._setup import flushLogging as flushLogging
    from processing_logging._setup import get_logger as get_logger
    from processing_logging._setup import getLogger as getLogger
    from processing_logging._setup import log_to_stderr as log_to_stderr
else:
    _HOMES = {
        "DEFAULT_FORMAT": "_levels",
        "SUBDEBUG": "_levels",
        "SUBWARNING": "_levels",
        "SharedFileHandler": "_files",
        "disableLogging": "_setup",
        "disable_logging": "_setup",
        "enableLogging": "_setup",
        "enable_logging": "_setup",
        "flushLogging": "_setup",
        "flush_logging": "_setup",
        "getLogger": "_setup",
        "get_logger": "_setup",
        "log_to_stderr": "_setup",
    }

    def __getattr__(name):
        # logging and the core are imported when something is first used.
        if name in _HOMES:
            if name == "SharedFileHandler" and sys.platform == "win32":
                raise NotImplementedError("there is no SharedFileHandler on Windows yet")
            import importlib

            module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
            value = globals()[name] = getattr(module, name)
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "DEFAULT_FORMAT",
    "SUBDEBUG",
    "SUBWARNING",
    "SharedFileHandler",
    "__version__",
    "disableLogging",
    "disable_logging",
    "enableLogging",
    "enable_logging",
    "flushLogging",
    "flush_logging",
    "getLogger",
    "get_logger",
    "log_to_stderr",
]
