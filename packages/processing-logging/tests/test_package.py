"""processing-logging as installed: version, exports, and an import without effects."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import processing_logging

IMPORT_UNDER_AUDIT = """
import sys, threading
starts = ("os.fork", "os.posix_spawn", "os.exec", "subprocess.", "_thread.start")
forbidden = (*starts, "socket.", "signal.")
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(forbidden) else None)
import processing_logging
late = sorted({"processing_core", "logging", "ctypes", "typing"} & sys.modules.keys())
print(seen, threading.active_count(), late)
processing_logging.enable_logging(30)
late = sorted({"processing_logging._relaying", "processing_core._queues"} & sys.modules.keys())
print(seen, threading.active_count(), late)
"""


def test_the_version_is_that_of_the_metadata() -> None:
    assert processing_logging.__version__ == importlib.metadata.version("processing-logging")


def test_every_export_is_there() -> None:
    for name in processing_logging.__all__:
        assert hasattr(processing_logging, name)
    assert set(dir(processing_logging)) >= set(processing_logging.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = processing_logging.nothing  # type: ignore[attr-defined]
    if sys.platform != "win32":
        assert processing_logging.SharedFileHandler.__module__ == "processing_logging"


@pytest.mark.parametrize(
    ("documented", "pep8"),
    [
        ("enableLogging", "enable_logging"),
        ("disableLogging", "disable_logging"),
        ("flushLogging", "flush_logging"),
    ],
)
def test_both_spellings_are_the_same(documented: str, pep8: str) -> None:
    assert getattr(processing_logging, documented) is getattr(processing_logging, pep8)


def test_importing_and_enabling_start_nothing() -> None:
    """No process, thread, socket or signal handler; neither core nor logging is loaded for nothing,
    and what relays only where it is asked for.
    """
    outcome = subprocess.run(
        [sys.executable, "-c", IMPORT_UNDER_AUDIT], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.splitlines() == ["[] 1 []", "[] 1 []"]
