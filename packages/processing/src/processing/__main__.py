"""The command line: ``python -m processing doctor`` and ``python -m processing migrate``."""

from __future__ import annotations

import argparse
import sys

from processing.__about__ import __version__
from processing._commands import doctor, migrate

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code.

    :param arguments: the words after ``python -m processing``; those of this process by default
    """
    parser = argparse.ArgumentParser(
        prog="python -m processing", description="Tools that come with processing."
    )
    parser.add_argument("--version", action="version", version=f"processing {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    doctor.add_to(commands)
    migrate.add_to(commands)
    options = parser.parse_args(arguments)
    if options.command == "doctor":
        return doctor.run(options)
    return migrate.run(options)


if __name__ == "__main__":
    sys.exit(main())
