"""Owns what is enabled in this process, and what its children are told of it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from processing_core import InvalidArgument, InvalidType
from processing_core.lowlevel import on_child_start, on_fork_in_child
from processing_logging._levels import DEFAULT_FORMAT, LOGGER_NAME, name_levels
from processing_logging._names import Here, process_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    if sys.platform != "win32":
        from processing_logging._relaying import Passed, Relaying
    else:
        Passed: TypeAlias = Any
        Relaying: TypeAlias = Any

__all__ = [
    "disableLogging",
    "disable_logging",
    "enableLogging",
    "enable_logging",
    "flushLogging",
    "flush_logging",
    "getLogger",
    "get_logger",
    "log_to_stderr",
]

HOOK = "processing_logging"
STREAMS = ("stdout", "stderr")


@dataclass(frozen=True)
class StreamOfProcess:
    """Stands for sys.stdout or sys.stderr on the way to a child, which has its own."""

    name: str


@dataclass(frozen=True)
class Settings:
    """How a logger was enabled."""

    level: int
    handler_type: Callable[..., logging.Handler] | None = None
    handler_args: tuple[Any, ...] = ()
    format: str | None = None
    to_stderr: bool = False
    """Whether log_to_stderr() has added a handler to the others."""

    def make_handler(self) -> logging.Handler | None:
        """The handler that is asked for."""
        if self.handler_type is None:
            return None
        handler = self.handler_type(*self.handler_args)
        if not isinstance(handler, logging.Handler):
            raise InvalidType(f"HandlerType must make a logging.Handler, not {handler!r}")
        return handler

    def __reduce__(self) -> tuple[Any, ...]:
        args = [_named_stream(one) for one in self.handler_args]
        rest = self.format, self.to_stderr
        return _settings, (self.level, self.handler_type, args, *rest)


def _named_stream(value: object) -> object:
    for name in STREAMS:
        if value is not None and value is getattr(sys, name):
            return StreamOfProcess(name)
    return value


def _settings(level: int, handler_type: Any, args: list[Any], *rest: Any) -> Settings:
    own = [getattr(sys, one.name) if isinstance(one, StreamOfProcess) else one for one in args]
    return Settings(level, handler_type, tuple(own), *rest)


@dataclass
class Inheritance:
    """What a child is told."""

    settings: dict[str, Settings]
    passed: Passed | None
    disabled_up_to: int


@dataclass
class State:
    """What is enabled in this process."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    settings: dict[str, Settings] = field(default_factory=dict)
    made: dict[str, list[logging.Handler]] = field(default_factory=dict)
    """The handlers that were made here."""

    before: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """The level that a logger had before, and whether it propagated."""

    relaying: Relaying | None = None
    exported: int = 0
    hooked: bool = False


_state = State()


def enable_logging(
    level: int | str,
    HandlerType: Callable[..., logging.Handler] | None = None,  # noqa: N803
    handlerArgs: Iterable[Any] = (),  # noqa: N803
    format: str | None = None,  # noqa: A002
    *,
    relay: bool = False,
    captureOutput: bool = False,  # noqa: N803
    capture_output: bool = False,
    logger: str | logging.Logger = LOGGER_NAME,
) -> None:
    """Have a logger log, in this process and in all that it starts from now on.

    :param level: the least level that is logged, a number or a name
    :param HandlerType: ``HandlerType(*handlerArgs)`` makes the handler, which replaces all that the
        logger has; when it is None and the logger has none, one is made that prints to stderr
    :param handlerArgs: its arguments; they are pickled for children that are not forked
    :param format: of the handler, ``[%(levelname)s/%(processName)s] %(message)s`` if not given
    :param relay: whether the records of children, and of their children, are handled by the
        handlers of this process; otherwise every process has handlers of its own
    :param captureOutput: whether this process writes what its children write to stdout and stderr;
        ``capture_output`` is the same. What is written to the descriptors themselves, by
        other programs for example, comes too, but a line that is written in several pieces
        may then have those of others in between
    :param logger: which one, or its name: the library's own, ``"root"`` for all that propagate to
        the root, or one of the program's

    :raises InvalidArgument: (a ValueError) when there is no level of that name
    :raises InvalidType: (a TypeError) when an argument is of a wrong type, or HandlerType makes
        what is no handler
    :raises NotImplementedError: on Windows, for ``relay`` and ``captureOutput``
    :raises OSError: when there are no descriptors left for relaying

    Whatever HandlerType raises is raised here, and nothing has changed. Safe from several threads.

    With ``relay``, levels, whether loggers are disabled, and filters of loggers are those of this
    process at the moment when the child is started, and are asked in the child, where the logging
    call is. Filters must then be picklable, except with the start method fork. A record reaches
    the handlers as if it were logged here, with the name and number of the process that made it.
    The records of one process keep their order. What a logging call has returned from arrives, even
    if its process is killed at once; only what a signal handler logs in the very moment when its
    thread is sending a record is sent after that one. A call waits while 20,000 records are
    waiting, and no longer when the receiving process has ended. The
    records that arrive are handled by a thread of this process, the last ones when it ends.
    """
    settings = Settings(_level(level), HandlerType, tuple(handlerArgs), format)
    if HandlerType is not None and not callable(HandlerType):
        raise InvalidType(f"HandlerType must be callable, not {HandlerType!r}")
    if format is not None and not isinstance(format, str):
        raise InvalidType(f"format must be a str, not {format!r}")
    name = _name(logger)
    with _state.lock:
        _hook()
        relaying = _relaying() if relay or captureOutput or capture_output else _state.relaying
        _configure(name, settings)
        if relaying is not None:
            relaying.receive(name, records=relay, output=captureOutput or capture_output)


