"""The programs of the group `managers` run with both libraries. Nothing here judges a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import bench_managers
import harness

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the managers are forked"),
    # The standard library's resource tracker ends a moment after its program.
    pytest.mark.orphans,
]

LIBRARIES: list[harness.Library] = ["processing_core", "multiprocessing"]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", bench_managers.PROGRAMS)
def test_a_program_prints_the_figures_that_the_group_shows(
    name: str, library: harness.Library
) -> None:
    (measurement,) = (
        one for one in bench_managers.measurements() if name in one.command(library, True)
    )
    command = [*measurement.command(library, True)[:-1], "0.01"]
    figures = harness.run_program(command)
    assert all(figures[figure.key] > 0 for figure in measurement.figures)
