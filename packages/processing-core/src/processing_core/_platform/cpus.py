"""Owns the number of CPUs that this process may really use."""

from __future__ import annotations

import math
import os
import sys

from processing_core._platform import cgroups

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


def cgroup_limit(proc: str = cgroups.MEMBERSHIP, root: str = cgroups.ROOT) -> float | None:
    """How many CPUs' worth of time the cgroups grant, None without a limit.

    The least limit from this process's group up to the root counts. See the kernel's documents
    on cgroup-v2 (``cpu.max``: "quota period") and cgroup-v1 (``cpu.cfs_quota_us``, -1 for none).
    """
    limits = [
        _v2_limit(folder) if version == 2 else _v1_limit(folder)
        for version, folder in cgroups.folders("cpu", proc, root)
    ]
    return min((limit for limit in limits if limit is not None), default=None)


def _v2_limit(folder: str) -> float | None:
    quota, _, period = cgroups.read(f"{folder}/cpu.max").partition(" ")
    return _ratio(quota, period.strip())


def _v1_limit(folder: str) -> float | None:
    quota = cgroups.read(f"{folder}/cpu.cfs_quota_us").strip()
    period = cgroups.read(f"{folder}/cpu.cfs_period_us").strip()
    return _ratio(quota, period)


def _ratio(quota: str, period: str) -> float | None:
    """None where there is no limit ("max", -1) or what is there makes no sense."""
    if quota.isdigit() and period.isdigit() and int(period):
        return int(quota) / int(period)
    return None
