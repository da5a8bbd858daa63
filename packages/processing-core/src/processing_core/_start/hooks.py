"""Owns what other distributions have done at the start of every child.

A hook is a pair of functions: ``export()`` is called in the parent and returns a value that can be
passed to children, ``apply(value)`` is called in the child before ``run()``. ``apply`` must be
importable.
"""

from __future__ import annotations

from collections.abc import Callable

from processing_core.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["apply", "exported", "on_child_start"]

_hooks: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}


def on_child_start(name: str, export: Callable[[], Any], apply: Callable[[Any], None]) -> None:
    """Have ``apply(export())`` done in every child, whatever the start method.

    ``name`` stands for the hook: a second one of the same name replaces the first. Children pass
    the hook on to their own. The value may be whatever can be an argument of a process, queues and
    objects of the main module's classes included. It is applied when the child has its main module,
    and before the process object is rebuilt; in a forked child both functions are called there.

    :raises InvalidArgument: (a ValueError) when a function is defined in ``__main__``, which is
        another module in a child
    """
    for function in (export, apply):
        if getattr(function, "__module__", None) == "__main__":
            raise InvalidArgument(f"{function!r} must be defined in a module that can be imported")
    _hooks[name] = (export, apply)


def exported() -> list[tuple[str, Callable[[], Any], Callable[[Any], None], Any]]:
    """The hooks with their values, to be pickled."""
    return [(name, export, apply, export()) for name, (export, apply) in _hooks.items()]


def apply(hooks: list[tuple[str, Callable[[], Any], Callable[[Any], None], Any]]) -> None:
    """In the child: install the hooks and apply their values."""
    for name, export, apply_one, value in hooks:
        _hooks[name] = (export, apply_one)
        apply_one(value)
