"""Owns how the library logs: through the logger named ``processing``.

``logging`` is not imported for it: a program that has not imported ``logging`` has configured no
handler that could show a message below WARNING.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger

__all__ = ["info", "warning"]

LOGGER_NAME = "processing"


def _logger() -> Logger:
    import logging

    logger = logging.getLogger(LOGGER_NAME)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def info(message: str, *args: object) -> None:
    """Log what is of interest to somebody who watches."""
    if "logging" in sys.modules:
        _logger().info(message, *args)


def warning(message: str, *args: object) -> None:
    """Log what went wrong without an exception that somebody could catch."""
    _logger().warning(message, *args)
