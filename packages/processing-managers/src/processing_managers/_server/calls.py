"""Owns calls that may have to wait: how a method puts its answer off, and how it is given later.

A method that is ``served`` gets the call that it answers. It returns the answer, or parks the call
in a line of waiters and returns PENDING; whoever has what the call waits for finishes it then. So a
thousand clients that wait for a lock cost a thousand small objects and no thread. Called in the
server's own process, by a referent's method for example, the same method waits in its thread.

One lock guards the state of all such objects. It is held for a few steps at a time, never while
anything waits.
"""

from __future__ import annotations

import threading
import time
from functools import partial

from processing_core import SharingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Line: TypeAlias = "dict[Waiter, None]"

__all__ = ["PENDING", "Call", "HereCall", "NoCopies", "Waiter", "served", "state_lock"]

PENDING = object()

state_lock = threading.RLock()


class Waiter:
    """A parked call: in which line it waits, and what is done when its time is up.

    ``count`` and ``answer`` are for one who has waited for a condition and wants its lock back: how
    often it had it, and what to tell it then. ``item`` is what one waits with. ``died`` is called
    when its process has ended. ``alarm`` is what a clock has of it, which forgets it when there is
    nothing to wait for any more.
    """

    __slots__ = ("alarm", "answer", "call", "count", "died", "give_up", "item", "line")

    def __init__(self, call: Call, line: Line, give_up: Callable[[Waiter], None]) -> None:
        self.call = call
        self.line = line
        self.give_up = give_up
        self.count = 1
        self.answer: bool | None = None
        self.item: Any = None
        self.died: Callable[[], None] | None = None
        self.alarm: list[Any] | None = None
        line[self] = None
        call.waiter = self

    def leave(self) -> None:
        """Wait no longer; somebody finishes the call, or nobody has to."""
        self.line.pop(self, None)
        self.call.waiter = None
        if self.alarm is not None:
            self.alarm.clear()
            self.alarm = None

    def expire(self) -> None:
        """The time is up."""
        if self.call.waiter is self:
            self.leave()
            self.give_up(self)


class Call:
    """A call of a method that is answered once. Its methods are called with the state lock held."""

    __slots__ = ("waiter",)

    if TYPE_CHECKING:
        # Whose call it is: what holds a lock for it, and who that is within the holder.
        session: Any
        owner: object

    def __init__(self) -> None:
        self.waiter: Waiter | None = None

    def finish(self, value: object) -> None:
        """Answer with a value."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Answer with an exception."""
        raise NotImplementedError

    def park(self, line: Line, timeout: float | None, give_up: Callable[[Waiter], None]) -> object:
        """Wait in a line; returns PENDING.

        :param timeout: for how many seconds; None without limit
        :param give_up: is called with the waiter when that has passed, and finishes the call
        """
        waiter = Waiter(self, line, give_up)
        if timeout is not None:
            self.expire_at(time.monotonic() + timeout, waiter)
        return PENDING

    def expire_at(self, moment: float, waiter: Waiter) -> None:
        """See to it that the waiter expires at a moment (of time.monotonic())."""
        raise NotImplementedError


class HereCall(Call):
    """A call from a thread of the server's own process, which waits for the answer itself."""

    __slots__ = ("_answer", "_done", "_moment", "owner")

    session = None

    def __init__(self) -> None:
        super().__init__()
        self.owner: object = ("here", threading.get_ident())
        self._done = threading.Lock()
        self._done.acquire()
        self._answer: tuple[object, BaseException | None] = (None, None)
        self._moment: tuple[float, Waiter] | None = None

    def finish(self, value: object) -> None:
        self._answer = (value, None)
        self._done.release()

    def fail(self, error: BaseException) -> None:
        self._answer = (None, error)
        self._done.release()

    def expire_at(self, moment: float, waiter: Waiter) -> None:
        self._moment = (moment, waiter)

    def run(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the method, and wait if it puts its answer off."""
        with state_lock:
            value = method(self, *args, **kwargs)
        if value is not PENDING:
            return value
        try:
            while not self._done.acquire(timeout=self._seconds()):
                self._look_at_the_clock()
        except BaseException:  # a signal handler raised: nobody waits any more
            with state_lock:
                if self.waiter is not None:
                    self.waiter.leave()
            raise
        value, error = self._answer
        if error is not None:
            raise error
        return value

    def _seconds(self) -> float:
        moment = self._moment
        if moment is None or moment[1] is not self.waiter:
            return -1  # as when a condition has been notified and only wants its lock
        return min(max(0.0, moment[0] - time.monotonic()), threading.TIMEOUT_MAX)

    def _look_at_the_clock(self) -> None:
        with state_lock:
            moment = self._moment
            if moment is not None and moment[0] <= time.monotonic():
                moment[1].expire()


class served:  # noqa: N801 - a decorator
    """Makes a method that gets the call as its first argument.

    Reached through an object it is an ordinary method, which waits in its thread.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __get__(self, obj: Any, cls: type | None = None) -> Any:
        if obj is None:
            return self
        method = partial(self.function, obj)
        return lambda *args, **kwargs: HereCall().run(method, *args, **kwargs)


class NoCopies:
    """The base of what exists only in its server."""

    def __reduce__(self) -> str | tuple[object, ...]:
        raise SharingError(f"{self!r} cannot be copied; pass the proxy to it")
