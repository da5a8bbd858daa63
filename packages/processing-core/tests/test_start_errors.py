"""A child that cannot be started is an error in the caller, and one that dies early is seen."""

from __future__ import annotations

import functools
import gc
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest

import bad_module
import children
import processing_core
import saboteurs
from children import finished
from processing_core import Process, ProcessError, active_children
from processing_testkit import run_script, start_methods

# Under fork nothing is pickled.
PICKLING = [method for method in start_methods() if method != "fork"]


def local_function() -> Callable[[], None]:
    def inner() -> None:
        pass

    return inner


class Stateful(Process):
    """A subclass that keeps what does not pickle."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.trouble = [saboteurs.Unpicklable()]


# What is given to Process, and what the error must name.
UNPICKLABLE: dict[str, tuple[Callable[[], dict[str, Any]], list[str]]] = {
    "lambda target": (lambda: {"target": saboteurs.LAMBDA}, ["target", "lambda"]),
    "local target": (lambda: {"target": local_function()}, ["target", "inner"]),
    "bound target": (
        lambda: {"target": saboteurs.Holder(saboteurs.Unpicklable()).method},
        ["target", "inner", "Unpicklable"],
    ),
    "argument": (
        lambda: {"target": children.nothing, "args": (1, saboteurs.Unpicklable())},
        ["args[1]", "Unpicklable", "refuses to be pickled"],
    ),
    "attribute of an argument": (
        lambda: {
            "target": children.nothing,
            "args": (saboteurs.Holder(saboteurs.Holder(saboteurs.LAMBDA)),),
        },
        ["args[0].inner.inner", "lambda"],
    ),
    "deep in containers": (
        lambda: {"target": children.nothing, "kwargs": {"key": saboteurs.lock_in_a_dict()}},
        ["kwargs['key']['deep'][1]", "lock"],
    ),
    "in a partial": (
        lambda: {"target": functools.partial(children.nothing, saboteurs.Unpicklable())},
        ["target", "args[0]", "Unpicklable"],
    ),
}


@pytest.mark.parametrize("method", PICKLING)
@pytest.mark.parametrize("what", UNPICKLABLE)
def test_what_does_not_pickle_is_named_by_start(method: str, what: str) -> None:
    make, expected = UNPICKLABLE[what]
    process = Process(**make(), name="Named", context=method)
    with pytest.raises(pickle.PicklingError) as info:
        process.start()
    assert isinstance(info.value, ProcessError)
    for text in ["Named", *expected]:
        assert text in str(info.value)
    assert active_children() == []
    assert process.pid is None
    assert "initial" in repr(process)


@pytest.mark.parametrize("method", PICKLING)
def test_the_state_of_a_subclass_is_named_too(method: str) -> None:
    with pytest.raises(pickle.PicklingError, match=r"trouble\[0\]"):
        Stateful(context=method).start()


def test_a_failed_start_can_be_tried_again() -> None:
    holder = saboteurs.Holder(saboteurs.Unpicklable())
    process = Process(target=children.nothing, args=(holder,), context="spawn")
    for _ in range(2):
        with pytest.raises(pickle.PicklingError):
            process.start()
    holder.inner = None
    process.start()
    assert finished(process) == 0


def test_under_fork_nothing_needs_to_pickle(one_way: tuple[Any, Any]) -> None:
    if "fork" not in start_methods():
        pytest.skip("needs fork")
    trouble = saboteurs.Unpicklable()
    process = Process(target=lambda: one_way[1].send(type(trouble).__name__), context="fork")
    process.start()
    assert one_way[0].recv() == "Unpicklable"
    assert finished(process) == 0


@pytest.mark.parametrize("method", PICKLING)
@pytest.mark.parametrize(("how", "code"), [("raise", 1), ("exit", 33), ("kill", -9)])
def test_a_child_whose_import_fails_is_seen_to_end(
    method: str, how: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never waited for without bound: neither by start nor by join."""
    monkeypatch.setenv("PROCESSING_TEST_BAD_MODULE", how)
    process = Process(target=bad_module.target, context=method)
    process.start()
    assert finished(process) == code


@pytest.mark.parametrize("method", PICKLING)
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (saboteurs.FailsToLoad, 1),
        (saboteurs.ExitsAtLoad, 44),
        (lambda: saboteurs.KilledAtLoad(os.getpid()), -9),
    ],
)
def test_a_child_that_dies_over_its_arguments_is_seen_to_end(
    method: str, make: Callable[[], object], code: int
) -> None:
    process = Process(target=children.nothing, args=(make(),), context=method)
    process.start()
    assert finished(process) == code


def test_why_a_child_could_not_be_rebuilt_is_printed() -> None:
    result = run_script(
        """
        import sys
        import processing_core

        class Awkward:
            def __reduce__(self):
                return fail, ("cannot be rebuilt",)

        def fail(text):
            raise LookupError(text)

        if __name__ == "__main__":
            for method in processing_core.get_all_start_methods():
                if method != "fork":
                    process = processing_core.Process(target=print, args=(Awkward(),),
                                                      context=method)
                    process.start()
                    process.join()
                    print(process.exitcode)
        """
    )
    assert result.stdout == "1\n1\n"
    assert result.stderr.count("LookupError: cannot be rebuilt") == 2
    assert not result.survivors


@pytest.mark.skipif(sys.platform == "win32", reason="limits descriptors")
def test_start_without_free_descriptors_is_an_error_and_leaves_nothing(start_method: str) -> None:
    result = run_script(
        """
        import os, resource
        import processing_core
        from processing_core import Process

        if __name__ == "__main__":
            first = Process()  # whatever is made lazily is there now
            first.start()
            first.join()
            first.close()
            before = sorted(os.listdir("/proc/self/fd"))
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            held = []
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
            try:
                while True:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
            outcomes = []
            while held and outcomes[-3:] != [0, 0, 0]:
                process = Process()
                try:
                    process.start()
                except OSError as error:
                    assert not process.is_alive()
                    outcomes.append("error")
                else:
                    process.join()
                    outcomes.append(process.exitcode)
                    process.close()
                os.close(held.pop())
            for number in held:
                os.close(number)
            assert outcomes[0] == "error", outcomes
            assert outcomes[-1] == 0, outcomes
            assert set(outcomes) == {"error", 0}, outcomes
            after = sorted(os.listdir("/proc/self/fd"))
            assert after == before, (after, before)
            assert processing_core.active_children() == []
        """,
        method=start_method,
    )
    result.check()


@pytest.mark.skipif(sys.platform == "win32", reason="limits processes")
def test_start_without_a_main_guard_ends_in_an_error() -> None:
    """Instead of processes without end."""
    for method in PICKLING:
        result = run_script(
            """
            import processing_core
            process = processing_core.Process(target=print)
            process.start()
            process.join()
            print("code", process.exitcode)
            """,
            method=method,
        )
        assert result.stdout == "code 1\n", result.describe()
        assert "__main__" in result.stderr
        assert not result.survivors


def test_errors_of_start_leave_no_descriptors() -> None:
    process = Process(target=saboteurs.LAMBDA, context="spawn")
    for _ in range(50):
        with pytest.raises(pickle.PicklingError):
            process.start()
    gc.collect()
    assert processing_core.active_children() == []
