"""Programs that nobody here wrote do the same with `processing` in place of `multiprocessing`.

Each is run twice on the same input, and what it prints and writes is compared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import multiprocessing_hook
import processing
from processing_testkit import run_python

if sys.platform == "win32":
    pytest.skip("queues are for POSIX so far", allow_module_level=True)

SECONDS = 120.0
HOOK = Path(multiprocessing_hook.__file__).parent

# A fork server may be about to end when the program has ended.
pytestmark = [pytest.mark.orphans, pytest.mark.deadline(280)]


@dataclass(frozen=True)
class Stranger:
    """A program: what to prepare in an empty folder, and how to run it there.

    ``patterns`` are the files that it leaves, ``needs`` what processing has to have (its contexts,
    if it begins with "context."), ``least`` how many processes it starts, ``code`` its exit code,
    or those it may have; it is the same with both in any case.
    """

    prepare: Callable[[Path], None]
    command: list[str]
    patterns: tuple[str, ...] = ("*",)
    needs: tuple[str, ...] = ()
    least: int = 2
    code: int | range = 0


def sphinx_project(folder: Path) -> None:
    pages = [f"page{number}" for number in range(24)]
    (folder / "conf.py").write_text("project = 'p'\nextensions = ['sphinx.ext.viewcode']\n")
    tree = "\n   ".join(pages)
    (folder / "index.rst").write_text(f"Index\n=====\n\n.. toctree::\n\n   {tree}\n")
    for page in pages:
        text = f"{page}\n{'=' * len(page)}\n\nSee :doc:`page3` and :ref:`search`.\n\n* {page}\n"
        (folder / f"{page}.rst").write_text(text)
    # A warning has to come from the child to the parent.
    with (folder / "page7.rst").open("a") as file:
        file.write("\n:doc:`nowhere`\n")


def doit_tasks(folder: Path) -> None:
    (folder / "dodo.py").write_text(
        "from pathlib import Path\n\n"
        "def write(name):\n    Path(name).write_text(name * 3)\n\n"
        "def task_write():\n"
        "    for n in range(12):\n"
        "        yield {'name': str(n), 'actions': [(write, [f'out{n}.txt'])],\n"
        "               'targets': [f'out{n}.txt']}\n\n"
        "def task_join():\n"
        "    return {'actions': ['cat out*.txt > all.txt'], 'task_dep': ['write'],\n"
        "            'targets': ['all.txt']}\n"
    )


def suite_of_tests(folder: Path) -> None:
    for number in range(6):
        (folder / f"test_{number}.py").write_text(
            "import unittest\n\n"
            f"class Test{number}(unittest.TestCase):\n"
            "    def test_good(self):\n        self.assertTrue(True)\n"
            f"    def test_{'bad' if number == 3 else 'fine'}(self):\n"
            f"        self.assertEqual({number}, {number if number != 3 else 4})\n"
            "    @unittest.skip('why not')\n    def test_skipped(self): ...\n"
        )


def untidy_code(folder: Path) -> None:
    for number in range(16):
        (folder / f"untidy{number}.py").write_text(
            f"import sys, os\nimport abc\nfrom a import z,b\nx=  {number}\nif x==None : y = 1\n"
            f"def f( a,b ):\n    return a+ b\n{'#' * (70 + number)}\n"
        )


def joblib_program(folder: Path) -> None:
    (folder / "program.py").write_text(
        "from joblib import Parallel, delayed, parallel_config\n\n"
        "def square(x):\n    return x * x\n\n"
        "if __name__ == '__main__':\n"
        "    with parallel_config(backend='multiprocessing', n_jobs=3):\n"
        "        print(Parallel()(delayed(square)(n) for n in range(100)))\n"
    )


def joblib_arrays(folder: Path) -> None:
    """It maps large arrays, and objects that only it knows how to pickle."""
    (folder / "program.py").write_text(
        "import numpy\n"
        "from joblib import Parallel, delayed, parallel_config\n\n"
        "def total(array, factor):\n    return float(array.sum() * factor), array.shape\n\n"
        "def fail(x):\n    return 1 // (x - 3)\n\n"
        "if __name__ == '__main__':\n"
        "    array = numpy.arange(400_000.0)\n"
        "    with parallel_config(backend='multiprocessing', n_jobs=2):\n"
        "        print(Parallel()(delayed(total)(array, n) for n in range(6)))\n"
        "        with Parallel() as parallel:\n"
        "            for n in range(3):\n"
        "                print(parallel(delayed(total)(array[n:], 1) for _ in range(4)))\n"
        "        try:\n"
        "            Parallel()(delayed(fail)(n) for n in range(6))\n"
        "        except ZeroDivisionError as error:\n"
        "            print(type(error), error)\n"
    )


def executor_program(folder: Path) -> None:
    (folder / "program.py").write_text(
        "from concurrent.futures import ProcessPoolExecutor, as_completed\n\n"
        "def begin(word):\n    global begun\n    begun = word\n\n"
        "def square(x):\n    return begun, x * x\n\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(3, initializer=begin, initargs=('yes',)) as pool:\n"
        "        print(list(pool.map(square, range(100), chunksize=7)))\n"
        "        print(sorted(f.result() for f in as_completed(\n"
        "            [pool.submit(square, n) for n in range(50)])))\n"
    )


POOL = ("Pool",)
STRANGERS = {
    "sphinx": Stranger(
        sphinx_project,
        ["-m", "sphinx", "-j", "3", "-b", "html", "-q", ".", "_build"],
        ("_build/**/*.html", "_build/objects.inv", "_build/searchindex.js"),
    ),
    "doit, processes": Stranger(
        doit_tasks, ["-m", "doit", "-n", "3", "-P", "process"], ("*.txt",), least=3
    ),
    "nose2": Stranger(
        suite_of_tests,
        ["-m", "nose2", "--plugin", "nose2.plugins.mp", "-N", "3"],
        ("*.py",),
        least=3,
        needs=("context.log_to_stderr",),
        code=1,
    ),
    "flake8": Stranger(untidy_code, ["-m", "flake8", "-j", "3", "."], needs=POOL, code=1),
    # Quiet, since its workers print lines in pieces, which mix with those of the others.
    "isort": Stranger(untidy_code, ["-m", "isort", "-q", "-j", "3", "."], needs=POOL),
    "autopep8": Stranger(untidy_code, ["-m", "autopep8", "-j", "3", "-ir", "."], needs=POOL),
    # The bits of its code are what kinds of messages there are, which depends on its version.
    "pylint": Stranger(
        untidy_code, ["-m", "pylint", "-j", "3", "--score=n", "."], code=range(1, 32)
    ),
    # Its executor makes its queue itself, and is given no context.
    "black": Stranger(untidy_code, ["-m", "black", "--workers", "3", "--no-cache", "."]),
    # With --diff, its workers share a lock of a manager.
    "black, a diff": Stranger(
        untidy_code, ["-m", "black", "--workers", "3", "--no-cache", "--diff", "-q", "."], least=3
    ),
    "executor": Stranger(executor_program, ["program.py"], ("*.py",), least=3),
    # It derives a class from Pool, and needs what multiprocessing does not document.
    "joblib": Stranger(joblib_program, ["program.py"], ("*.py",), least=3),
    "joblib, arrays": Stranger(joblib_arrays, ["program.py"], ("*.py",)),
}


def run_stranger(stranger: Stranger, folder: Path, hook: Path | None, method: str) -> object:
    """What it prints, as sorted lines without times and places, and the files it leaves."""
    folder.mkdir()
    stranger.prepare(folder)
    env = {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    if hook is not None:
        env |= {"PYTHONPATH": f"{hook}:{HOOK}", multiprocessing_hook.COUNT: str(hook / "count")}
    done = run_python(
        stranger.command,
        cwd=folder,
        timeout=SECONDS,
        env=env,
        method=method if hook is not None else None,
    )
    code = stranger.code
    assert done.returncode in ((code,) if isinstance(code, int) else code), done.describe()
    assert done.survivors == ()
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for pattern in stranger.patterns
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }
    assert files
    printed = comparable(done.stdout, folder), comparable(done.stderr, folder)
    return done.returncode, *printed, files


def is_there(need: str) -> bool:
    """Tell whether processing, or a context of it, has a name."""
    home = processing.get_context() if need.startswith("context.") else processing
    return hasattr(home, need.rpartition(".")[2])


def comparable(text: str, folder: Path) -> list[str]:
    """Lines in any order: which process is first is chance. Times differ, and so do folders."""
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*( \+0000)?", "MOMENT", text)
    text = re.sub(r"\d[\d.]* ?s(ec\w*)?\b", "TIME", text)
    # Progress of tests is a line of letters, one for each.
    return sorted("".join(sorted(line)) if set(line) <= set(".sF") else line
                  for line in text.splitlines())  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_it_does_the_same(name: str, tmp_path: Path, start_method: str) -> None:
    """The start method is that of `processing`, unless the program itself chooses one."""
    stranger = STRANGERS[name]
    missing = [need for need in stranger.needs if not is_there(need)]
    if missing:
        pytest.skip(f"processing has no {', '.join(missing)} yet")
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text("import multiprocessing_hook as h; h.install()\n")
    original = run_stranger(stranger, tmp_path / "original", None, start_method)
    replaced = run_stranger(stranger, tmp_path / "replaced", hook, start_method)
    assert replaced == original
    count = hook / "count"
    assert count.exists(), "the program started no process of ours"
    assert len(count.read_text().splitlines()) >= stranger.least


def test_the_hook_gives_our_modules_and_leaves_what_we_have_not() -> None:
    code = (
        "import multiprocessing_hook; multiprocessing_hook.install()\n"
        "import multiprocessing, multiprocessing.connection as c, multiprocessing.util\n"
        "from multiprocessing import Process, queues\n"
        "import processing.connection\n"
        "assert c is processing.connection and multiprocessing is processing\n"
        "assert Process is processing.Process and processing.__spec__.name == 'processing'\n"
        "print(queues.__name__, multiprocessing.util.__name__)\n"
        "try: import multiprocessing.nothing\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    done = run_python(["-c", code], env={"PYTHONPATH": str(HOOK)}).check()
    assert done.stdout == (
        "processing.queues multiprocessing.util\nNo module named 'multiprocessing.nothing'\n"
    )
