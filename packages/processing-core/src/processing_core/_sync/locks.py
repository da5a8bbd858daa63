"""Owns locks and semaphores: ``Lock``, ``RLock``, ``Semaphore``, ``BoundedSemaphore``."""

from __future__ import annotations

import operator
import sys

from processing_core._platform.semlocks import RECURSIVE, SEM_VALUE_MAX, SEMAPHORE
from processing_core._sync.shells import Shell, fit, owner_of
from processing_core.errors import InvalidArgument, InvalidType

if sys.platform == "win32":
    from processing_core._sync.windows import new_robust, new_semaphore
else:
    from processing_core._sync.robust import new_robust
    from processing_core._sync.semaphores import new_semaphore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import StartsProcesses

__all__ = ["BoundedSemaphore", "Lock", "RLock", "Semaphore"]


class Lock(Shell):
    """A lock that one holds at a time, and that anyone may release: any thread of any process.

    :param robust: whether others get the lock when a thread or process dies while it holds it
    :param ctx: ignored; a lock works with every start method

    :raises MemoryError: when there is no room for it

    ``release`` of a lock that nobody holds raises ValueError. Waiting takes the types of errors
    from the standard library: OSError for a timeout that is not finite, TypeError for one that is
    not a number.

    A robust lock belongs to the thread that has acquired it: ``release`` by another raises
    MisuseError (an AssertionError), and so does an ``acquire`` that would wait for its own thread.
    Who gets it after its holder has died gets an OwnerDiedWarning as well. Where warnings are
    errors, that is raised and the lock is free. A signal handler that raises leaves no lock taken
    by a ``with`` block, robust or not: they are released in C, where no handler runs (without
    ctypes, robust ones in Python).
    """

    __slots__ = ()

    def __init__(self, *, robust: bool = False, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        fit(self, new_robust(SEMAPHORE) if robust else new_semaphore(SEMAPHORE, 1, 1))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(owner={owner_of(self._semlock)[0]})>"


class RLock(Shell):
    """A lock that one thread of one process holds at a time, and that this thread may acquire
    again; it is free when it was released as often.

    :param robust: whether others get the lock when a thread or process dies while it holds it
    :param ctx: ignored; a lock works with every start method

    :raises MemoryError: when there is no room for it

    ``release`` by a thread that does not hold it raises AssertionError. For the rest, see Lock.
    """

    __slots__ = ()

    def __init__(self, *, robust: bool = False, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        fit(self, new_robust(RECURSIVE) if robust else new_semaphore(RECURSIVE, 1, 1))

    def __repr__(self) -> str:
        owner, count = owner_of(self._semlock)
        return f"<{type(self).__name__}({owner}, {count})>"


class Semaphore(Shell):
    """A number that ``acquire`` counts down, once it is above zero, and ``release`` counts up.

    :param value: what it begins with
    :param ctx: ignored; a semaphore works with every start method

    :raises InvalidType: (a TypeError) when ``value`` is not a whole number
    :raises InvalidArgument: (a ValueError) when it is negative or too large
    :raises MemoryError: when there is no room for it

    For errors while waiting, see Lock.
    """

    __slots__ = ()

    def __init__(self, value: int = 1, *, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        fit(self, new_semaphore(SEMAPHORE, _checked(value), SEM_VALUE_MAX))

    def get_value(self) -> int:
        """The value at this moment."""
        return self._semlock._get_value()

    getValue = get_value

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self._semlock._get_value()})>"


class BoundedSemaphore(Semaphore):
    """A Semaphore that never has more than it began with: ``release`` then raises ValueError."""

    __slots__ = ()

    def __init__(self, value: int = 1, *, ctx: StartsProcesses | None = None) -> None:  # noqa: ARG002
        value = _checked(value)
        fit(self, new_semaphore(SEMAPHORE, value, value))

    def __repr__(self) -> str:
        semlock = self._semlock
        value, maxvalue = semlock._get_value(), semlock.maxvalue
        return f"<{type(self).__name__}(value={value}, maxvalue={maxvalue})>"


def _checked(value: int) -> int:
    try:
        value = operator.index(value)
    except TypeError:
        raise InvalidType(f"value must be a whole number, not {value!r}") from None
    if not 0 <= value <= SEM_VALUE_MAX:
        raise InvalidArgument(f"value must be between 0 and {SEM_VALUE_MAX}, not {value}")
    return value
