"""Objects that fail on their way to another process, each in its own way."""

from __future__ import annotations

import os
import threading
from typing import Any, NoReturn

LAMBDA = lambda: None  # noqa: E731 - what matters is that it cannot be found by its name


class Unpicklable:
    """Raises when it is pickled."""

    def __reduce__(self) -> NoReturn:
        raise ValueError("refuses to be pickled")


class Holder:
    """Hides something in an attribute."""

    def __init__(self, inner: object) -> None:
        self.inner = inner

    def method(self) -> None:
        """To be a target that holds its object."""


class FailsToLoad:
    """Pickles well and raises when it is rebuilt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return fail_to_load, ()


class ExitsAtLoad:
    """Ends the process in which it is rebuilt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (44,)


class KilledAtLoad:
    """Kills the process in which it is rebuilt."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __reduce__(self) -> tuple[Any, ...]:
        return kill_unless, (self.pid,)


def fail_to_load() -> NoReturn:
    raise LookupError("cannot be rebuilt")


def kill_unless(pid: int) -> None:
    if os.getpid() != pid:
        os.kill(os.getpid(), 9)


def lock_in_a_dict() -> dict[str, list[object]]:
    return {"deep": [1, threading.Lock()]}
