"""Owns what is found about this machine by looking: processors, memory, limits, the kernel's gifts.

Nothing is started here; ``trials`` does that.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any

from processing._commands.findings import Finding
from processing_core import cpu_count
from processing_core.lowlevel import available_memory, cgroup_cpus, cgroup_folders, features

__all__ = ["look"]

MANY_DESCRIPTORS = 256
"""With fewer to spare, some dozens of queues and children use them up."""
MUCH_MEMORY = 256 << 20
MANY_PROCESSES = 64
NO_LIMIT = 1 << 60
"""What version 1 of control groups writes for "no limit" is near the largest number of bytes."""


def look() -> list[Finding]:
    """Everything, in the order in which it is to be read."""
    looks: list[Callable[[], Finding]] = [interpreter, processors, memory]
    if sys.platform != "win32":
        looks += [descriptors, processes, address_space]
    if sys.platform == "linux":
        looks += [
            anonymous_memory,
            shared_memory_folder,
            robust_mutexes,
            semaphores,
            holds,
            ends_of_children,
            first_process,
            debuggers,
        ]
    return [look_safely(each) for each in [*looks, closures]]


def look_safely(each: Callable[[], Finding]) -> Finding:
    """What one look finds; that it fails is a finding, too, and stops no other."""
    try:
        return each()
    except Exception as error:  # noqa: BLE001 - whatever fails here is the finding
        topic = each.__name__.replace("_", " ")
        return Finding(topic, "missing", f"cannot be found out: {type(error).__name__}: {error}")


def interpreter() -> Finding:
    """Which Python, on which system."""
    system = f"{platform.system()} {platform.release()}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    libc = " ".join(platform.libc_ver()).strip()
    found = ", ".join(filter(None, [python, system, libc]))
    figures = {"python": python, "system": system, "libc": libc}
    tested = sys.implementation.name == "cpython" and sys.platform == "linux"
    if tested and libc.startswith("glibc"):
        return Finding("interpreter", "good", found, figures=figures)
    return Finding(
        "interpreter",
        "limited",
        found,
        "The library is tested with CPython on Linux with glibc; elsewhere slower means stand in.",
        figures,
    )


def processors() -> Finding:
    """How many processors there are, and how many of them are for us."""
    installed, usable = os.cpu_count() or 1, cpu_count()
    figures: dict[str, Any] = {"installed": installed, "usable": usable}
    words = f"{usable} of {installed}"
    if sys.platform == "linux":
        figures["affinity"] = len(os.sched_getaffinity(0))
        figures["cgroup"] = granted = cgroup_cpus()
        if figures["affinity"] < installed:
            words += f", affinity {figures['affinity']}"
        if granted is not None:
            words += f", cgroup grants {granted:g}"
    if usable > 1:
        advice = ""
        if usable < installed:
            advice = "os.cpu_count() says too much here: cpu_count() is what to go by."
        return Finding("processors", "good", words, advice, figures)
    return Finding(
        "processors",
        "limited",
        words,
        "Processes take turns on one processor: they can wait at the same time, but not compute.",
        figures,
    )


def memory() -> Finding:
    """How much memory can be had, and who limits it."""
    available = available_memory()
    limits = dict(cgroup_limits("memory", "memory.max", "memory.limit_in_bytes"))
    limit = min(limits.values(), default=None)
    figures = {"available": available, "cgroup_limit": limit}
    if available is None:
        return Finding("memory", "good", "the system does not tell", figures=figures)
    words = f"{size(available)} available"
    if limit is not None:
        words += f", cgroup limit {size(limit)}"
    if available >= MUCH_MEMORY:
        return Finding("memory", "good", words, figures=figures)
    return Finding(
        "memory",
        "limited",
        words,
        "Each process takes some 10 MB. Start few of them, bound queues (max_bytes), or raise the "
        "limit (docker: --memory).",
        figures,
    )


def cgroup_limits(controller: str, name_v2: str, name_v1: str) -> Iterator[tuple[str, int]]:
    """The limits of the groups that this process is in, from its own to the root."""
    for version, folder in cgroup_folders(controller):
        path = f"{folder}/{name_v2 if version == 2 else name_v1}"
        text = text_of(path)
        if text.isdigit() and int(text) < NO_LIMIT:
            yield path, int(text)


if sys.platform != "win32":
    import resource

    def limits_of(kind: int) -> tuple[int | None, int | None]:
        """The soft and the hard limit of a resource, None where there is none."""
        soft, hard = (
            None if number == resource.RLIM_INFINITY else number
            for number in resource.getrlimit(kind)
        )
        return soft, hard

    def descriptors() -> Finding:
        """How many descriptors this process may have, and has."""
        soft, hard = limits_of(resource.RLIMIT_NOFILE)
        try:
            used = len(os.listdir("/dev/fd")) - 1  # noqa: PTH208 - these are no paths
        except OSError:
            used = 3
        figures = {"limit": soft, "hard_limit": hard, "used": used}
        if soft is None:
            return Finding("descriptors", "good", f"no limit, {used} in use", figures=figures)
        words = f"{soft} at most, {used} in use"
        if soft - used >= MANY_DESCRIPTORS:
            return Finding("descriptors", "good", words, figures=figures)
        advice = "A queue takes three or four, a running child two. "
        if hard is None or hard > soft:
            advice += (
                f"Raise the limit: ulimit -n {hard or 65536}, or "
                f"resource.setrlimit(resource.RLIMIT_NOFILE, ({hard or 65536}, {hard or -1}))."
            )
        else:
            advice += "The hard limit is as low, so only an administrator can raise it."
        return Finding("descriptors", "limited", words, advice, figures)

    def processes() -> Finding:
        """How many processes may be started."""
        soft, _ = limits_of(resource.RLIMIT_NPROC)
        if os.geteuid() == 0:
            soft = None  # it does not bind root (getrlimit(2))
        group = min(
            (number for _, number in cgroup_limits("pids", "pids.max", "pids.max")), default=None
        )
        limit = min((number for number in (soft, group) if number is not None), default=None)
        figures = {"user_limit": soft, "cgroup_limit": group}
        if limit is None:
            return Finding("processes", "good", "no limit", figures=figures)
        words = f"{limit} at most" + (", by cgroup" if limit == group else " of this user")
        if limit >= MANY_PROCESSES:
            return Finding("processes", "good", words, figures=figures)
        return Finding(
            "processes",
            "limited",
            words,
            "Threads count, too. Raise ulimit -u, or pids.max of the cgroup (docker: "
            "--pids-limit).",
            figures,
        )

    def address_space() -> Finding:
        """Whether addresses are rationed."""
        soft, _ = limits_of(resource.RLIMIT_AS)
        figures = {"limit": soft}
        if soft is None:
            return Finding("address space", "good", "no limit", figures=figures)
        return Finding(
            "address space",
            "limited",
            f"{size(soft)} at most",
            "Queues then hold less before put() waits. Limit memory by a cgroup instead of "
            "ulimit -v.",
            figures,
        )


if sys.platform == "linux":

    def anonymous_memory() -> Finding:
        """Whether memory can be shared that has no name."""
        try:
            os.close(os.memfd_create("processing-doctor"))
        except (AttributeError, OSError) as error:
            return Finding(
                "anonymous memory",
                "limited",
                f"memfd_create fails: {error}",
                "Files in the temporary folder stand in: let TMPDIR be in memory (tmpfs), or "
                "permit the system call memfd_create (seccomp).",
            )
        return Finding("anonymous memory", "good", "memfd")

    def shared_memory_folder(folder: str = "/dev/shm") -> Finding:  # noqa: S108 - shm_open(3)'s
        """Where memory has names, and how much of it."""
        try:
            status = os.statvfs(folder)
        except OSError as error:
            return Finding(
                folder,
                "limited",
                error.strerror or str(error),
                "Only SharedMemory, which has names, needs it; everything else does without.",
            )
        total, free = (status.f_frsize * n for n in (status.f_blocks, status.f_bavail))
        words = f"{size(total)}, {size(free)} free"
        figures = {"bytes": total, "free": free}
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK) or status.f_flag & os.ST_RDONLY:
            return Finding(
                folder,
                "limited",
                f"{words}, not writable",
                "Only SharedMemory, which has names, needs it; everything else does without.",
                figures,
            )
        if free >= MUCH_MEMORY:
            return Finding(folder, "good", words, figures=figures)
        return Finding(
            folder,
            "limited",
            words,
            "Only SharedMemory, which has names, is limited by it (docker: --shm-size).",
            figures,
        )

    def robust_mutexes() -> Finding:
        """Whether the kernel passes on the locks of the dead."""
        if features()["robust_mutexes"]:
            return Finding("robust mutexes", "good", "glibc's")
        return Finding(
            "robust mutexes",
            "limited",
            "none: " + why_no_pthreads(),
            "Locks on files stand in, which are as safe and several times slower.",
        )

    def semaphores() -> Finding:
        """What locks are made of."""
        if features()["unnamed_semaphores"] and importlib.util.find_spec("_multiprocessing"):
            return Finding("semaphores", "good", "unnamed, in shared memory")
        eventfd = "eventfd" if hasattr(os, "eventfd") else "pipe"
        return Finding(
            "semaphores",
            "limited",
            f"each lock is an {eventfd}: {why_no_pthreads()}",
            "Locks are slower, and each takes descriptors.",
            {"eventfd": hasattr(os, "eventfd")},
        )

    def why_no_pthreads() -> str:
        """What is missing that glibc's functions are called by."""
        if not platform.libc_ver()[0].startswith("glibc"):
            return "the C library is not glibc"
        if importlib.util.find_spec("_ctypes") is None:
            return "this Python was built without ctypes (install libffi's headers and rebuild it)"
        return "this Python has no working semaphores"

    def holds() -> Finding:
        """Whether the kernel tells which shared memory others still use."""
        if features()["holds"]:
            return Finding("reuse of shared memory", "good", "by locks on open files")
        return Finding(
            "reuse of shared memory",
            "limited",
            "/proc is not there, or not ours to use",
            "Memory that several processes use is kept until all of them end: mount /proc.",
        )

    def ends_of_children() -> Finding:
        """Whether the end of a process can be waited for without taking turns."""
        try:
            os.close(os.pidfd_open(os.getpid()))
        except (AttributeError, OSError) as error:
            return Finding(
                "ends of children",
                "limited",
                f"pidfd_open fails: {error}",
                "A pipe tells when a child ends. Linux 5.3 has pidfd_open; seccomp may forbid it.",
            )
        return Finding("ends of children", "good", "pidfd")

    def first_process() -> Finding:
        """Whether somebody buries the orphans."""
        name = text_of("/proc/1/comm")
        if os.getpid() != 1:
            return Finding("process 1", "good", name or "not ours to see")
        return Finding(
            "process 1",
            "limited",
            "is this program",
            "Orphans become its children and stay as zombies: give the container an init "
            "(docker: --init).",
        )

    def debuggers(scope_file: str = "/proc/sys/kernel/yama/ptrace_scope") -> Finding:
        """Who may look into a program that is stuck."""
        scope = text_of(scope_file) or "0"
        meaning = {
            "0": "any process of the same user may be looked into",
            "1": "only children may be looked into",
            "2": "only root may look into processes",
            "3": "nobody may look into processes",
        }.get(scope, f"ptrace_scope is {scope}")
        figures = {"ptrace_scope": scope}
        if scope == "0" or (os.geteuid() == 0 and scope != "3"):
            return Finding("debuggers (ptrace)", "good", meaning, figures=figures)
        return Finding(
            "debuggers (ptrace)",
            "limited",
            meaning,
            "To look into a program that is stuck, start it under the debugger or run py-spy and "
            "gdb as root. faulthandler.register(signal.SIGUSR1) needs no permission.",
            figures,
        )


def closures() -> Finding:
    """Whether functions travel that have no module."""
    if importlib.util.find_spec("cloudpickle") is not None:
        return Finding("cloudpickle", "good", "installed")
    return Finding(
        "cloudpickle",
        "good",  # it is an option, and no shortcoming of the machine
        "not installed",
        "With spawn and forkserver, functions of notebooks and of python -c cannot be targets: "
        "pip install 'processing-core[cloudpickle]'.",
    )


def text_of(path: str) -> str:
    """What a file of the kernel says; empty where it is not there or not ours to read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - one line of it
            return file.read().strip()
    except OSError:
        return ""


def size(number: int) -> str:
    """A number of bytes for people."""
    amount = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
