"""Pieces without processes: time limits, parts of buffers, exit callbacks, hooks, blocks."""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing_core import errors
from processing_core._clock import Deadline, checked_timeout
from processing_core._connection.base import put_into, selected, target
from processing_testkit import run_script


@given(st.integers() | st.floats(allow_nan=False))
def test_a_timeout_is_never_negative(timeout: float) -> None:
    checked = checked_timeout(timeout)
    if timeout == math.inf or timeout > sys.float_info.max:
        assert checked is None
    elif timeout <= 0:
        assert checked == 0
    else:
        assert checked == float(timeout)


@pytest.mark.parametrize("wrong", ["1", b"1", [], {}, object(), 1j, "nan"])
def test_what_is_no_number_is_no_timeout(wrong: Any) -> None:
    with pytest.raises(errors.InvalidType):
        checked_timeout(wrong)
    with pytest.raises(errors.InvalidArgument):
        checked_timeout(math.nan)


@given(st.floats(min_value=0, max_value=1e12))
def test_a_deadline_never_rounds_down(seconds: float) -> None:
    deadline = Deadline(seconds)
    milliseconds = deadline.poll_milliseconds()
    left = deadline.seconds()
    assert milliseconds is not None
    assert left is not None
    assert 0 <= left <= seconds
    assert milliseconds >= min(left, 3600) * 1000 - 1
    assert milliseconds < 2**31


def test_a_deadline_that_never_comes() -> None:
    deadline = Deadline(None)
    assert deadline.seconds() is None
    assert deadline.poll_milliseconds() is None
    assert not deadline.passed
    assert Deadline(0).passed


@given(
    st.binary(max_size=50),
    st.integers(-5, 60),
    st.none() | st.integers(-5, 60),
)
def test_the_selected_part_is_the_slice_or_an_error(
    data: bytes, offset: int, size: int | None
) -> None:
    in_range = 0 <= offset <= len(data) and (size is None or 0 <= size <= len(data) - offset)
    if in_range:
        expected = data[offset:] if size is None else data[offset : offset + size]
        assert selected(data, offset, size) == expected
    else:
        with pytest.raises(ValueError, match=r"offset|size"):
            selected(data, offset, size)


@given(st.binary(max_size=20), st.integers(0, 30), st.integers(-3, 33))
def test_receiving_into_touches_only_its_place(message: bytes, room: int, offset: int) -> None:
    buffer = bytearray(b"." * room)
    if not 0 <= offset <= room:
        with pytest.raises(ValueError, match="offset"):
            target(buffer, offset)
    elif len(message) > room - offset:
        with pytest.raises(errors.BufferTooShort) as info:
            put_into(message, target(buffer, offset))
        assert info.value.args == (message,)
        assert buffer == b"." * room
    else:
        assert put_into(message, target(buffer, offset)) == len(message)
        rest = room - offset - len(message)
        assert buffer == b"." * offset + message + b"." * rest


def test_exit_callbacks_run_by_priority_and_the_youngest_first() -> None:
    result = run_script(
        """
        import processing_core
        from processing_core.lowlevel import at_exit

        def fail():
            raise LookupError("in a callback")

        if __name__ == "__main__":
            at_exit(lambda: print("last"), priority=-1)
            at_exit(lambda: print("old"))
            at_exit(fail)
            at_exit(lambda: print("young"))
            at_exit(lambda: print("first"), priority=5)
            at_exit(lambda: at_exit(lambda: print("registered late")), priority=1)
            at_exit(lambda: print("never")).cancel()
            called = at_exit(lambda: print("called"))
            called()
            called()
        """
    )
    assert result.stdout.split("\n") == [
        "called",
        "first",
        *("registered late", "young", "old", "last", ""),
    ]
    assert result.returncode == 0
    assert "LookupError: in a callback" in result.stderr


def test_an_exit_callback_runs_once_whatever_calls_it() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from processing_core.lowlevel import at_exit

    for _ in range(20):
        calls: list[int] = []
        callback = at_exit(lambda: calls.append(1))  # noqa: B023 - called in this turn
        barrier = threading.Barrier(4)

        def call() -> None:
            barrier.wait()  # noqa: B023
            callback()  # noqa: B023

        with ThreadPoolExecutor(4) as threads:
            for one in [threads.submit(call) for _ in range(4)]:
                one.result()
        assert calls == [1]


