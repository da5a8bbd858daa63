"""The programs in the documentation and the READMEs, run as a reader would run them.

A `python` block is a whole program: it becomes a file and runs in an interpreter of its own, once
by each start method. Warnings are errors, and neither a word on stderr nor a process may remain. A
`text` block is what the program before it prints. A `pycon` block is a session at the prompt, which
is typed again and has to show the same, but for addresses.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from pathlib import Path

import pytest
from sessions import masked, run_again
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from processing_testkit import run_script

ROOT = Path(__file__).parent.parent
DEADLINE = 30.0
ILLUSTRATIONS = {"none", "sh", "toml", "{code-block}", "{eval-rst}", "{image}", "{toctree}"}
"""Blocks that are not run. Every other language has to be `python` or `text`."""

RUN = {"pycon", "python"}
"""Blocks that are run."""

OUTPUT = "the output that no block has shown yet"
METHOD = "the start method"


def run_program(example: Example) -> None:
    """Run a `python` block and keep what it prints for the block after it."""
    # As many empty lines as there are above it: a traceback then gives the document's line.
    program = "\n" * example.line + example.parsed
    method = example.namespace.get(METHOD)
    result = run_script(program, method=method, timeout=DEADLINE, options=("-W", "error"))
    try:
        result.check()
    except AssertionError as error:
        error.add_note(f"this is the program at {example.path}:{example.line}")
        raise
    example.namespace[OUTPUT] = result.stdout


def compare_output(example: Example) -> None:
    """Hold a `text` block against what the program before it printed."""
    where = f"{example.path}:{example.line}"
    assert OUTPUT in example.namespace, f"{where}: no program precedes this output"
    assert example.namespace.pop(OUTPUT).strip() == example.parsed.strip(), where


def repeat_session(example: Example) -> None:
    """Type the lines of a `pycon` block again, and hold the block against what is shown then."""
    shown = run_again(example.parsed, example.namespace.get(METHOD), DEADLINE)
    assert masked(shown) == masked(example.parsed), f"{example.path}:{example.line}"


SYBIL = Sybil(
    parsers=[
        CodeBlockParser("pycon", evaluator=repeat_session),
        CodeBlockParser("python", evaluator=run_program),
        CodeBlockParser("text", evaluator=compare_output),
    ]
)


def documents() -> list[Path]:
    """Return every page that is written for users or contributors."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("packages/*/README.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(path for path in pages if "_build" not in path.parts)


def parse(path: Path) -> Document:
    return SYBIL.parse(path)


def blocks(path: Path) -> list[str]:
    """Return the languages of all fenced blocks of a page, an empty text for one without."""
    lexer = FencedCodeBlockLexer(language=r"\S*.*")
    document = Document(path.read_text(encoding="utf-8"), str(path))
    return [str(region.lexemes["language"]).partition(" ")[0] for region in lexer(document)]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", documents(), ids=name)
def test_no_block_is_left_out_by_a_wrong_label(path: Path) -> None:
    assert set(blocks(path)) <= ILLUSTRATIONS | RUN | {"text"}


@pytest.mark.orphans  # A program ends before its fork server, and some programs kill a parent.
@pytest.mark.parametrize("path", [p for p in documents() if RUN & {*blocks(p)}], ids=name)
def test_the_programs_print_what_the_page_says(path: Path, start_method: str) -> None:
    document = parse(path)
    document.namespace[METHOD] = start_method
    for example in document.examples():
        example.evaluate()


def test_an_example_that_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    right, wrong = parse(page).examples()
    right.evaluate()
    with pytest.raises(AssertionError):
        wrong.evaluate()
    for block in ("python\nraise SystemExit(2)", "pycon\n>>> 1 + 1\n3"):
        page.write_text(f"```{block}\n```\n")
        (failing,) = parse(page).examples()
        with pytest.raises(AssertionError):
            failing.evaluate()
