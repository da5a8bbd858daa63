"""Owns how somebody waits who expects to be served soon: looking for a while, or asleep at once.

Being woken costs some sixty microseconds on an idle processor, whatever the transport. Looking
again and again saves that where the other side has a processor of its own, and where not it only
keeps the other side from running.
"""

from __future__ import annotations

from time import perf_counter

from processing_core._platform.cpus import schedulable_cpus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Patience"]

# For how long to look (seconds) in each of the ways: not at all, for a small message, for one that
# takes a while to be made.
SHORT, LONG = 30e-6, 200e-6
BUDGETS = (0.0, SHORT, LONG)
# How often to look before looking at the clock, where that is the dearer of the two.
LOOKS = 40
# What a sleep costs (seconds): the way back from it, and a system call of who ends it.
SLEEPING = 20e-6
# The way back may take so long at most. A sleep that was longer than a look by no more than this
# does not tell whether the look would have been in vain.
WAKING = 100e-6
# How much one wait counts.
WEIGHT = 1 / 32
# With such chances another success tells nothing new.
SURE = 0.98
# Where sleeps do not tell, looking is tried after this many waits, twice as many each time.
FIRST_TRIAL, LAST_TRIAL = 8, 512
# Of sleeps for a semaphore so many in a row are not measured, while looking does not pay.
UNMEASURED = 7


class Patience:
    """Learns from its own waits how likely a look is to succeed, and looks as long as that pays.

    A look in vain costs its time, and then the sleep. So with the chance ``p`` of success within a
    time ``t``, looking costs ``(1 - p) * (t + SLEEPING)``, and not looking ``SLEEPING``. The
    chances are moving averages of what was, so single long waits change little. Races between
    threads only blur them.

    :ivar sure: whether one need not tell of a wait that was found worthwhile, which takes time
    :param long_looks: False where many may wait for the same one: for each a long look may pay, and
        all together only keep that one from its processor
    """

    __slots__ = (
        "_best",
        "_interval",
        "_long",
        "_long_looks",
        "_short",
        "_unmeasured",
        "_unsure",
        "_until_trial",
        "sure",
    )

    def __init__(self, *, long_looks: bool = True) -> None:
        # At first a short look is taken for worthwhile, and a long one not quite.
        self._short, self._long = 0.7, 0.9
        self._best = 1
        self._long_looks = long_looks
        # The way that may be better than is known; 0 for none.
        self._unsure = 0
        self._interval = self._until_trial = FIRST_TRIAL
        self._unmeasured = 0
        self.sure: bool = False

    def begin(self) -> int:
        """Which way to take now; ``BUDGETS`` tells for how long to look. Then call learn."""
        if not several_cpus():
            return 0
        if self._unsure:
            self._until_trial -= 1
            if self._until_trial < 0:
                self._interval = min(2 * self._interval, LAST_TRIAL)
                self._until_trial = self._interval
                way, self._unsure = self._unsure, 0
                return way
        return self._best

    def learn(self, way: int, start: float, *, found: bool) -> None:
        """Tell how long the wait took that began at ``start`` (time.perf_counter()).

        ``found``: without having slept.
        """
        took = perf_counter() - start
        short, long = self._short, self._long
        if took <= SHORT or (found and way == 1):
            short += WEIGHT * (1 - short)
            long += WEIGHT * (1 - long)
        else:
            if way or took > SHORT + WAKING:
                short -= WEIGHT * short
            else:
                self._unsure = 1
            if took <= LONG or found:
                long += WEIGHT * (1 - long)
            elif way == 2 or took > LONG + WAKING:
                long -= WEIGHT * long
            elif self._long_looks and not self._unsure:
                self._unsure = 2
        self._short, self._long = short, long
        self.sure = short > SURE and long > SURE
        best, cost = 0, SLEEPING
        costs_short = (1 - short) * (SHORT + SLEEPING)
        if costs_short < cost:
            best, cost = 1, costs_short
        if self._long_looks and (1 - long) * (LONG + SLEEPING) < cost:
            best = 2
        if best != self._best:
            self._best = best
            self._interval = self._until_trial = FIRST_TRIAL

    def acquire(self, acquire: Callable[..., bool], timeout: float | None) -> bool:
        """Acquire what others release soon, within a time (seconds, None: without limit)."""
        if acquire(False):
            return True
        if not self._best:
            self._unmeasured -= 1
            if self._unmeasured >= 0:
                return acquire(True, timeout)
            self._unmeasured = UNMEASURED
        start = perf_counter()
        way = self.begin()
        if way and (timeout is None or timeout > BUDGETS[way]):
            end = start + BUDGETS[way]
            while perf_counter() < end:
                for _ in range(LOOKS):
                    if acquire(False):
                        if not self.sure:
                            self.learn(way, start, found=True)
                        return True
        done = acquire(True, timeout)
        self.learn(way, start, found=False)
        return done

    def wait(
        self, poll: Callable[[int | None], object], before_sleep: Callable[[], object] | None = None
    ) -> None:
        """Return when ``poll`` finds something, as that of a select.poll object does.

        It is called with 0 to look, and with None to wait.
        """
        start = perf_counter()
        way = self.begin()
        if way:
            end = start + BUDGETS[way]
            while perf_counter() < end:
                if poll(0):
                    if not self.sure:
                        self.learn(way, start, found=True)
                    return
        if before_sleep is not None:
            before_sleep()
        poll(None)
        self.learn(way, start, found=False)


def look(there: Callable[[], bool], end: float) -> bool:
    """Look until it is there or until a moment (time.perf_counter()); whether it is."""
    while not there():
        if perf_counter() >= end:
            return False
    return True


class _Cpus:
    several: bool | None = None


def several_cpus() -> bool:
    """Whether a sender can run while a receiver looks. Learnt once."""
    if _Cpus.several is None:
        _Cpus.several = schedulable_cpus() > 1
    return _Cpus.several
