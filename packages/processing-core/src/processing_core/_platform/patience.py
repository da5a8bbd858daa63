"""Owns how a receiver waits for the next message: looking for a while first, or asleep at once."""

from __future__ import annotations

from time import perf_counter

from processing_core._platform.cpus import schedulable_cpus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Patience"]

# How often to look before going to sleep after all: some 30 microseconds.
LOOKS = 64
# Both ways are measured; a wait of this length (seconds) says nothing about them, and looking was
# in vain.
LONG = 300e-6
LOOKING_IN_VAIN = 30e-6
# How much a new measurement counts.
WEIGHT = 0.25
# The way that is worse so far is tried again after this many waits, twice as many each time.
FIRST_TRIAL, LAST_TRIAL = 8, 512


class Patience:
    """Learns from its own waits which way gives the message sooner.

    Two costs are kept as moving averages: of waits that began with looking and of those that did
    not. The cheaper way is taken, and the other tried ever more rarely while the choice holds. So
    it pays where sender and receiver have a processor each and messages follow each other closely,
    and costs next to nothing where they do not. Races between threads only blur the averages.
    """

    __slots__ = ("_asleep", "_interval", "_looking", "_until_trial")

    def __init__(self) -> None:
        self._looking = 0.0
        self._asleep = 1e-6
        self._interval = FIRST_TRIAL
        self._until_trial = 2

    def wait(self, poll: Callable[[int | None], list[tuple[int, int]]]) -> None:
        """Return when ``poll`` (of a select.poll object, milliseconds) finds something."""
        start = perf_counter()
        if self.begins_with_looking():
            for _ in range(LOOKS):
                if poll(0):
                    self.found(start)
                    return
            poll(None)
            self.looked_in_vain(start)
        else:
            poll(None)
            self.slept(start)

    def begins_with_looking(self) -> bool:
        """Whether the wait that begins now shall begin with looking.

        The caller says afterwards how it went: found, looked_in_vain or slept.
        """
        look = self._looking < self._asleep
        self._until_trial -= 1
        if self._until_trial < 0:
            look = not look
            self._interval = min(2 * self._interval, LAST_TRIAL)
            self._until_trial = self._interval
        return look and several_cpus()

    def found(self, start: float) -> None:
        """Looking found what was waited for since ``start`` (time.perf_counter())."""
        self._learn_looking(perf_counter() - start)

    def looked_in_vain(self, start: float) -> None:
        """Looking found nothing, and it came to sleeping after all."""
        self._learn_looking(min(perf_counter() - start, LONG) + LOOKING_IN_VAIN)

    def slept(self, start: float) -> None:
        """The wait was asleep from its beginning."""
        self._asleep += WEIGHT * (min(perf_counter() - start, LONG) - self._asleep)

    def _learn_looking(self, cost: float) -> None:
        better = self._looking < self._asleep
        self._looking += WEIGHT * (cost - self._looking)
        if better != (self._looking < self._asleep):
            self._interval = FIRST_TRIAL


class _Cpus:
    several: bool | None = None


def several_cpus() -> bool:
    """Whether a sender can run while a receiver looks. Learnt once."""
    if _Cpus.several is None:
        _Cpus.several = schedulable_cpus() > 1
    return _Cpus.several
