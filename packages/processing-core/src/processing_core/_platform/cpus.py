"""Owns the number of CPUs that this process may really use."""

from __future__ import annotations

import math
import os
import posixpath
import sys

__all__ = ["cgroup_limit", "installed_cpus", "schedulable_cpus", "usable_cpus"]


def usable_cpus() -> int:
    """CPUs by affinity and cgroup quota, at least 1.

    :raises NotImplementedError: when the system does not tell its number of CPUs
    """
    count = schedulable_cpus()
    limit = cgroup_limit() if sys.platform == "linux" else None
    return count if limit is None else max(1, min(count, math.ceil(limit)))


def schedulable_cpus() -> int:
    """CPUs that the scheduler may put this process on.

    :raises NotImplementedError: when the system does not tell its number of CPUs
    """
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    else:
        return installed_cpus()


def installed_cpus() -> int:
    """CPUs that the system has.

    :raises NotImplementedError: when the system does not tell
    """
    count = os.cpu_count()
    if count is None:
        raise NotImplementedError("the number of CPUs of this system is not known")
    return count


def cgroup_limit(proc: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> float | None:
    """How many CPUs' worth of time the cgroups grant, None without a limit.

    The least limit from this process's group up to the root counts. See the kernel's documents
    on cgroup-v2 (``cpu.max``: "quota period") and cgroup-v1 (``cpu.cfs_quota_us``, -1 for none).
    """
    limits = []
    for line in _read(proc).splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue  # not a line of the documented form
        if not controllers:
            limits += [_v2_limit(f"{root}{group}") for group in _upwards(path)]
        elif "cpu" in controllers.split(","):
            for mount in (f"{root}/cpu", f"{root}/{controllers}"):
                limits += [_v1_limit(f"{mount}{group}") for group in _upwards(path)]
    return min((limit for limit in limits if limit is not None), default=None)


def _upwards(path: str) -> list[str]:
    """A group's folder and those above it, the root as the empty string."""
    groups = [""]
    while path not in ("/", ""):
        groups.append(path)
        path = posixpath.dirname(path)
    return groups


def _v2_limit(folder: str) -> float | None:
    quota, _, period = _read(f"{folder}/cpu.max").partition(" ")
    return _ratio(quota, period.strip())


def _v1_limit(folder: str) -> float | None:
    quota = _read(f"{folder}/cpu.cfs_quota_us").strip()
    period = _read(f"{folder}/cpu.cfs_period_us").strip()
    return _ratio(quota, period)


def _ratio(quota: str, period: str) -> float | None:
    """None where there is no limit ("max", -1) or what is there makes no sense."""
    if quota.isdigit() and period.isdigit() and int(period):
        return int(quota) / int(period)
    return None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""  # no such controller, or a container that hides it: no limit is known
