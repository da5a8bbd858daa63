"""Group `import`: how long a fresh interpreter takes to import the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness import OURS, Figure, Library, Measurement, at_most, at_most_more

ROUNDS = 41
"""An import takes a few milliseconds: there is time for many."""

PROGRAM = """
import time
begin = time.perf_counter_ns()
import {modules}
end = time.perf_counter_ns()
import json, sys
print(json.dumps(dict(time=(end - begin) / 1e6, modules=len(sys.modules))))
"""


def measurements() -> list[Measurement]:
    """What the group measures, and the targets."""
    return [
        Measurement(
            command_for("processing_core", "multiprocessing.connection, multiprocessing.process"),
            (
                Figure("time", "import processing_core", "ms", at_most(1)),
                Figure("modules", "loaded then", "modules"),
            ),
            rounds=ROUNDS,
        ),
        Measurement(
            command_for("processing", "multiprocessing"),
            (
                Figure("time", "import processing", "ms", at_most_more(10)),
                Figure("modules", "loaded then", "modules"),
            ),
            rounds=ROUNDS,
        ),
    ]


def command_for(ours: str, theirs: str) -> Callable[[Library, bool], Sequence[str]]:
    """The command that imports one or the other in an isolated interpreter."""

    def command(library: Library, quick: bool) -> Sequence[str]:  # noqa: ARG001
        return ["-I", "-c", PROGRAM.format(modules=ours if library == OURS else theirs)]

    return command
