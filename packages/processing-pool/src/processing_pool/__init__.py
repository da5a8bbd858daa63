"""The public door of processing-pool: pools of worker processes.

There is no feature behind it yet; the README says what is to come.
"""

from __future__ import annotations

from processing_pool.__about__ import __version__ as __version__

__all__ = ["__version__"]
