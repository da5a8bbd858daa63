"""Owns how a file moves from ``multiprocessing`` to ``processing``, on LibCST; nothing else in it
changes, not by a byte.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
from collections.abc import Sequence

import libcst as cst
from libcst.metadata import MetadataWrapper

from processing._commands.known import Known, installed
from processing._commands.reading import MENTION, NEW, OLD, Note, Reader, dotted

__all__ = ["Options", "Outcome", "migrate_source"]

HINTS = {False: re.compile(rb"\bmultiprocessing\b"), True: re.compile(rb"processing\b")}
"""What a file contains that there may be something to do in, without and with ``pep8``."""


@dataclasses.dataclass(frozen=True)
class Options:
    """``pep8``: change documented spellings, too. ``keep_names``: import under the old names."""

    pep8: bool = False
    keep_names: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What has become of a file: its new content, and what a person should look at."""

    content: bytes
    notes: tuple[Note, ...] = ()


def migrate_source(
    content: bytes, options: Options | None = None, known: Known | None = None
) -> Outcome:
    """The same program with ``processing`` in place of ``multiprocessing``.

    :param known: the names there are; those of the installed version by default
    :raises SyntaxError: when the file is no Python that LibCST can read
    """
    options = options or Options()
    if not concerns(content, options):
        return Outcome(content)
    return rewrite(content, options, known or installed())


