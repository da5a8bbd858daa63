"""Bad input to processes: each mistake is a documented exception, and changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import children
import processing_core
from children import finished
from conftest import Starter
from processing_core import MisuseError, Process, ProcessError, current_process, wait
from processing_core.context import BaseContext


def test_group_must_be_none() -> None:
    with pytest.raises(AssertionError, match="group") as info:
        Process("group")  # type: ignore[call-overload]
    assert isinstance(info.value, ProcessError)
    Process(None)


@pytest.mark.parametrize("target", [3, "name", [], object()])
def test_a_target_must_be_callable(target: object) -> None:
    with pytest.raises(TypeError, match="callable") as info:
        Process(target=target)  # type: ignore[call-overload]
    assert isinstance(info.value, ProcessError)


@pytest.mark.parametrize(("name", "value"), [("args", 3), ("kwargs", 3), ("kwargs", ["abc"])])
def test_arguments_must_be_a_sequence_and_a_mapping(name: str, value: object) -> None:
    with pytest.raises(TypeError) as info:
        Process(target=children.nothing, **{name: value})  # type: ignore[call-overload]
    assert isinstance(info.value, ProcessError)
    assert name in str(info.value)


def test_start_twice(start: Starter) -> None:
    process = start(children.nothing)
    with pytest.raises(AssertionError, match="started") as info:
        process.start()
    assert isinstance(info.value, ProcessError)
    assert finished(process) == 0
    with pytest.raises(MisuseError):
        process.start()


def test_before_start() -> None:
    process = Process()
    for use in (process.join, process.terminate, process.kill):
        with pytest.raises(AssertionError) as info:
            use()
        assert isinstance(info.value, ProcessError)
    with pytest.raises(ValueError, match="start"):
        process.sentinel  # noqa: B018


def test_join_itself(start: Starter, pipe: tuple[Any, Any]) -> None:
    with pytest.raises(AssertionError):
        current_process().join()
    process = start(children.join_self, pipe[1])
    error = pipe[0].recv()
    assert isinstance(error, AssertionError)
    assert isinstance(error, ProcessError)
    assert finished(process) == 0


def test_start_itself() -> None:
    with pytest.raises(AssertionError):
        current_process().start()


def test_daemon_is_set_before_start_only(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = Process()
    process.setDaemon(True)
    assert process.daemon
    assert process.isDaemon()
    process.daemon = False
    assert not process.isDaemon()
    process = start(children.say_ready_and_wait, pipe[1])
    for daemon in (True, False):
        with pytest.raises(AssertionError):
            process.daemon = daemon
        with pytest.raises(AssertionError):
            process.setDaemon(daemon)
    with pytest.raises(AssertionError):
        current_process().daemon = True
    assert pipe[0].recv() == "ready"
    pipe[0].send(None)
    assert finished(process) == 0


def test_timeouts_that_are_no_numbers(start: Starter) -> None:
    process = start(children.nothing)
    uses: list[Callable[[Any], object]] = [process.join, lambda timeout: wait([0], timeout)]
    timeouts: list[Any] = ["soon", [], "1", b"1", {}]
    for use in uses:
        with pytest.raises(ValueError, match=r"(?i)nan") as info:
            use(math.nan)
        assert isinstance(info.value, ProcessError)
        for timeout in timeouts:
            with pytest.raises(TypeError):
                use(timeout)
    assert finished(process) == 0


def test_a_start_method_that_does_not_exist(unfixed_method: None) -> None:
    for use in (
        processing_core.get_context,
        processing_core.set_start_method,
        lambda method: Process(context=method),
    ):
        with pytest.raises(ValueError, match="teleport") as info:
            use("teleport")
        assert isinstance(info.value, ProcessError)
    assert processing_core.get_start_method(allow_none=True) is None
    wrongs: list[Any] = [3, b"fork", []]
    for wrong in wrongs:
        with pytest.raises((TypeError, ValueError)) as error:
            processing_core.get_context(wrong)
        assert isinstance(error.value, ProcessError)


def test_a_context_that_is_none(context: BaseContext) -> None:
    for wrong in (3, object()):
        with pytest.raises(TypeError) as info:
            Process(context=wrong)  # type: ignore[call-overload]
        assert isinstance(info.value, ProcessError)


def test_executable_and_preload_check_their_arguments() -> None:
    with pytest.raises(TypeError):
        processing_core.set_executable(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        processing_core.set_forkserver_preload([3])  # type: ignore[list-item]


def test_the_main_process_is_not_signalled_by_its_own_methods() -> None:
    """terminate() is for children: on oneself it is a mistake, not an exit."""
    for use in (current_process().terminate, current_process().kill):
        with pytest.raises(AssertionError):
            use()


def test_the_main_process_is_not_closed() -> None:
    with pytest.raises(ValueError, match="runs"):
        current_process().close()
