"""Owns the end of a process and its forks: exit callbacks, the exit sequence, the fork hooks."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
from collections.abc import Callable

from processing_core._runtime import runtime

__all__ = [
    "ExitCallback",
    "activate",
    "at_exit",
    "on_fork",
    "on_fork_in_child",
    "run_exit_sequence",
]

# Where concurrent.futures keeps the threads that it joins at the end; those of the parent are not
# in the child, or are the very thread that forked.
_EXECUTOR_THREADS = (
    ("concurrent.futures.thread", "_threads_queues"),
    ("concurrent.futures.process", "_threads_wakeups"),
)

_order = itertools.count()
_exit_callbacks: dict[int, ExitCallback] = {}
_fork_hooks: list[Callable[[], None]] = []
_before_fork_hooks: list[Callable[[], None]] = []
_after_fork_hooks: list[Callable[[], None]] = []
_end_children: Callable[[], None] | None = None
_active = False


class ExitCallback:
    """A function that runs once: when called, or else when its process ends.

    Callbacks of the process that made it do not run in a forked child.
    """

    __slots__ = ("_function", "_key", "_pid", "priority")

    def __init__(self, function: Callable[[], object], priority: int) -> None:
        self._function: Callable[[], object] | None = function
        self._pid = os.getpid()
        self._key = next(_order)
        self.priority: int = priority
        _exit_callbacks[self._key] = self

    def __call__(self) -> None:
        """Run the function unless it has run, was cancelled or belongs to another process."""
        function = self._function
        if self.cancel() and function is not None:
            function()

    def cancel(self) -> bool:
        """Make sure that the function will not run any more; tells whether it still would have."""
        # pop() is one atomic step: of several threads exactly one gets the callback.
        pending = _exit_callbacks.pop(self._key, None) is not None
        self._function = None
        return pending and self._pid == os.getpid()

    @property
    def sort_key(self) -> tuple[int, int]:
        """Higher priorities first, and of equals the youngest first."""
        return (-self.priority, -self._key)


def at_exit(function: Callable[[], object], *, priority: int = 0) -> ExitCallback:
    """Have ``function`` called without arguments when this process ends.

    Those of priority 0 and higher run, highest first, before the children are ended; the others
    after that. An exception in one is reported on stderr and the rest still run.
    """
    activate()
    return ExitCallback(function, priority)


def on_fork_in_child(hook: Callable[[], None]) -> None:
    """Have ``hook`` called in every forked child, before the fork returns there."""
    activate()
    _fork_hooks.append(hook)


def on_fork(
    before: Callable[[], None],
    after_in_parent: Callable[[], None],
    after_in_child: Callable[[], None],
) -> None:
    """Have these called around every fork. None may raise."""
    activate()
    _before_fork_hooks.append(before)
    _after_fork_hooks.append(after_in_parent)
    _fork_hooks.append(after_in_child)


def activate(end_children: Callable[[], None] | None = None) -> None:
    """Install the hooks into the interpreter, once, when first something depends on them."""
    global _active, _end_children  # noqa: PLW0603 - set once, with the lock held
    with runtime.lock:
        if end_children is not None:
            _end_children = end_children
        if _active:
            return
        _active = True
        atexit.register(run_exit_sequence)
        if sys.platform != "win32":
            os.register_at_fork(
                before=_before_fork,
                after_in_parent=_after_fork,
                after_in_child=_after_fork_in_child,
            )


def _before_fork() -> None:
    runtime.private.lock.acquire()
    for hook in _before_fork_hooks:
        hook()


def _after_fork() -> None:
    for hook in _after_fork_hooks:
        hook()
    runtime.private.lock.release()


def _after_fork_in_child() -> None:
    runtime.after_fork_in_child()
    _exit_callbacks.clear()
    for hook in _fork_hooks:
        hook()


def _run_callbacks(least: int | None) -> None:
    # A callback may register others; they run too, each in its turn.
    while ready := [
        callback
        for callback in list(_exit_callbacks.values())
        if least is None or callback.priority >= least
    ]:
        callback = min(ready, key=lambda one: one.sort_key)
        try:
            callback()
        except Exception:  # noqa: BLE001 - the others shall still run
            print(f"Exception in an exit callback of {os.getpid()}:", file=sys.stderr)  # noqa: T201
            sys.excepthook(*sys.exc_info())


def run_exit_sequence() -> None:
    """Run the exit callbacks, end the daemonic children, join the others, run the last callbacks.

    Registered with ``atexit``; a child process calls it when its ``run()`` has returned. Harmless
    when called again.
    """
    _run_callbacks(least=0)
    try:
        if _end_children is not None:
            _end_children()
    finally:
        _run_callbacks(least=None)


def finish_interpreter() -> None:
    """What an interpreter does at its end, for a child that leaves through ``os._exit``.

    Joins the threads that are not daemonic, runs what the child itself registered with ``atexit``,
    flushes stdout and stderr. The two private functions are those that CPython itself calls.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    # What a child runs for the first time costs it page faults, so it runs what it needs.
    if _exit_callbacks or runtime.children:
        run_exit_sequence()
    flush_standard_streams()


def forget_inherited_exit_functions() -> None:
    """Drop, in a forked child, what the parent is to do at its own end."""
    atexit._clear()
    for module, threads in _EXECUTOR_THREADS:
        if module in sys.modules:
            getattr(sys.modules[module], threads, {}).clear()


def flush_standard_streams() -> None:
    """Flush stdout and stderr; a stream that is gone or cannot be written has nothing to flush."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError):
            continue  # None under pythonw, or closed by the program
