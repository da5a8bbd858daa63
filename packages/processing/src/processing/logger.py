"""Logging across processes: the names of ``processing_logging``."""

from __future__ import annotations

import sys

from processing_logging import DEFAULT_FORMAT as DEFAULT_FORMAT
from processing_logging import SUBDEBUG as SUBDEBUG
from processing_logging import SUBWARNING as SUBWARNING
from processing_logging import disable_logging as disable_logging
from processing_logging import disableLogging as disableLogging
from processing_logging import enable_logging as enable_logging
from processing_logging import enableLogging as enableLogging
from processing_logging import flush_logging as flush_logging
from processing_logging import flushLogging as flushLogging
from processing_logging import get_logger as get_logger
from processing_logging import getLogger as getLogger
from processing_logging import log_to_stderr as log_to_stderr

if sys.platform != "win32":
    from processing_logging import SharedFileHandler as SharedFileHandler

__all__ = [
    "DEFAULT_FORMAT",
    "SUBDEBUG",
    "SUBWARNING",
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

if sys.platform != "win32":
    __all__ += ["SharedFileHandler"]
