"""`python -m processing migrate` as a command: files, what is shown and written, exit codes."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from processing.__main__ import main
from processing._commands import migrate
from processing_testkit import ScriptResult, run_python

BEFORE = b"import multiprocessing\nmultiprocessing.Lock()\n"
AFTER = b"import processing\nprocessing.Lock()\n"
DIFF = """\
--- {path}
+++ {path}
@@ -1,2 +1,2 @@
-import multiprocessing
-multiprocessing.Lock()
+import processing
+processing.Lock()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_bytes(BEFORE)
    return path


def test_it_shows_what_would_change_and_changes_nothing(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", str(program)]) == 0
    shown = capsys.readouterr()
    assert shown.out == DIFF.format(path=program)
    assert shown.err == "1 of 1 files would change\n"
    assert program.read_bytes() == BEFORE


def test_it_writes_when_asked(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.chmod(0o750)
    assert main(["migrate", "--write", str(program)]) == 0
    assert program.read_bytes() == AFTER
    assert program.stat().st_mode & 0o777 == 0o750
    assert capsys.readouterr().err == "1 of 1 files changed\n"
    assert os.listdir(program.parent) == ["program.py"]  # noqa: PTH208 - names are compared
    assert main(["migrate", "--write", str(program)]) == 0
    assert capsys.readouterr().err == "0 of 1 files changed\n"


def test_check_fails_as_long_as_something_would_change(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", "--check", "--quiet", str(program)]) == 1
    assert capsys.readouterr().out == ""
    assert program.read_bytes() == BEFORE
    program.write_bytes(AFTER)
    assert main(["migrate", "--check", str(program)]) == 0


def test_it_says_what_it_left_alone_and_why(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.write_text("from multiprocessing import Lock, util\n")
    assert main(["migrate", str(program)]) == 0
    shown = capsys.readouterr()
    assert f"{program}:1: left alone: processing has no util\n" in shown.err
    assert "+from processing import Lock\n" in shown.out


def test_folders_are_searched_for_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "sub/b.pyi", ".hidden/c.py", "venv/d.py", "node_modules/e.py", "f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(BEFORE)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    assert main(["migrate", "--write", str(tmp_path), str(tmp_path / "f.txt")]) == 0
    assert capsys.readouterr().err == "3 of 3 files changed\n"
    for name in ("a.py", "sub/b.pyi", "f.txt"):
        assert (tmp_path / name).read_bytes() == AFTER
    for name in (".hidden/c.py", "venv/d.py", "node_modules/e.py"):
        assert (tmp_path / name).read_bytes() == BEFORE


def test_one_bad_file_stops_no_other(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.py").write_text("import multiprocessing\nprint 'old'\n")
    assert main(["migrate", "--write", str(tmp_path), str(tmp_path / "none.py")]) == 2
    shown = capsys.readouterr().err
    assert "old.py: cannot be parsed: line 2" in shown
    assert "none.py: there is no such file or folder" in shown
    assert "1 of 2 files changed, 2 failed\n" in shown
    assert program.read_bytes() == AFTER


@pytest.mark.parametrize("namesake", ["processing.py", "processing/__init__.py"])
def test_files_beside_a_module_called_processing_are_left_alone(
    program: Path, namesake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = program.parent / namesake
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert main(["migrate", "--check", str(program)]) == 0
    assert f"left alone: import processing would find {path}" in capsys.readouterr().err


def test_a_link_stays_one(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(program)
    assert main(["migrate", "--write", str(link)]) == 0
    assert link.is_symlink()
    assert program.read_bytes() == AFTER


def test_a_file_that_cannot_be_written_stays_whole(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copymode", fail)
    assert main(["migrate", "--write", "--quiet", str(program)]) == 2
    assert "cannot be written: No space left on device" in capsys.readouterr().err
    assert program.read_bytes() == BEFORE
    assert len(list(program.parent.iterdir())) == 1


def test_without_libcst_it_says_what_to_install(program: Path) -> None:
    code = (
        "import sys; sys.modules['libcst'] = None\n"
        "from processing.__main__ import main\n"
        "raise SystemExit(main(['migrate', *sys.argv[1:]]))"
    )
    done = run_python(["-c", code, str(program)])
    assert (done.returncode, done.stderr) == (2, f"{migrate.NEED}\n")


def test_the_facade_does_not_import_the_tools() -> None:
    code = "import processing, sys; print([m for m in ('rich', 'libcst') if m in sys.modules])"
    assert run_python(["-c", code]).check().stdout == "[]\n"


if sys.platform != "win32":
    import pty

    def on_a_terminal(*words: str) -> tuple[int, str]:
        """Run the command on a terminal; its exit code and what it showed."""
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "processing", *words]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
        environment.pop("NO_COLOR", None)
        pid = os.posix_spawn(
            command[0],
            command,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs, number) for number in (0, 1, 2)],
        )
        os.close(theirs)
        shown = b""
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            while True:
                try:
                    piece = terminal.read(65536)
                except OSError:  # what Linux says when nobody has the other end any more
                    break
                if not piece:
                    break
                shown += piece
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), shown.decode()

    def test_on_a_terminal_there_are_colours(program: Path) -> None:
        code, shown = on_a_terminal("migrate", str(program))
        assert code == 0
        assert "\x1b[32m+import processing" in shown
        assert "\x1b[31m-import multiprocessing" in shown

    def test_on_a_terminal_many_files_have_a_bar(tmp_path: Path) -> None:
        for number in range(migrate.FEW + 1):
            (tmp_path / f"{number}.py").write_bytes(BEFORE)
        code, shown = on_a_terminal("migrate", "--write", "--quiet", str(tmp_path))
        assert code == 0
        assert "Reading files" in shown
        assert f"{migrate.FEW + 1} of {migrate.FEW + 1} files changed" in shown
        code, shown = on_a_terminal("migrate", "--quiet", str(tmp_path / "0.py"))
        assert "Reading files" not in shown


PROGRAM = """
import multiprocessing
import multiprocessing.connection
from multiprocessing import Event, get_context
from multiprocessing.sharedctypes import Value


class Doubler(multiprocessing.Process):
    def __init__(self, numbers, answers, total, done):
        super().__init__(name="doubler")
        self.numbers, self.answers, self.total, self.done = numbers, answers, total, done

    def run(self):
        for number in iter(self.numbers.get, None):
            with self.total.get_lock():
                self.total.value += number
            self.answers.send((multiprocessing.current_process().name, 2 * number))
        self.done.set()


if __name__ == "__main__":
    context = get_context("spawn")
    total, done, numbers = Value("i", 0), Event(), multiprocessing.Queue()
    reader, writer = multiprocessing.Pipe(duplex=False)
    process = Doubler(numbers, writer, total, done)
    process.start()
    for number in (1, 2, 3, None):
        numbers.put(number)
    for _ in range(3):
        assert multiprocessing.connection.wait([reader]) == [reader]
        print(reader.recv())
    process.join()
    print(done.is_set(), total.value, process.exitcode, context.get_start_method())
"""


@pytest.mark.orphans  # A program may end before its fork server.
def test_a_program_does_the_same_before_and_after(tmp_path: Path, start_method: str) -> None:
    path = tmp_path / "doubling.py"
    path.write_text(textwrap.dedent(PROGRAM))
    before = run_program(path, "fork").stdout
    assert main(["migrate", "--write", "--quiet", str(tmp_path)]) == 0
    assert "multiprocessing" not in path.read_text()
    assert run_program(path, start_method).stdout == before
    assert before.endswith("('doubler', 6)\nTrue 6 0 spawn\n")


def run_program(path: Path, method: str) -> ScriptResult:
    return run_python([str(path)], method=method).check()
