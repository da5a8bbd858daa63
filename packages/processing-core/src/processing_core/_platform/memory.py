"""Owns how much memory this process may still take, by the machine and by its control groups."""

from __future__ import annotations

import sys

from processing_core._platform import cgroups

__all__ = ["available_bytes"]

# What version 1 of control groups writes for "no limit" is near the largest number of bytes.
_NO_LIMIT = 1 << 60


def available_bytes(meminfo: str = "/proc/meminfo") -> int | None:
    """Bytes that can be had without pushing out others (proc(5)); None where it is not told."""
    if sys.platform != "linux":
        return None
    found = [_left(version, folder) for version, folder in cgroups.folders("memory")]
    found.append(_machine(meminfo))
    return min((number for number in found if number is not None), default=None)


def _machine(meminfo: str) -> int | None:
    numbers = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (
            line.partition(":") for line in cgroups.read(meminfo).splitlines() if ":" in line
        )
        if rest.split()[:1] and rest.split()[0].isdigit()
    }
    if "MemAvailable" not in numbers:
        return None
    return numbers["MemAvailable"] + numbers.get("SwapFree", 0)


def _left(version: int, folder: str) -> int | None:
    """What a group grants beyond what it uses; pages of files could be dropped, so they count."""
    names = (
        ("memory.max", "memory.current", "inactive_file")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    limit, used = (cgroups.read(f"{folder}/{name}").strip() for name in names[:2])
    if not (limit.isdigit() and used.isdigit()) or int(limit) >= _NO_LIMIT:
        return None
    droppable = 0
    for line in cgroups.read(f"{folder}/memory.stat").splitlines():
        name, _, number = line.partition(" ")
        if name == names[2] and number.isdigit():
            droppable = int(number)
    return max(0, int(limit) - int(used) + droppable)
