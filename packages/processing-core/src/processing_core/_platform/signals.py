"""Owns blocking signals for the calling thread.

As ``signal.pthread_sigmask`` does, but that makes an enum of each number in the masks, which takes
twenty times as long as the system call; and a start blocks and unblocks more than once.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from _signal import (  # type: ignore[import-not-found] # typeshed has only what signal makes of it
    SIG_BLOCK,
    SIG_SETMASK,
    SIGINT,
    pthread_sigmask,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["block_interrupts", "restore_mask"]


def block_interrupts() -> set[int]:
    """Block SIGINT for this thread; returns the mask to restore. See pthread_sigmask(3)."""
    return pthread_sigmask(SIG_BLOCK, (SIGINT,))  # type: ignore[no-any-return] # as above


def restore_mask(mask: AbstractSet[int]) -> None:
    """Block what was blocked before, and nothing else."""
    pthread_sigmask(SIG_SETMASK, mask)
