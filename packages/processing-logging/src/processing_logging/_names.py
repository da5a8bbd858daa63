"""Owns the names of processes in records: they are those of our processes.

``logging`` itself knows only the names that the standard library's ``multiprocessing`` gives.
"""

from __future__ import annotations

import logging
import os

from processing_core import current_process

__all__ = ["Here", "process_names"]


class Here:
    """What records of this process have in common."""

    pid = os.getpid()

    @classmethod
    def after_fork(cls) -> None:
        """In a forked child."""
        cls.pid = os.getpid()


class ProcessNames(logging.Filter):
    """Lets every record pass, and gives those of this process its name.

    A record has no number of a process if the program has told ``logging`` so. It has no name then.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Name the process."""
        if record.process == Here.pid:
            record.processName = current_process().name
        return True


process_names = ProcessNames()
"""The one that all loggers and handlers share."""
