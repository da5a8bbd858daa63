"""What type checkers must see of synchronization; mypy reads it, and it also runs.

A line with `type: ignore` is one on which mypy must find that error.
"""

from __future__ import annotations

import sys
from typing import assert_type

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

from processing_core import get_context
from processing_core.synchronize import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Lock,
    RLock,
    Semaphore,
)


def test_locks() -> None:
    for lock in (RLock(), RLock(robust=True, ctx=get_context("fork"))):
        assert_type(lock.acquire(), bool)
        assert_type(lock.acquire(False, timeout=0.0), bool)
        lock.release()
        lock.release()
        with lock as entered:
            assert_type(entered, bool)
    plain = Lock(robust=True)
    assert_type(plain.acquire(block=False, timeout=None), bool)
    plain.release()
    with pytest.raises(TypeError):
        Lock(True)  # type: ignore[call-arg]


def test_semaphores() -> None:
    semaphore = Semaphore(2)
    assert_type(semaphore.get_value(), int)
    assert_type(BoundedSemaphore().acquire(), bool)
    with semaphore as entered:
        assert_type(entered, bool)
    with pytest.raises(TypeError):
        Semaphore("2")  # type: ignore[arg-type]


def test_conditions() -> None:
    condition = Condition()
    with condition:
        assert_type(condition.wait(0), bool)
        assert_type(condition.wait_for(lambda: 3), int)
        assert_type(condition.wait_for(lambda: "x", timeout=1.0), str)
        condition.notify(n=2)
        condition.notify_all()
    Condition(lock=Lock())
    Condition(RLock(robust=True))


def test_events_and_barriers() -> None:
    event = Event()
    assert_type(event.is_set(), bool)
    assert_type(event.wait(timeout=0), bool)
    barrier = Barrier(1, action=None, timeout=2)
    assert_type(barrier.wait(), int)
    assert_type(barrier.n_waiting, int)
    assert_type(barrier.broken, bool)
    assert_type(barrier.parties, int)
