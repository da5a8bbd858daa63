"""The census example keeps its promises: what it counts, how it fails, how it is stopped.

It is run as a program, as a user runs it; where a test has to reach inside, a driver does that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import processing

EXAMPLES = Path(__file__).parents[1]
CENSUS = EXAMPLES / "census.py"
DEADLINE = 60.0

every_start_method = pytest.mark.parametrize("method", processing.get_all_start_methods())


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter, in a session of its own: a fork server may outlive it by a moment."""
    path = os.pathsep.join([str(EXAMPLES), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def census(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run(str(CENSUS), *map(str, arguments))


def drive(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program that has imported `census`."""
    return run("-c", "import census\n" + script, *map(str, arguments))


def figure(output: str, what: str) -> str:
    """What the table says beside `what`."""
    found = re.search(rf"│ +{re.escape(what)} +│ (.*?) +│", output)
    assert found, output
    return found.group(1)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree: three files that parse, and several that do not, each for its own reason."""
    files: dict[str, bytes] = {
        "one.py": b"def f(a):\n    return a + a\n\nclass C:\n    async def g(self): pass\n",
        "latin.py": b"# -*- coding: latin-1 -*-\ncaf\xe9 = a\n",
        "deep/er/doubtful.py": b"a = '\\d'\n",
        "tests/test_one.py": b"def test_it():\n    pass\n",
        "site-packages/not_ours.py": b"class NotOurs: pass\n",
        "bad_utf8.py": b"s = '\xe9'\n",
        "bad_coding.py": b"# coding: no-such-encoding\n",
        "bad_null.py": b"x = 1\0\n",
        "bad_syntax.py": b"x = [(]\n",
        "bad_depth.py": b"a" + b".b" * 100_000,
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_counts(tree: Path) -> None:
    outcome = census("--path", tree, "--processes", 3)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert figure(outcome.stdout, "files") == "9"
    assert figure(outcome.stdout, "functions") == "3"
    assert figure(outcome.stdout, "classes") == "1"
    assert figure(outcome.stdout, "a") == "4"
    assert "NotOurs" not in outcome.stdout
    assert figure(outcome.stdout, "time with 3 processes")


def test_files_that_do_not_parse_are_listed_with_the_reason(tree: Path) -> None:
    output = census("--path", tree).stdout
    assert figure(output, "files that do not parse") == "5"
    assert "can't decode" in figure(output, "bad_utf8.py")
    assert "no-such-encoding" in figure(output, "bad_coding.py")
    assert "null bytes" in figure(output, "bad_null.py")
    assert "closing parenthesis ']'" in figure(output, "bad_syntax.py")
    assert "RecursionError" in figure(output, "bad_depth.py")


def test_without_the_tests(tree: Path) -> None:
    outcome = census("--path", tree, "--no-tests")
    assert figure(outcome.stdout, "files") == "8"


def test_more_processes_than_files(tmp_path: Path) -> None:
    (tmp_path / "only.py").touch()
    outcome = census("--path", tmp_path, "--processes", 4)
    assert (outcome.returncode, figure(outcome.stdout, "lines")) == (0, "0")


@every_start_method
def test_some_of_the_standard_library(method: str) -> None:
    outcome = census("--limit", 40, "--start-method", method)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert figure(outcome.stdout, "files") == "40"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "0"], "at least 1"),
        (["--path", "/dev/null"], "no Python source file"),
        (["--start-method", "wish"], "invalid choice"),
    ],
)
def test_wrong_options(arguments: list[str], message: str) -> None:
    outcome = census(*arguments)
    assert outcome.returncode == 2
    assert message in outcome.stderr


def test_self_check_notices_a_wrong_answer(tree: Path) -> None:
    script = """if True:
        import sys
        count_batch, here = census.count_batch, census.os.getpid()

        def wrong(batch):
            answer = count_batch(batch)
            if census.os.getpid() != here:
                answer.names["a"] += 1
                answer.lines -= 1
            return answer

        census.count_batch = wrong
        sys.exit(census.main(["--path", sys.argv[1], "--start-method", "fork"]))
    """
    outcome = drive(script, tree)
    assert outcome.returncode == 1
    assert outcome.stderr == "census: the workers counted different lines, names\n"
    assert outcome.stdout == ""


@every_start_method
def test_killed_worker_is_an_error_and_not_a_hang(method: str, tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}.py").write_text("# long\n" * 10_000)
    (tmp_path / "deadly.py").write_text(
        """if True:
        import os, signal
        from census import count_batch as count

        def count_batch(batch):
            if any(path.name == "7.py" for path in batch):
                print(os.getpid(), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            return count(batch)
        """
    )
    script = """if True:
        import processing, sys
        from processing.pool import WorkerLost

        sys.path.append(sys.argv[1])
        import deadly

        census.count_batch = deadly.count_batch
        processing.set_start_method(sys.argv[2])
        paths = census.find_files(census.Path(sys.argv[1]))
        try:
            census.count_with_workers(paths, 2, lambda files: None)
        except WorkerLost as error:
            print(error.pid, error.cause)
        print(processing.active_children())
    """
    outcome = drive(script, tmp_path, method)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    victim, error, left = outcome.stdout.splitlines()
    assert error == f"{victim} SIGKILL"
    assert left == "[]"


def test_worker_error_is_reported_in_one_line_by_the_program(tree: Path) -> None:
    script = """if True:
        import os, runpy, sys
        census.ast.walk = lambda tree: os._exit(7) if os.getpid() != here else []
        here = os.getpid()
        sys.argv = ["census.py", "--path", sys.argv[1], "--start-method", "fork"]
        runpy.run_path(census.__file__, run_name="__main__")
    """
    outcome = drive(script, tree)
    assert outcome.returncode == 1
    lost = r"census: worker \d+ ended \(exit code 7\) while it ran count_batch\(.*\n"
    assert re.fullmatch(lost, outcome.stderr)
