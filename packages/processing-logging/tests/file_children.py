"""What runs in children of the tests of files, without pytest."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

assert sys.platform != "win32"

from processing_logging import SharedFileHandler


def text_of(who: int, number: int) -> str:
    """Lines of various lengths, with characters of various lengths."""
    return f"{who} {number} {'xä€😀' * (number * 7 % 60)}|"


def log(handler: logging.Handler, text: str) -> None:
    """One record."""
    handler.handle(logging.LogRecord("app", logging.INFO, __file__, 1, text, (), None))


def log_many(path: str, who: int, count: int, options: dict[str, Any], killed_at: int) -> None:
    """Numbered lines; the process may be killed after so many."""
    handler = SharedFileHandler(path, **options)
    for number in range(count):
        if number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        log(handler, text_of(who, number))
    handler.close()


def log_for_ever(path: str, who: int, options: dict[str, Any], told: Any) -> None:
    """Numbered lines; of each, one byte tells that it was logged."""
    os.set_blocking(told.fileno(), True)
    handler = SharedFileHandler(path, **options)
    number = 0
    while True:
        log(handler, text_of(who, number))
        os.write(told.fileno(), b"!")
        number += 1


def log_by(handler: logging.Handler, text: str) -> None:
    """With a handler that was passed."""
    log(handler, text)


def be_killed_in_write(path: str, written: int) -> None:
    """Killed with the lock held and a part of the line in the file."""
    write: Callable[[int, Any], int] = os.write

    def write_a_part(descriptor: int, data: Any) -> int:
        write(descriptor, bytes(data)[:written])
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    handler = SharedFileHandler(path)
    log(handler, "whole")
    os.write = write_a_part
    log(handler, "ä€😀")


def be_killed_in_rotation(path: str, calls: int) -> None:
    """Killed when so many files were renamed."""
    replace, left = os.replace, [calls]

    def replace_some(old: str, new: str) -> None:
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        replace(old, new)

    handler = SharedFileHandler(path, 10, 9)
    os.replace = replace_some  # type: ignore[assignment]  # as much as is needed of it
    log(handler, "what makes the file too large")


def be_killed_while_a_child_has_it_open(path: str, told: Any) -> None:
    """The forked child has what its parent had open, and stays."""
    handler = SharedFileHandler(path)
    log(handler, "before the fork")
    if os.fork() == 0:
        os.write(told.fileno(), b"%d\n" % os.getpid())
        signal.pause()
        os._exit(0)

    def die(*_: object) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    os.write = die
    log(handler, "never written")
