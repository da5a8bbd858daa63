"""Writes docs/reference/names.md: every name of multiprocessing, and what processing makes of it.

``python docs/names_table.py`` writes the page from names.toml and from what is installed.
tests/test_names_table.py fails while the page is not what this writes, while a name is in none of
the lists, and while a list says what is not true.
"""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = Path(__file__).parent / "reference" / "names.md"
NAMES = Path(__file__).parent / "names.toml"
VERDICTS = ("better", "different", "missing")

HEAD = """\
# Name by name

Every name that the documentation of the standard library's `multiprocessing` has, and what
`processing` makes of it. *Same* means that a program notices nothing; where the two differ,
[Differences from multiprocessing](differences.md) says more. A name has its documented spelling of
the `processing` package, too, where that is another.

`docs/names_table.py` writes this page, and a test compares it with both libraries.
"""


UNDOCUMENTED_HEAD = """
## What is not documented there

The modules of `multiprocessing` have names that its documentation does not mention. Those which
programs are known to use are here, as `multiprocessing.context.assert_spawning`,
`multiprocessing.pool.ApplyResult` or `multiprocessing.process.BaseProcess`. These are not:

| module | names | why not |
|---|---|---|\
"""


class Names:
    """What names.toml says."""

    def __init__(self) -> None:
        data: dict[str, dict[str, Any]] = tomllib.loads(NAMES.read_text(encoding="utf-8"))
        self.to_come: dict[str, str] = data["to_come"]
        self.names: dict[str, list[str]] = data["names"]
        self.undocumented: dict[str, list[list[str]]] = data["undocumented"]
        self.verdicts: dict[str, dict[str, str]] = {each: data[each] for each in VERDICTS}

    def all(self) -> list[str]:
        """Every name, dotted."""
        return [
            f"{home}.{name}".lstrip(".") for home, names in self.names.items() for name in names
        ]

    def left_out(self) -> dict[str, str]:
        """Undocumented names that are not here, dotted, and why."""
        return {
            f"{home}.{name}".lstrip("."): why
            for home, lines in self.undocumented.items()
            for names, why in lines
            for name in names.split()
        }

    def verdict(self, name: str) -> tuple[str, str]:
        """What is said of a name, and how or why."""
        for verdict, reasons in self.verdicts.items():
            if name in reasons:
                return verdict, reasons[name]
        return "same", ""

    def comes(self, name: str) -> str | None:
        """The line of names.toml by which a name is to come, if there is one."""
        for prefix in self.to_come:
            if name == prefix or name.startswith(f"{prefix}."):
                return prefix
        return None


def find(library: str, name: str) -> object:
    """What a dotted name stands for in one of the two libraries.

    ``context`` is that of a start method, a call is made.

    :raises AttributeError: when there is no such thing
    """
    thing: Any = importlib.import_module(library)
    for part in name.split(".") if name else ():
        if part == "context" and isinstance(thing, ModuleType) and "." not in thing.__name__:
            thing = thing.get_context("spawn")
        elif part.endswith(")"):
            thing = eval(f"library.{part}", {"library": thing})  # noqa: S307 - our own text
        else:
            thing = attribute(thing, part)
    return thing


def attribute(thing: Any, name: str) -> Any:
    """An attribute, or a module that has to be imported."""
    if isinstance(thing, ModuleType) and not hasattr(thing, name):
        try:
            return importlib.import_module(f"{thing.__name__}.{name}")
        except ModuleNotFoundError:
            raise AttributeError(name) from None
    return getattr(thing, name)


def exists(library: str, name: str) -> bool:
    """Tell whether a library has a name."""
    try:
        find(library, name)
    except AttributeError:
        return False
    return True


def page() -> str:
    """The page as it should be."""
    names = Names()
    parts = [HEAD]
    for home, members in names.names.items():
        parts.append(f"\n## `{f'multiprocessing.{home}'.rstrip('.')}`\n")
        parts.append("| name | here | |\n|---|---|---|")
        for member in members:
            name = f"{home}.{member}".lstrip(".")
            prefix = names.comes(name)
            if prefix is not None and not exists("processing", name):
                verdict, reason = "to come", names.to_come[prefix]
            else:
                verdict, reason = names.verdict(name)
            parts.append(f"| `{member}` | {verdict} | {reason} |")
    parts.append(UNDOCUMENTED_HEAD)
    for home, lines in sorted(names.undocumented.items()):
        for left_out, why in lines:
            module = f"multiprocessing.{home}".rstrip(".")
            shown = ", ".join(f"`{name}`" for name in sorted(left_out.split()))
            parts.append(f"| `{module}` | {shown} | {why} |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
