"""Owns which start methods there are and which one this process uses."""

from __future__ import annotations

import os
import sys

from processing_core._runtime import runtime
from processing_core.errors import InvalidArgument, MethodFixedError

__all__ = ["available_methods", "checked_method", "current_method", "fix_method"]

if sys.platform == "win32":
    _METHODS = ("spawn",)
elif sys.platform == "linux":
    _METHODS = ("fork", "spawn", "forkserver")
else:
    # A fork is not safe where system libraries start threads of their own (macOS).
    _METHODS = ("spawn", "fork", "forkserver")

ENVIRONMENT_VARIABLE = "PROCESSING_START_METHOD"


def available_methods() -> list[str]:
    """The start methods of this platform, the default first."""
    return list(_METHODS)


def checked_method(method: str, *, origin: str = "start method") -> str:
    """:raises InvalidArgument: (a ValueError) when the platform has no such method"""
    if method not in available_methods():
        raise InvalidArgument(
            f"{origin} {method!r} does not exist here; there are {', '.join(available_methods())}"
        )
    return method


def current_method() -> str:
    """The start method in use; the environment variable or the platform decides at first use."""
    if runtime.start_method is None:
        wish = os.environ.get(ENVIRONMENT_VARIABLE)
        runtime.start_method = (
            checked_method(wish, origin=f"{ENVIRONMENT_VARIABLE}: start method")
            if wish
            else available_methods()[0]
        )
    return runtime.start_method


def fix_method(method: str | None, *, force: bool) -> None:
    """Choose the start method of this process, once unless ``force``; None to choose anew.

    :raises MethodFixedError: when it was chosen before
    :raises InvalidArgument: when there is no such method
    """
    if runtime.start_method is not None and not force:
        raise MethodFixedError(f"the start method is {runtime.start_method!r} already")
    if method is None and not force:
        raise InvalidArgument("start method None needs force=True")
    runtime.start_method = None if method is None else checked_method(method)
