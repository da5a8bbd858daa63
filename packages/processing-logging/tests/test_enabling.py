"""Enabling in one process: levels, handlers, formats, errors, and undoing it."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

import processing_core
import processing_logging
from conftest import Kept
from processing_logging import (
    SUBDEBUG,
    SUBWARNING,
    disable_logging,
    enable_logging,
    get_logger,
    getLogger,
    log_to_stderr,
)


def test_the_documented_call_prints_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert getLogger() is None
    processing_logging.enableLogging(level=logging.INFO)
    logger = getLogger()
    assert logger is get_logger() is logging.getLogger("processing")
    logger.warning("doomed")
    logger.debug("not shown")
    assert capsys.readouterr().err == "[WARNING/MainProcess] doomed\n"


def test_the_root_does_not_print_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [logging.StreamHandler()])
    enable_logging(logging.INFO)
    get_logger().info("once")
    assert capsys.readouterr().err == "[INFO/MainProcess] once\n"


def test_a_handler_type_replaces_what_was_there() -> None:
    first, second = io.StringIO(), io.StringIO()
    enable_logging("INFO", logging.StreamHandler, (first,), "%(message)s!")
    get_logger().info("one")
    enable_logging("INFO", logging.StreamHandler, [second])
    get_logger().info("two")
    assert first.getvalue() == "one!\n"
    assert second.getvalue() == "[INFO/MainProcess] two\n"


def test_without_a_handler_type_the_handlers_stay() -> None:
    stream = io.StringIO()
    enable_logging("INFO", logging.StreamHandler, (stream,))
    enable_logging("DEBUG", format="%(levelname)s %(message)s")
    get_logger().debug("one")
    assert stream.getvalue() == "DEBUG one\n"
    assert len(get_logger().handlers) == 1


def test_a_handler_that_has_a_format_keeps_it() -> None:
    stream = io.StringIO()

    def make() -> logging.Handler:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("own: %(message)s"))
        return handler

    enable_logging("INFO", make)
    get_logger().info("text")
    assert stream.getvalue() == "own: text\n"


def test_the_levels_between_have_names() -> None:
    stream = io.StringIO()
    enable_logging("SUBDEBUG", logging.StreamHandler, (stream,), "%(levelname)s")
    get_logger().log(SUBDEBUG, "")
    get_logger().log(SUBWARNING, "")
    get_logger().log(SUBDEBUG - 1, "")
    assert stream.getvalue() == "SUBDEBUG\nSUBWARNING\n"
    assert (SUBDEBUG, SUBWARNING) == (5, 25)


def test_get_logger_is_there_before_anything_is_enabled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert getLogger() is None
    get_logger().handlers[:] = []
    get_logger().warning("nobody asked for it")
    assert capsys.readouterr().err == ""


def test_log_to_stderr_adds_one_handler(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    enable_logging("INFO", logging.StreamHandler, (stream,), "%(message)s")
    assert log_to_stderr() is get_logger()
    log_to_stderr("DEBUG").debug("text")
    assert stream.getvalue() == "text\n"
    assert capsys.readouterr().err == "[DEBUG/MainProcess] text\n"
    assert getLogger() is get_logger()


def test_a_logger_of_the_program(kept: Kept) -> None:
    enable_logging("INFO", logger="app")
    assert getLogger() is None
    logging.getLogger("app").info("text")
    logging.getLogger("app").debug("not shown")
    assert kept.messages == ["text"]
    assert logging.StreamHandler not in map(type, logging.getLogger("app").handlers)
    enable_logging("DEBUG", logger=logging.getLogger("app"))
    logging.getLogger("app.part").debug("shown")
    assert kept.messages == ["text", "shown"]


def test_disabling_undoes_it(kept: Kept) -> None:
    logger = logging.getLogger("app")
    logger.setLevel(logging.ERROR)
    enable_logging("INFO", logger="app")
    enable_logging("INFO")
    disable_logging()
    assert (logger.level, logger.filters) == (logging.ERROR, [])
    assert kept in logger.handlers
    assert not kept.filters
    library = logging.getLogger("processing")
    assert (library.level, library.handlers, library.propagate) == (0, [], True)
    assert getLogger() is None
    disable_logging()


class Odd:
    pass


@pytest.mark.parametrize(
    ("error", "text", "arguments"),
    [
        (ValueError, "'LOUD'", {"level": "LOUD"}),
        (TypeError, "None", {"level": None}),
        (TypeError, "5", {"level": 10, "HandlerType": 5}),
        (TypeError, "logging.Handler", {"level": 10, "HandlerType": Odd}),
        (TypeError, "7", {"level": 10, "format": 7}),
        (TypeError, "1.5", {"level": 10, "logger": 1.5}),
        (OSError, "nowhere", {"level": 10, "HandlerType": logging.FileHandler,
                              "handlerArgs": ("/nowhere/file",)}),
    ],
)  # fmt: skip
def test_errors_name_the_value_and_change_nothing(
    error: type[Exception], text: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(error, match=text) as caught:
        enable_logging(**arguments)
    assert error is OSError or isinstance(caught.value, processing_core.ProcessError)
    assert getLogger() is None
    assert logging.getLogger("processing").level == 0


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is relayed there yet")
def test_a_call_below_the_level_is_a_plain_one() -> None:
    """Nothing of ours is between the caller and logging's own check."""
    enable_logging("INFO", relay=True)
    assert type(getLogger()) is logging.Logger
    assert not get_logger().isEnabledFor(logging.DEBUG)


def test_a_file_handler_of_an_earlier_call_is_closed(tmp_path: Path) -> None:
    enable_logging("INFO", logging.FileHandler, (tmp_path / "one",))
    (first,) = get_logger().handlers
    assert isinstance(first, logging.FileHandler)
    enable_logging("INFO", logging.FileHandler, (tmp_path / "two",))
    assert first.stream is None
