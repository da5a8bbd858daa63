"""Records as bytes and back, without processes."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing_logging._records import KEYS, decode, encode, encode_output


def a_record(message: Any = "text", *args: Any, **extra: Any) -> logging.LogRecord:
    logger = logging.getLogger("test")
    return logger.makeRecord(
        "test", logging.INFO, __file__, 12, message, args, None, "function", extra or None
    )


def copied(record: logging.LogRecord) -> logging.LogRecord:
    copy = decode(encode(record))
    assert isinstance(copy, logging.LogRecord)
    return copy


PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
) | st.binary()


@given(st.text(st.characters(exclude_characters="%")), st.lists(PLAIN, max_size=4))
def test_a_record_with_plain_arguments_is_the_same(text: str, args: list[Any]) -> None:
    record = a_record(text + " %r" * len(args), *args)
    copy = copied(record)
    assert copy.getMessage() == record.getMessage()
    assert {key: getattr(copy, key) for key in KEYS} == {key: getattr(record, key) for key in KEYS}


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper() + "!"


class Unpicklable:
    def __repr__(self) -> str:
        return "<unpicklable>"

    def __reduce__(self) -> Any:
        raise TypeError("no")


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("%s and %s", ([1], {2: 3})),
        ("%s", (Unpicklable(),)),
        ("%s", (bytearray(b"x"),)),
        ("%s", (memoryview(b"x").tolist(),)),
        ("%(a)s", ({"a": 5},)),
        ("%s", (Loud("loud"),)),
        (Unpicklable(), ()),
        (Loud("loud"), ()),
        (5, ()),
        ("100%", ()),
        ("a lone surrogate \ud800 and %s", ("\udfff",)),
    ],
)
def test_what_is_not_plain_is_formatted_before_it_leaves(message: Any, args: Any) -> None:
    record = a_record(message, *args)
    assert copied(record).getMessage() == record.getMessage()


def test_an_exception_becomes_text_and_the_record_stays_as_it_is() -> None:
    record = a_record()
    try:
        raise ValueError("what happened")
    except ValueError:
        record.exc_info = sys.exc_info()
    copy = copied(record)
    assert copy.exc_info is None
    assert copy.exc_text is not None
    assert "what happened" in copy.exc_text
    assert "test_an_exception_becomes_text" in copy.exc_text
    assert record.exc_info is not None
    assert record.exc_text is None
    assert logging.Formatter().format(copy).endswith("ValueError: what happened")


def test_extra_attributes_travel_or_their_text_does() -> None:
    record = a_record("text", user="somebody", numbers={1, 2}, odd=Unpicklable())
    record.message, record.asctime = "formatted", "now"
    copy = copied(record)
    values: dict[str, Any] = copy.__dict__
    assert (values["user"], values["numbers"], values["odd"]) == (
        "somebody",
        {1, 2},
        "<unpicklable>",
    )
    assert "message" not in values
    assert "asctime" not in values


def test_a_bad_format_fails_where_it_is_formatted() -> None:
    with pytest.raises(TypeError):
        encode(a_record("%s %s", [1]))
    with pytest.raises(TypeError):
        copied(a_record("%s %s", 1)).getMessage()


def test_a_record_of_another_class_arrives() -> None:
    class Own(logging.LogRecord):
        pass

    record = Own("test", logging.INFO, __file__, 1, "%d", (5,), None)
    record.mine = [1]
    del record.stack_info
    copy = copied(record)
    assert copy.getMessage() == "5"
    assert copy.__dict__["mine"] == [1]
    assert copy.stack_info is None


@given(st.sampled_from((1, 2)), st.text())
def test_output_is_the_same(stream: int, text: str) -> None:
    assert decode(encode_output(stream, text)) == (stream, text)


def made(message: str, args: tuple[object, ...], level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("a.name", level, "/a/place.py", 7, message, args, None, "function")


def arrived(record: logging.LogRecord) -> logging.LogRecord:
    found = decode(encode(record))
    assert isinstance(found, logging.LogRecord)
    return found


def test_records_of_one_place_differ_in_what_is_their_own() -> None:
    records = [made("%d of %s", (number, "many")) for number in range(3)]
    for record, found in [(each, arrived(each)) for each in records]:
        assert found.__dict__ == record.__dict__
        found.msg = found.name = "changed by a handler"
    assert arrived(records[0]).__dict__ == records[0].__dict__


def test_more_places_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processing_logging._records.PLACES", 2)
    records = [made("text", (), level) for level in (10, 20, 30, 40, 20)]
    packed = [encode(each) for each in records]
    for record, data in zip(records, packed, strict=True):
        found = decode(data)
        assert isinstance(found, logging.LogRecord)
        assert found.__dict__ == record.__dict__


def test_equal_values_of_other_types_are_not_mixed_up() -> None:
    arrived(made("text", (), 1))
    assert arrived(made("text", (), True)).levelno is True
