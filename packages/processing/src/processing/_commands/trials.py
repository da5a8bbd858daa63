"""Owns trials of the real thing: processes that start and answer, a queue, a lock, shared memory.

Each has a time limit, so that what hangs on this machine is a finding and not a hanging doctor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from processing._commands.findings import Finding
from processing_core import get_all_start_methods, get_context, get_start_method

if TYPE_CHECKING:
    from processing_core import Lock, Process, Queue

__all__ = ["named_memory", "queues_and_locks", "start_methods"]

PATIENCE = 20.0
"""Seconds for one trial; a loaded machine may take long to start a process."""


def put_under_lock(items: Queue[str], lock: Lock) -> None:
    """The target of a process that is to use what its parent uses."""
    with lock:
        items.put("here")


def start_methods() -> Finding:
    """Start a process by each start method and wait for its answer."""
    default = get_start_method()
    words: list[str] = []
    figures: dict[str, Any] = {"default": default}
    failures: dict[str, str] = {}
    for method in get_all_start_methods():
        name = f"{method} (default)" if method == default else method
        try:
            with time_limit():
                seconds = [start_once(method), start_once(method)][-1]
        except Exception as error:  # noqa: BLE001 - whatever fails here is the finding
            failures[method] = figures[method] = f"{type(error).__name__}: {error}"
            words.append(f"{name} fails: {failures[method]}")
        else:
            figures[method] = round(seconds, 6)
            words.append(f"{name} {seconds * 1000:.1f} ms")
    if not failures:
        return Finding("start methods", "good", ", ".join(words), figures=figures)
    advice = f"Processes cannot be started by {' and '.join(failures)} here."
    if len(failures) < len(get_all_start_methods()):
        working = next(name for name in get_all_start_methods() if name not in failures)
        advice += f" Choose another: set_start_method({working!r}) or PROCESSING_START_METHOD."
    return Finding("start methods", "missing", "; ".join(words), advice, figures)


def start_once(method: str) -> float:
    """Seconds from the start of a process to its answer."""
    context = get_context(method)
    reader, writer = context.Pipe(duplex=False)
    # A target that children need not import anything for: it is the start that is measured.
    process = context.Process(target=writer.send, args=("here",))
    begin = time.perf_counter()
    with reader:
        process.start()
        with ended(process):
            writer.close()
            reader.recv()
            return time.perf_counter() - begin


@contextlib.contextmanager
def ended(process: Process) -> Iterator[None]:
    """A block at whose end the process has ended, by itself or by force."""
    try:
        yield
        process.join()
    finally:
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """A block that must be done in time.

    A signal interrupts it wherever it waits. Without such signals (on Windows, and in other threads
    than the main one) there is no limit.

    :raises TimeoutError: in the block, when the time is up
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
    else:

        def give_up(*_: object) -> None:
            raise TimeoutError(f"not done within {PATIENCE:g} s")

        before = signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def queues_and_locks() -> Finding:
    """Have a child put an item on a queue while it holds a lock."""

    def try_them() -> None:
        context = get_context()
        items: Queue[str] = context.Queue()
        lock = context.Lock()
        process = context.Process(target=put_under_lock, args=(items, lock))
        process.start()
        with ended(process):
            items.get()

    return _tried(
        "queues and locks", "work", "Queues and locks cannot be used here; pipes may be.", try_them
    )


def named_memory() -> Finding:
    """Make a block of shared memory that has a name."""

    def try_it() -> None:
        # Only here: it needs ctypes, without which the other trials may succeed.
        from processing_sharedctypes.shared_memory import SharedMemory

        memory = SharedMemory(f"processing-doctor-{os.getpid()}", create=True, size=4096)
        memory.close()
        memory.unlink()

    return _tried(
        "shared memory by name",
        "works",
        "SharedMemory has no names here. Queues, locks, Value and Array do not need them; where a "
        "name is wanted mount /dev/shm (docker: --shm-size).",
        try_it,
    )


def _tried(topic: str, word: str, advice: str, trial: Callable[[], None]) -> Finding:
    try:
        with time_limit():
            trial()
    except Exception as error:  # noqa: BLE001 - whatever fails here is the finding
        reason = f"{type(error).__name__}: {error}"
        return Finding(topic, "missing", reason, advice, {"error": reason})
    return Finding(topic, "good", word)
