"""Owns how a list of arguments becomes the one text that Windows starts a program with.

The C runtime of the started program splits it again: at blanks that are not between double quotes;
a double quote after an odd number of backslashes is itself, and backslashes count double only
before a double quote.
"""

from __future__ import annotations

__all__ = ["command_line"]


def command_line(arguments: list[str]) -> str:
    """The text from which a program on Windows gets these arguments."""
    return " ".join(map(_quoted, arguments))


def _quoted(argument: str) -> str:
    parts = argument.split('"')
    # All but the last part stand before a double quote.
    escaped = '\\"'.join([*map(_doubled_at_end, parts[:-1]), parts[-1]])
    if argument and not any(blank in argument for blank in " \t\n\v"):
        return escaped
    # Now the last one does, too.
    return f'"{_doubled_at_end(escaped)}"'


def _doubled_at_end(text: str) -> str:
    """With twice as many backslashes at its end."""
    return text + "\\" * (len(text) - len(text.rstrip("\\")))
