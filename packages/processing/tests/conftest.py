"""Fixtures of the facade's tests; the testkit's plugin brings `context` and the leak check."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import processing
import processing.dummy
from processing_testkit.start_methods import start_methods

# What is compared with threads there is to come on Windows.
_POSIX = ["pools", "processes", "queues", "sharing", "surface", "sync", "typing"]
collect_ignore = [f"test_dummy_{name}.py" for name in _POSIX] if sys.platform == "win32" else []


@pytest.fixture(params=[*start_methods(), "dummy"])
def flavour(request: pytest.FixtureRequest) -> Any:
    """The context of each start method in turn, and that of threads."""
    if request.param == "dummy":
        return processing.dummy.get_context()
    return processing.get_context(request.param)