enableLogging = enable_logging


def getLogger() -> logging.Logger | None:  # noqa: N802 - the documented name
    """The library's logger; None until ``enable_logging`` was called here or in a parent."""
    return logging.getLogger(LOGGER_NAME) if LOGGER_NAME in _state.settings else None


def get_logger() -> logging.Logger:
    """The library's logger, enabled or not."""
    logger = logging.getLogger(LOGGER_NAME)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def log_to_stderr(level: int | str | None = None) -> logging.Logger:
    """Have the library's logger print to stderr, besides what its other handlers do.

    :param level: the least level that is logged; None for the one it has
    :returns: the logger

    :raises InvalidArgument: (a ValueError) when there is no level of that name
    :raises InvalidType: (a TypeError) when the level is neither a number nor a name
    """
    logger = logging.getLogger(LOGGER_NAME)
    settings = _state.settings.get(LOGGER_NAME) or Settings(logger.level)
    if level is not None:
        settings = replace(settings, level=_level(level))
    with _state.lock:
        _hook()
        _prepare(LOGGER_NAME, settings.level)
        if not any(_prints_to_stderr(one) for one in _state.made.get(LOGGER_NAME, ())):
            _add(LOGGER_NAME, logging.StreamHandler(), None)
        _state.settings[LOGGER_NAME] = replace(settings, to_stderr=True)
    return logger


def flush_logging() -> None:
    """Return when the handlers have had all records, and stdout and stderr all lines, that other
    processes have handed over before the call.

    A handler must not call it: there it does nothing.
    """
    if _state.relaying is not None:
        _state.relaying.flush()


flushLogging = flush_logging


def disable_logging() -> None:
    """Undo what ``enable_logging`` and ``log_to_stderr`` have done in this process.

    What other processes have sent so far is handled first. Children that still run have nobody then
    who handles their records: warnings and what is worse goes to their stderr.
    """
    with _state.lock:
        if _state.relaying is not None:
            _state.relaying.stop()
        for name, (level, propagate) in _state.before.items():
            logger = logging.getLogger(name)
            logger.removeFilter(process_names)
            for handler in logger.handlers:
                handler.removeFilter(process_names)
            for handler in _state.made.get(name, ()):
                logger.removeHandler(handler)
                handler.close()
            logger.setLevel(level)
            logger.propagate = propagate
        for known in (_state.before, _state.made, _state.settings):
            known.clear()


disableLogging = disable_logging


# How a logger is enabled


def _configure(name: str, settings: Settings) -> None:
    handler = settings.make_handler()
    _prepare(name, settings.level)
    logger = logging.getLogger(name)
    if handler is not None:
        made = _state.made.get(name, [])
        for former in list(logger.handlers):
            logger.removeHandler(former)
            if former in made:
                former.close()
        made.clear()
        _add(name, handler, settings.format)
    elif not _has_handlers(logger):
        _add(name, logging.StreamHandler(), settings.format)
    else:
        for former in logger.handlers:
            former.addFilter(process_names)
            if settings.format is not None:
                former.setFormatter(logging.Formatter(settings.format))
    known = _state.settings.get(name)
    if known is not None and handler is None:
        settings = replace(known, level=settings.level, format=settings.format or known.format)
    _state.settings[name] = settings


