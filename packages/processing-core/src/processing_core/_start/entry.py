"""Owns where the interpreter of a spawned child, or of a fork server, begins."""

from __future__ import annotations

import os
import sys

from processing_core._lifecycle import flush_standard_streams
from processing_core._platform import lifeline
from processing_core._runtime import runtime
from processing_core._start.spec import enter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["main"]

# Where the open descriptors cannot be listed, those below this number are closed.
MOST_LEAKED = 1024


def main(role: str, descriptors: list[int]) -> None:
    """Run as a child in the given role; does not return."""
    if sys.platform == "win32":
        # Only here: it exists on Windows alone.
        from processing_core._start.entry_windows import spawned_on_windows

        spawned_on_windows(descriptors[0], descriptors[1], bool(descriptors[2]))
    elif role == "forkserver":
        # Only here: other children need no server, and a server begins children by run() below.
        from processing_core._start.server import serve

        close_others(descriptors)
        serve(*descriptors)
    else:
        message, line, dies_with_parent, witness, *others = descriptors
        spawned(message, line, bool(dies_with_parent), witness, others)


def spawned(
    message: int, line: int, dies_with_parent: bool, witness: int, descriptors: list[int]
) -> None:
    """Become the process described in the file ``message``; does not return.

    ``witness``, unless it is -1, is to be held until the end.
    """
    code = 1
    try:
        close_others([message, line, witness, *descriptors])
        for descriptor in (line, *descriptors):
            os.set_inheritable(descriptor, False)
        if witness >= 0:
            os.set_inheritable(runtime.private.add(witness), False)
        runtime.lifeline = line
        if dies_with_parent:
            lifeline.arm(line)
        with open(message, "rb") as file:
            file.seek(0)
            payload = file.read()
        code = run(payload, descriptors)
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        sys.excepthook(*sys.exc_info())
        flush_standard_streams()
    finally:
        os._exit(code)


def run(payload: Buffer, descriptors: list[int]) -> int:
    """Become the described process and run it; returns its exit code."""
    process = enter(payload, descriptors)
    if runtime.lifeline is not None and lifeline.given_up(runtime.lifeline):
        return 1
    return process._enter_child()


def close_others(keep: list[int]) -> None:
    """Close what leaked into this process: every descriptor above stderr but those to keep.

    Only on Linux: on macOS libraries of the system may own descriptors already, and the kernel
    kills who closes such a one.
    """
    if sys.platform == "linux":
        _close_all_but(keep)


def _close_all_but(keep: list[int]) -> None:
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        numbers = list(range(MOST_LEAKED))
    for number in numbers:
        if number > 2 and number not in keep:
            try:
                os.close(number)
            except OSError:
                continue  # the one that listed the folder, or not open
