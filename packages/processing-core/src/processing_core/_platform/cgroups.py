"""Owns where Linux keeps what a control group grants this process (cgroups(7))."""

from __future__ import annotations

import posixpath

__all__ = ["MEMBERSHIP", "ROOT", "folders", "read"]

MEMBERSHIP = "/proc/self/cgroup"
ROOT = "/sys/fs/cgroup"


def folders(
    controller: str, membership: str = MEMBERSHIP, root: str = ROOT
) -> list[tuple[int, str]]:
    """The version and the folder of each group that limits this process, the root included.

    :param controller: "cpu" or "memory"; version 2 has one hierarchy for all of them
    """
    found: list[tuple[int, str]] = []
    for line in read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue  # not a line of the documented form
        if not controllers:
            found += [(2, f"{root}{group}") for group in _upwards(path)]
        elif controller in controllers.split(","):
            for mount in (f"{root}/{controller}", f"{root}/{controllers}"):
                found += [(1, f"{mount}{group}") for group in _upwards(path)]
    return found


def _upwards(path: str) -> list[str]:
    """A group's folder and those above it, the root as the empty string."""
    groups = [""]
    while path not in ("/", ""):
        groups.append(path)
        path = posixpath.dirname(path)
    return groups


def read(path: str) -> str:
    """The text of a file; empty where there is none, or a container hides it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
