"""Owns what is read from /proc: processes, their descriptors, threads and shared mappings.

Where there is no /proc every function answers with nothing, so that the callers need no branches.
"""

# ruff: noqa: PTH115, PTH123, PTH208 - all of /proc is read around every test, and pathlib would make that slow

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

# A mapping that other processes can share, as a line of /proc/PID/maps names it.
_SHARED_MAPPING = re.compile(r"^\S+ ...s \S+ (\S+) (\d+)\s+(/memfd:.*|/dev/shm/.*|/dev/zero.*)$")


@dataclass(frozen=True, order=True)
class ProcessInfo:
    """One process. A pid alone may be used again; together with the start time it is not."""

    pid: int
    starttime: int
    ppid: int
    session: int
    state: str
    command: str

    @property
    def key(self) -> tuple[int, int]:
        return (self.pid, self.starttime)

    @property
    def is_zombie(self) -> bool:
        return self.state in "ZX"

    def describe(self) -> str:
        """One line for a message."""
        what = "zombie" if self.is_zombie else f"state {self.state}"
        return f"pid {self.pid} (parent {self.ppid}, {what}): {self.command}"


def read_process(pid: int) -> ProcessInfo | None:
    """What /proc says of a process; None if there is no such process (any more)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            stat = file.read()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may itself contain some.
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    fields = stat[stat.rindex(")") + 2 :].split()
    text = command.replace(b"\0", b" ").decode("utf-8", "replace").strip() or f"[{name}]"
    return ProcessInfo(
        pid=pid,
        starttime=int(fields[19]),
        ppid=int(fields[1]),
        session=int(fields[3]),
        state=fields[0],
        command=text if len(text) <= 300 else text[:297] + "...",
    )


def _stat_fields() -> list[tuple[int, int, int, str]]:
    """(pid, ppid, session, state) of every process, read with as little work as possible."""
    try:
        names = os.listdir("/proc")
    except FileNotFoundError:
        return []
    result = []
    for name in names:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    stat = file.read()
            except (FileNotFoundError, ProcessLookupError):
                continue  # has ended since
            state, ppid, _, session = stat[stat.rindex(b")") + 2 :].split(None, 4)[:4]
            result.append((int(name), int(ppid), int(session), state.decode()))
    return result


def descendants(pid: int) -> list[ProcessInfo]:
    """The children of a process, their children and so on, parents before children."""
    by_parent: dict[int, list[int]] = {}
    for child, parent, _, _ in _stat_fields():
        by_parent.setdefault(parent, []).append(child)
    result: list[ProcessInfo] = []
    waiting = [pid]
    while waiting:
        for child in sorted(by_parent.get(waiting.pop(), ())):
            info = read_process(child)
            if info is not None:
                result.append(info)
            waiting.append(child)
    return result


def session_members(session: int) -> list[ProcessInfo]:
    """The processes of a session that still run (zombies are not counted)."""
    pids = [pid for pid, _, sid, state in _stat_fields() if sid == session and state not in "ZX"]
    found = (read_process(pid) for pid in pids)
    return [info for info in found if info is not None and not info.is_zombie]


def descriptors(pid: int | None = None) -> dict[int, str]:
    """The open descriptors of a process and what each leads to."""
    folder = f"/proc/{'self' if pid is None else pid}/fd"
    result: dict[int, str] = {}
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError):
        return result
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except (FileNotFoundError, ProcessLookupError):
            continue  # closed since; for our own process, the one that read the folder
        result[int(name)] = target
    return result


def catches(pid: int, signum: int) -> bool:
    """Whether a process has a handler of its own for a signal (proc(5), SigCgt)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    masks = [line.split()[1] for line in lines.splitlines() if line.startswith("SigCgt:")]
    return any(int(mask, 16) >> (signum - 1) & 1 for mask in masks)


def native_threads() -> set[int]:
    """The kernel's ids of the threads of this process, those that Python does not know included."""
    try:
        return {int(name) for name in os.listdir("/proc/self/task")}
    except FileNotFoundError:
        return set()


def shared_mappings(without: Collection[tuple[int, int]] = ()) -> set[str]:
    """The shared memory that this process has mapped: memfds, /dev/shm files, anonymous.

    ``without`` are the device and inode of files that are left out.
    """
    left_out: set[tuple[str, str]] = set()
    if sys.platform != "win32":
        for device, inode in without:
            left_out.add((f"{os.major(device):02x}:{os.minor(device):02x}", str(inode)))
    result: set[str] = set()
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except FileNotFoundError:
        return result
    for line in lines:
        match = _SHARED_MAPPING.match(line.rstrip("\n"))
        if match is not None and (match[1], match[2]) not in left_out:
            result.add(f"{match[3]} (device {match[1]}, inode {match[2]})")
    return result


def users_of_file(path: str) -> set[int]:
    """The processes that have a file open or mapped, as far as this user may look."""
    result: set[int] = set()
    for pid, _, _, _ in _stat_fields():
        try:
            with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
                mapped = any(line.rstrip("\n").endswith(path) for line in file)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended, or somebody else's
        if mapped or path in descriptors(pid).values():
            result.add(pid)
    return result
