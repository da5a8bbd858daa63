"""Owns what a start does with signals: blocking them for the calling thread, and handling SIGINT.

As the functions of ``signal`` do, but those make an enum of each number, which takes twenty times
as long as the system call; and a start needs several, half of them in a child that has to copy
whatever memory it touches.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from _signal import (  # type: ignore[import-not-found] # typeshed has only what signal makes of it
    SIG_BLOCK,
    SIG_IGN,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGINT,
    getsignal,
    pthread_sigmask,
    signal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from types import FrameType

__all__ = ["block_interrupts", "handle_interrupts", "restore_mask"]


def block_interrupts() -> set[int]:
    """Block SIGINT for this thread; returns the mask to restore. See pthread_sigmask(3)."""
    return pthread_sigmask(SIG_BLOCK, (SIGINT,))  # type: ignore[no-any-return] # as above


def restore_mask(mask: AbstractSet[int]) -> None:
    """Block what was blocked before, and nothing else."""
    pthread_sigmask(SIG_SETMASK, mask)


def handle_interrupts(handler: Callable[[int, FrameType | None], object]) -> None:
    """Have a function called on SIGINT, unless that is ignored, and unblock it for this thread.

    For the main thread.
    """
    if getsignal(SIGINT) != SIG_IGN:
        signal(SIGINT, handler)
    pthread_sigmask(SIG_UNBLOCK, (SIGINT,))
