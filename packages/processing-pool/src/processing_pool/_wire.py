"""Owns what pool and workers say to each other: the messages, and the words of shared memory.

Small messages are bytes made by ``marshal``, which is several times faster than pickle for what
they consist of: numbers, and bytes that are pickles of the user's objects. Whatever is large or
carries descriptors follows its announcement as a message of its own.

Each worker shares a block of memory with the pool. There it says which task it is at, by one store
before each, and keeps a log of the results that it has not sent yet. So a worker that is killed
costs the task that it was running and nothing else, although results are sent by the hundred.
"""

from __future__ import annotations

import marshal
import struct
import sys

assert sys.platform != "win32"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    # What became of one task: a value that needs no pickle, or a kind with its data.
    Outcome: TypeAlias = Any

__all__ = [
    "ANNOUNCED",
    "BLOCK_BYTES",
    "CALLS",
    "CHUNKS",
    "CLOCK",
    "COMMIT",
    "FAILED",
    "FAILURES",
    "GRANT",
    "HALT",
    "ITEMS",
    "LEAVING",
    "LIMIT",
    "LOADING",
    "LOG_BYTES",
    "LOG_START",
    "MOST_TASKS",
    "OFFSET_BITS",
    "OFFSET_MASK",
    "PICKLED",
    "PING",
    "PLAIN",
    "READY",
    "RECORD",
    "RUN",
    "SCALARS",
    "SHORT",
    "SINGLES",
    "STARRED",
    "STARRED_CHUNKS",
    "STOP",
    "STOPPED",
    "STREAM",
    "UNLOADABLE",
    "UNREADABLE",
    "UNREADY",
    "VALUE",
    "read_log",
    "record_head",
]

# Kinds of batches: single calls; items, each an argument or a tuple of arguments; chunks of items,
# each of which is one task; a call whose values are sent one by one.
CALLS, ITEMS, STARRED, CHUNKS, STARRED_CHUNKS, STREAM = range(6)
# Of these kinds each task has a payload of its own.
SINGLES = frozenset((CALLS, STREAM))

# Instead of a kind, in a message that is no batch: the worker is to end, or to answer.
STOP, PING = range(2)

# Words of a worker's block. RUN, CLOCK and COMMIT are written by the worker, LIMIT and GRANT by
# the pool.
# RUN: the position (batch << OFFSET_BITS | offset) of the task that it has begun; LOADING as offset
# while it unpickles the batch. CLOCK: when it began, time.monotonic_ns(). COMMIT: how often the log
# was emptied (upper half) and how many of its bytes count (lower half). LIMIT: the position from
# which on the tasks of that batch are no longer the worker's; or HALT. GRANT, written by the pool's
# process: how many values of a stream may be sent.
RUN, LIMIT, COMMIT, CLOCK, GRANT = range(5)
LOG_START = 64
LOG_BYTES = 16 << 10
BLOCK_BYTES = LOG_START + LOG_BYTES
OFFSET_BITS = 24
OFFSET_MASK = LOADING = (1 << OFFSET_BITS) - 1
MOST_TASKS = 1 << 14
HALT = 1

# What an outcome is when it is a tuple (kind, data).
PICKLED, FAILED, UNLOADABLE = range(3)
FAILURES = frozenset((FAILED, UNLOADABLE))

# Flags of a worker's message: no outcome is a tuple; the worker heeds LIMIT and leaves the rest of
# the batch; a large outcome follows, or has just followed; it has started; it could not start; it
# ends by itself, because it has grown too large or too old; the batch could not be unpickled; the
# outcome is a value of a stream, and more may follow.
PLAIN, STOPPED, ANNOUNCED, READY, UNREADY, LEAVING, UNREADABLE, VALUE = (1 << n for n in range(8))

# Objects of these types can be sent as they are; texts and bytes up to this length.
SCALARS = frozenset((int, float, bool, complex, type(None)))
SHORT = 1000

# A record of the log: position, kind and length of what follows.
RECORD = struct.Struct("<QII")
_VALUE = 9  # a kind that is in the log only: the data is marshalled


def read_log(memory: bytes) -> Iterator[tuple[int, Outcome]]:
    """The position and the outcome of each record."""
    place = 0
    while place < len(memory):
        position, kind, length = RECORD.unpack_from(memory, place)
        place += RECORD.size
        data = memory[place : place + length]
        place += length
        yield position, marshal.loads(data) if kind == _VALUE else (kind, data)


def record_head(position: int, outcome: Outcome) -> tuple[bytes, bytes]:
    """What ``read_log`` shall find: the head of a record and its data."""
    if type(outcome) is tuple:
        kind, data = outcome
    else:
        kind, data = _VALUE, marshal.dumps(outcome)
    return RECORD.pack(position, kind, len(data)), data
