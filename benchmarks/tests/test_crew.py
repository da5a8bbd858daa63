"""A crew warms up before it works, and says when a child has failed."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from crew import Job, work_together

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked")


def test_everybody_is_warm_before_anybody_works() -> None:
    shared = mmap.mmap(-1, 4096)
    context = multiprocessing.get_context("fork")

    def job(number: int) -> Job:
        def warm_up() -> None:
            shared[number] = 1

        def work() -> None:
            assert shared[:3] == b"\1\1\1"
            shared[number + 3] = 1

        return Job(work, warm_up)

    outcome = work_together(context, [job(number) for number in range(3)])
    assert shared[3:6] == b"\1\1\1"
    assert outcome.seconds > 0
    assert outcome.processor > 0
    shared.close()


@pytest.mark.parametrize("job", [Job(lambda: os._exit(3)), Job(print, lambda: os._exit(3))])
def test_a_child_that_fails_is_an_error(job: Job) -> None:
    context = multiprocessing.get_context("fork")
    with pytest.raises(RuntimeError, match=r"exit codes|before it was warm"):
        work_together(context, [job])
    for process in multiprocessing.active_children():
        process.join()
