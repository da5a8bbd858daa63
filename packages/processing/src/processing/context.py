"""Start methods as objects: the names of ``processing_core.context``."""

from __future__ import annotations

from processing_core.context import BaseContext as BaseContext
from processing_core.context import DefaultContext as DefaultContext
from processing_core.context import ForkContext as ForkContext
from processing_core.context import ForkServerContext as ForkServerContext
from processing_core.context import SpawnContext as SpawnContext
from processing_core.context import get_context as get_context

__all__ = [
    "BaseContext",
    "DefaultContext",
    "ForkContext",
    "ForkServerContext",
    "SpawnContext",
    "get_context",
]
