"""Exceptions on their way to another process, and what replaces those that cannot get there."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import failure_module
from processing_core import RemoteError, RemoteTraceback
from processing_core.lowlevel import load_failure, pack_failure


class NeedsTwoError(Exception):
    """Pickles, but what unpickles it calls the class with one argument."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first + second)


class NeverPicklesError(Exception):
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("while pickling")


class TurnsIntoAnotherError(Exception):
    def __reduce__(self) -> Any:
        return ValueError, ("another",)


class BadReprError(NeverPicklesError):
    def __repr__(self) -> str:
        raise LookupError("in repr")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - whatever the test gives
        return caught


@pytest.mark.parametrize("error", [KeyError("lost"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_arrives_with_its_traceback(error: BaseException) -> None:
    copy = load_failure(pack_failure(raised(error)), RemoteError)
    assert type(copy) is type(error)
    assert copy.args == error.args
    assert isinstance(copy.__cause__, RemoteTraceback)
    assert "raise error" in str(copy.__cause__)


def test_the_traceback_tells_of_causes_and_notes() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as first:
            raise ValueError("second") from first
    except ValueError as second:
        second.add_note("a note")
        copy = load_failure(pack_failure(second), RemoteError)
    assert "KeyError: 'first'" in str(copy.__cause__)
    assert copy.__notes__ == ["a note"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NeedsTwoError(1, 2), ["NeedsTwoError(3)", "TypeError", "second"]),
        (NeverPicklesError("x"), ["NeverPicklesError('x')", "ZeroDivisionError: while pickling"]),
        (TurnsIntoAnotherError(), ["TurnsIntoAnotherError()", "another type"]),
        (BadReprError(), ["<BadReprError, whose repr raised LookupError>"]),
    ],
)
def test_one_that_cannot_travel_is_replaced(error: BaseException, words: list[str]) -> None:
    copy = load_failure(pack_failure(raised(error)), RemoteError)
    assert type(copy) is RemoteError
    assert all(word in str(copy) for word in words)
    assert "raise error" in str(copy.__cause__)


def test_one_that_is_unknown_here_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack_failure(raised(failure_module.LocalError("here only")))
    monkeypatch.delattr(failure_module, "LocalError")
    copy = load_failure(data, RemoteError)
    assert type(copy) is RemoteError
    assert "LocalError" in str(copy)


def test_a_remote_traceback_pickles() -> None:
    copy = pickle.loads(pickle.dumps(RemoteTraceback("Traceback: ...\n")))
    assert str(copy) == "\nTraceback: ..."
