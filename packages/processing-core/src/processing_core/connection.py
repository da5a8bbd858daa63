"""Connections between processes: ``Pipe``, ``wait`` and what ``Pipe`` returns."""

from __future__ import annotations

from processing_core._connection.base import Connection
from processing_core._connection.pipe import Pipe
from processing_core._connection.waiting import wait
from processing_core.errors import AuthenticationError, BufferTooShort

__all__ = ["AuthenticationError", "BufferTooShort", "Connection", "Pipe", "wait"]
