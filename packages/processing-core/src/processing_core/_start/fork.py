"""Owns the start method ``fork``: the child inherits everything."""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

from processing_core._lifecycle import flush_standard_streams, forget_inherited_exit_functions
from processing_core._platform import lifeline
from processing_core._platform.children import Lines
from processing_core._runtime import runtime
from processing_core._start import hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import ChildHandle, Startable

__all__ = ["launch"]


def launch(process: Startable, dies_with_parent: bool) -> ChildHandle:
    """Fork a child that becomes ``process``.

    :raises OSError: when the system has no room for another process or descriptor
    """
    # What is buffered would otherwise be written by both.
    flush_standard_streams()
    runtime.prepare_stdin()
    lines = Lines()
    try:
        pid = os.fork()
    except BaseException:
        lines.abandon()
        raise
    if pid == 0:
        _become(process, lines.reader, dies_with_parent)
    return lines.handle(pid)


def _become(process: Startable, line: int, dies_with_parent: bool) -> None:
    """The child's side; does not return."""
    code = 1
    try:
        if runtime.lifeline is not None:
            os.close(runtime.lifeline)
        runtime.lifeline = line
        if dies_with_parent:
            lifeline.arm(line)
        forget_inherited_exit_functions()
        hooks.apply(hooks.exported())
        code = process._enter_child()
    except BaseException:
        # Nothing may reach the parent's frames, which the child has copies of.
        sys.excepthook(*sys.exc_info())
        flush_standard_streams()
    finally:
        os._exit(code)
