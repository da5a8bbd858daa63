"""Owns making the machine busy while tests run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["busy_cores"]

# Ends by itself when its parent has gone, so that a killed test run leaves no load behind.
_BURN = """
import os, sys
parent = int(sys.argv[1])
os.write(1, b"r")
os.close(1)
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


@contextlib.contextmanager
def busy_cores(count: int | None = None) -> Iterator[list[int]]:
    """Keep cores busy (all of them by default) inside the block; gives the pids that do it."""
    if count is None:
        count = os.cpu_count() or 1
    command = [sys.executable, "-I", "-S", "-c", _BURN, str(os.getpid())]
    with contextlib.ExitStack() as stack:
        pids = []
        for _ in range(count):
            burner = subprocess.Popen(command, stdout=subprocess.PIPE)
            stack.callback(burner.wait)
            stack.callback(burner.kill)
            assert burner.stdout is not None
            with burner.stdout as ready:
                ready.read(1)
            pids.append(burner.pid)
        yield pids
