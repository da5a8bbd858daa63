"""A module that children cannot import: its import raises, or ends the process, only there."""

from __future__ import annotations

import os

HOW = os.environ.get("PROCESSING_TEST_BAD_MODULE", "")

if HOW == "raise":
    raise RuntimeError("bad_module cannot be imported")
if HOW == "exit":
    os._exit(33)
if HOW == "kill":
    os.kill(os.getpid(), 9)


def target() -> None:
    """Never reached in a child."""
