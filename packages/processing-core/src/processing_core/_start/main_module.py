"""Owns how a child that does not inherit ``__main__`` gets it again, with the functions in it.

The module is run under the name ``__mp_main__`` (which programs know from the standard library), so
that what stands below ``if __name__ == "__main__"`` does not run in the child.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder, SourcelessFileLoader
from importlib.util import find_spec
from types import CodeType, ModuleType

from processing_core._runtime import runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MainModule", "describe", "is_reproducible", "name_main_for_children", "restore"]

CHILD_NAME = "__mp_main__"


class MainModule:
    """Where ``__main__`` comes from.

    ``kind`` is "file" (a script), "module" (``-m``), "container" (a folder or zip archive with a
    ``__main__.py``), "frozen" (a child has it already, because it runs the same program) or "none"
    (typed, piped in, ``-c``): such a one cannot be run again.
    """

    __slots__ = ("kind", "origin")

    def __init__(self, kind: str, origin: str = "") -> None:
        self.kind = kind
        self.origin = origin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MainModule):
            return NotImplemented
        return (self.kind, self.origin) == (other.kind, other.origin)

    def __hash__(self) -> int:
        return hash((self.kind, self.origin))

    @property
    def runs_when_needed(self) -> bool:
        """Whether it is run only when something in it is looked up.

        A ``__main__.py`` is by convention nothing but the program, without a guard around it.
        """
        return self.kind == "container" or self.origin.endswith(".__main__")


def describe() -> MainModule:
    """Where the ``__main__`` of this process comes from."""
    if runtime.main_module is None:
        runtime.main_module = _inspect(sys.modules.get("__main__"))
    return runtime.main_module


def _inspect(main: ModuleType | None) -> MainModule:
    spec = getattr(main, "__spec__", None)
    path = getattr(main, "__file__", None)
    if getattr(sys, "frozen", False):
        return MainModule("frozen")
    if hasattr(sys, "ps1") or (spec is not None and spec.name.startswith("_pyrepl")):
        return MainModule("none")  # the interactive prompt, which since 3.13 is a module itself
    if spec is not None and spec.name == "__main__":
        return MainModule("container", os.path.abspath(sys.path[0]))
    if spec is not None:
        return MainModule("module", spec.name)
    if path is not None and os.path.isfile(path):
        return MainModule("file", os.path.abspath(path))
    return MainModule("none")


def is_reproducible() -> bool:
    """Whether children can find what is defined in ``__main__``."""
    return describe().kind != "none"


def name_main_for_children() -> None:
    """Let this process find what children pickle of their ``__main__``, named otherwise there."""
    if "__main__" in sys.modules:
        sys.modules.setdefault(CHILD_NAME, sys.modules["__main__"])


def restore(main: MainModule) -> None:
    """Make ``__main__`` what it is in the parent; does nothing where it is that already."""
    if runtime.main_module == main and CHILD_NAME in sys.modules:
        return
    runtime.main_module = main
    if main.kind == "frozen":
        name_main_for_children()
    if main.kind in {"frozen", "none"}:
        return
    module = _MainWhenNeeded(main) if main.runs_when_needed else ModuleType(CHILD_NAME)
    sys.modules["__main__"] = sys.modules[CHILD_NAME] = module
    if not main.runs_when_needed:
        _run(main, module)


class _MainWhenNeeded(ModuleType):
    """A ``__main__`` that runs when a name is looked up that it does not have yet."""

    def __init__(self, main: MainModule) -> None:
        super().__init__(CHILD_NAME)
        self.__dict__["_origin"] = main

    def __getattr__(self, name: str) -> Any:
        main = self.__dict__.get("_origin")
        if main is None or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"module {CHILD_NAME!r} has no attribute {name!r}")
        del self.__dict__["_origin"]
        _run(main, self)
        return getattr(self, name)


def _run(main: MainModule, module: ModuleType) -> None:
    before, runtime.bootstrapping = runtime.bootstrapping, True
    try:
        code = _load(main, module)
        exec(code, module.__dict__)  # noqa: S102 - running the user's program is the purpose
    finally:
        runtime.bootstrapping = before


def _load(main: MainModule, module: ModuleType) -> CodeType:
    """The code of the module, whose attributes are set as if it had been imported."""
    if main.kind == "file":
        module.__file__ = main.origin
        if main.origin.endswith(".pyc"):
            code = SourcelessFileLoader(CHILD_NAME, main.origin).get_code(CHILD_NAME)
            assert code is not None
            return code
        with open(main.origin, "rb") as file:
            return compile(file.read(), main.origin, "exec", dont_inherit=True)
    if main.kind == "module":
        name, spec = main.origin, find_spec(main.origin)
    else:
        name, spec = "__main__", PathFinder.find_spec("__main__", [main.origin])
    if spec is None or spec.loader is None:
        raise ImportError(f"the main module {main.origin!r} of the parent is not found here")
    module.__spec__ = spec
    module.__loader__ = spec.loader
    module.__package__ = spec.parent
    module.__file__ = spec.origin
    code = spec.loader.get_code(name)  # type: ignore[attr-defined]
    assert isinstance(code, CodeType)
    return code
