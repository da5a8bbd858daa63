"""Fixtures of processing-logging's tests; the testkit's plugin brings the start methods."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

import processing_logging

collect_ignore = (
    ["test_relay.py", "test_output.py", "test_files.py"] if sys.platform == "win32" else []
)


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture(autouse=True)
def nothing_stays_enabled() -> Iterator[None]:
    """Each test starts from a program that has enabled nothing, and ends so."""
    yield
    processing_logging.disable_logging()


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A handler of the logger ``app``, which does not propagate."""
    handler, logger = Kept(), logging.getLogger("app")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    logger.handlers[:] = []
    logger.filters[:] = []
    logger.propagate = True
    logger.setLevel(logging.NOTSET)
