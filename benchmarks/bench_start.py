"""Group `start`: how long it takes to start a process with nothing to do, and to join it.

The program that is measured is start_program.py, a script of the everyday kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness import HERE, Figure, Library, Measurement, at_most

RESIDENT_MIB = 500


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""
    large = f"with {RESIDENT_MIB} MiB resident"
    return [
        Measurement(
            command_for("fork", 150),
            (Figure("median", "start and join, fork", "ms", at_most(1)),),
        ),
        Measurement(
            command_for("spawn", 12),
            (Figure("median", "start and join, spawn", "ms", at_most(1)),),
        ),
        Measurement(
            command_for("forkserver", 50),
            (
                Figure("median", "start and join, forkserver", "ms", at_most(0.5)),
                Figure("first", "the first one, which starts the server", "ms"),
            ),
        ),
        Measurement(
            command_for("fork", 30, RESIDENT_MIB),
            (Figure("median", f"fork {large}", "ms"),),
            rounds=3,
        ),
        Measurement(
            command_for("spawn", 5, RESIDENT_MIB),
            (Figure("median", f"spawn {large}", "ms"),),
            rounds=3,
        ),
        Measurement(
            command_for("forkserver", 20, RESIDENT_MIB),
            (Figure("median", f"forkserver {large}", "ms"),),
            rounds=3,
        ),
    ]


def command_for(
    method: str, count: int, resident: int = 0
) -> Callable[[Library, bool], Sequence[str]]:
    """The command of the program for one start method."""

    def command(library: Library, quick: bool) -> Sequence[str]:
        starts = max(3, count // 4) if quick else count
        return [str(HERE / "start_program.py"), library, method, str(starts), str(resident)]

    return command
