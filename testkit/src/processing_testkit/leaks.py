"""Owns the leak check: what a test must not leave behind, and how that is told.

A snapshot is taken before a test and compared with one taken afterwards. What is new is a leak, if
it is still there after a garbage collection and a bounded time of polling: things that are on their
way out need a moment.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from processing_testkit import _procfs
from processing_testkit._orphans import reap
from processing_testkit._procfs import ProcessInfo

__all__ = ["KINDS", "Kept", "LeakCheck", "Snapshot"]

KINDS = ("processes", "threads", "descriptors", "mappings", "blocks", "files")

SHM = Path("/dev/shm")  # noqa: S108 - looked at, not written to


@dataclass(frozen=True)
class Kept:
    """What stays between tests by design: a process and our descriptors that lead to it; shared
    memory that blocks are cut from, with its descriptors.
    """

    pids: frozenset[int] = frozenset()
    descriptors: frozenset[int] = frozenset()
    files: frozenset[tuple[int, int]] = frozenset()
    """The device and inode of each file that stays mapped."""

    used: int = 0
    """The bytes in blocks of these files. They are to come back, though the files stay."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that could leak, as it is at one moment. Values say what a key stands for."""

    processes: dict[tuple[int, int], ProcessInfo] = field(default_factory=dict)
    threads: dict[int, str] = field(default_factory=dict)
    descriptors: dict[tuple[int, int, str], str] = field(default_factory=dict)
    mappings: set[str] = field(default_factory=set)
    blocks: int = 0
    files: set[str] = field(default_factory=set)


class LeakCheck:
    """Takes snapshots and compares them.

    ``ignored_pids`` are processes of the test machinery. ``find_kept`` asks the library what it
    keeps between uses; it is asked again for every snapshot.
    """

    def __init__(
        self,
        ignored_pids: Collection[int] = (),
        find_kept: Callable[[], Kept] = Kept,
        patience: float = 5.0,
    ) -> None:
        self._ignored_pids = set(ignored_pids)
        self._find_kept = find_kept
        self._patience = patience

    def snapshot(self) -> Snapshot:
        kept = self._find_kept()
        return Snapshot(
            processes=self._processes(kept),
            threads=_threads(),
            descriptors=_descriptors(kept),
            mappings=_procfs.shared_mappings(kept.files),
            blocks=kept.used,
            files=_files(),
        )

    def leaks(
        self, before: Snapshot, allowed: Collection[str] = (), *, reap_orphans: bool = False
    ) -> list[str]:
        """What has been left since ``before``, one line each; polls until there is nothing."""
        limit = time.monotonic() + self._patience
        pause = 0.001
        while found := self._compare(before, self.snapshot(), allowed, reap_orphans):
            if time.monotonic() >= limit:
                break
            # Only now, because it takes longer than everything else that is done around a test.
            gc.collect()
            time.sleep(pause)
            pause = min(pause * 2, 0.1)
        return found

    def kill_new_processes(self, before: Snapshot) -> None:
        """End what a test has left, so that the next one starts clean."""
        for _ in range(20):
            new = [
                info
                for key, info in self._processes(self._find_kept()).items()
                if key not in before.processes
            ]
            if not new:
                return
            for info in new:
                if info.is_zombie:
                    reap(info)
                else:
                    _kill(info.pid)
            time.sleep(0.02)

    def _processes(self, kept: Kept) -> dict[tuple[int, int], ProcessInfo]:
        return {
            info.key: info
            for info in _procfs.descendants(os.getpid())
            if info.pid not in self._ignored_pids and info.pid not in kept.pids
        }

    def _compare(
        self, before: Snapshot, after: Snapshot, allowed: Collection[str], reap_orphans: bool
    ) -> list[str]:
        found: list[str] = []
        if "processes" not in allowed:
            for key, info in after.processes.items():
                if key not in before.processes:
                    if info.is_zombie and (reap_orphans or _was_handed_to_us(info)):
                        reap(info)
                    else:
                        found.append(f"process: {info.describe()}")
        if "threads" not in allowed:
            found += [
                f"thread: {name} ({tid})"
                for tid, name in after.threads.items()
                if tid not in before.threads
            ]
        if "descriptors" not in allowed:
            # A helper that was not there before has opened all of its descriptors since.
            known = {pid for pid, _, _ in before.descriptors}
            found += [
                f"descriptor: {text}"
                for key, text in after.descriptors.items()
                if key not in before.descriptors and key[0] in known
            ]
        if "mappings" not in allowed:
            found += [
                f"shared mapping: {text}" for text in sorted(after.mappings - before.mappings)
            ]
        if "blocks" not in allowed and after.blocks > before.blocks:
            found.append(
                f"blocks: {after.blocks - before.blocks} bytes of the arenas are still in use"
            )
        if "files" not in allowed:
            new_files = sorted(after.files - before.files)
            found += [f"file: {path}" for path in _not_of_others(new_files)]
        return found


def _was_handed_to_us(info: ProcessInfo) -> bool:
    """Whether a zombie is surely a grandchild that lost its parent: it is of another session.

    The kernel hands orphans to the tests' process. Nobody but it can collect them.
    """
    return sys.platform != "win32" and info.session != os.getsid(0)


def _threads() -> dict[int, str]:
    names = {t.native_id: f"{t.name!r}, {t!r}" for t in threading.enumerate()}
    result = {tid: name for tid, name in names.items() if tid is not None}
    for tid in _procfs.native_threads():
        result.setdefault(tid, "not started by Python's threading module")
    return result


def _descriptors(kept: Kept) -> dict[tuple[int, int, str], str]:
    own = os.getpid()
    result = {
        (own, number, target): f"{number} -> {target}"
        for number, target in _procfs.descriptors().items()
        if number not in kept.descriptors
    }
    for pid in kept.pids:
        if sys.platform != "win32" and not _procfs.catches(pid, signal.SIGCHLD):
            continue  # it is still starting: the handler is the last thing that it sets up
        for number, target in _procfs.descriptors(pid).items():
            result[pid, number, target] = f"{number} -> {target} in the helper process {pid}"
    return result


def _files() -> set[str]:
    temp = Path(tempfile.gettempdir())
    found = {str(path) for path in temp.iterdir()} if temp.is_dir() else set()
    with contextlib.suppress(FileNotFoundError):
        found |= {str(path) for path in SHM.iterdir()}
    return found


def _not_of_others(paths: Collection[str]) -> list[str]:
    """Leave out what another user, or a running process outside this tree, has in /dev/shm.

    The temporary folder is this run's own, /dev/shm is everybody's.
    """
    result: list[str] = []
    if not paths:
        return result
    ours = {os.getpid()} | {info.pid for info in _procfs.descendants(os.getpid())}
    for path in paths:
        if Path(path).parent == SHM:
            try:
                if sys.platform != "win32" and Path(path).stat().st_uid != os.getuid():
                    continue
            except FileNotFoundError:
                continue
            if _procfs.users_of_file(path) - ours:
                continue
        result.append(path)
    return result


def _kill(pid: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
