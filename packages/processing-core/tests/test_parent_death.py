"""When a process dies by SIGKILL: which of its descendants go with it, how fast, and which stay."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import children
import processing_core
from processing_core._platform import lifeline
from processing_testkit import start_python, wait_until

# The promise. It takes some milliseconds; the rest is for a machine under load.
PROMISED_SECONDS = 1.0

PROGRAM = """
import os, sys, threading, time
import processing_core
from processing_core import Process

def wait_for_ever(connection):
    # Neither reads from nor writes to the parent: only the library can end it.
    connection.send(os.getpid())
    threading.Event().wait()

def deaf(connection):
    # As much in C code as can be, with every signal that can be ignored ignored.
    import ctypes, signal
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    connection.send(os.getpid())
    ctypes.PyDLL(None).pause()

def branch(connection, **options):
    # A child with a child of its own.
    start(connection, wait_for_ever, options)
    connection.send(os.getpid())
    threading.Event().wait()

def branch_of(connection, **options):
    Process(target=branch, args=(connection,), kwargs={"daemon": False}, **options).start()

def deep(connection, depth):
    if depth:
        start(connection, deep, {}, depth - 1)
    connection.send(os.getpid())
    threading.Event().wait()

def start(connection, target, options, *args):
    process = Process(target=target, args=(connection, *args), **options)
    process.start()
    return process

def start_in_short_thread(connection, target, options, *args):
    thread = threading.Thread(target=start, args=(connection, target, options, *args))
    thread.start()
    thread.join()

def main(connection):
    __BODY__

if __name__ == "__main__":
    receiver, sender = processing_core.Pipe(duplex=False)
    main(sender)
    for _ in range(int(sys.argv[1])):
        print(receiver.recv(), flush=True)
    print("started", flush=True)
    sys.stdin.readline()  # the tests kill this process, or let it go on
"""


@contextmanager
def family(tmp_path: Path, method: str, body: str, count: int) -> Iterator[tuple[int, list[int]]]:
    """A program with `count` descendants that run: its pid and theirs."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace("__BODY__", body))
    with start_python([str(script), str(count)], method=method) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(count + 1)]
        assert lines.pop() == "started"
        yield process.pid, [int(line) for line in lines]


def ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def all_gone_after_kill(root: int, pids: list[int]) -> None:
    assert not any(map(ended, pids))
    os.kill(root, signal.SIGKILL)
    wait_until(lambda: all(map(ended, pids)), PROMISED_SECONDS, f"{pids} are gone")


DIES: dict[str, tuple[str, int]] = {
    "a daemonic child": ("start(connection, wait_for_ever, {'daemon': True})", 1),
    "a child that is deaf": ("start(connection, deaf, {'daemon': True})", 1),
    "a child that chose so": ("start(connection, wait_for_ever, {'die_with_parent': True})", 1),
    "a child of a short-lived thread": (
        "start_in_short_thread(connection, wait_for_ever, {'daemon': True})",
        1,
    ),
    "several children": (
        "[start(connection, wait_for_ever, {'daemon': True}) for _ in range(4)]",
        4,
    ),
    "a tree": ("start(connection, deep, {'daemon': True}, 3)", 4),
    "a tree with its own wishes": (
        # Children of a daemonic process that are not daemonic themselves go all the same.
        "branch_of(connection, daemon=True)",
        2,
    ),
    "a tree that dies with its parent": (
        "branch_of(connection, die_with_parent=True)",
        2,
    ),
}


@pytest.mark.parametrize("who", DIES)
def test_goes_with_a_killed_parent(tmp_path: Path, start_method: str, who: str) -> None:
    body, count = DIES[who]
    with family(tmp_path, start_method, body, count) as (root, pids):
        all_gone_after_kill(root, pids)


STAYS = {
    "a child that is not daemonic": "{}",
    "a daemonic child that chose so": "{'daemon': True, 'die_with_parent': False}",
}


@pytest.mark.parametrize("who", STAYS)
def test_outlives_a_killed_parent(tmp_path: Path, start_method: str, who: str) -> None:
    body = f"start(connection, wait_for_ever, {STAYS[who]})"
    with family(tmp_path, start_method, body, 1) as (root, pids):
        os.kill(root, signal.SIGKILL)
        wait_until(lambda: ended(root))
        assert not all_end_within(PROMISED_SECONDS, pids)
        os.kill(pids[0], signal.SIGKILL)


def all_end_within(seconds: float, pids: list[int]) -> bool:
    try:
        wait_until(lambda: all(map(ended, pids)), seconds)
    except AssertionError:
        return False
    return True


def test_the_end_of_the_starting_thread_kills_nobody(tmp_path: Path, start_method: str) -> None:
    """PR_SET_PDEATHSIG would: it follows the thread."""
    body = "start_in_short_thread(connection, wait_for_ever, {'daemon': True})"
    with family(tmp_path, start_method, body, 1) as (root, pids):
        threads = Path(f"/proc/{root}/task")
        wait_until(lambda: len(list(threads.iterdir())) == 1)
        assert not all_end_within(0.3, pids)
        all_gone_after_kill(root, pids)


