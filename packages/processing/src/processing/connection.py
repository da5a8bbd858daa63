"""Pipes and what waits for them: the names of ``processing_core.connection``."""

from __future__ import annotations

from processing_core.connection import AuthenticationError as AuthenticationError
from processing_core.connection import BufferTooShort as BufferTooShort
from processing_core.connection import Connection as Connection
from processing_core.connection import Pipe as Pipe
from processing_core.connection import wait as wait

__all__ = ["AuthenticationError", "BufferTooShort", "Connection", "Pipe", "wait"]
