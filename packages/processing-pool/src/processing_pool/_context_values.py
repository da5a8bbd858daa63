"""Owns how context variables of who submits a task are seen by the task."""

from __future__ import annotations

import contextvars
import importlib
import sys

from processing_core import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["InContext"]

# Where variables were found: module and name.
_homes: dict[contextvars.ContextVar[Any], tuple[str, str] | None] = {}


class InContext:
    """A function that is called with the context variables as they are now, in another process.

    Only variables that are global in a module can be found there by their name.
    """

    __slots__ = ("_function", "_values")

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._values: list[tuple[str, str, Any]] = []
        for variable, value in contextvars.copy_context().items():
            home = _find_home(variable)
            if home is not None:
                self._values.append((*home, value))

    def check(self, pack: Callable[[Any], object]) -> None:
        """:raises SerializationError: names the variable whose value cannot be pickled"""
        for module, name, value in self._values:
            try:
                pack(value)
            except Exception as error:
                raise SerializationError(
                    f"the value of the context variable {module}.{name} cannot be pickled: "
                    f"{type(error).__name__}: {error}"
                ) from error

    def __call__(self, *args: Any, **kwds: Any) -> Any:
        return contextvars.Context().run(self._call, args, kwds)

    def _call(self, args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
        for module, name, value in self._values:
            getattr(importlib.import_module(module), name).set(value)
        return self._function(*args, **kwds)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._function, self._values)


def _rebuild(function: Callable[..., Any], values: list[tuple[str, str, Any]]) -> InContext:
    made = InContext.__new__(InContext)
    made._function, made._values = function, values
    return made


def _find_home(variable: contextvars.ContextVar[Any]) -> tuple[str, str] | None:
    if variable in _homes:
        return _homes[variable]
    found = None
    for module_name, module in list(sys.modules.items()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is variable:
                found = module_name, name
                break
        if found is not None:
            break
    _homes[variable] = found
    return found
