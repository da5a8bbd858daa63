"""What runs in children of the tests of captured output, without pytest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

assert sys.platform != "win32"

import processing_core

PIECES = 8


def print_lines(who: str, count: int) -> None:
    """Each in several writes."""
    for number in range(count):
        print(who, number, "x" * (number * 37 % 400), "|")
        print(who, number, "to stderr", file=sys.stderr)


def write_everywhere() -> None:
    """All that is not text of Python."""
    print("printed")
    sys.stdout.buffer.write(b"by the buffer\n")
    os.write(1, b"by the descriptor\n")
    os.write(2, b"by the descriptor of stderr\n")
    code = "import sys; print('by a program'); print('its stderr', file=sys.stderr)"
    subprocess.run([sys.executable, "-c", code], check=True)


def write_large_bytes(count: int) -> None:
    """More than a pipe takes at once, while signals interrupt it."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    assert sys.stdout.buffer.write(b"y" * count + b"\n") == count + 1
    signal.setitimer(signal.ITIMER_REAL, 0)


def write_bytes(data: bytes) -> None:
    """To the descriptor."""
    os.write(1, data)


def write_text(text: str, stream: str = "stdout") -> None:
    """Without an end."""
    getattr(sys, stream).write(text)


def write_text_and_be_killed(text: str) -> None:
    """What has an end has been sent, the rest is lost."""
    sys.stdout.write(text)
    sys.stderr.write(text)
    os.kill(os.getpid(), signal.SIGKILL)


def flush_pieces(connection: Any) -> None:
    """A line that grows, as progress does."""
    for piece in ("10 % ", "20 % ", "done\n"):
        print(piece, end="", flush=True)
        connection.send(piece)
        connection.recv()


def print_in_generations(depth: int) -> None:
    """Each has a child."""
    print("depth", depth)
    if depth:
        child = processing_core.Process(target=print_in_generations, args=(depth - 1,))
        child.start()
        child.join()


def print_from_threads(count: int) -> None:
    """Each thread writes its lines in pieces."""

    def one(who: int) -> None:
        for number in range(count):
            for piece in range(PIECES):
                sys.stdout.write(f"{who}:{number}:{piece} ")
            sys.stdout.write("\n")

    threads = [threading.Thread(target=one, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def leave_lines_unfinished(count: int) -> None:
    """One thread after the other, so that all have the same number."""
    numbers = set()

    def one(who: int) -> None:
        numbers.add(threading.get_ident())
        sys.stdout.write(f"begun by {who}")

    for who in range(count):
        thread = threading.Thread(target=one, args=(who,))
        thread.start()
        thread.join()
        sys.stdout.write("\n")
    sys.stderr.write(f"{len(numbers)}\n")


def raise_an_error() -> None:
    """Its traceback goes to stderr."""
    raise LookupError("what happened")


def look_at_streams() -> None:
    """As programs do."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(sys.stdout.isatty(), sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.writable())
    print(sys.stdout.encoding, sys.stdout.name, sys.stderr.name)
    try:
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]
    except TypeError as error:
        print(error)


def print_when_told(connection: Any) -> None:
    """A line for each message, up to None; then the time that it needs to end."""
    while (text := connection.recv()) is not None:
        print(text)
        connection.send(text)
    time.sleep(0)
