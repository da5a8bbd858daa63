"""Owns the watchdog: the program that ends a test run which exceeds its deadline.

Runs as a process of its own (``python -I -S watchdog.py PID FOLDER``), so that nothing the tests'
process does or is stuck in can hold it up, and so that the tests' process needs no thread for it (a
thread would make every fork warn on Python 3.12 and later). Reads commands from its standard input:
``arm SECONDS NAME`` and ``disarm``. It imports nothing but the standard library. A run that was
killed, by the watchdog or by anybody else, cannot remove its temporary folder: the watchdog does.
"""

# ruff: noqa: PTH115, PTH123, PTH208 - a small program, started with every test run

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time

assert sys.platform == "linux"

# The plugin has faulthandler dump all threads at this signal, in the tests' process, without dying.
DUMP_SIGNAL = 50
# How long processes get to write their tracebacks before they are killed.
DUMP_SECONDS = 1.0
TAIL_BYTES = 20_000


def say(text: str) -> None:
    """Write to the stderr of the run, whole."""
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(2, data) :]


def read(path: str) -> str:
    """A small file of /proc as one line, or why it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError as error:
        return f"({error.strerror})"


def running_parent(pid: int) -> int | None:
    """The parent of a process that runs; None for a zombie and for a process that is gone."""
    _, end_of_name, fields = read(f"/proc/{pid}/stat").rpartition(") ")
    state, parent = fields.split(None, 2)[:2] if end_of_name else ("X", "0")
    return None if state in "ZX" else int(parent)


def tree(root: int) -> list[int]:
    """The pids of a process's running descendants, parents first, without this process."""
    by_parent: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent = running_parent(int(name))
            if parent is not None:
                by_parent.setdefault(parent, []).append(int(name))
    result: list[int] = []
    waiting = [root]
    while waiting:
        children = [pid for pid in by_parent.get(waiting.pop(), ()) if pid != os.getpid()]
        result += children
        waiting += children
    return result


def send(pid: int, signum: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return  # it has ended, which is what the signal is for


def wait_for_end(pids: list[int], seconds: float) -> None:
    """Give processes time to end."""
    limit = time.monotonic() + seconds
    while any(running_parent(pid) is not None for pid in pids) and time.monotonic() < limit:
        time.sleep(0.02)


def captured_output(root: int) -> list[tuple[str, int]]:
    """Pytest captures into unnamed files; opened here, they outlive the tests' process."""
    result = []
    for number, name in ((1, "stdout"), (2, "stderr")):
        path = f"/proc/{root}/fd/{number}"
        try:
            target = os.readlink(path)
            if target.endswith(" (deleted)"):
                result.append((name, os.open(path, os.O_RDONLY)))
        except OSError as error:
            say(f"captured {name} cannot be read: {error}\n")
    return result


def end_run(root: int, name: str, seconds: float) -> None:
    """Show what every process does, then kill them all."""
    say(f"\n\n{'=' * 20} DEADLINE: {name} took longer than {seconds} s {'=' * 20}\n")
    pids = tree(root)
    for pid in [root, *pids]:
        say(
            f"pid {pid} waits in {read(f'/proc/{pid}/wchan') or '?'}: "
            f"{read(f'/proc/{pid}/cmdline')[:300]}\n"
        )
    captured = captured_output(root)
    say(f"\nThreads of the tests' process {root}:\n")
    send(root, DUMP_SIGNAL)
    time.sleep(DUMP_SECONDS / 2)
    # Children dump at SIGABRT (PYTHONFAULTHANDLER is in their environment, or their handler is
    # inherited), youngest first, while the tests' process is still there to be their parent.
    for pid in reversed(pids):
        say(f"\nThreads of pid {pid} (if it is a Python that can tell):\n")
        send(pid, signal.SIGABRT)
        send(pid, signal.SIGCONT)
        wait_for_end([pid], DUMP_SECONDS)
    for stream, descriptor in captured:
        size = os.fstat(descriptor).st_size
        text = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
        say(f"\n--- captured {stream} (end) ---\n{text.decode('utf-8', 'replace')}\n")
    for _ in range(10):  # killing a process can hand its children to the root
        survivors = tree(root)
        if not survivors:
            break
        for pid in survivors:
            send(pid, signal.SIGKILL)
        wait_for_end(survivors, 2.0)
    say(f"\nThe run is killed because of {name}.\n")
    send(root, signal.SIGKILL)


def serve(root: int) -> None:
    """Watch one test run until it ends."""
    if os.getppid() != root:
        return
    root_end = os.pidfd_open(root)
    commands = b""
    limit: float | None = None
    seconds, name = 0.0, ""
    while True:
        left = None if limit is None else max(0.0, limit - time.monotonic())
        ready = select.select([0, root_end], [], [], left)[0]
        if root_end in ready:
            return
        if not ready:
            end_run(root, name, seconds)
            return
        data = os.read(0, 65536)
        if not data:
            return
        commands += data
        *lines, commands = commands.split(b"\n")
        for line in lines:
            words = line.decode("utf-8", "replace").split(" ", 2)
            if words[0] == "arm":
                seconds, name = float(words[1]), words[2]
                limit = time.monotonic() + seconds
            else:
                limit = None


if __name__ == "__main__":
    serve(int(sys.argv[1]))
    shutil.rmtree(sys.argv[2], ignore_errors=True)
