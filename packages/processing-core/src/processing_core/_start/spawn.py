"""Owns the start method ``spawn`` on POSIX: the child is a new interpreter."""

from __future__ import annotations

import os

from processing_core._lifecycle import flush_standard_streams
from processing_core._platform.anonymous import anonymous_file, write_all
from processing_core._platform.children import DirectChild, open_pidfd, witness_pipe
from processing_core._runtime import runtime
from processing_core._start import spec
from processing_core._start.commandline import child_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import ChildHandle, Startable

__all__ = ["launch", "run_interpreter"]


def launch(process: Startable, dies_with_parent: bool) -> ChildHandle:
    """Start a new interpreter that becomes ``process``.

    :raises SerializationError: when the process does not pickle; nothing was started
    :raises OSError: when the interpreter cannot be started
    """
    message = spec.build(process, with_environment=False)
    flush_standard_streams()
    # All that the child reads is in the file before it starts: nobody waits for anybody.
    file = anonymous_file("child")
    held = [file]
    try:
        write_all(file, [memoryview(message.payload)], 0)
        reader, writer = runtime.private.pipe()
        held.append(reader)
        witness, witnessed = witness_pipe()
        if witnessed is not None:
            held.append(witnessed)
        command = child_command("spawn", [file, reader, dies_with_parent, *message.descriptors])
        try:
            passed = [*held, *message.descriptors]
            pid = run_interpreter(command, passed)
        except OSError:
            runtime.private.close(writer)
            if witness is not None:
                os.close(witness)
            raise
    finally:
        for descriptor in held:
            os.close(descriptor)
    return DirectChild(pid, open_pidfd(pid), writer, witness)


def run_interpreter(command: list[str], descriptors: list[int]) -> int:
    """Start a program that has these descriptors under the same numbers; returns its pid.

    posix_spawn(3) does not copy this process's memory and runs no fork hooks. Duplicating a
    descriptor onto itself is how it is told to let that one through.
    """
    return os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, number, number) for number in set(descriptors)],
    )
