"""The public door of processing-managers: manager processes, and proxies to the objects they hold.

There is no feature behind it yet; the README says what is to come.
"""

from __future__ import annotations

from processing_managers.__about__ import __version__ as __version__

__all__ = ["__version__"]
