"""The testkit's own tests run pytest in pytest."""

from __future__ import annotations

import sys

pytest_plugins = ["pytester"]

# Elsewhere nothing shows processes, and the deadline is faulthandler's.
collect_ignore = [] if sys.platform == "linux" else ["test_deadline.py", "test_leaks.py"]
