"""Owns asking running workers for their stacks.

A worker has a signal shown to ``faulthandler``, which writes the stacks of all threads to a pipe
even while the worker is in a call that never returns.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import time

assert sys.platform != "win32"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_core import Connection

__all__ = ["ask_for_stacks", "show_stacks_on_signal"]

# How long a worker gets to begin, and how long it may be silent before it counts as done (seconds).
ANSWER_SECONDS = 1.0
SILENCE_SECONDS = 0.03
# One that no program is likely to use itself. A plain number: see processing_core.lowlevel.
if sys.platform == "linux":
    SIGNAL = int(signal.SIGRTMAX) - 3
else:
    SIGNAL = int(signal.SIGUSR2)


def show_stacks_on_signal(writer: Connection[Any, Any]) -> None:
    """In a worker: from now on the signal has the stacks written to the pipe."""
    faulthandler.register(SIGNAL, file=writer.fileno(), all_threads=True, chain=False)


def ask_for_stacks(pid: int, reader: Connection[Any, Any]) -> str:
    """The stacks of a worker's threads now; empty if it does not answer, being stopped or ended."""
    descriptor = reader.fileno()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while poller.poll(0):
        os.read(descriptor, 1 << 16)  # what came too late to be read before
    try:
        os.kill(pid, SIGNAL)
    except ProcessLookupError:
        return ""
    limit = time.monotonic() + ANSWER_SECONDS
    patience = ANSWER_SECONDS
    pieces = []
    while time.monotonic() < limit and poller.poll(patience * 1000):
        pieces.append(os.read(descriptor, 1 << 16))
        patience = SILENCE_SECONDS
    return b"".join(pieces).decode(errors="replace")
