"""Owns the short way of a logging call in a process whose records go to another one.

Usually ``Logger._log`` makes a record, which filters and handlers may look at. Where the only
handler is the one that relays, nobody does: then what it would have had is encoded without it. What
all calls of one place in the program have in common is encoded once, from a record that ``logging``
has made. Whatever is unusual about a call, a logger or the settings of ``logging`` leads the usual
way.
"""

from __future__ import annotations

import logging
import sys
import time
from threading import current_thread, get_ident

assert sys.platform != "win32"

from processing_core import current_process
from processing_logging._names import Here, process_names
from processing_logging._records import KEYS, PLACES, are_plain, encode_at, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

__all__ = ["lengthen", "shorten"]

# What a class of loggers must not do otherwise than the one of ``logging``.
METHODS = ("_log", "callHandlers", "filter", "findCaller", "handle", "makeRecord")
# The file of the frames between a program's call and ``_log``, which LoggerAdapter adds to.
SOURCE = logging.Logger.debug.__code__.co_filename
SETTINGS = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
# Since 3.12 records have the name of the coroutine's task, which is another every time.
NAMES_TASKS = "taskName" in KEYS

_first = logging.LogRecord("", 0, "", 0, "", (), None)
# What ``relativeCreated`` counts from.
BEGIN = _first.created - _first.relativeCreated / 1000


def shorten(
    logger: logging.Logger, handler: logging.Handler, send: Callable[[bytes], bool]
) -> bool:
    """Have a logger send its records itself while they would reach only this handler.

    Whether that is possible: not for loggers of a class that does things in its own way.
    """
    kind = type(logger)
    if any(getattr(kind, name) is not getattr(logging.Logger, name) for name in METHODS):
        return False
    logger.__dict__["_log"] = _short_log(logger, handler, send)
    return True


def lengthen(logger: logging.Logger) -> None:
    """Have a logger make records again."""
    logger.__dict__.pop("_log", None)


def _short_log(
    logger: logging.Logger, handler: logging.Handler, send: Callable[[bytes], bool]
) -> Callable[..., None]:
    usual = logging.Logger._log.__get__(logger)
    places: dict[tuple[Any, ...], bytes] = {}

    def log(
        level: int,
        msg: object,
        args: Any,
        exc_info: Any = None,
        extra: Any = None,
        stack_info: bool = False,
        stacklevel: int = 1,
    ) -> None:
        """Log a message: as Logger._log does, which this stands for."""
        if (
            exc_info
            or extra is not None
            or stack_info
            or stacklevel != 1
            or type(msg) is not str
            or type(level) is not int
            or not (not args or (type(args) is tuple and are_plain(map(type, args))))
            or not _leads_only_to(handler, logger)
            or not _is_usual()
        ):
            # This frame is one more to be passed over.
            usual(level, msg, args, exc_info, extra, stack_info, stacklevel + 1)
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename == SOURCE:
            frame = frame.f_back
        if frame is not None:
            key = (
                frame.f_code,
                frame.f_lineno,
                level,
                get_ident(),
                current_thread().name,
                Here.pid,
                current_process().name,
            )
            place = places.get(key)
            if place is None:
                place = _place(logger, level, frame, key[-1])
                if len(places) >= PLACES:
                    places.clear()
                places[key] = place
            now = time.time()
            data = encode_at(place, msg, args, now, int(now % 1 * 1000) + 0.0, (now - BEGIN) * 1000)
            try:
                if send(data):
                    return
            except Exception:  # noqa: BLE001 - the usual way meets it again, and reports it
                usual(level, msg, args, stacklevel=2)
                return
        usual(level, msg, args, stacklevel=2)

    return log


def _leads_only_to(handler: logging.Handler, logger: logging.Logger) -> bool:
    """Whether what is logged reaches this handler and nobody else."""
    filters = logger.filters
    if filters and any(each is not process_names for each in filters):
        return False
    while not logger.handlers:
        above = logger.parent
        if above is None or not logger.propagate:
            return False
        logger = above
    return (
        logger.handlers == [handler]
        and not handler.level
        and (logger.parent is None or not logger.propagate)
    )


def _is_usual() -> bool:
    """Whether the program has not told ``logging`` to make other records."""
    if logging.getLogRecordFactory() is not logging.LogRecord:
        return False
    settings = logging.__dict__
    for name in SETTINGS:
        if not settings.get(name, True):
            return False
    if NAMES_TASKS:
        asyncio = sys.modules.get("asyncio")
        return asyncio is None or asyncio._get_running_loop() is None
    return True


def _place(logger: logging.Logger, level: int, frame: FrameType, process: str) -> bytes:
    """What all records of a place have in common, as bytes."""
    code = frame.f_code
    record = logger.makeRecord(
        logger.name, level, code.co_filename, frame.f_lineno, "", (), None, code.co_name
    )
    record.processName = process
    return place_of(record)
