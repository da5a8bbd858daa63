"""processing-managers as installed: version, exports, and an import without effects."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import processing_managers

IMPORT_UNDER_AUDIT = """
import sys, threading
starts = ("os.fork", "os.posix_spawn", "os.exec", "subprocess.", "_thread.start")
forbidden = (*starts, "socket.", "signal.")
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(forbidden) else None)
import processing_managers
print(seen, threading.active_count())
"""


def test_the_version_is_that_of_the_metadata() -> None:
    assert processing_managers.__version__ == importlib.metadata.version("processing-managers")


def test_every_name_is_there() -> None:
    for name in processing_managers.__all__:
        assert getattr(processing_managers, name) is not None


def test_importing_starts_nothing() -> None:
    """No process, thread, socket or signal handler."""
    outcome = subprocess.run(
        [sys.executable, "-c", IMPORT_UNDER_AUDIT], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.split("\n")[0] == "[] 1"
