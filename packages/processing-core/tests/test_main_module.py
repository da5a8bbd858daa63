"""A child that does not inherit its parent's memory finds `__main__` again, however it was run."""

from __future__ import annotations

import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from processing_testkit import run_python, run_script, start_methods

PICKLING = [method for method in start_methods() if method != "fork"]

MAIN = """
import os, sys
import processing_core

class Thing:
    def __init__(self, number):
        self.number = number

def work(connection, thing):
    connection.send((thing.number, Thing(7), sys.argv, os.getcwd(), __name__ == "__main__",
                     sys.modules["__main__"].Thing is Thing))

def main():
    receiver, sender = processing_core.Pipe(duplex=False)
    process = processing_core.Process(target=work, args=(sender, Thing(3)))
    process.start()
    number, thing, argv, cwd, is_main, found = receiver.recv()
    process.join()
    assert type(thing) is Thing and thing.number == 7
    assert argv == sys.argv and cwd == os.getcwd(), (argv, cwd)
    assert found
    print(number, is_main, process.exitcode)

if __name__ == "__main__":
    main()
"""


def check(argv: list[str], method: str, cwd: Path) -> None:
    result = run_python([*argv, "some", "arguments"], method=method, cwd=cwd)
    expected = "3 True 0\n" if method == "fork" else "3 False 0\n"
    assert result.check().stdout == expected


