"""ShareableList: its items, its errors, and the bytes that others read."""

from __future__ import annotations

import os
import pickle
import random
import string
import struct
import sys
from collections.abc import Iterator
from typing import Any, assert_type

import pytest

assert sys.platform != "win32"

from processing_core import InvalidArgument, InvalidType
from processing_core.context import BaseContext
from processing_sharedctypes._shareable_list import packed
from processing_sharedctypes.shared_memory import ShareableList, SharedMemory
from shm_children import is_there, running

ITEMS = ["howdy", b"HoWdY", -273.154, 100, None, True, 42, "x" * 8, b""]


@pytest.fixture
def items() -> Iterator[ShareableList[Any]]:
    made: ShareableList[Any] = ShareableList(ITEMS)
    yield made
    made.shm.close()
    if is_there(made.shm.name):
        made.shm.unlink()


def test_it_has_what_it_was_given(items: ShareableList[Any]) -> None:
    assert list(items) == ITEMS
    assert [type(item) for item in items] == [type(item) for item in ITEMS]
    assert len(items) == 9
    assert items[-1] == b""
    assert items.format == "8s8sdqxxxxxx?xxxxxxxx?q16s8s"
    assert repr(items) == f"ShareableList({ITEMS!r}, name={items.shm.name!r})"
    assert items.shm.size == 249


def test_its_items_have_a_type() -> None:
    numbers = ShareableList([1, 2])
    assert_type(numbers, ShareableList[int])
    assert_type(numbers[0], int)
    numbers.shm.unlink()
    mixed = ShareableList(["a", 1])
    assert_type(mixed[0], int | float | str | bytes | None)
    mixed.shm.unlink()


def test_the_bytes_are_in_order() -> None:
    image = packed(["a", 1])
    assert struct.unpack_from("4q", image) == (2, 0, 8, 16)
    assert image[32:48] == b"a" + bytes(7) + struct.pack("q", 1)
    assert image[48:] == b"8s" + bytes(6) + b"q" + bytes(7) + b"\1\0"


def test_others_find_it_by_name(items: ShareableList[Any]) -> None:
    same: ShareableList[Any] = ShareableList(name=items.shm.name)
    same[2] = 12
    same[0] = b"bye"
    same[3] = "8 bytes!"
    assert list(items)[:4] == [b"bye", b"HoWdY", 12, "8 bytes!"]
    assert items.format.startswith("8s8sq8s")
    same.shm.close()


def test_a_list_may_be_named_and_copied(items: ShareableList[Any]) -> None:
    name = f"list-{os.getpid()}"
    copy: ShareableList[Any] = ShareableList(items, name=name)
    assert copy.shm.name == name
    copy[0] = None
    assert items[0] == "howdy"
    copy.shm.close()
    copy.shm.unlink()


def test_an_empty_list() -> None:
    empty: ShareableList[int] = ShareableList()
    assert list(empty) == []
    assert (len(empty), empty.format, empty.shm.size) == (0, "", 16)
    with pytest.raises(IndexError):
        _ = empty[0]
    assert list(ShareableList(name=empty.shm.name)) == []
    empty.shm.unlink()


@pytest.mark.parametrize(("value", "left"), [("a\0", "a"), ("\0b\0", "\0b"), (b"\0" * 16, b"")])
def test_zeros_at_the_end_are_lost(value: str | bytes, left: str | bytes) -> None:
    """As in the standard library: the format has no place for a length."""
    items = ShareableList([value])
    assert items[0] == left
    items.shm.unlink()


def test_random_items_come_back() -> None:
    chance = random.Random(7)  # noqa: S311 - test data
    for _ in range(100):
        values = [one_value(chance) for _ in range(chance.randrange(12))]
        items: ShareableList[Any] = ShareableList(values)
        assert list(items) == values
        for index in range(len(values)):
            new = one_value(chance)
            try:
                items[index] = new
            except InvalidArgument:
                assert isinstance(new, (str, bytes))
            else:
                values[index] = new
        assert list(ShareableList(name=items.shm.name)) == values
        items.shm.unlink()


