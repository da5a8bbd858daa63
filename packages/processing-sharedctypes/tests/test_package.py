"""processing-sharedctypes as installed: version, exports, and an import without effects."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import processing_sharedctypes

IMPORT_UNDER_AUDIT = """
import sys, threading
starts = ("os.fork", "os.posix_spawn", "os.exec", "subprocess.", "_thread.start")
forbidden = (*starts, "socket.", "signal.")
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(forbidden) else None)
import processing_sharedctypes
late = sorted({"processing_core", "ctypes", "array", "typing", "numpy"} & sys.modules.keys())
print(seen, threading.active_count(), late)
"""


def test_the_version_is_that_of_the_metadata() -> None:
    assert processing_sharedctypes.__version__ == importlib.metadata.version(
        "processing-sharedctypes"
    )


def test_every_export_is_there_and_says_whose_it_is() -> None:
    for name in processing_sharedctypes.__all__:
        exported = getattr(processing_sharedctypes, name)
        if name != "__version__":
            assert exported.__module__ == "processing_sharedctypes"
    assert set(dir(processing_sharedctypes)) >= set(processing_sharedctypes.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = processing_sharedctypes.nothing  # type: ignore[attr-defined]


def test_importing_starts_nothing() -> None:
    """No process, thread, socket or signal handler; and core is not loaded for nothing."""
    outcome = subprocess.run(
        [sys.executable, "-c", IMPORT_UNDER_AUDIT], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.split("\n")[0] == "[] 1 []"