def _prepare(name: str, level: int) -> None:
    name_levels()
    logger = logging.getLogger(name)
    if _state.relaying is not None:
        _state.relaying.send_no_more(name)
    _state.before.setdefault(name, (logger.level, logger.propagate))
    for former in list(logger.handlers):
        if isinstance(former, logging.NullHandler):
            logger.removeHandler(former)
    if name == LOGGER_NAME:
        # As always: who enables it wants its records once, and not those of the root's handlers.
        logger.propagate = False
    logger.addFilter(process_names)
    logger.setLevel(level)


def _has_handlers(logger: logging.Logger) -> bool:
    return bool(logger.handlers) if logger.name == LOGGER_NAME else logger.hasHandlers()


def _prints_to_stderr(handler: logging.Handler) -> bool:
    return type(handler) is logging.StreamHandler and handler.stream is sys.stderr


def _add(name: str, handler: logging.Handler, format: str | None) -> None:  # noqa: A002
    if format is not None or handler.formatter is None:
        handler.setFormatter(logging.Formatter(format or DEFAULT_FORMAT))
    handler.addFilter(process_names)
    logging.getLogger(name).addHandler(handler)
    _state.made.setdefault(name, []).append(handler)


def _level(level: int | str) -> int:
    if isinstance(level, str):
        number = {"SUBDEBUG": 5, "SUBWARNING": 25, **logging.getLevelNamesMapping()}.get(level)
        if number is None:
            raise InvalidArgument(f"there is no level {level!r}")
        return number
    if not isinstance(level, int):
        raise InvalidType(f"level must be a number or a name, not {level!r}")
    return level


def _name(logger: str | logging.Logger) -> str:
    if isinstance(logger, logging.Logger):
        return logger.name
    if not isinstance(logger, str):
        raise InvalidType(f"logger must be a logger or its name, not {logger!r}")
    return logger or "root"


def _relaying() -> Relaying:
    if sys.platform != "win32":
        if _state.relaying is None:
            # Only here: it brings the queues with it, and most programs do not relay.
            from processing_logging._relaying import Relaying

            _state.relaying = Relaying()
        return _state.relaying
    raise NotImplementedError("records and output are not relayed on Windows yet")


# Children


def _hook() -> None:
    if not _state.hooked:
        _state.hooked = True
        Here.after_fork()  # this module may have been imported by the fork server
        on_child_start(HOOK, _export, _apply)
        on_fork_in_child(_after_fork)


def _after_fork() -> None:
    _state.lock = threading.RLock()
    Here.after_fork()


def _export() -> Inheritance | None:
    with _state.lock:
        settings = dict(_state.settings)
        passed = None
        if _state.relaying is not None:
            passed = _state.relaying.passed(settings.keys() | _state.relaying.sent.keys())
            for name in passed.routes:
                # They need no handlers, so what makes them need not be picklable.
                settings[name] = Settings(logging.getLogger(name).level)
        told = Inheritance(settings, passed, logging.root.manager.disable)
        # Not itself: what it has of the relay shall end with that.
        _state.exported = id(told)
        return told


def _apply(told: Inheritance | None) -> None:
    if told is None:
        return
    passed = told.passed
    with _state.lock:
        _hook()
        relaying = None if passed is None else _relaying()
        if id(told) != _state.exported:
            # Not forked: here is nothing of it yet. The output first, for handlers of stderr.
            logging.disable(told.disabled_up_to)
            name_levels()
            if relaying is not None and passed is not None:
                relaying.take_output(passed)
                relaying.take(passed, told.settings.keys())
            for name, settings in told.settings.items():
                if passed is not None and name in passed.routes:
                    _state.settings[name] = settings
                else:
                    _configure(name, settings)
                    if settings.to_stderr and settings.handler_type is not None:
                        _add(name, logging.StreamHandler(), None)
        elif relaying is not None and passed is not None:
            relaying.take_output(passed)
