"""The standard library's blocks and ours, each attached by the other, on every Python found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

assert sys.platform != "win32"

from processing_sharedctypes import _named_memory
from processing_sharedctypes.shared_memory import ShareableList, SharedMemory
from processing_testkit import run_python
from shm_children import is_there

VALUES = ["howdy", b"HoWdY", -273.154, 100, None, True, "x" * 8]


def pythons() -> dict[str, str]:
    """The interpreters to test with, by version: this one and those of pyenv."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = {}
    for version in ("3.11", "3.12", "3.13"):
        for path in sorted(root.glob(f"versions/{version}.*/bin/python")):
            found[version] = str(path)
    found[f"{sys.version_info.major}.{sys.version_info.minor}"] = sys.executable
    return found


@pytest.fixture(params=sorted(pythons()))
def python(request: pytest.FixtureRequest) -> str:
    return pythons()[request.param]


# Until 3.13 the standard library's tracker removes what was only attached.
ATTACH = """
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import ShareableList, SharedMemory

def not_tracked(shm):
    resource_tracker.unregister(shm._name, "shared_memory")
    return shm

block = not_tracked(SharedMemory(sys.argv[1]))
assert block.size == 5000, block.size
assert bytes(block.buf[:4]) == b"ours"
block.buf[:4] = b"done"
block.close()
items = ShareableList(name=sys.argv[2])
not_tracked(items.shm)
assert list(items) == ["howdy", b"HoWdY", -273.154, 100, None, True, "x" * 8, "a"], items
items[0] = 17
items[1] = "eightful"
items[7] = b"longer"
items.shm.close()
"""


def test_the_standard_library_attaches_ours(python: str) -> None:
    block = SharedMemory(create=True, size=5000)
    block.buf[:4] = b"ours"
    items: ShareableList[Any] = ShareableList([*VALUES, "a"])
    run_python(["-W", "error", "-c", ATTACH, block.name, items.shm.name], python=python).check()
    assert bytes(block.buf[:4]) == b"done"
    assert list(items) == [17, "eightful", *VALUES[2:], b"longer"]
    for shm in (block, items.shm):
        assert is_there(shm.name)
        shm.close()
        shm.unlink()


CREATE = """
import sys
from multiprocessing.shared_memory import ShareableList, SharedMemory

block = SharedMemory(create=True, size=5000)
block.buf[:6] = b"theirs"
items = ShareableList(["howdy", b"HoWdY", -273.154, 100, None, True, "x" * 8])
print(block.name, items.shm.name, flush=True)
sys.stdin.readline()
print(bytes(block.buf[:6]), list(items))
for shm in (block, items.shm):
    shm.close()
    shm.unlink()
"""


@contextmanager
def program(python: str, code: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """A program's input and output; it has to end well and say nothing more."""
    with subprocess.Popen(
        [python, "-W", "error", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")


@pytest.mark.orphans  # the tracker process
def test_we_attach_the_standard_librarys(python: str) -> None:
    with program(python, CREATE) as (commands, output):
        name, list_name = output.readline().split()
        block = SharedMemory(name)
        assert (block.size, bytes(block.buf[:6])) == (5000, b"theirs")
        items: ShareableList[Any] = ShareableList(name=list_name)
        assert list(items) == VALUES
        block.buf[:6] = b"shared"
        items[3] = "hundred"
        block.close()
        items.shm.close()
        _named_memory._account.sweep()
        assert is_there(name)
        assert is_there(list_name)
        commands.write("go on\n")
        commands.flush()
        expected = [*VALUES[:3], "hundred", *VALUES[4:]]
        assert output.readline() == f"{b'shared'!r} {expected}\n"
    assert not is_there(name)


LEAVE = """
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
block = SharedMemory(create=True, size=10)
resource_tracker.unregister(block._name, "shared_memory")
print(block.name)
"""


def test_what_the_standard_library_leaves_is_not_ours_to_sweep(python: str) -> None:
    name = run_python(["-W", "error", "-c", LEAVE], python=python).check().stdout.strip()
    _named_memory._account.sweep()
    assert is_there(name)
    block = SharedMemory(name)
    _named_memory._account.sweep()
    block.close()
    block.unlink()
    assert not is_there(name)


def test_the_name_of_the_other_is_taken() -> None:
    block = SharedMemory(create=True, size=10)
    code = (
        "from multiprocessing.shared_memory import SharedMemory\n"
        f"SharedMemory({block.name!r}, create=True, size=10)"
    )
    result = run_python(["-c", code])
    assert result.returncode == 1
    assert "FileExistsError" in result.stderr
    assert is_there(block.name)
    block.unlink()
