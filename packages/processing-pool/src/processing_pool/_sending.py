"""Owns how batches of tasks are put on a worker's queue."""

from __future__ import annotations

import marshal
import sys
import time

assert sys.platform != "win32"

from processing_core import SerializationError
from processing_core.lowlevel import put_packed
from processing_pool._functions import Whole
from processing_pool._results import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_pool._crew import Crew
    from processing_pool._functions import Functions
    from processing_pool._hearing import Ledger
    from processing_pool._process import Worker
    from processing_pool._scheduler import Batch

__all__ = ["Sender"]


class Sender:
    """Writes to workers. Only the pool's thread uses it."""

    def __init__(self, crew: Crew, functions: Functions, ledger: Ledger) -> None:
        self._scheduler = crew.scheduler
        self._functions = functions
        self._ledger = ledger

    def send(self, worker: Worker, batch: Batch) -> None:
        """Give a worker a batch. Tasks that cannot be sent have failed with that."""
        worker.heard = time.monotonic()
        worker.looked = batch.count == 1
        worker.relieved = False
        try:
            if batch.singles is not None:
                self._send_calls(worker, batch, batch.singles)
            else:
                self._send_items(worker, batch, batch.work)
        except MemoryError as error:
            if batch.count > 1:
                self._scheduler.cut_off(worker.member, batch.number, 0, alone=True)
            else:
                self._ledger.settle(worker, batch, 0, [Failure(error)])

    def _send_calls(self, worker: Worker, batch: Batch, singles: list[Any]) -> None:
        first = singles[0]
        payload = first.payload
        functions = [(first.function.data, first.function.kept)]
        if first.grants is not None:
            first.grants.lead_to(worker.words)
        if first.bulky:
            self._send_two(worker, batch, first.kind, functions, payload)
            return
        which = None
        calls = [payload]
        if len(singles) > 1:
            known = {first.function: 0}
            turns = [known.setdefault(each.function, len(known)) for each in singles]
            if len(known) > 1:
                which = turns
                functions = [(each.data, each.kept) for each in known]
            calls = [each.payload for each in singles]
        message = marshal.dumps((batch.number, first.kind, functions, which, calls))
        first.timing.size = len(message) / len(calls)
        worker.send(message)

    def _send_items(self, worker: Worker, batch: Batch, work: Any) -> None:
        functions = [(work.function.data, work.function.kept)]
        items = work.items(batch.first, batch.count)
        try:
            packed = self._functions.pack(items)
        except BaseException as error:  # noqa: BLE001 - pickling runs code of others
            if batch.count > 1:
                self._scheduler.cut_off(worker.member, batch.number, 0, alone=True)
                return
            culprit = SerializationError(
                f"the argument of {work.describe(batch.first)} cannot be pickled: "
                f"{type(error).__name__}: {error}"
            )
            culprit.__cause__ = error
            self._ledger.settle(worker, batch, 0, [Failure(culprit)])
            return
        if type(packed) is bytes:
            message = marshal.dumps((batch.number, work.kind, functions, None, packed))
            work.timing.size = len(message) / batch.count
            worker.send(message)
            return
        if batch.count > 1 and isinstance(packed, Whole):
            work.timing.size = len(packed.data) / batch.count
        elif batch.count == 1:
            work.bulky = True
        self._send_two(worker, batch, work.kind, functions, packed)

    @staticmethod
    def _send_two(
        worker: Worker, batch: Batch, kind: int, functions: list[tuple[bytes, bool]], payload: Any
    ) -> None:
        """Send a large payload as a message of its own, after the one that announces it."""
        batch.bulky = True
        worker.send(marshal.dumps((batch.number, kind, functions, None, None)))
        try:
            put_packed(worker.tasks, payload.data if type(payload) is Whole else payload)
        except BaseException:
            worker.send(None)  # it has been announced, and will not come
            raise