def one_value(chance: random.Random) -> Any:
    length = chance.choice([0, 1, 7, 8, 9, 15, 16, 100])
    return chance.choice(
        [
            None,
            chance.random() < 0.5,
            chance.randrange(-(2**63), 2**63),
            chance.gauss(0, 1e9),
            "".join(chance.choices(string.printable + "äß€\U0001f40d", k=length)),
            chance.randbytes(length).rstrip(b"\0"),
        ]
    )


def test_an_item_has_limited_room(items: ShareableList[Any]) -> None:
    items[7] = "y" * 16
    with pytest.raises(InvalidArgument, match="16 bytes; 'yyyyyyyyyyyyyyyyy' needs 17"):
        items[7] = "y" * 17
    with pytest.raises(InvalidArgument, match="item 4 has room for 8 bytes"):
        items[-5] = "€€€"
    assert items[7] == "y" * 16


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1])
def test_an_int_has_64_bits(items: ShareableList[Any], value: int) -> None:
    with pytest.raises(InvalidArgument, match=str(value)):
        items[0] = value
    with pytest.raises(InvalidArgument, match=str(value)):
        ShareableList([value])


def test_other_types_are_refused(items: ShareableList[Any]) -> None:
    with pytest.raises(InvalidType, match="complex"):
        items[0] = 1j
    with pytest.raises(InvalidType, match="list"):
        ShareableList([1, []])  # type: ignore[type-var]
    assert items[0] == "howdy"


def test_strings_that_the_format_cannot_tell_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="too many"):
        ShareableList([b"x" * 10_000_000])


@pytest.mark.parametrize("position", [9, -10, 1 << 70])
def test_positions_out_of_range(items: ShareableList[Any], position: int) -> None:
    with pytest.raises(IndexError, match=str(position)):
        _ = items[position]
    with pytest.raises(IndexError, match=str(position)):
        items[position] = 1


def test_positions_are_ints(items: ShareableList[Any]) -> None:
    with pytest.raises(InvalidType, match="slice"):
        _ = items[0:1]  # type: ignore[index]


def test_looking_for_items(items: ShareableList[Any]) -> None:
    assert items.index(42) == 6
    assert items.count(1) == 1
    assert 100 in items
    with pytest.raises(InvalidArgument, match="'nothing'"):
        items.index("nothing")


@pytest.mark.parametrize(
    "content",
    [
        b"123",
        b"\xff" * 64,
        struct.pack("3q", 1, 5, 8),
        struct.pack("3q", 1, 0, 100),
        struct.pack("q", 1000) + bytes(100),
    ],
)
def test_a_block_of_something_else_is_refused(content: bytes) -> None:
    block = SharedMemory(create=True, size=len(content))
    block.buf[:] = content
    with pytest.raises(InvalidArgument, match=block.name):
        ShareableList(name=block.name)
    block.unlink()


def test_a_damaged_item_is_an_error(items: ShareableList[Any]) -> None:
    items.shm.buf[items._formats] = ord("?")
    items.shm.buf[items._formats + 8] = ord("z")
    for index in (0, 1):
        with pytest.raises(InvalidArgument, match=f"item {index}"):
            _ = items[index]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_stands_for_the_name(items: ShareableList[Any], protocol: int) -> None:
    data = pickle.dumps(items, protocol)
    same = pickle.loads(data)
    same[3] = 101
    assert items[3] == 101
    items.shm.unlink()
    with pytest.raises(FileNotFoundError, match=items.shm.name):
        pickle.loads(data)


def change(items: ShareableList[Any]) -> None:
    items[0] = items[3]


def test_it_is_passed_to_a_child(items: ShareableList[Any], context: BaseContext) -> None:
    with running(context, change, items) as process:
        process.join()
        assert process.exitcode == 0
    assert items[0] == 100
