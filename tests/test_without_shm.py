"""The program of docs/how-to/containers.md without a usable /dev/shm, as on AWS Lambda."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processing_testkit import run_python

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "containers.md"
SHM = "/dev/shm"  # noqa: S108 - the folder itself is meant

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
"""Runs a command with mounts of its own."""
HIDE = f"mount -t tmpfs -o ro,size=4k none {SHM}"

# Becomes the program that it is given, where the folder is hidden.
ENTER = """
import os, sys
os.execvp(sys.argv[1], sys.argv[1:])
"""


def can_hide() -> bool:
    if shutil.which("unshare") is None or not Path(SHM).is_dir():
        return False
    trial = subprocess.run([*NAMESPACE, "sh", "-c", HIDE], capture_output=True, check=False)
    return trial.returncode == 0


@pytest.fixture(scope="module", autouse=True)
def hidden() -> None:
    if not can_hide():
        pytest.skip("this machine lets nobody make a mount namespace")


def inside(*command: str) -> list[str]:
    """Return the arguments of an interpreter that runs this command without the folder."""
    script = f"{HIDE} && exec {shlex.join(command)}"
    return ["-c", ENTER, *NAMESPACE, "sh", "-c", script]


def program() -> tuple[str, str]:
    """Return the program and what it prints."""
    section = PAGE.read_text(encoding="utf-8").partition("## Without /dev/shm")[2]
    found = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1], found[2]


@pytest.mark.orphans  # The fork server ends a moment after the program.
def test_the_program_runs_without_it(tmp_path: Path, start_method: str) -> None:
    source, printed = program()
    path = tmp_path / "program.py"
    path.write_text(source, encoding="utf-8")
    result = run_python(inside(sys.executable, "-W", "error", str(path)), method=start_method)
    assert result.check().stdout == printed


def test_it_cannot_be_written_to_there() -> None:
    """So the test above tests something: a name in the folder cannot be had."""
    writes = f"import os; os.open({SHM + '/name'!r}, os.O_CREAT)"
    result = run_python(inside(sys.executable, "-c", writes))
    assert "Read-only file system" in result.stderr
