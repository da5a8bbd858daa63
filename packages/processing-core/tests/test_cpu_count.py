"""cpu_count: what this process may really use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import processing_core
from processing_core._platform import cpus

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="affinity and cgroups are Linux's")


def test_the_count_is_positive_and_not_above_the_systems() -> None:
    assert 1 <= processing_core.cpu_count() <= processing_core.cpu_count(logical=True)
    assert processing_core.cpuCount(logical=True) == os.cpu_count()


if sys.platform == "linux":

    def test_affinity_counts() -> None:
        before = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(before)})
            assert processing_core.cpu_count() == 1
            assert processing_core.cpu_count(logical=True) == os.cpu_count()
        finally:
            os.sched_setaffinity(0, before)


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    with pytest.raises(NotImplementedError):
        processing_core.cpu_count(logical=True)


@linux_only
@pytest.mark.parametrize(("limit", "count"), [(0.5, 1), (1.0, 1), (1.5, 2), (64.0, 8), (None, 8)])
def test_a_quota_counts_rounded_up(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, count: int
) -> None:
    monkeypatch.setattr(cpus, "schedulable_cpus", lambda: 8)
    monkeypatch.setattr(cpus, "cgroup_limit", lambda: limit)
    assert processing_core.cpu_count() == count


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def limit(tmp_path: Path, membership: str, files: dict[str, str]) -> float | None:
    """The limit read from made-up /proc/self/cgroup and /sys/fs/cgroup."""
    write(tmp_path / "proc", membership)
    for name, text in files.items():
        write(tmp_path / "sys" / name, text)
    return cpus.cgroup_limit(str(tmp_path / "proc"), str(tmp_path / "sys"))


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("", {}, None),
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n"}, 0.5),
        # The tightest group on the way to the root counts.
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "300000 100000\n"}, 3.0),
        # Version 1, with the controller mounted under its own and under its joint name.
        (
            "4:cpu,cpuacct:/g\n",
            {"cpu/g/cpu.cfs_quota_us": "250000\n", "cpu/g/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "4:cpu,cpuacct:/\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1.0,
        ),
        (
            "1:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("2:cpuset:/x\n0::/\n", {"cpuset/x/cpu.max": "1 1\n"}, None),
        # Nonsense is no limit, not an error.
        ("0::/\n", {"cpu.max": "\n"}, None),
        ("0::/\n", {"cpu.max": "what ever\n"}, None),
        ("0::/\n", {"cpu.max": "100000 0\n"}, None),
        ("nonsense\n", {}, None),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "5", "cpu/cpu.cfs_period_us": "0"}, None),
    ],
)
def test_cgroup_files(
    tmp_path: Path, membership: str, files: dict[str, str], expected: float | None
) -> None:
    assert limit(tmp_path, membership, files) == expected


def test_without_cgroups_there_is_no_limit(tmp_path: Path) -> None:
    assert cpus.cgroup_limit(str(tmp_path / "none"), str(tmp_path / "none")) is None
