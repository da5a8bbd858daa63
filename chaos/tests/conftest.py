"""The harness looks into /proc; the ledger can be tested everywhere."""

from __future__ import annotations

import sys

_LINUX = [
    "test_harness.py",
    "test_logging.py",
    "test_managers.py",
    "test_network.py",
    "test_pool.py",
    "test_supervisor.py",
]
collect_ignore = [] if sys.platform == "linux" else _LINUX
