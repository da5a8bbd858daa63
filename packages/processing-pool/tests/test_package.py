"""processing-pool as installed: version, exports, and an import without effects."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import processing_pool

IMPORT_UNDER_AUDIT = """
import sys, threading
starts = ("os.fork", "os.posix_spawn", "os.exec", "subprocess.", "_thread.start")
forbidden = (*starts, "socket.", "signal.")
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(forbidden) else None)
import processing_pool
print(seen, threading.active_count(), "processing_core" in sys.modules)
"""


def test_the_version_is_that_of_the_metadata() -> None:
    assert processing_pool.__version__ == importlib.metadata.version("processing-pool")


def test_every_exported_name_is_there() -> None:
    assert all(hasattr(processing_pool, name) for name in processing_pool.__all__)
    assert set(processing_pool.__all__) <= set(dir(processing_pool))


def test_importing_starts_nothing() -> None:
    """No process, thread, socket or signal handler; and core is not loaded for nothing."""
    outcome = subprocess.run(
        [sys.executable, "-c", IMPORT_UNDER_AUDIT], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.split("\n")[0] == "[] 1 False"