def concerns(content: bytes, options: Options) -> bool:
    """Tell, in a fraction of the time, whether there is something to change or to note in a file.

    What Python itself cannot parse is left to LibCST, which knows other versions of it.
    """
    if not HINTS[options.pep8].search(content):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    roots = {OLD, NEW} if options.pep8 else {OLD}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [] if node.level else [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [OLD] if MENTION.fullmatch(node.value) else []
        else:
            continue
        if any(name.partition(".")[0] in roots for name in names):
            return True
    return False


def rewrite(content: bytes, options: Options, known: Known) -> Outcome:
    """Do it, by LibCST. :raises SyntaxError: when that cannot read the file"""
    try:
        module = cst.parse_module(content)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(f"line {error.raw_line}: {error.message}") from error
    except UnicodeDecodeError as error:
        raise SyntaxError(str(error)) from error
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    reader = Reader(known)
    wrapper.visit(reader)
    rewriter = Rewriter(reader, options)
    changed = wrapper.module.visit(rewriter)
    notes = tuple(sorted(reader.notes))
    return Outcome(changed.bytes if rewriter.touched else content, notes)


class Rewriter(cst.CSTTransformer):
    """Changes imports, and the names that they bind where those change."""

    def __init__(self, reader: Reader, options: Options) -> None:
        super().__init__()
        self.touched = False
        self._blocked = reader.blocked
        # The imports bind the old name still where that is safer, or wished.
        self._keep = options.keep_names or reader.shared or reader.taken
        self._references = set() if self._keep else reader.references
        self._strings = set() if self._keep else reader.strings
        self._names: dict[cst.CSTNode, str] = {}
        self._functions: dict[str, str] = {}
        if OLD in reader.blocked:
            self._references = self._strings = set()
        if options.pep8 and reader.imports_new:
            self._choose_twins(reader)

    def _choose_twins(self, reader: Reader) -> None:
        twins = reader.known.functions
        unclear = reader.renamed | reader.ambiguous
        self._functions = {
            old: new for old, new in twins.items() if new not in reader.bound and old not in unclear
        }
        for node, new in reader.functions.items():
            # An attribute cannot collide with anything; a name that an import binds can.
            if node not in reader.roots or node.value in self._functions:
                self._names[node] = new
        for node, new in reader.methods.items():
            if node.value not in reader.own_methods:
                self._names[node] = new

    # Imports

    def leave_Import(  # noqa: N802 - LibCST's names
        self, original_node: cst.Import, updated_node: cst.Import
    ) -> cst.Import:
        names = [self._renamed(alias) for alias in updated_node.names]
        del original_node
        if all(new is old for new, old in zip(names, updated_node.names, strict=True)):
            return updated_node
        self.touched = True
        return updated_node.with_changes(names=names)

    def _renamed(self, alias: cst.ImportAlias) -> cst.ImportAlias:
        name = dotted(alias.name)
        root, _, rest = name.partition(".")
        local = dotted(alias.asname.name) if alias.asname else root
        if root != OLD or local in self._blocked:
            return alias
        if alias.asname is None and self._keep:
            # The package has its modules at hand, whether they were imported or not.
            asname = cst.AsName(name=cst.Name(OLD))
            return alias.with_changes(name=cst.Name(NEW), asname=asname)
        return alias.with_changes(name=expression(f"{NEW}.{rest}" if rest else NEW))

    def leave_SimpleStatementLine(  # noqa: N802
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        body = self._body(updated_node.body)
        if body is None:
            return updated_node
        self.touched = True
        if len(original_node.body) == 1 and len(body) == 2:
            first = updated_node.with_changes(body=[body[0].with_changes(semicolon=SEMICOLON)])
            second = cst.SimpleStatementLine(body=[body[1].with_changes(semicolon=SEMICOLON)])
            return cst.FlattenSentinel([first, second])
        return updated_node.with_changes(body=body)

    def leave_SimpleStatementSuite(  # noqa: N802
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        del original_node
        body = self._body(updated_node.body)
        if body is None:
            return updated_node
        self.touched = True
        return updated_node.with_changes(body=body)

    def _body(
        self, statements: Sequence[cst.BaseSmallStatement]
    ) -> list[cst.BaseSmallStatement] | None:
        """The statements with their imports changed; None if there is nothing to change."""
        body: list[cst.BaseSmallStatement] = []
        for statement in statements:
            if isinstance(statement, cst.ImportFrom):
                body += self._import_from(statement)
            else:
                body.append(statement)
        same = len(body) == len(statements)
        same = same and all(new is old for new, old in zip(body, statements, strict=True))
        return None if same else body

    def _import_from(self, node: cst.ImportFrom) -> list[cst.ImportFrom]:
        """One statement, or two where some of the names have to stay."""
        name = dotted(node.module)
        root, _, rest = name.partition(".")
        if node.relative or root not in {OLD, NEW}:
            return [node]
        if root == NEW:
            return [self._with_twins(node)]
        moved = node.with_changes(module=expression(f"{NEW}.{rest}" if rest else NEW))
        if isinstance(node.names, cst.ImportStar):
            return [moved]
        stay = [alias for alias in node.names if local_name(alias) in self._blocked]
        go = [alias for alias in node.names if alias not in stay]
        if not stay:
            return [moved]
        if not go:
            return [node]
        return [with_names(node, stay), with_names(moved, go)]

    def _with_twins(self, node: cst.ImportFrom) -> cst.ImportFrom:
        if isinstance(node.names, cst.ImportStar):
            return node
        names = []
        for alias in node.names:
            twin = self._functions.get(dotted(alias.name))
            names.append(alias if twin is None else alias.with_changes(name=cst.Name(twin)))
        if all(new is old for new, old in zip(names, node.names, strict=True)):
            return node
        return node.with_changes(names=names)

    # Uses

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:  # noqa: N802
        if original_node in self._references:
            self.touched = True
            return updated_node.with_changes(value=NEW)
        if original_node in self._names:
            self.touched = True
            return updated_node.with_changes(value=self._names[original_node])
        return updated_node

    def leave_SimpleString(  # noqa: N802
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        if original_node in self._strings:
            self.touched = True
            return updated_node.with_changes(value=re.sub(rf"\b{OLD}\b", NEW, updated_node.value))
        return updated_node


SEMICOLON = cst.MaybeSentinel.DEFAULT


def local_name(alias: cst.ImportAlias) -> str:
    """The name that an alias binds."""
    return dotted(alias.asname.name if alias.asname else alias.name)


def expression(name: str) -> cst.Name | cst.Attribute:
    """A dotted name as a node."""
    first, *rest = name.split(".")
    node: cst.Name | cst.Attribute = cst.Name(first)
    for part in rest:
        node = cst.Attribute(node, cst.Name(part))
    return node


def with_names(node: cst.ImportFrom, names: list[cst.ImportAlias]) -> cst.ImportFrom:
    """The statement with these names only; the layout ends as it did."""
    assert not isinstance(node.names, cst.ImportStar)
    old, new = node.names[-1].comma, names[-1].comma
    if names[-1] is node.names[-1] or not isinstance(old, cst.Comma):
        return node.with_changes(names=[*names[:-1], names[-1].with_changes(comma=old)])
    after, comment = old.whitespace_after, cst.TrailingWhitespace()
    if isinstance(new, cst.Comma) and isinstance(new.whitespace_after, LINES):
        comment = new.whitespace_after.first_line  # which is about this name
    if isinstance(after, LINES):
        after = after.with_changes(first_line=comment)
    last = names[-1].with_changes(comma=old.with_changes(whitespace_after=after))
    return node.with_changes(names=[*names[:-1], last])


LINES = cst.ParenthesizedWhitespace