def test_a_script(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(MAIN)
    check(["program.py"], start_method, tmp_path)
    check([str(tmp_path / "program.py")], start_method, tmp_path)


def test_a_script_without_the_ending_py(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "program").write_text(MAIN)
    check(["program"], start_method, tmp_path)


def test_a_module(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "module.py").write_text("from . import __name__ as package\n" + MAIN)
    check(["-m", "package.module"], start_method, tmp_path)


def test_a_package(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "__main__.py").write_text(
        "from package import __name__ as package\n" + MAIN
    )
    check(["-m", "package"], start_method, tmp_path)


def test_a_package_whose_main_has_no_guard(start_method: str, tmp_path: Path) -> None:
    """`__main__.py` is by convention run only as a program, so nobody writes a guard there."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "work.py").write_text(
        MAIN.replace('"__main__"].Thing', "__name__].Thing")
    )
    (tmp_path / "package" / "__main__.py").write_text("from package.work import main\nmain()\n")
    result = run_python(["-m", "package"], method=start_method, cwd=tmp_path)
    assert result.returncode == 0, result.describe()
    assert result.stdout == "3 False 0\n"


def test_a_folder(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text("import beside\n" + MAIN)
    (tmp_path / "folder" / "beside.py").write_text("")
    check(["folder"], start_method, tmp_path)


def test_a_zip_archive(start_method: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "program.pyz", "w") as archive:
        archive.writestr("__main__.py", "import beside\n" + MAIN)
        archive.writestr("beside.py", "")
    check(["program.pyz"], start_method, tmp_path)


def test_a_changed_folder_is_restored(start_method: str, tmp_path: Path) -> None:
    """The child works where the parent works when it starts, and finds the script all the same."""
    (tmp_path / "program.py").write_text(
        MAIN.replace("def main():", "def main():\n    os.chdir('elsewhere')")
    )
    (tmp_path / "elsewhere").mkdir()
    check(["program.py"], start_method, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_a_removed_folder_is_no_obstacle(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    program = """
        import os, sys
        import processing_core

        def nothing():
            pass

        if __name__ == "__main__":
            os.chdir(sys.argv[1])
            os.rmdir(sys.argv[1])
            process = processing_core.Process(target=nothing)
            process.start()
            process.join()
            print(process.exitcode)
        """
    result = run_script(program, str(tmp_path / "elsewhere"), method=start_method)
    assert result.check().stdout == "0\n"


def test_a_changed_path_is_restored(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "only_there.py").write_text("def work(connection): connection.send(__name__)")
    program = """
        import sys
        import processing_core

        if __name__ == "__main__":
            sys.path.insert(0, sys.argv[1])
            import only_there
            receiver, sender = processing_core.Pipe(duplex=False)
            process = processing_core.Process(target=only_there.work, args=(sender,))
            process.start()
            print(receiver.recv())
            process.join()
        """
    assert run_script(program, str(tmp_path), method=start_method).check().stdout == "only_there\n"


def test_options_of_the_interpreter_are_passed_on(start_method: str) -> None:
    program = """
        import sys, warnings
        import processing_core

        def tell(connection):
            connection.send((sys.flags.optimize, sys._xoptions, sys.warnoptions,
                             sys.flags.dont_write_bytecode, __debug__))

        if __name__ == "__main__":
            receiver, sender = processing_core.Pipe(duplex=False)
            process = processing_core.Process(target=tell, args=(sender,))
            process.start()
            print(receiver.recv() == (1, {"tracemalloc": "3"}, ["error::FutureWarning"], 1, False))
            process.join()
        """
    options = ["-O", "-B", "-X", "tracemalloc=3", "-W", "error::FutureWarning"]
    result = run_script(program, method=start_method, options=options)
    assert result.check().stdout == "True\n"


@pytest.mark.parametrize("isolation", ["-I", "-E", "-s", "-P"])
def test_isolation_does_not_hide_the_library(start_method: str, isolation: str) -> None:
    program = """
        import processing_core
        def nothing(): pass
        if __name__ == "__main__":
            process = processing_core.Process(target=nothing)
            process.start()
            process.join()
            print(process.exitcode)
        """
    assert run_script(program, method=start_method, options=[isolation]).check().stdout == "0\n"


TYPED = """
import processing_core
def work(): print("worked", flush=True)

try:
    process = processing_core.Process(target=work)
    process.start()
    process.join()
    print("code", process.exitcode)
except processing_core.SerializationError as error:
    print("refused:", error)

import colorsys
process = processing_core.Process(target=colorsys.rgb_to_hls, args=(0, 0, 0))
process.start()
process.join()
print("imported", process.exitcode)
"""

# An environment without cloudpickle, whatever is installed where the tests run.
NO_CLOUDPICKLE = "import sys; sys.modules['cloudpickle'] = None\n"


@pytest.mark.parametrize("method", PICKLING)
@pytest.mark.parametrize("how", ["-c", "stdin"])
def test_without_a_main_file_the_caller_is_told(method: str, how: str, tmp_path: Path) -> None:
    """Functions that are typed or piped in cannot be imported by a child: an error at start()."""
    program = NO_CLOUDPICKLE + TYPED
    argv, stdin = (["-c", program], None) if how == "-c" else (["-"], program)
    result = run_python(argv, method=method, cwd=tmp_path, stdin=stdin).check()
    refused, imported = result.stdout.splitlines()
    assert refused.startswith("refused:")
    assert "work" in refused
    assert "__main__" in refused
    assert imported == "imported 0"


@pytest.mark.parametrize("method", PICKLING)
@pytest.mark.parametrize("how", ["-c", "stdin"])
def test_without_a_main_file_cloudpickle_helps(method: str, how: str, tmp_path: Path) -> None:
    pytest.importorskip("cloudpickle")
    argv, stdin = (["-c", TYPED], None) if how == "-c" else (["-"], TYPED)
    result = run_python(argv, method=method, cwd=tmp_path, stdin=stdin).check()
    assert result.stdout == "worked\ncode 0\nimported 0\n"


@pytest.mark.skipif("fork" not in start_methods(), reason="needs fork")
@pytest.mark.parametrize("how", ["-c", "stdin"])
def test_without_a_main_file_fork_just_works(how: str, tmp_path: Path) -> None:
    argv, stdin = (["-c", TYPED], None) if how == "-c" else (["-"], TYPED)
    result = run_python(argv, method="fork", cwd=tmp_path, stdin=stdin).check()
    assert result.stdout == "worked\ncode 0\nimported 0\n"


@pytest.mark.parametrize("method", PICKLING)
def test_the_interactive_prompt(method: str, tmp_path: Path) -> None:
    """As stdin, with sys.ps1 defined."""
    typed = textwrap.dedent(
        """
        import sys; sys.modules['cloudpickle'] = None
        import processing_core
        def work(): pass

        process = processing_core.Process(target=work)
        try: process.start()
        except processing_core.SerializationError as error: print("refused", flush=True)

        import colorsys
        process = processing_core.Process(target=colorsys.rgb_to_hls, args=(0, 0, 0))
        process.start(); process.join(); print("imported", process.exitcode)
        """
    )
    result = run_python(["-i", "-q"], method=method, cwd=tmp_path, stdin=typed)
    assert result.returncode == 0, result.describe()
    assert result.stdout == "refused\nimported 0\n"
    assert not result.survivors


def test_importing_is_not_done_twice_for_nothing(start_method: str) -> None:
    """A child under fork does not run the main module; others run it once each."""
    program = """
        import os, sys
        import processing_core
        with open(sys.argv[1], "a") as log:
            log.write("run\\n")

        def nothing(): pass

        if __name__ == "__main__":
            for _ in range(3):
                process = processing_core.Process(target=nothing)
                process.start()
                process.join()
            print(open(sys.argv[1]).read().count("run"))
        """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        result = run_script(program, f"{folder}/log", method=start_method).check()
    assert int(result.stdout) == {"fork": 1, "forkserver": 2, "spawn": 4}[start_method]
