"""The repository itself: what its files say about each other, and rules that no tool knows."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commands_in_readme() -> list[str]:
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return [block.strip() for block in blocks]


def test_the_readme_has_one_line_for_the_main_job_and_one_for_the_tests() -> None:
    demo, tests = commands_in_readme()
    assert "\n" not in demo + tests
    assert demo.endswith("nox -s demo")
    assert tests.endswith("nox -s tests")


def test_ci_runs_the_test_line_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert commands_in_readme()[1] in lines


def test_every_private_module_of_core_is_kept_private() -> None:
    """The contract of import-linter has to name them one by one."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (named,) = (
        set(contract["forbidden_modules"])
        for contract in settings["contracts"]
        if contract["name"].startswith("Core's private modules")
    )
    core = ROOT / "packages" / "processing-core" / "src" / "processing_core"
    there = {f"processing_core.{path.stem}" for path in core.glob("_[!_]*")}
    assert there == named


def test_pre_commit_uses_no_other_ruff_rules() -> None:
    """Its hooks are the commands of the `lint` session."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert "entry: ruff check" in hooks
    assert "entry: ruff format" in hooks


def test_our_own_modules_are_imported_at_the_top_or_a_comment_says_why_not() -> None:
    """Such an import has a comment on its line or on the one above, like every broken rule."""
    misplaced = []
    for path in sorted(ROOT.glob("packages/*/src/**/*.py")):
        source = path.read_text(encoding="utf-8")
        lines = ["", *source.splitlines()]
        for node in imports_in_functions(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                names = [alias.name for alias in node.names]
            explained = "#" in lines[node.lineno] or lines[node.lineno - 1].strip().startswith("#")
            if any(name.startswith("processing") for name in names) and not explained:
                misplaced.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not misplaced


def imports_in_functions(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node


def test_every_module_opens_by_saying_what_it_owns_and_stays_small() -> None:
    for path in ROOT.glob("packages/*/src/**/*.py"):
        source = path.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(source)), path
        assert source.count("\n") <= 600, path
