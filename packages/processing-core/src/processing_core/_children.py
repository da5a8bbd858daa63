"""Owns the started children of this process as a whole: who runs, and how they are ended."""

from __future__ import annotations

from processing_core import _log
from processing_core._runtime import runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core._process import Process

__all__ = ["active_children", "end_children", "reap_finished"]

# How long the exit sequence waits for children that it has terminated before it kills them.
GRACE_SECONDS = 5.0


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
