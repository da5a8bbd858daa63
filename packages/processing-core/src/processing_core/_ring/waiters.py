"""Owns waiters: how one call waits at a channel, first looking and then asleep on the list."""

from __future__ import annotations

import sys
from time import perf_counter

assert sys.platform != "win32"

from processing_core._platform.patience import BUDGETS, look
from processing_core._ring.guards import TooLateError, soon
from processing_core._ring.layout import FOR_MESSAGES, FOR_ROOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core._platform.semlocks import SemLock
    from processing_core._ring.channel import Channel

__all__ = ["Waiter"]


class Waiter:
    """One call that waits, and its place among the sleepers.

    ``own`` is the guard of what it tries to do, ``other`` the one of those who would wake it.
    """

    __slots__ = (
        "_channel",
        "_place",
        "_start",
        "_way",
        "done",
        "other",
        "own",
        "promising",
        "semaphore",
        "which",
    )

    def __init__(self, channel: Channel, which: int) -> None:
        self._channel = channel
        self._place: int | None = None
        # How this wait began that there is still something to learn from.
        self._start = 0.0
        self._way = 0
        self.which = which
        self.semaphore: SemLock | None = None
        self.done = False
        if which == FOR_MESSAGES:
            self.own, self.other = channel._getting, channel._putting
            self.promising = channel._has_messages
        elif which == FOR_ROOM:
            self.own, self.other = channel._putting, channel._getting
            self.promising = channel._has_room
        else:
            self.own = self.other = channel._getting
            self.promising = channel._all_done

    def look(self) -> None:
        """Look for a while, if that pays: being woken takes longer."""
        if self.promising():
            return
        patience = self._channel._patience[self.which]
        start = perf_counter()
        way = patience.begin()
        if way and look(self.promising, start + BUDGETS[way]):
            if not patience.sure:
                patience.learn(way, start, found=True)
        else:
            self._start, self._way = start, way

    def begun(self, way: int, start: float) -> None:
        """Somebody has looked already, in this way and since this moment."""
        self._way, self._start = way, start

    def learn(self) -> None:
        """After the first sleep."""
        if self._start:
            self._channel._patience[self.which].learn(self._way, self._start, found=False)
            self._start = 0.0

    def register(self, limit: float | None) -> bool:
        """Go on the list, or stay there; False when there is something to do at once."""
        return self.other.run(self._register, limit)

    def _register(self) -> bool:
        if self.promising():
            return False
        sleepers = self._channel._sleepers[self.which]
        left = self._channel._left[self.which]
        while left:
            sleepers.leave(left.pop())
        if self._place is None:
            self._place = sleepers.register(self._channel._pid)
            if self._place is not None:
                self.semaphore = self._channel._semaphore(self.which, self._place, fresh=True)
        else:
            sleepers.sleep_again(self._place)
        return True

    def leave(self) -> None:
        """Give the place up."""
        if self._place is None:
            return
        try:
            self.other.run(self._leave, soon())
        except TooLateError:
            # Until somebody of this process comes by who can do it, whoever wakes this place does
            # so in vain, and the others look for themselves.
            self._channel._left[self.which].append(self._place)

    def _leave(self) -> None:
        place, self._place = self._place, None
        if (
            place is not None
            and self._channel._sleepers[self.which].leave(place)
            and not self.done
            and self.promising()
        ):
            self._channel._wake(self.which)  # what this one was woken for
