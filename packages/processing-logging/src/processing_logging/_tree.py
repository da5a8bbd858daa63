"""Owns what is done to loggers: which belong to a configured one, what children must know of them,
and how their records are led to one handler.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from processing_logging._names import process_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Relay(Protocol):
        """What loggers are led to: a handler that has done something to them."""

        def let_go(self) -> None: ...


__all__ = ["Level", "adopt", "below", "lead_to", "levels", "restore"]

Level = tuple[str, int, bool, list[object]]
"""Name, level, whether it is disabled, and filters of a logger."""


def below(name: str, others: Collection[str]) -> Iterator[logging.Logger]:
    """The logger of this name and all beneath it, but for those that belong to the others."""
    top = logging.getLogger(name)
    yield top
    for key, one in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(one, logging.Logger) and one is not top and _owner(key, others) == name:
            yield one


def _owner(key: str, names: Collection[str]) -> str:
    """Which of the names is nearest above a logger; the root logger is above all."""
    while key not in names:
        key, dot, _ = key.rpartition(".")
        if not dot:
            return "root"
    return key


def levels(name: str, others: Collection[str]) -> list[Level]:
    """What decides about records before they are made, of all loggers that have any of it."""
    found: list[Level] = []
    for one in below(name, others):
        filters: list[object] = [each for each in one.filters if each is not process_names]
        if one.level or one.disabled or filters:
            found.append((one.name, one.level, one.disabled, filters))
    return found


def adopt(known: list[Level]) -> None:
    """Have loggers decide as they do in another process."""
    for name, level, disabled, filters in known:
        one = logging.getLogger(name)
        one.setLevel(level)
        one.disabled = disabled
        one.filters[:] = filters  # type: ignore[assignment]  # what it had in the other process


def lead_to(handler: logging.Handler, name: str, others: Collection[str]) -> None:
    """Have all records from a logger and beneath it go to one handler, and to no other."""
    for one in below(name, others):
        one.handlers[:] = []
        one.propagate = True
    top = logging.getLogger(name)
    top.propagate = False
    top.addHandler(handler)


def restore(name: str, kind: type[Relay]) -> None:
    """Undo lead_to() as far as it concerns the logger itself."""
    top = logging.getLogger(name)
    for one in top.handlers[:]:
        if isinstance(one, kind):
            top.removeHandler(one)
            one.let_go()
    top.propagate = True
