"""Owns showing what was pickled, without running any of the code that unpickling it would run.

What has just ended a worker must not be given the chance to end this process, too.
"""

from __future__ import annotations

import io
import pickle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

__all__ = ["load_for_show"]


class _Shown:
    """Stands for an object that is not built, whatever is done to it."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """What it would have been."""

    def append(self, item: object) -> None:
        """As of a list."""

    def extend(self, items: object) -> None:
        """As of a list."""

    def add(self, item: object) -> None:
        """As of a set."""

    def __setitem__(self, key: object, value: object) -> None:
        """As of a dictionary."""

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__}>"


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return type(name, (_Shown,), {"__module__": module, "__qualname__": name})


def load_for_show(data: bytes) -> Any:
    """What was pickled, with stand-ins for all but plain values. Raises what pickle raises."""
    return _Unpickler(io.BytesIO(data)).load()
