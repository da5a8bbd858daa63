"""What runs in children of the relaying tests, without pytest."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
from typing import Any

assert sys.platform != "win32"

import processing_core


def log(text: str, *args: Any) -> None:
    """One record."""
    logging.getLogger("app.part").warning(text, *args)


def log_and_start(depth: int) -> None:
    """A record from each generation."""
    log("depth %d", depth)
    if depth:
        child = processing_core.Process(target=log_and_start, args=(depth - 1,))
        child.start()
        child.join()


def log_and_be_killed(count: int) -> None:
    """All records were emitted when the process is killed, and nothing else happens after it."""
    for number in range(count):
        log("number %d", number)
    os.kill(os.getpid(), signal.SIGKILL)


def log_many(who: int, count: int, killed_at: int | None) -> None:
    """Numbered records of various lengths."""
    for number in range(count):
        if number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        log("%d %d %s", who, number, "x" * (number * 37 % 400))


def log_all_levels(names: list[str]) -> None:
    """One record of each level to each logger."""
    for name in names:
        for level in (10, 20, 30, 40):
            logging.getLogger(name).log(level, "%s %d", name, level)


def log_an_exception() -> None:
    """With what only this process knows."""

    class Local:
        def __repr__(self) -> str:
            return "<local>"

    try:
        raise LookupError("what happened")
    except LookupError:
        logging.getLogger("app").exception("failed: %s", Local(), extra={"who": Local()})


def log_from_threads(count: int) -> None:
    """Several threads of one process."""
    import threading

    def one(who: int) -> None:
        for number in range(count):
            log("%d %d", who, number)

    threads = [threading.Thread(target=one, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def log_when_told(connection: Any) -> None:
    """A record for each message, which is sent back, up to None."""
    while (text := connection.recv()) is not None:
        log(text)
        connection.send(text)


class Even:
    """A filter that can be pickled."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every other pass, and say where that was decided."""
        record.filtered_by = os.getpid()
        return bool(record.levelno // 10 % 2 == 0)


def write_output(text: str, killed: bool) -> None:
    """By print, by the descriptors, by a program."""
    import subprocess

    print(text, "printed")
    print(text, "to stderr", file=sys.stderr)
    sys.stdout.buffer.write(f"{text} as bytes\n".encode())
    os.write(1, f"{text} written\n".encode())
    os.write(2, f"{text} written to stderr\n".encode())
    subprocess.run([sys.executable, "-c", f"print({text!r}, 'by a program')"], check=True)
    print("without an end", end="")
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)


def log_from_a_signal_handler(count: int, what: str | None) -> None:
    """While the main program logs; the handler may end the process, too."""
    logger, seen = logging.getLogger("app.part"), [0]
    ready = False

    def on_signal(*_: object) -> None:
        number = seen[0]
        seen[0] += 1
        if number < count:
            logger.warning("signal %d", number)
        if what == "exit" and ready:
            sys.exit(3)
        # Only now, or a slow machine would do nothing else.
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    signal.signal(signal.SIGALRM, on_signal)
    if what is None:
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
    else:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        ready = True
    for number in itertools.count():
        logger.warning("main %d", number)
        if what is None and seen[0] >= count:
            break
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
