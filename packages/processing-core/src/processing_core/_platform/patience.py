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

# For how long to look (seconds) in each of the ways that are tried: not at all, for a small
# message, for one that takes a while to be made.
BUDGETS = (0.0, 30e-6, 200e-6)
# How often to look before looking at the clock, where that is the dearer of the two.
LOOKS = 40
# All ways are measured; a wait of this length (seconds) says nothing about them, and then looking
# was in vain.
LONG = 300e-6
LOOKING_IN_VAIN = 30e-6
# To wake a sleeper costs the other side a system call.
WAKING = 5e-6
# How much a new measurement counts that is above what is known, by how much at most it may be
# above, and how much one counts that is below. A single long wait says little: many things make a
# wait longer, few shorter. And a way that was unlucky when it was tried is not tried again soon.
RISE, LEAST_STEP, FALL = 0.25, 20e-6, 0.5
# A way that is worse so far is tried again after this many waits, twice as many each time.
FIRST_TRIAL, LAST_TRIAL = 8, 512


class Patience:
    """Learns from its own waits which way gives what is waited for sooner.

    For each way the cost is kept as a moving average. The cheapest is taken, and the others are
    tried by turns, ever more rarely while the choice holds. So looking is done where it pays, and
    costs next to nothing where it does not. Races between threads only blur the averages.

    :param long_looks: False where many may wait for the same one: for each a long look may pay, and
        all together only keep that one from its processor
    """

    __slots__ = ("_best", "_costs", "_interval", "_next_trial", "_until_trial", "_ways")

    def __init__(self, *, long_looks: bool = True) -> None:
        # At first the short look is taken for the best.
        self._costs = [1e-6, 0.0, 2e-6 if long_looks else float("inf")]
        self._best = 1
        self._ways = 3 if long_looks else 2
        self._interval = FIRST_TRIAL
        self._until_trial = 2
        self._next_trial = 0

    def begin(self) -> int:
        """Which way to take now; ``BUDGETS`` tells for how long to look. Then call learn."""
        if not several_cpus():
            return 0
        self._until_trial -= 1
        best = self._best
        if self._until_trial >= 0:
            return best
        self._interval = min(2 * self._interval, LAST_TRIAL)
        self._until_trial = self._interval
        self._next_trial = (self._next_trial + 1) % self._ways
        if self._next_trial == best:
            self._next_trial = (self._next_trial + 1) % self._ways
        return self._next_trial

    def learn(self, way: int, start: float, *, found: bool) -> None:
        """Tell how long the wait took that began at ``start`` (time.perf_counter()).

        ``found``: without having slept.
        """
        cost = min(perf_counter() - start, LONG)
        if not found:
            cost += LOOKING_IN_VAIN if way else WAKING
        costs = self._costs
        known = costs[way]
        if cost > known:
            costs[way] = known + RISE * min(cost - known, max(known, LEAST_STEP))
        else:
            costs[way] = known + FALL * (cost - known)
            if way == self._best:
                return  # it is so all the more
        best = 0 if costs[0] <= costs[1] else 1
        if costs[2] < costs[best]:
            best = 2
        if best != self._best:
            self._best = best
            self._interval = FIRST_TRIAL

    def acquire(self, acquire: Callable[..., bool], timeout: float | None) -> bool:
        """Acquire what others release soon, within a time (seconds, None: without limit)."""
        if acquire(False):
            return True
        start = perf_counter()
        way = self.begin()
        if way and (timeout is None or timeout > BUDGETS[way]):
            end = start + BUDGETS[way]
            while perf_counter() < end:
                for _ in range(LOOKS):
                    if acquire(False):
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
