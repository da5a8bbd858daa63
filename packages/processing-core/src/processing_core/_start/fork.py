"""Owns the start method ``fork``: the child inherits everything."""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

from processing_core._lifecycle import flush_standard_streams, forget_inherited_exit_functions
from processing_core._platform import lifeline
from processing_core._platform.children import Lines
from processing_core._platform.signals import block_interrupts, restore_mask
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
    # A KeyboardInterrupt must not come between the fork and the place where each side is safe: the
    # child would go on with its parent's work, the parent would not know its child.
    mask = block_interrupts()
    try:
        try:
            pid = os.fork()
        except BaseException:
            lines.abandon()
            raise
        if pid == 0:
            _become(process, lines, dies_with_parent, mask)
        return lines.handle(pid)
    finally:
        restore_mask(mask)


def _become(process: Startable, lines: Lines, dies_with_parent: bool, mask: set[int]) -> None:
    """The child's side; does not return."""
    code = 1
    try:
        restore_mask(mask)
        if runtime.lifeline is not None:
            os.close(runtime.lifeline)
        lines.enter_child()
        runtime.lifeline = lines.reader
        if dies_with_parent:
            lifeline.arm(lines.reader)
        forget_inherited_exit_functions()
        hooks.apply(hooks.exported())
        code = process._enter_child()
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        # Nothing may reach the parent's frames, which the child has copies of.
        sys.excepthook(*sys.exc_info())
        flush_standard_streams()
    finally:
        os._exit(code)
