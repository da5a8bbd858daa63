"""Owns what stands for the primitives on Windows, where they are still to come, and says so."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["new_robust", "new_room", "new_semaphore"]


def new_semaphore(kind: int, value: int, maxvalue: int) -> NoReturn:
    """As on POSIX. :raises NotImplementedError: always"""
    raise NotImplementedError("locks and semaphores are not available on Windows yet")


def new_room() -> NoReturn:
    """As on POSIX. :raises NotImplementedError: always"""
    raise NotImplementedError("conditions, events and barriers are not available on Windows yet")


def new_robust(kind: int) -> NoReturn:
    """As on POSIX. :raises NotImplementedError: always"""
    raise NotImplementedError("locks and semaphores are not available on Windows yet")