HOOKS = """
    import processing_core
    import hook_module
    from processing_core.lowlevel import on_child_start

    def tell(connection, depth):
        if depth:
            child = processing_core.Process(target=tell, args=(connection, depth - 1))
            child.start()
            child.join()
        connection.send(hook_module.applied)

    if __name__ == "__main__":
        on_child_start("test", hook_module.export, hook_module.apply)
        receiver, sender = processing_core.Pipe(duplex=False)
        process = processing_core.Process(target=tell, args=(sender, 1))
        process.start()
        process.join()
        print(receiver.recv()[-1:], receiver.recv(), hook_module.applied)
"""


def test_hooks_are_applied_in_children_of_every_start_method(start_method: str) -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parent), "PROCESSING_TEST_VARIABLE": "value"}
    result = run_script(HOOKS, method=start_method, env=environment)
    assert result.check().stdout == "['value'] ['value'] []\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no queues yet")
def test_a_hook_passes_on_what_an_argument_may_be(start_method: str) -> None:
    """A queue, and an object of a class of the main module; to grandchildren, too."""
    program = """
        import processing_core
        import hook_module
        from processing_core.lowlevel import on_child_start

        class Own:
            def __init__(self, number):
                self.number = number

        def tell(depth):
            queue, own = hook_module.passed
            queue.put((depth, own.number, type(own) is Own))
            if depth:
                child = processing_core.Process(target=tell, args=(depth - 1,))
                child.start()
                child.join()

        if __name__ == "__main__":
            hook_module.passed = processing_core.Queue(), Own(7)
            on_child_start("test", hook_module.export_passed, hook_module.apply_passed)
            process = processing_core.Process(target=tell, args=(1,))
            process.start()
            print(*(hook_module.passed[0].get() for _ in range(2)))
            process.join()
    """
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    result = run_script(program, method=start_method, env=environment)
    assert result.check().stdout == "(1, 7, True) (0, 7, True)\n"


def test_a_hook_whose_value_does_not_pickle_is_named() -> None:
    program = """
        import processing_core
        import hook_module
        from processing_core.lowlevel import on_child_start

        if __name__ == "__main__":
            hook_module.passed = lambda: None
            on_child_start("the test's", hook_module.export_passed, hook_module.apply_passed)
            process = processing_core.Process(target=int, context="spawn")
            try:
                process.start()
            except processing_core.SerializationError as error:
                print(error)
    """
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    printed = run_script(program, env=environment).check().stdout
    assert 'what the hook "the test\'s" passes on to children does not pickle' in printed
    assert "lambda" in printed


def test_registered_reducers_are_used_for_children_and_pipes() -> None:
    result = run_script(
        """
        import pickle
        import processing_core
        from processing_core.lowlevel import register_reducer

        class Awkward:
            def __init__(self, number):
                self.number = number
            def __reduce__(self):
                raise TypeError("not by itself")

        class Child(Awkward):
            pass

        def tell(connection, thing):
            connection.send(thing.number)

        if __name__ == "__main__":
            register_reducer(Awkward, lambda one: (Awkward, (one.number + 1,)))
            first, second = processing_core.Pipe()
            for method in processing_core.get_all_start_methods():
                process = processing_core.Process(target=tell, args=(second, Awkward(1)),
                                                  context=method)
                process.start()
                print(method, first.recv())
                process.join()
            first.send([Awkward(5)])
            print(second.recv()[0].number)
            for wrong in (lambda: pickle.dumps(Awkward(1)), lambda: first.send(Child(1))):
                try:
                    wrong()
                except TypeError as error:
                    print(error)
        """
    )
    lines = result.check().stdout.splitlines()
    assert sorted(lines[:-3]) == sorted(
        f"{method} {1 if method == 'fork' else 2}" for method in ("fork", "forkserver", "spawn")
    )
    assert lines[-3:] == ["6", "not by itself", "not by itself"]
