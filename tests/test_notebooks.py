"""The cells of docs/how-to/notebooks.md, run in a notebook by a real kernel.

It needs nbclient and ipykernel, which the `docs` session installs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from processing_testkit import run_script

pytest.importorskip("nbclient", reason="the session `docs` runs this")
pytest.importorskip("ipykernel", reason="the session `docs` runs this")

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "notebooks.md"

# Prints the texts that each cell shows. An exception ends it with a traceback.
NOTEBOOK = """
import json
import sys

import nbformat
from nbclient import NotebookClient

cells = [nbformat.v4.new_code_cell(source) for source in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
shown = ["".join(output.text for output in cell.outputs if "text" in output) for cell in cells]
print(json.dumps(shown))
"""


def cells_and_outputs() -> list[tuple[str, str]]:
    return re.findall(
        r"```\{code-block\} python\n(.*?)```\n\n```\{code-block\} none\n(.*?)```",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL,
    )


def test_every_cell_of_the_page_shows_something() -> None:
    assert len(cells_and_outputs()) == PAGE.read_text(encoding="utf-8").count("{code-block} python")


@pytest.mark.orphans  # The kernel is ended before its fork server.
def test_the_cells_show_what_the_page_says(start_method: str) -> None:
    cells = cells_and_outputs()
    sources = json.dumps([source for source, _ in cells])
    result = run_script(NOTEBOOK, sources, method=start_method, timeout=120)
    assert result.returncode == 0, result.describe()
    shown = json.loads(result.stdout)
    assert [text.strip() for text in shown] == [text.strip() for _, text in cells]
