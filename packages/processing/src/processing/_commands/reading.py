"""Owns what a file has of imports that may be rewritten, and what speaks against it.

Nothing is changed here. ``rewriting`` changes what this module has found.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import PositionProvider, QualifiedNameProvider, QualifiedNameSource

from processing._commands.known import Known

__all__ = ["MENTION", "NEW", "OLD", "Note", "Reader", "dotted"]

OLD, NEW = "multiprocessing", "processing"

MENTION = re.compile(rf"(\w+\.)*{OLD}(\.\w+)*")
"""A string that is a dotted name, as mock.patch and import_module take them."""


@dataclasses.dataclass(frozen=True, order=True)
class Note:
    """Something that a person has to look at, and where it is."""

    line: int
    text: str


def dotted(node: cst.BaseExpression | None) -> str:
    """A dotted name as text; empty if the node is none."""
    return (get_full_name_for_node(node) or "") if node is not None else ""


class Reader(cst.CSTVisitor):
    """Collects, from one file:

    - ``blocked``: the local names whose imports have to stay, because of uses that we cannot serve
    - ``references``: those of the name ``multiprocessing`` that stand for the module
    - ``shared``: whether the name ``multiprocessing`` also stands for something else somewhere
    - ``taken``: whether the name ``processing`` stands for something else
    - ``notes``: what was found on the way
    - ``functions`` and ``methods``: documented spellings that have a PEP 8 twin, by node;
      ``roots`` are those of them that an import binds
    - ``renamed``: the local names that imports bind by ``as``
    - ``ambiguous``: those that may stand for several things
    - ``own_methods``: the functions that the file defines itself
    - ``bound``: every name that is used
    """

    METADATA_DEPENDENCIES = (PositionProvider, QualifiedNameProvider)

    def __init__(self, known: Known) -> None:
        super().__init__()
        self.known = known
        self.blocked: set[str] = set()
        self.references: set[cst.CSTNode] = set()
        self.strings: set[cst.CSTNode] = set()
        self.shared = False
        self.taken = False
        self.imports_new = False
        self.notes: set[Note] = set()
        self.functions: dict[cst.Name, str] = {}
        self.roots: set[cst.Name] = set()
        self.methods: dict[cst.Name, str] = {}
        self.own_methods: set[str] = set()
        self.bound: set[str] = set()
        self.renamed: set[str] = set()
        self.ambiguous: set[str] = set()
        self._annotations = 0

    def line(self, node: cst.CSTNode) -> int:
        """Where a node begins."""
        position = self.get_metadata(PositionProvider, node)
        return int(position.start.line)

    def note(self, node: cst.CSTNode, text: str) -> None:
        """Remember what a person should know."""
        self.notes.add(Note(self.line(node), text))

    def qualified(self, node: cst.CSTNode) -> set[str] | None:
        """The imported names that a node may stand for; None if also for something else."""
        found = self.get_metadata(QualifiedNameProvider, node, set()) or set()
        if any(each.source is not QualifiedNameSource.IMPORT for each in found):
            return None
        return {each.name for each in found}

    # Imports

    def visit_Import(self, node: cst.Import) -> bool:  # noqa: N802 - LibCST's names
        for alias in node.names:
            name = dotted(alias.name)
            root = name.partition(".")[0]
            local = dotted(alias.asname.name) if alias.asname else root
            self.imports_new |= root == NEW
            self._bind(alias, local, root)
            if root == OLD and (lack := self.known.missing(name.split(".")[1:])):
                self._block(alias, local, lack)
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:  # noqa: N802
        module = "" if node.relative else dotted(node.module)
        root = module.partition(".")[0]
        self.imports_new |= root == NEW
        if isinstance(node.names, cst.ImportStar):
            if root == OLD:
                self.note(node, f"every name of {module} is imported: see which are used")
            return False
        for alias in node.names:
            name = dotted(alias.name)
            local = dotted(alias.asname.name) if alias.asname else name
            self._bind(alias, local, "")
            if alias.asname is not None:
                self.renamed.add(local)
            if root == OLD and (lack := self.known.missing([*module.split(".")[1:], name])):
                self._block(alias, local, lack)
        return False

    def _bind(self, node: cst.CSTNode, local: str, root: str) -> None:
        self.bound.add(local)
        if local == NEW and root != NEW:
            self.taken = True
        if local == OLD and root != OLD:
            # Another import of that name, as in `except ImportError: import x as multiprocessing`.
            self.shared = True
        if local == OLD and isinstance(node, cst.ImportAlias) and node.asname is not None:
            self.shared = True

    def _block(self, node: cst.CSTNode, local: str, lack: str) -> None:
        self.blocked.add(local)
        self.note(node, f"left alone: {NEW} has no {lack}")

    # Uses

    def visit_Attribute(self, node: cst.Attribute) -> bool:  # noqa: N802
        name = node.attr.value
        if name in self.known.methods:
            self.methods[node.attr] = self.known.methods[name]
        root, path = chain(node)
        if root is None:
            node.value.visit(self)
            return False
        self._use(root, node, path)
        return False

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802
        self._use(node, node, [])

    def visit_Arg(self, node: cst.Arg) -> bool:  # noqa: N802
        if node.keyword is not None and node.keyword.value == "mp_context":
            root = next(names_in(node.value), None)
            imported = self.qualified(root) if root is not None else None
            if root is not None and imported and any(is_old(name) for name in imported):
                self.blocked.add(root.value)
                self.note(node, "left alone: concurrent.futures needs contexts of multiprocessing")
            elif not (isinstance(node.value, cst.Name) and node.value.value == "None"):
                self.note(node, "mp_context has to be one of multiprocessing, not of processing")
        node.value.visit(self)
        return False

    def _use(self, root: cst.Name, whole: cst.BaseExpression, path: list[str]) -> None:
        imported = self.qualified(root)
        local = root.value
        if imported is None or len(imported) > 1:
            self.ambiguous.add(local)
        if imported is None or not imported:
            self.bound.add(local)
            self.shared |= local == OLD
            self.taken |= local == NEW
            return
        for name in imported:
            module, *rest = name.split(".")
            full = [*rest, *path]
            if module == OLD:
                if lack := self.known.missing(full):
                    self._block(whole, local, lack)
            elif module == NEW and len(imported) == 1:
                self._find_twin(root, whole, full)
        if local == OLD:
            if imported == {OLD}:
                self.references.add(root)
            else:
                self.shared = True

    def _find_twin(self, root: cst.Name, whole: cst.BaseExpression, full: list[str]) -> None:
        """Find what has a PEP 8 twin: `processing.currentProcess`, or that function imported."""
        if isinstance(whole, cst.Attribute) and full:
            node: cst.BaseExpression = whole
            while isinstance(node, cst.Attribute):
                if twin := self.known.functions.get(node.attr.value):
                    self.functions[node.attr] = twin
                node = node.value
        elif full and root.value == full[-1] and (twin := self.known.functions.get(full[-1])):
            self.functions[root] = twin
            self.roots.add(root)

    # What names things itself

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:  # noqa: N802
        self.own_methods.add(node.name.value)

    def visit_NameItem(self, node: cst.NameItem) -> None:  # noqa: N802
        # `global multiprocessing`: something else is going to be assigned to it.
        self.shared |= node.name.value == OLD
        self.taken |= node.name.value == NEW

    # Strings

    def visit_Annotation(self, _node: cst.Annotation) -> None:  # noqa: N802
        self._annotations += 1

    def leave_Annotation(self, _node: cst.Annotation) -> None:  # noqa: N802
        self._annotations -= 1

    def visit_SimpleString(self, node: cst.SimpleString) -> None:  # noqa: N802
        value = node.evaluated_value
        if not isinstance(value, str):
            return
        if self._annotations and re.search(rf"\b{OLD}\b", value):
            self.strings.add(node)
        elif MENTION.fullmatch(value):
            self.note(node, f"left alone: the string {value!r}")


def is_old(name: str) -> bool:
    """Tell whether a qualified name is in multiprocessing."""
    return name == OLD or name.startswith(f"{OLD}.")


def chain(node: cst.Attribute) -> tuple[cst.Name | None, list[str]]:
    """The name that a dotted expression begins with, and the parts after it."""
    path = []
    value: cst.BaseExpression = node
    while isinstance(value, cst.Attribute):
        path.append(value.attr.value)
        value = value.value
    return (value if isinstance(value, cst.Name) else None), path[::-1]


def names_in(node: cst.BaseExpression) -> Iterator[cst.Name]:
    """The name that an expression of calls and attributes begins with, if it does with one."""
    while isinstance(node, cst.Attribute | cst.Call):
        node = node.value if isinstance(node, cst.Attribute) else node.func
    if isinstance(node, cst.Name):
        yield node
