"""Owns the names of processes in records: they are those of our processes.

``logging`` itself knows only the names that the standard library's ``multiprocessing`` gives.
"""

from __future__ import annotations

import logging
import os

from processing_core import current_process

__all__ = ["ProcessNames", "is_from_here", "process_name", "process_names"]


def process_name() -> str:
    """The name of this process."""
    return current_process().name


def is_from_here(record: logging.LogRecord) -> bool:
    """Whether a record was made by this process, and is to have its name.

    It has none if the program has told ``logging`` to collect none.
    """
    return record.process == os.getpid()


class ProcessNames(logging.Filter):
    """Lets every record pass, and gives those of this process its name."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Name the process."""
        if is_from_here(record):
            record.processName = process_name()
        return True


process_names = ProcessNames()
"""The one that all loggers and handlers share."""
