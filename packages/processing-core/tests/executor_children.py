"""What tests of the standard library's executors have done in children."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

assert sys.platform != "win32", "only test_executors.py uses it"

from processing_core import current_process


def square(number: int) -> int:
    return number * number


def name_and_pid() -> tuple[str, int]:
    return current_process().name, os.getpid()


def fail() -> None:
    raise KeyError("as is meant")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def double(numbers: Any, answers: Connection) -> None:
    answers.send(2 * numbers.get())
    answers.close()
