"""Owns the command line of a child's interpreter, and how a child recognises it."""

from __future__ import annotations

import os
import sys

from processing_core._runtime import runtime
from processing_core.errors import StartError

__all__ = ["MARK", "child_command", "child_role", "executable"]

# The first argument of a child of a frozen program, which tells freeze_support what it is.
MARK = "--processing-fork"

# sys.flags attributes and the options that set them, as often as they were given.
_FLAGS = (
    ("debug", "d"),
    ("dont_write_bytecode", "B"),
    ("no_site", "S"),
    ("verbose", "v"),
    ("bytes_warning", "b"),
    ("quiet", "q"),
    ("optimize", "O"),
)


def executable() -> str:
    """The interpreter that children run: set_executable's, else this one's."""
    return runtime.executable or sys.executable


def interpreter_options() -> list[str]:
    """The options that make a child's interpreter behave as this one."""
    flags = sys.flags
    options = [f"-{letter * count}" for name, letter in _FLAGS if (count := getattr(flags, name))]
    if flags.isolated:
        options.append("-I")
    else:
        options += ["-E"] * bool(flags.ignore_environment)
        options += ["-s"] * bool(flags.no_user_site)
        options += ["-P"] * bool(flags.safe_path)
    options += [f"-W{option}" for option in sys.warnoptions]
    for name, value in sys._xoptions.items():
        options += ["-X", name if value is True else f"{name}={value}"]
    return options


def child_command(role: str, descriptors: list[int]) -> list[str]:
    """The command that runs a child in its role: "spawn" or "forkserver".

    :raises StartError: in a frozen program whose child would not know that it is one
    """
    numbers = [str(int(descriptor)) for descriptor in descriptors]
    if getattr(sys, "frozen", False):
        if not runtime.freeze_support_called:
            raise StartError(
                "a frozen program starts itself again as a child, which has to find out that it is "
                "one before it does anything else. Add\n"
                "    if __name__ == '__main__':\n"
                "        freeze_support()  # from processing; first of all\n"
                "or choose the start method fork, which does not start the program again"
            )
        return [executable(), MARK, role, *numbers]
    # The child must find the library where this process found it, wherever its own path leads.
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = (
        f"import sys; sys.path.append({os.path.dirname(home)!r}); "
        f"from processing_core._start.entry import main; main({role!r}, {descriptors!r})"
    )
    return [executable(), *interpreter_options(), "-c", code, MARK]


def child_role() -> tuple[str, list[int]] | None:
    """In a frozen program that was started as a child: the role and the descriptors."""
    if len(sys.argv) >= 3 and sys.argv[1] == MARK and getattr(sys, "frozen", False):
        return sys.argv[2], [int(number) for number in sys.argv[3:]]
    return None
