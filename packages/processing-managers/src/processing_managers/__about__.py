"""The version of processing-managers, and nothing else: the build reads it from here."""

from __future__ import annotations

__version__ = "1.0.0.dev0"
