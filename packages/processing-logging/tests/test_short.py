"""The short way of a logging call: what arrives is what the usual way would have sent."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from processing_core import current_process

assert sys.platform != "win32"

from processing_logging._records import KEYS, decode
from processing_logging._source import RelayHandler

# Of the clock, and not the same twice.
MOMENTS = ("created", "msecs", "relativeCreated")


class Sent:
    """Stands for a route: keeps what is sent."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.is_open = True
        self.error: Exception | None = None

    def send(self, data: bytes) -> bool:
        if self.error is not None:
            raise self.error
        if self.is_open:
            self.data.append(data)
        return self.is_open

    def take(self) -> list[dict[str, Any]]:
        data, self.data = self.data, []
        records = [decode(each) for each in data]
        assert all(isinstance(record, logging.LogRecord) for record in records)
        return [vars(record) for record in records]


class Kept(logging.Handler):
    """Keeps records as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def logger(sent: Sent) -> Iterator[logging.Logger]:
    """A logger below one that relays; its next call goes the short way."""
    # Not known to ``logging``, or pytest would give it a handler as well.
    top = logging.Logger("short")  # noqa: LOG001 - as said
    low = logging.getLogger("short.low")
    handler = RelayHandler(sent)  # type: ignore[arg-type]  # all that it needs of a route
    top.propagate = False
    top.setLevel(logging.DEBUG)
    top.addHandler(handler)
    before, low.parent = low.parent, top
    low.warning("the first")
    sent.take()
    assert "_log" in low.__dict__
    yield low
    handler.let_go()
    assert "_log" not in low.__dict__
    low.parent = before
    low.setLevel(logging.NOTSET)


def usual(logger: logging.Logger, call: Callable[[], object]) -> dict[str, Any]:
    """The record of a call, made by ``logging``."""
    kept = Kept()
    logger.addHandler(kept)
    short = logger.__dict__.pop("_log")
    try:
        call()
    finally:
        logger.__dict__["_log"] = short
        logger.removeHandler(kept)
    (record,) = kept.records
    return {key: value for key, value in vars(record).items() if key in KEYS}


def check_alike(logger: logging.Logger, sent: Sent, call: Callable[[], object]) -> dict[str, Any]:
    """Make a call the usual way and twice the short way; returns what arrived."""
    expected = usual(logger, call)
    expected["processName"] = current_process().name
    sent.take()
    call()
    call()
    arrived = sent.take()
    assert len(arrived) == 2
    for one in arrived:
        assert list(one)[: len(expected)] == list(expected)
        for key in MOMENTS:
            assert type(one[key]) is float
        assert 0 <= one["created"] - expected["created"] < 30
        assert one["msecs"] == pytest.approx(one["created"] % 1 * 1000, abs=1.001)
        since = (one["created"] - expected["created"]) * 1000
        assert one["relativeCreated"] - expected["relativeCreated"] == pytest.approx(since, abs=1)
        assert {k: v for k, v in one.items() if k not in MOMENTS} == {
            k: v for k, v in expected.items() if k not in MOMENTS
        }
    return arrived[0]


def no_records(self: logging.Logger, *args: Any, **kwargs: Any) -> Any:
    raise AssertionError("a record was made")


@pytest.mark.parametrize(
    "args", [(), (1,), (1.5, "two", None, True, b"three"), ("x" * 100_000,)], ids=len
)
def test_a_usual_call(logger: logging.Logger, sent: Sent, args: tuple[Any, ...]) -> None:
    text = "%s" * len(args)
    arrived = check_alike(logger, sent, lambda: logger.info(text, *args))
    assert arrived["args"] == args


def test_no_record_is_made_the_second_time(
    logger: logging.Logger, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        logger.info("from here: %d", 1)
        monkeypatch.setattr(logger, "makeRecord", no_records)
    assert len(sent.take()) == 3


@pytest.mark.parametrize("name", ["debug", "info", "warning", "error", "critical"])
def test_all_levels(logger: logging.Logger, sent: Sent, name: str) -> None:
    arrived = check_alike(logger, sent, lambda: getattr(logger, name)("a message"))
    assert arrived["levelname"] == name.upper()


def test_a_level_without_a_name(logger: logging.Logger, sent: Sent) -> None:
    assert check_alike(logger, sent, lambda: logger.log(33, "a message"))["levelno"] == 33


def test_the_caller_of_an_adapter(logger: logging.Logger, sent: Sent) -> None:
    adapter = logging.LoggerAdapter(logger)
    arrived = check_alike(logger, sent, lambda: adapter.info("a message"))
    assert arrived["funcName"] == "<lambda>"


def test_another_thread(logger: logging.Logger, sent: Sent) -> None:
    def log_in_thread() -> None:
        thread = threading.Thread(target=lambda: logger.info("a message"), name="another")
        thread.start()
        thread.join()

    arrived = check_without_thread(logger, sent, log_in_thread)
    assert arrived["threadName"] == "another"
    assert arrived["thread"] != threading.get_ident()


def check_without_thread(
    logger: logging.Logger, sent: Sent, call: Callable[[], object]
) -> dict[str, Any]:
    """As check_alike; the thread is another each time."""
    expected = usual(logger, call)
    sent.take()
    call()
    (arrived,) = sent.take()
    for key in ("threadName", "lineno", "funcName", "module", "pathname", "process"):
        assert arrived[key] == expected[key]
    return arrived


def test_the_name_of_a_thread_may_change(logger: logging.Logger, sent: Sent) -> None:
    thread = threading.current_thread()
    before = thread.name
    names = []
    try:
        for name in ("one", "two"):
            thread.name = name
            logger.info("a message")
            names += [record["threadName"] for record in sent.take()]
    finally:
        thread.name = before
    assert names == ["one", "two"]


@pytest.mark.parametrize(
    ("message", "args", "options"),
    [
        ("%s", ([1, 2],), {}),
        ("%(a)s", ({"a": 1},), {}),
        (ValueError("no text"), (), {}),
        ("a message", (), {"extra": {"of_the_user": 1}}),
        ("a message", (), {"stack_info": True}),
        ("a message", (), {"exc_info": ValueError("told")}),
        ("a message", (), {"stacklevel": 2}),
    ],
)
def test_what_is_unusual_goes_the_usual_way(
    logger: logging.Logger, sent: Sent, message: Any, args: Any, options: Any
) -> None:
    def call() -> None:
        logger.error(message, *args, **options)

    expected = usual(logger, call)
    sent.take()
    call()
    (arrived,) = sent.take()
    if "stacklevel" not in options:
        assert arrived["funcName"] == "call"
        assert arrived["lineno"] == expected["lineno"]
    else:
        assert arrived["funcName"] == "test_what_is_unusual_goes_the_usual_way"
    assert arrived["levelno"] == logging.ERROR
    assert bool(arrived["exc_text"]) == ("exc_info" in options)
    assert ("in call" in (arrived["stack_info"] or "")) == ("stack_info" in options)
    assert arrived.get("of_the_user") == options.get("extra", {}).get("of_the_user")


def test_filters_see_the_record(logger: logging.Logger, sent: Sent) -> None:
    def change(record: logging.LogRecord) -> bool:
        record.msg = "changed"
        return True

    logger.addFilter(change)
    try:
        logger.info("a message")
    finally:
        logger.removeFilter(change)
    assert [record["msg"] for record in sent.take()] == ["changed"]


def test_other_handlers_get_the_record(logger: logging.Logger, sent: Sent) -> None:
    kept = Kept()
    logger.addHandler(kept)
    logger.info("for both")
    logger.removeHandler(kept)
    logger.info("for one")
    assert [record.msg for record in kept.records] == ["for both"]
    assert [record["msg"] for record in sent.take()] == ["for both", "for one"]


def test_a_logger_that_is_cut_off_sends_nothing(logger: logging.Logger, sent: Sent) -> None:
    logger.propagate = False
    kept = Kept()
    logger.addHandler(kept)
    try:
        logger.info("a message")
    finally:
        logger.propagate = True
        logger.removeHandler(kept)
    assert len(kept.records) == 1
    assert sent.take() == []


def test_the_level_of_the_handler_counts(logger: logging.Logger, sent: Sent) -> None:
    assert logger.parent is not None
    (handler,) = logger.parent.handlers
    handler.setLevel(logging.ERROR)
    logger.info("not sent")
    logger.error("sent")
    handler.setLevel(logging.NOTSET)
    assert [record["msg"] for record in sent.take()] == ["sent"]


def test_a_factory_of_records_is_asked(logger: logging.Logger, sent: Sent) -> None:
    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        record.made = "by us"
        return record

    logging.setLogRecordFactory(make)
    try:
        logger.info("a message")
    finally:
        logging.setLogRecordFactory(logging.LogRecord)
    assert [record["made"] for record in sent.take()] == ["by us"]


@pytest.mark.parametrize(
    ("setting", "key"),
    [("logThreads", "thread"), ("logProcesses", "process"), ("logMultiprocessing", "processName")],
)
def test_settings_of_logging_are_heeded(
    logger: logging.Logger, sent: Sent, monkeypatch: pytest.MonkeyPatch, setting: str, key: str
) -> None:
    values = []
    for wanted in (True, False):
        monkeypatch.setattr(logging, setting, wanted)
        logger.info("a message")
        values += [record[key] for record in sent.take()]
    assert values[0] is not None
    if key != "processName":  # which our processes always have
        assert values[1] is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="records have no taskName")
def test_tasks_of_asyncio_are_named(logger: logging.Logger, sent: Sent) -> None:
    async def log() -> None:
        logger.info("a message")

    async def both() -> None:
        await asyncio.gather(
            asyncio.create_task(log(), name="one"), asyncio.create_task(log(), name="two")
        )

    asyncio.run(both())
    logger.info("a message")
    assert [record["taskName"] for record in sent.take()] == ["one", "two", None]


def test_a_class_of_loggers_with_its_own_ways_keeps_them(sent: Sent) -> None:
    class Own(logging.Logger):
        def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802
            record = super().makeRecord(*args, **kwargs)
            record.msg = f"own {record.msg}"
            return record

    logging.setLoggerClass(Own)
    try:
        own = logging.getLogger("short.own")
    finally:
        logging.setLoggerClass(logging.Logger)
    handler = RelayHandler(sent)  # type: ignore[arg-type]  # all that it needs of a route
    own.propagate = False
    own.addHandler(handler)
    try:
        for _ in range(3):
            own.error("message")
    finally:
        own.removeHandler(handler)
    assert [record["msg"] for record in sent.take()] == ["own message"] * 3


def test_without_a_receiver_it_is_shown_as_without_handlers(
    logger: logging.Logger, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    monkeypatch.setattr(logging, "lastResort", kept)
    sent.is_open = False
    logger.warning("nobody is there")
    (record,) = kept.records
    assert record.getMessage() == "nobody is there"
    assert record.funcName == "test_without_a_receiver_it_is_shown_as_without_handlers"


def test_what_fails_is_reported_as_a_handler_does(
    logger: logging.Logger, sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    sent.error = MemoryError("no room")
    logger.warning("lost")
    assert "no room" in capsys.readouterr().err


def test_a_level_of_another_type(logger: logging.Logger, sent: Sent) -> None:
    for level in (True, 1):
        logger.setLevel(1)
        logger.log(level, "a message")
    assert [type(record["levelno"]) for record in sent.take()] == [bool, int]


def test_the_lock_of_the_handler_is_what_it_is_everywhere(logger: logging.Logger) -> None:
    assert logger.parent is not None
    (handler, *_) = logger.parent.handlers
    handler.acquire()
    handler.release()
    assert "_log" in logger.__dict__
