"""Owns streams: tasks that are generators, whose values come one by one."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from processing_pool import _wire as wire
from processing_pool._buffer import Buffer
from processing_pool._results import Failure, open_outcome
from processing_pool._scheduler import Timing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from processing_pool._abc import Engine
    from processing_pool._functions import Function
    from processing_pool._options import Options

__all__ = ["Stream"]

BUFFER_VALUES = 1000
ENOUGH = 1 << 60


class Stream(Buffer):
    """The work of one stream: a task that sends values, as many as it is granted."""

    # It is its own span: one task that waits. What it has sent cannot be had again, so it is never
    # tried again.
    first, count, attempts, alone, single, retries = 0, 1, 0, True, True, 0
    kind = wire.STREAM

    def __init__(
        self,
        engine: Engine,
        function: Function,
        payload: Any,
        options: Options,
        buffersize: int | None,
    ) -> None:
        super().__init__(engine)
        self.function = function
        self.payload = payload
        self.timeout = options.timeout
        # Of its own and never learnt, so that nothing is sent to wait behind it.
        self.timing = Timing()
        self.most = BUFFER_VALUES if buffersize is None else buffersize
        self.granted = self.most
        self._words: Any = None
        self._added = 0
        self._reported = 0
        self._ended = False

    is_taking = False
    """It is submitted as a whole."""

    def take_all(self, *, endless: bool) -> None:
        """The pool is waited for, so no consumer can be: it may send what it has, or is ended."""
        if endless:
            self._go_on(ENOUGH)
        else:
            self.abandon()

    # For the scheduler and the engine

    @property
    def work(self) -> Stream:
        return self

    @property
    def grants(self) -> Stream:
        return self

    @property
    def bulky(self) -> bool:
        return type(self.payload) is not tuple and type(self.payload) is not bytes

    def lead_to(self, words: Any) -> None:
        """From now on grant by these words, the block of the worker that runs it."""
        with self._lock:
            self._words = words
            words[wire.GRANT] = self.granted

    def describe(self, index: int = 0) -> str:
        """The task in words, cut to size."""
        del index
        return self.function.describe_call(self.payload)

    def add(self, outcome: Any) -> None:
        """A value has come."""
        self.add_value(open_outcome(outcome, self.describe) if type(outcome) is tuple else outcome)

    def add_value(self, value: Any) -> None:
        """A value has come."""
        with self._lock:
            if self.over or self._ended:
                return
            self._values.append(value)
            self._added += 1
        self._notify()

    def accept(self, index: int, outcomes: Sequence[Any], *, plain: bool) -> None:
        """Its end."""
        value = outcomes[0]
        if not plain and type(value) is tuple:
            value = open_outcome(value, self.describe)
        self.settle(index, value)

    def settle(self, index: int, value: Any) -> None:
        """Its end, which may be a Failure."""
        del index
        with self._lock:
            if self._ended:
                return
            if type(value) is Failure:
                self._error = value.error
            self._ended = True
            self._words = None
            self.payload = ()
        self._notify()

    def break_off(self, error: BaseException) -> None:
        """No more values will come, because of the error."""
        self.settle(0, Failure(error))

    # For the consumer

    def _is_at_end(self) -> bool:
        return self._ended

    def _go_on(self, values: int | None) -> None:
        with self._lock:
            if values is None:
                values = self._added - len(self._values) - self._reported
            self._reported += values
            self.granted += values
            if self._words is not None:
                self._words[wire.GRANT] = self.granted
