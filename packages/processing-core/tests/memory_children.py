"""What children do with shared memory in the tests; without pytest."""

from __future__ import annotations

import gc
import sys
from typing import Any

assert sys.platform != "win32"

from processing_core.lowlevel import Block, allocate


def add_one(block: Block, connection: Any) -> None:
    block.words()[0] += 1
    connection.send(block)


def hold_what_comes(connection: Any) -> None:
    """Keep every block until something else comes, and say so."""
    held: list[Block] = []
    while True:
        item = connection.recv()
        if item is None:
            held.clear()
            connection.send("let go")
        elif item == "end":
            return
        else:
            item.words()[1] = 99
            held.append(item)
            item = None
            connection.send("held")


def allocate_for_ever(connection: Any) -> None:
    """Blocks of this process's own, some sent away, some dropped."""
    kept = []
    number = 0
    while True:
        block = allocate(64 + number % 5 * 100)
        block.words()[0] = number
        kept.append(block)
        connection.send((number, block))
        del kept[:-3]
        number += 1


def collect_in_a_cycle(connection: Any) -> None:
    """Receive a block, and have it collected together with its arena's file, in any order."""
    failures: list[str] = []
    sys.unraisablehook = lambda failure: failures.append(repr(failure.exc_value))
    for _ in range(20):
        block = connection.recv()
        cycle: list[Any] = [block, block.arena.file, block.arena]
        cycle.append(cycle)
        del cycle, block
        gc.collect()
        connection.send("collected")
    connection.send(failures)