def test_siblings_do_not_keep_each_other(tmp_path: Path, start_method: str) -> None:
    """Each child is started while its elder siblings run; none may hold another's lifeline."""
    body = (
        "start(connection, wait_for_ever, {})\n"
        "    [start(connection, wait_for_ever, {'daemon': True}) for _ in range(2)]\n"
        "    start(connection, wait_for_ever, {})"
    )
    with family(tmp_path, start_method, body, 4) as (root, pids):
        os.kill(root, signal.SIGKILL)
        wait_until(lambda: sum(map(ended, pids)) == 2, PROMISED_SECONDS)
        for pid in pids:
            if not ended(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_program_run_by_a_child_does_not_keep_it(tmp_path: Path, start_method: str) -> None:
    """A subprocess of the parent, started at the same time, holds nothing that matters."""
    body = (
        "import subprocess; subprocess.Popen([sys.executable, '-c', "
        "'import time; time.sleep(1000)'], stdin=subprocess.DEVNULL, close_fds=False)\n"
        "    start(connection, wait_for_ever, {'daemon': True})"
    )
    with family(tmp_path, start_method, body, 1) as (root, pids):
        all_gone_after_kill(root, pids)


def test_a_raw_fork_of_the_parent_does_not_keep_its_children(
    tmp_path: Path, start_method: str
) -> None:
    """A fork by the user's own code inherits the parent's descriptors, but not its role."""
    body = (
        "start(connection, wait_for_ever, {'daemon': True})\n"
        "    if os.fork() == 0: time.sleep(1000)"
    )
    with family(tmp_path, start_method, body, 1) as (root, pids):
        all_gone_after_kill(root, pids)


def test_parent_process_is_seen_to_end(tmp_path: Path, start_method: str) -> None:
    """parent_process() tells, by join and sentinel, that the parent is gone."""
    script = tmp_path / "program.py"
    script.write_text(
        """
import os, sys
import processing_core

def watch(connection, path):
    parent = processing_core.parent_process()
    alive = parent.is_alive()
    parent.join(0)
    connection.send("ready")
    parent.join()
    ready = processing_core.wait([parent.sentinel], 0) == [parent.sentinel]
    with open(path + ".part", "w") as file:
        file.write(f"{alive} {parent.is_alive()} {ready} {parent!r}")
    os.rename(path + ".part", path)

if __name__ == "__main__":
    receiver, sender = processing_core.Pipe(duplex=False)
    processing_core.Process(target=watch, args=(sender, sys.argv[1])).start()
    print(receiver.recv(), flush=True)
    sys.stdin.readline()
"""
    )
    report = tmp_path / "report"
    with start_python([str(script), str(report)], method=start_method) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
        wait_until(report.exists)
    assert report.read_text() == "True False True <ParentProcess(MainProcess, stopped)>"


@pytest.mark.orphans
def test_the_middle_of_a_tree_dies(tmp_path: Path, start_method: str) -> None:
    """Killing a process in the middle takes what is below it, and nothing above."""
    body = "start(connection, deep, {'daemon': True}, 2)"
    with family(tmp_path, start_method, body, 3) as (root, pids):
        # Reported from the innermost outwards, or in whatever order: the outermost is the child
        # whose death takes all.
        def parent(pid: int) -> int:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

        if start_method == "forkserver":
            outermost = min(pids)
        else:
            (outermost,) = [pid for pid in pids if parent(pid) == root]
        os.kill(outermost, signal.SIGKILL)
        wait_until(lambda: all(map(ended, pids)), PROMISED_SECONDS)
        assert not ended(root)


@pytest.mark.orphans
def test_what_was_started_runs_though_its_creator_ends_at_once(start_method: str) -> None:
    """A process that is not daemonic runs even if its creator was gone before it could begin."""
    receiver, sender = processing_core.Pipe(duplex=False)
    creator = processing_core.get_context(start_method).Process(
        target=children.start_and_exit, args=(start_method, sender)
    )
    creator.start()
    sender.close()
    assert receiver.poll(30)
    assert receiver.recv() == "ran"
    receiver.close()
    creator.join()
    assert creator.exitcode == 3


def test_a_child_tells_a_failed_start_from_a_creator_that_is_gone() -> None:
    """Only what its starter gives up does not run; the lifeline carries both messages."""
    for written, hung_up, given_up in ((b"", False, False), (b"", True, False), (b"0", True, True)):
        reader, writer = os.pipe()
        os.write(writer, written)
        if hung_up:
            os.close(writer)
        assert lifeline.hung_up(reader) is hung_up
        assert lifeline.given_up(reader) is given_up
        os.close(reader)
        if not hung_up:
            os.close(writer)
