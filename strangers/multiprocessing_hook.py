"""Puts ``processing`` in the place of ``multiprocessing`` in a program that knows nothing of it.

``install`` is called by the ``sitecustomize`` of the interpreters that test_strangers runs, and so
of every child that they start. What processing has no counterpart of (``multiprocessing.util``)
stays what it was. Each process that is started leaves a line in the file that COUNT names: that is
how the test knows that the program used processing at all. Nothing of this is shipped.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing.context
import multiprocessing.queues
import multiprocessing.spawn
import multiprocessing.synchronize
import multiprocessing.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import processing

OLD, NEW = "multiprocessing", "processing"
COUNT = "STRANGERS_COUNT"
# Modules that processing has no counterpart of, and some programs import all the same.
WITHOUT_COUNTERPART = ("spawn", "util")
# What joblib's loky wants to be there when it is imported, by module. Here joblib runs with its
# backend `multiprocessing`, which has no use for it.
UNDOCUMENTED = {
    "context": ("_concrete_contexts", "get_spawning_popen", "set_spawning_popen"),
    "queues": ("_sentinel",),
    "synchronize": ("SemLock",),
}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds our module under the name of the other, else the one that was loaded before."""

    def __init__(self, originals: dict[str, ModuleType]) -> None:
        self._originals = originals
        self._specs: dict[str, importlib.machinery.ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if fullname != OLD and not fullname.startswith(f"{OLD}."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == OLD)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        ours = spec.name.replace(OLD, NEW, 1)
        if importlib.util.find_spec(ours) is not None:
            module = importlib.import_module(ours)
        elif spec.name in self._originals:
            module = self._originals[spec.name]
        else:
            raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It was executed under its own name. The import has given it a spec with the other.
        spec = module.__spec__
        assert spec is not None
        module.__spec__ = self._specs.pop(spec.name)


def install() -> None:
    """Replace the module for this interpreter."""
    originals = {name: module for name, module in sys.modules.items() if name.startswith(OLD)}
    assert multiprocessing.util.__name__ in originals
    for name in originals:
        del sys.modules[name]
    sys.meta_path.insert(0, Finder(originals))
    # For `from multiprocessing import util`, which looks for an attribute.
    for name in WITHOUT_COUNTERPART:
        setattr(processing, name, originals[f"{OLD}.{name}"])
    for name, attributes in UNDOCUMENTED.items():
        ours = importlib.import_module(f"{NEW}.{name}")
        for attribute in attributes:
            setattr(ours, attribute, getattr(originals[f"{OLD}.{name}"], attribute))
    start = processing.Process.start

    def counted(self: processing.Process) -> None:
        start(self)
        with open(os.environ[COUNT], "a", encoding="utf-8") as file:  # noqa: PTH123 - one line
            file.write(f"{type(self).__module__}.{type(self).__qualname__}\n")

    setattr(processing.Process, "start", counted)  # noqa: B010 - mypy forbids the plain assignment
