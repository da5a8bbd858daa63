"""Owns ``python -m processing migrate``: which files, the diff, what is written, the exit code."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import os
import shutil
import sys
import tempfile
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processing._commands.rewriting import Outcome

__all__ = ["add_to", "run"]

SUFFIXES = {".py", ".pyi", ".pyw"}
NOT_SOURCE = {"__pycache__", "node_modules", "site-packages"}
NEED = (
    "python -m processing migrate needs LibCST: pip install 'processing[migrate]' (or: pip install "
    "libcst)"
)
FEW = 20
"""Up to so many files no progress is shown."""

COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "migrate",
        help="rewrite imports of multiprocessing to those of processing",
        description="Shows how files change when they import processing in place of "
        "multiprocessing, and with --write changes them. What processing does not have stays as it "
        "is, and is named. The exit code is 0; with --check 1 if a file would change; 2 if a file "
        "cannot be read or is no Python.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="files and folders")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="change the files")
    what.add_argument("--check", action="store_true", help="exit with 1 if a file would change")
    parser.add_argument("--quiet", action="store_true", help="do not show the changes")
    parser.add_argument(
        "--keep-names",
        action="store_true",
        help='"import processing as multiprocessing" instead of changing every use',
    )
    parser.add_argument(
        "--pep8",
        action="store_true",
        help="in files that import processing, spell currentProcess current_process, and so on",
    )


def run(options: argparse.Namespace) -> int:
    """Move the files; returns the exit code."""
    try:
        # Only here: LibCST is an extra.
        from processing._commands import rewriting
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "libcst":
            raise
        print(NEED, file=sys.stderr)
        return 2
    wishes = rewriting.Options(pep8=options.pep8, keep_names=options.keep_names)
    session = Session(options, lambda content: rewriting.migrate_source(content, wishes))
    files = list(session.files(options.paths))
    for path in with_progress(files):
        session.move(path)
    return session.finish()


class Session:
    """One run: how many files changed, and how many failed."""

    def __init__(
        self, options: argparse.Namespace, migrate_source: Callable[[bytes], Outcome]
    ) -> None:
        self._options = options
        self._migrate_source = migrate_source
        self._show = printer()
        self.seen = self.changed = self.failed = 0

    def files(self, paths: Iterable[Path]) -> Iterator[Path]:
        """The files that are named, and the Python files in the folders that are."""
        for path in paths:
            if path.is_dir():
                yield from sorted(source_files(path))
            elif path.exists():
                yield path
            else:
                self._fail(path, "there is no such file or folder")

    def _fail(self, path: Path, reason: str) -> None:
        self.failed += 1
        print(f"{path}: {reason}", file=sys.stderr)

    def move(self, path: Path) -> None:
        """Move one file, show how it changes, write it if that is asked for."""
        self.seen += 1
        try:
            before = path.read_bytes()
            outcome = self._migrate_source(before)
        except OSError as error:
            self._fail(path, error.strerror or str(error))
            return
        except (SyntaxError, RecursionError) as error:
            self._fail(path, f"cannot be parsed: {error}")
            return
        if outcome.content != before and (namesake := shadow(path)):
            self._note(path, 1, f"left alone: import processing would find {namesake}")
            return
        for note in outcome.notes:
            self._note(path, note.line, note.text)
        if outcome.content == before:
            return
        self.changed += 1
        if not self._options.quiet:
            self._show(difference(path, before, outcome.content))
        if self._options.write:
            try:
                replace(path, outcome.content)
            except OSError as error:
                self.changed -= 1
                self._fail(path, f"cannot be written: {error.strerror or error}")

    def _note(self, path: Path, line: int, text: str) -> None:
        print(f"{path}:{line}: {text}", file=sys.stderr)

    def finish(self) -> int:
        """Say what was done; returns the exit code."""
        verb = "changed" if self._options.write else "would change"
        words = f"{self.changed} of {self.seen} files {verb}"
        if self.failed:
            words += f", {self.failed} failed"
        print(words, file=sys.stderr)
        if self.failed:
            return 2
        return int(self._options.check and self.changed > 0)


def source_files(folder: Path) -> Iterator[Path]:
    """The Python files in a folder and below, but for hidden ones and installed ones."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in NOT_SOURCE
            and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in names:
            if Path(name).suffix in SUFFIXES and not name.startswith("."):
                yield here / name


def shadow(path: Path) -> Path | None:
    """A module called ``processing`` that a program in this folder would import instead of ours."""
    for candidate in (path.parent / "processing.py", path.parent / "processing" / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def difference(path: Path, before: bytes, after: bytes) -> list[str]:
    """The lines of a unified diff."""
    old, new = (decoded(content).splitlines(keepends=True) for content in (before, after))
    lines = []
    for line in difflib.unified_diff(old, new, str(path), str(path)):
        lines.append(line.rstrip("\r\n"))
        if not line.endswith("\n"):
            lines.append("\\ No newline at end of file")
    return lines


def decoded(content: bytes) -> str:
    """The text of a file, by the encoding that it declares (PEP 263)."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding, errors="replace")


def replace(path: Path, content: bytes) -> None:
    """Give a file a new content, at once: a program that is killed leaves the old one or this."""
    target = path.resolve()
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        shutil.copymode(target, temporary)
        Path(temporary).replace(target)
    except BaseException:  # whatever it is, the temporary file shall not stay
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def printer() -> Callable[[list[str]], None]:
    """What prints a diff: with colours on a terminal, where rich is installed."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            return print_lines
        console = Console(file=sys.stdout)

        def print_coloured(lines: list[str]) -> None:
            for line in lines:
                style = "bold" if line.startswith(("---", "+++")) else COLOURS.get(line[:1], "")
                console.print(Text(line, style=style), soft_wrap=True)

        return print_coloured
    return print_lines


def print_lines(lines: list[str]) -> None:
    """Print a diff as it is."""
    for line in lines:
        print(line)


def with_progress(files: list[Path]) -> Iterable[Path]:
    """The files, with a bar that shows how far we are if they are many and somebody looks."""
    if len(files) <= FEW or not sys.stderr.isatty():
        return files
    try:
        from rich.console import Console
        from rich.progress import track
    except ImportError:
        return files
    return track(files, "Reading files", console=Console(file=sys.stderr), transient=True)
