"""Owns the command line ``python -m processing_managers``: its commands, its ends."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from processing_managers.__about__ import __version__
from processing_managers._commands import inspecting, serving
from processing_managers._commands.options import Failure, Parser, WrongOption

__all__ = ["main"]

PROGRAM = "processing_managers"
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code.

    :param arguments: the words after ``python -m processing_managers``; those of this process by
        default
    """
    parser = Parser(
        prog=f"python -m {PROGRAM}", description="Serves manager classes, and looks at servers."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving.add_to(commands)
    inspecting.add_to(commands)
    options = parser.parse_args(arguments)
    # So that what was begun is put right again: a terminal's cursor, the file of a socket.
    signal.signal(signal.SIGTERM, end)
    try:
        return serving.run(options) if options.command == "serve" else inspecting.run(options)
    except WrongOption as error:
        return say(options.command, str(error), 2)
    except Failure as error:
        return say(options.command, str(error), 1)
    except KeyboardInterrupt:
        return say(options.command, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Nobody reads what is printed; the interpreter shall not try once more when it ends.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def say(command: str, message: str, code: int) -> int:
    """Say in one line why a command has ended; returns the exit code."""
    print(f"{PROGRAM} {command}: {' '.join(message.split())}", file=sys.stderr)
    return code


def end(number: int, *_: object) -> NoReturn:
    """End as a shell shows the end by a signal."""
    raise SystemExit(128 + number)
