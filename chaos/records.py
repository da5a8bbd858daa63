"""Owns what participants tell the supervisor: records of one fixed size through a pipe each.

A record is written by a single write of less than PIPE_BUF bytes, which the kernel does as a whole
or not at all. So what a killed participant has said is known exactly.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import faulthandler
import os
import signal
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

__all__ = ["Inbox", "Kind", "Post", "Record", "Reporter"]

_FORMAT = struct.Struct("<IIQ")
_CHUNK = 4096 * _FORMAT.size

Record = tuple[int, int, int]
"""Kind, and two numbers whose meaning depends on it."""


class Kind(IntEnum):
    """What a record says."""

    HELLO = 1
    """It runs and can be told to stop."""

    PUT = 2
    """It has put an item: producer and sequence number."""

    GOT = 3
    """It has got an undamaged item: producer and sequence number."""

    DAMAGED = 4
    """It has got an item that nobody has put: producer and sequence number as far as known."""

    DID = 5
    """It has done what it does once more: how often it was told of a dead owner."""

    WRONG = 6
    """It has seen what must not be: the number of a `Wrong`."""

    BYE = 7
    """It has seen that all is over and ends."""


@dataclass(frozen=True)
class Post:
    """What every participant is given."""

    connection: Any
    """Where its records go."""

    dump: str
    """The file for its stacks, if it hangs."""

    number: int
    """Which nobody else has."""

    @property
    def errors(self) -> str:
        """The file that its standard error goes to."""
        return f"{self.dump}.err"


class Reporter:
    """The participant's side. Makes the process debuggable and deaf to Ctrl-C, too, and sends its
    standard error to a file, which is to stay empty.
    """

    def __init__(self, post: Post) -> None:
        self._connection = post.connection  # closes the descriptor when it is collected
        self._descriptor: int = post.connection.fileno()
        os.set_blocking(self._descriptor, True)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Open for as long as the process lives.
        self._dump = open(post.dump, "ab", buffering=0)  # noqa: PTH123, SIM115
        faulthandler.register(signal.SIGUSR1, self._dump, all_threads=True)
        errors = os.open(post.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(errors, 2)
        os.close(errors)
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - as above

    def tell(self, kind: Kind, first: int = 0, second: int = 0) -> None:
        """Write a record, waiting while the supervisor is behind."""
        os.write(self._descriptor, _FORMAT.pack(kind, first, second))


class Inbox:
    """The supervisor's side of one participant's pipe."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._rest = b""
        self.ended = False

    def fileno(self) -> int:
        """For selectors."""
        return int(self._connection.fileno())

    def read(self) -> Iterator[Record]:
        """What is there now, after waiting for something to be there."""
        data = os.read(self.fileno(), _CHUNK)
        if not data:
            self.ended = True
        data = self._rest + data
        whole = len(data) - len(data) % _FORMAT.size
        self._rest = data[whole:]
        return _FORMAT.iter_unpack(data[:whole])

    def close(self) -> None:
        """Nothing more will be read."""
        self._connection.close()
