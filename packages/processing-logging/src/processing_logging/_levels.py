"""Owns the constants: the names of the library's logger, levels and format."""

from __future__ import annotations

import logging

__all__ = ["DEFAULT_FORMAT", "LOGGER_NAME", "SUBDEBUG", "SUBWARNING", "name_levels"]

LOGGER_NAME = "processing"
DEFAULT_FORMAT = "[%(levelname)s/%(processName)s] %(message)s"
SUBDEBUG = 5
SUBWARNING = 25

_NAMES = {SUBDEBUG: "SUBDEBUG", SUBWARNING: "SUBWARNING"}


def name_levels() -> None:
    """Give our levels their names, unless the program has named them itself."""
    for level, name in _NAMES.items():
        if logging.getLevelName(level) == f"Level {level}":
            logging.addLevelName(level, name)
