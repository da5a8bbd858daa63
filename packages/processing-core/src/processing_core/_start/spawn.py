"""Owns the start method ``spawn`` on POSIX: the child is a new interpreter."""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

from processing_core._lifecycle import flush_standard_streams
from processing_core._platform.anonymous import anonymous_file, write_all
from processing_core._platform.children import Lines
from processing_core._start import spec
from processing_core._start.commandline import child_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import ChildHandle, Startable

__all__ = ["launch", "run_interpreter"]

# Whether posix_spawn lets a descriptor through that is to be duplicated onto itself.
SELF_DUPLICATION = sys.platform == "linux"


def launch(process: Startable, dies_with_parent: bool) -> ChildHandle:
    """Start a new interpreter that becomes ``process``.

    :raises SerializationError: when the process does not pickle; nothing was started
    :raises OSError: when the interpreter cannot be started
    """
    with spec.fork_server_in_use() as server:
        message = spec.build(process, server=server, with_environment=False)
        flush_standard_streams()
        # All that the child reads is in the file before it starts: nobody waits for anybody.
        file = anonymous_file("child")
        try:
            write_all(file, [memoryview(message.payload)], 0)
            return _start(file, message.descriptors, dies_with_parent)
        finally:
            os.close(file)


def _start(file: int, descriptors: list[int], dies_with_parent: bool) -> ChildHandle:
    lines = Lines()
    try:
        own = [file, lines.reader, dies_with_parent, lines.witnessed]
        pid = run_interpreter(
            child_command("spawn", [*own, *descriptors]), [file, *lines.ends, *descriptors]
        )
    except BaseException:
        lines.abandon()
        raise
    return lines.handle(pid)


def run_interpreter(command: list[str], descriptors: list[int]) -> int:
    """Start a program that has these descriptors under the same numbers; returns its pid.

    posix_spawn(3) does not copy this process's memory and runs no fork hooks. POSIX has it let a
    descriptor through that is duplicated onto itself, which glibc and musl follow. Where that is
    not certain, a copy of each is duplicated onto the number; the copies end with the exec.
    """
    sources = {number: number for number in descriptors}
    copies: list[int] = []
    try:
        if not SELF_DUPLICATION:
            for number in sources:
                copies.append(os.dup(number))
                sources[number] = copies[-1]
        # All copies exist before the first duplication, so no number is both copy and target.
        return os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, source, to) for to, source in sources.items()],
        )
    finally:
        for copy in copies:
            os.close(copy)
