"""The names on the threads of one process; so far, those of ``processing.dummy.connection``."""

from __future__ import annotations

__all__: list[str] = []
