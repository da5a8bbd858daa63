"""Owns what is known of the names that ``processing`` has, found by looking at it."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping

import processing

__all__ = ["Known", "installed"]


@dataclasses.dataclass(frozen=True)
class Known:
    """The names of each module, and the PEP 8 twins of the documented spellings.

    ``modules`` has the package itself under the empty name, and its modules under their own
    (``"dummy.connection"``). ``functions`` are names of modules, ``methods`` those of classes.
    """

    modules: Mapping[str, frozenset[str]]
    functions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    methods: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def missing(self, path: Iterable[str]) -> str | None:
        """The first dotted part of a name below the package that does not exist, if one does not.

        Attributes of functions and classes are not looked into.
        """
        module = ""
        for part in path:
            deeper = f"{module}.{part}".lstrip(".")
            if deeper in self.modules:
                module = deeper
            elif part in self.modules[module]:
                return None
            else:
                return deeper
        return None


@functools.cache
def installed() -> Known:
    """What the installed version has."""
    found = {"": processing}
    for each in pkgutil.walk_packages(processing.__path__, "processing."):
        path = each.name.removeprefix("processing.")
        if not any(part.startswith("_") for part in path.split(".")):
            found[path] = importlib.import_module(each.name)
    modules, functions, methods = {}, {}, {}
    for path, module in found.items():
        names = frozenset({*module.__all__, *(["__version__"] if not path else [])})
        modules[path] = names
        things = {name: getattr(module, name) for name in names}
        functions.update(twins(things))
        for thing in things.values():
            if inspect.isclass(thing):
                methods.update(twins(dict(members(thing))))
    return Known(modules, functions, methods)


def members(kind: type) -> Iterable[tuple[str, object]]:
    """The methods and properties of a class, as they are defined."""
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        is_method = isinstance(member, staticmethod | classmethod | property)
        if not name.startswith("_") and (is_method or inspect.isroutine(member)):
            yield name, member


def twins(things: Mapping[str, object]) -> dict[str, str]:
    """The spelling with underscores of each name that has one, for the same object."""
    spellings: dict[int, list[str]] = {}
    for name, thing in things.items():
        spellings.setdefault(id(thing), []).append(name)
    found = {}
    for names in spellings.values():
        pep8 = [name for name in names if "_" in name and name.islower()]
        if len(pep8) == 1:
            found.update({name: pep8[0] for name in names if "_" not in name})
    return found
