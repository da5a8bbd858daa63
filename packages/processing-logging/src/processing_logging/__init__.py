"""The public door of processing-logging: log records from every process in one place.

There is no feature behind it yet; the README says what is to come.
"""

from __future__ import annotations

from processing_logging.__about__ import __version__ as __version__

__all__ = ["__version__"]
