"""Owns what the system tells of processes: their memory, and whether it ran out of it."""

from __future__ import annotations

import os
import resource
import sys

assert sys.platform != "win32"

__all__ = ["oom_kills", "resident_bytes"]


def resident_bytes(pid: int | str) -> int:
    """The memory that a process has now; of this process, the most it had where /proc is not."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        if pid != "self":
            return 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def oom_kills() -> int:
    """How many processes the kernel has killed so far because memory ran out (proc(5), vmstat)."""
    try:
        with open("/proc/vmstat", "rb") as file:
            for line in file:
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
    except OSError:
        return 0
    return 0
