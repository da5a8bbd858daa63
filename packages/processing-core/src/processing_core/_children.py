"""Owns the started children of this process as a whole: who runs, and how they are ended."""

from __future__ import annotations

from collections.abc import Callable

from processing_core import _log
from processing_core._runtime import runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core._process import Process

__all__ = ["active_children", "end_children", "forget", "on_child_end", "reap_finished"]

# How long the exit sequence waits for children that it has terminated before it kills them.
GRACE_SECONDS = 5.0

_end_hooks: list[Callable[[], None]] = []


def on_child_end(hook: Callable[[], None]) -> None:
    """Have ``hook`` called whenever this process has seen that one of its children has ended.

    That is in ``join``, ``is_alive``, ``active_children``, and when another child is started. The
    hook must not raise.
    """
    _end_hooks.append(hook)


def forget(child: Process) -> None:
    """Strike off a child that has ended."""
    with runtime.lock:
        known = child in runtime.children
        runtime.children.discard(child)
    if known:
        for hook in _end_hooks:
            hook()


def active_children() -> list[Process]:
    """The children of this process that run. Joins those that have finished."""
    reap_finished()
    with runtime.lock:
        return sorted(runtime.children, key=lambda child: child._generations)


def reap_finished() -> None:
    for child in list(runtime.children):
        if child._handle is None or child._handle.poll() is not None:
            child._forget()


def end_children() -> None:
    """Part of the exit sequence: terminate the daemonic children, join the others."""
    children = active_children()
    daemonic = [child for child in children if child._daemon]
    for child in daemonic:
        child.terminate()
    for child in daemonic:
        child.join(GRACE_SECONDS)
        if child.is_alive():
            _log.warning("%r ignores SIGTERM and is killed", child)
            child.kill()
            child.join()
    for child in active_children():
        _log.info("joining %r", child)
        child.join()
