"""Owns how an exception gets from the process where it was raised to the one that shall see it."""

from __future__ import annotations

import traceback

from processing_core._cpickle import PROTOCOL, dumps, loads
from processing_core.errors import RemoteTraceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["load_failure", "pack_failure"]


def pack_failure(error: BaseException) -> bytes:
    """A pickle of an exception and its traceback, whatever the exception is made of.

    That it can be unpickled is tried here, since many exceptions can be pickled only.
    """
    text = "".join(traceback.format_exception(error))
    pickled, reason = b"", ""
    try:
        pickled = dumps(error, PROTOCOL)
        if type(loads(pickled)) is not type(error):
            pickled, reason = b"", "its pickle is of another type"
    except Exception as problem:  # noqa: BLE001 - pickling runs code of others
        pickled, reason = b"", f"{type(problem).__name__}: {problem}"
    return dumps((pickled, _show(error), text, reason), PROTOCOL)


def load_failure(data: bytes, substitute: Callable[[str], BaseException]) -> BaseException:
    """The exception that ``pack_failure`` was given, with a RemoteTraceback as its cause.

    One that cannot be pickled, or not be unpickled here, is replaced by ``substitute(message)``,
    where the message says so.
    """
    pickled, shown, text, reason = loads(data)
    error: BaseException | None = None
    if pickled:
        try:
            error = loads(pickled)
        except Exception as problem:  # noqa: BLE001 - unpickling runs code of others
            reason = f"{type(problem).__name__}: {problem}"
    if error is None:
        error = substitute(
            f"{shown}, an exception that cannot be sent to another process: {reason}"
        )
    error.__cause__ = RemoteTraceback(text)
    return error


def _show(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception as problem:  # noqa: BLE001 - this one is not what is to be told
        return f"<{type(error).__name__}, whose repr raised {type(problem).__name__}>"
