"""Owns what processes that log do, and what their records look like.

A record's text is its sender's number, its own number, and a filling that follows from these, so
that the receiver can tell whether it is whole.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import logging
import signal
import time
from collections.abc import Callable, Container

from processing_logging import SharedFileHandler
from records import Kind, Post, Reporter

__all__ = [
    "END",
    "LOGGER",
    "LONG",
    "MARK",
    "SHORT",
    "log_records",
    "log_to_file",
    "print_lines",
    "text_of",
]

LOGGER = "chaos"
MARK = "chaos"
"""What every text begins with."""

END = "|"
"""And what it ends with."""

SHORT, LONG = 50, 20_000
PAUSE_SECONDS = 0.0005
"""Between two lines for the file: each makes it grow, and the number of files with it."""


def text_of(sender: int, number: int, size: int) -> str:
    """A text of up to so many characters, and a little more."""
    length = (sender * 7919 + number * 4099) % size
    return f"{MARK} {sender} {number} {'xyä€' * (length // 4)}{END}"


def log_records(
    post: Post,
    size: int,
    told_every: int,
    most: int | None = None,
    endless: Container[int] = frozenset(),
) -> None:
    """Log until told to end, or up to so many records unless one is of the endless ones."""
    most = None if post.number in endless else most
    log = logging.getLogger(f"{LOGGER}.{post.number % 3}").warning
    _work(post, lambda number: log("%s", text_of(post.number, number, size)), told_every, most)


def print_lines(post: Post, size: int) -> None:
    """Print until told to end; the line's parts are written one by one."""

    def print_one(number: int) -> None:
        print(*text_of(post.number, number, size).split(" "))

    _work(post, print_one, 1, None)


def log_to_file(post: Post, path: str, max_bytes: int, backup_count: int, size: int) -> None:
    """Log to a file that all share, until told to end."""
    handler = SharedFileHandler(path, max_bytes, backup_count)
    logger = logging.getLogger("file")
    logger.propagate = False
    logger.addHandler(handler)

    def log_one(number: int) -> None:
        logger.warning("%s", text_of(post.number, number, size))
        time.sleep(PAUSE_SECONDS)

    _work(post, log_one, 1, None)
    handler.close()


def _work(post: Post, do: Callable[[int], object], told_every: int, most: int | None) -> None:
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True

    signal.signal(signal.SIGUSR2, end)
    reporter = Reporter(post)
    reporter.tell(Kind.HELLO)
    number = 0
    while not ending and number != most:
        do(number)
        number += 1
        if number % told_every == 0:
            reporter.tell(Kind.PUT, post.number, number - 1)
    if number:
        reporter.tell(Kind.PUT, post.number, number - 1)
    reporter.tell(Kind.BYE)
