"""Owns the checks of the arguments that a process is made with."""

from __future__ import annotations

from processing_core._start.methods import checked_method
from processing_core.errors import InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from processing_core.abc import StartsProcesses

__all__ = ["as_dict", "as_tuple", "method_of"]


def method_of(context: str | StartsProcesses) -> str:
    if isinstance(context, str):
        return checked_method(context)
    if not hasattr(context, "get_start_method"):
        raise InvalidType(f"context must be a context or a start method's name, not {context!r}")
    return checked_method(context.get_start_method())


def as_tuple(args: Iterable[Any]) -> tuple[Any, ...]:
    try:
        return tuple(args)
    except TypeError as error:
        raise InvalidType(f"args must be a sequence of arguments, not {args!r}") from error


def as_dict(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(kwargs)
    except (TypeError, ValueError) as error:
        raise InvalidType(f"kwargs must map names to arguments, not {kwargs!r}") from error
