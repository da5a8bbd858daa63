"""The ledger finds gaps, duplicates, disorder, and blames the killed for no more than they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from ledger import Ledger, reconcile


def ledger(put: dict[int, int], got: list[tuple[int, int, int]]) -> Ledger:
    """So many items put by each producer; got as (consumer, producer, number)."""
    made = Ledger()
    for producer, count in put.items():
        for number in range(count):
            made.put(producer, number)
    for consumer, producer, number in got:
        made.got(consumer, producer, number)
    return made


def test_all_in_order() -> None:
    found = ledger({1: 3, 2: 1}, [(7, 1, 0), (8, 1, 1), (7, 2, 0), (7, 1, 2)])
    assert found.violations(0) == []
    assert found.got_items == 4
    assert found.missing() == {}
    assert found.outstanding() == 0


@pytest.mark.parametrize(
    "got", [[(7, 1, 0), (7, 1, 2)], [(7, 1, 0), (7, 1, 1)], [(7, 1, 1), (7, 1, 2)]]
)
def test_a_gap_needs_a_killed_consumer(got: list[tuple[int, int, int]]) -> None:
    found = ledger({1: 3}, got)
    assert sum(map(len, found.missing().values())) == 1
    assert found.violations(1) == []
    (violation,) = found.violations(0)
    assert violation.startswith("1 items missing, 0 consumers killed: producer 1: ")


def test_each_killed_consumer_explains_one_item_of_any_producer() -> None:
    found = ledger({1: 10, 2: 2}, [])
    assert found.missing() == {1: list(range(10)), 2: [0, 1]}
    assert found.violations(12) == []
    (violation,) = found.violations(11)
    assert "producer 1: 0, 1, 2, 3, 4 and 5 more, producer 2: 0, 1" in violation


def test_the_last_item_of_a_killed_producer_may_come_or_not() -> None:
    assert ledger({1: 2}, [(7, 1, 0), (7, 1, 1)]).violations(0) == []
    assert ledger({1: 2}, [(7, 1, 0), (7, 1, 1), (7, 1, 2)]).violations(0) == []
    assert ledger({}, [(7, 1, 0)]).violations(0) == []


def test_no_other_item_comes_before_it_is_put() -> None:
    found = ledger({1: 1}, [(7, 1, 0), (7, 1, 1), (7, 1, 2)])
    assert found.violations(5) == ["items came that were not put: [(1, 2)]"]


def test_an_item_that_comes_twice() -> None:
    found = ledger({1: 2}, [(7, 1, 0), (7, 1, 1), (8, 1, 0)])
    assert found.violations(9) == ["1 items came twice"]


def test_order_is_that_of_one_producer_at_one_consumer() -> None:
    assert ledger({1: 2}, [(7, 1, 1), (8, 1, 0)]).violations(0) == []
    assert ledger({1: 1, 2: 1}, [(7, 2, 0), (7, 1, 0)]).violations(0) == []
    found = ledger({1: 2}, [(7, 1, 1), (7, 1, 0)])
    assert found.violations(0) == ["1 items came before an earlier one of the same producer"]


def test_damage_is_never_explained() -> None:
    found = ledger({}, [])
    found.damaged += 1
    assert found.violations(100) == ["1 items damaged"]


def test_what_is_outstanding() -> None:
    assert ledger({1: 3, 2: 3}, [(7, 1, 0)]).outstanding() == 5
    assert ledger({}, [(7, 1, 0)]).outstanding() == 0


@pytest.mark.parametrize(
    ("put", "uncertain", "got", "wrong"),
    [
        ([1, 2, 3], [], [1, 2, 3], []),
        ([1, 3], [2], [1, 2, 3], []),
        ([1, 3], [2], [1, 3], []),
        ([1, 2], [], [1], ["1 items lost: 2"]),
        ([1], [], [1, 2], ["1 items came that were not put: 2"]),
        ([1, 2], [], [1, 2, 1], ["1 items came twice: 1"]),
        ([1], [2], [1, 2, 2], ["1 items came twice: 2"]),
        ([1, 2], [], [2, 1], ["items came in another order"]),
    ],
)
def test_interrupted_puts_may_have_happened(
    put: list[int], uncertain: list[int], got: list[int], wrong: list[str]
) -> None:
    assert reconcile(put, uncertain, got) == wrong
