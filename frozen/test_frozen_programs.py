"""Programs that were really frozen, by each tool, under each start method."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import program
from processing_testkit import ScriptResult, run_python

SOURCE = Path(program.__file__)
SECONDS = 60.0

# A program ends before its fork server, and one of the tasks kills itself.
pytestmark = pytest.mark.orphans

EXPECTED = {
    "process": "child of __main__ [{method!r}, 'process']\n0\n",
    "queue": "870 [0, 0, 0]\n",
    "value": "42\n",
    "manager": "[1, 2] 0\n",
    "error": "1\n",
    "terminate": "-15\n",
    "grandchild": "child of\n0\n",
    "orphan": "runs\n",
}
"""What each task prints after "begins"."""


def pyinstaller(folder: Path, layout: str) -> Path:
    """Build with PyInstaller, as a folder or as one file."""
    name = f"program{'.exe' if sys.platform == 'win32' else ''}"
    command = ["--noconfirm", "--log-level", "WARN", layout, "--name", "program"]
    places = ["--distpath", str(folder), "--workpath", str(folder / "work")]
    places += ["--specpath", str(folder / "spec")]
    build("PyInstaller", *command, *places, str(SOURCE))
    return folder / name if layout == "--onefile" else folder / "program" / name


def one_folder(folder: Path) -> Path:
    return pyinstaller(folder, "--onedir")


def one_file(folder: Path) -> Path:
    return pyinstaller(folder, "--onefile")


def cx_freeze(folder: Path) -> Path:
    """Build with cx_Freeze."""
    out = folder / "built"
    build("cx_Freeze", "build", f"--script={SOURCE}", f"--build-exe={out}", cwd=folder)
    return out / f"program{'.exe' if sys.platform == 'win32' else ''}"


def build(tool: str, *words: str, cwd: Path | None = None) -> None:
    command = [sys.executable, "-m", tool, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr


BUILDERS = {"PyInstaller, a folder": one_folder, "PyInstaller, a file": one_file}
BUILDERS |= {"cx_Freeze": cx_freeze}


@pytest.fixture(scope="session", params=BUILDERS)
def executable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frozen program."""
    built = BUILDERS[request.param](tmp_path_factory.mktemp("frozen"))
    assert built.is_file()
    return built


def run(executable: Path, method: str, task: str, env: dict[str, str]) -> ScriptResult:
    done = run_python([method, task], python=str(executable), timeout=SECONDS, env=env)
    assert done.survivors == (), done.describe()
    return done


def test_every_task_is_tested() -> None:
    assert set(EXPECTED) == set(program.TASKS)


@pytest.mark.deadline(240)  # The first test of each tool builds the program.
@pytest.mark.parametrize("task", EXPECTED)
def test_it_does_as_unfrozen(executable: Path, start_method: str, task: str) -> None:
    done = run(executable, start_method, task, {})
    assert done.stdout == "begins\n" + EXPECTED[task].format(method=start_method), done.describe()
    if task == "error":
        assert done.stderr.count("Traceback") == 1
        assert "ValueError: as is meant" in done.stderr
    else:
        assert done.stderr == ""
    assert done.returncode == 0 or task == "orphan"


@pytest.mark.deadline(240)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_without_the_call_it_is_told_what_to_add(executable: Path, method: str) -> None:
    """And it does not start again and again: it begins once."""
    done = run(executable, method, "process", {program.WITHOUT_CALL: "1"})
    assert done.stdout == "begins\n"
    assert done.returncode != 0  # cx_Freeze's programs end with 255
    assert "StartError" in done.stderr
    assert "freeze_support()  # from processing; first of all" in done.stderr


@pytest.mark.deadline(240)
def test_without_the_call_fork_works(executable: Path) -> None:
    done = run(executable, "fork", "process", {program.WITHOUT_CALL: "1"})
    assert done.stdout == "begins\n" + EXPECTED["process"].format(method="fork"), done.describe()
