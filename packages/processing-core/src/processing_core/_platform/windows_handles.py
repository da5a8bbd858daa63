"""Owns waiting for handles on Windows: for one, for several, with a time limit, open to Ctrl-C."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

from processing_core._clock import Deadline
from processing_core._platform import winapi

__all__ = ["is_signalled", "wait_for", "wait_for_any"]

# WaitForMultipleObjects takes 64 handles, one of which CPython adds for Ctrl-C.
MOST_AT_ONCE = 60
# How long each batch is waited for in turn when there are several.
BATCH_MS = 10


def is_signalled(handle: int) -> bool:
    """Whether a process has ended, an event is set. :raises OSError: when the handle is closed"""
    return winapi.WaitForSingleObject(handle, 0) != winapi.WAIT_TIMEOUT


def wait_for(handle: int, timeout: float | None = None) -> bool:
    """Wait until a handle is signalled; False when ``timeout`` (seconds, None: no limit) ran out.

    In the main thread signal handlers run meanwhile, and what they raise ends the wait.
    """
    return bool(wait_for_any([handle], Deadline(timeout)))


def wait_for_any(handles: list[int], deadline: Deadline) -> list[int]:
    """Wait until at least one handle is signalled; the positions of those that are, in order.

    Empty when the time ran out. More handles than the system waits for at once are looked at in
    batches, one after the other: that may notice one late, by ``BATCH_MS`` for each batch.
    """
    starts = range(0, len(handles), MOST_AT_ONCE)
    found: list[int] = []
    pause = 0
    while True:
        for start in starts:
            left = deadline.poll_milliseconds()
            if len(starts) == 1:
                limit = winapi.INFINITE if left is None else left
            elif found:
                limit = 0
            else:
                limit = pause if left is None else min(pause, left)
            batch = handles[start : start + MOST_AT_ONCE]
            found += [start + position for position in _signalled(batch, limit)]
        if found or deadline.passed:
            return found
        pause = BATCH_MS


def _signalled(handles: list[int], milliseconds: int) -> list[int]:
    """The positions of the signalled ones. May return none before the time is up.

    Each handle is found at most once, because waiting changes what some kinds of objects are.
    """
    found: list[int] = []
    rest = 0
    while rest < len(handles):
        try:
            answer = winapi.WaitForMultipleObjects(handles[rest:], False, milliseconds)
        except InterruptedError:
            break  # Ctrl-C, and its handler has returned
        if answer == winapi.WAIT_TIMEOUT:
            break
        if answer >= winapi.WAIT_ABANDONED_0:
            answer -= winapi.WAIT_ABANDONED_0
        rest += answer - winapi.WAIT_OBJECT_0
        found.append(rest)
        rest += 1
        milliseconds = 0
    return found
