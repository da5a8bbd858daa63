"""SharedMemory in one process: its life, its errors, its views."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

# numpy's own threads would make every fork after this one of a threaded process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

assert sys.platform != "win32"

from processing_core import ClosedError, InvalidArgument, InvalidType, SharingError
from processing_sharedctypes import _shm_files, shared_memory
from processing_sharedctypes.shared_memory import SharedMemory
from processing_testkit import run_script
from shm_children import FOLDER, is_there


@pytest.fixture
def block() -> Iterator[SharedMemory]:
    made = SharedMemory(create=True, size=100)
    yield made
    made.close()
    if is_there(made.name):
        made.unlink()


def test_the_door_has_what_the_standard_library_has() -> None:
    assert shared_memory.__all__ == ["ShareableList", "SharedMemory", "SharedMemoryManager"]
    for name in shared_memory.__all__:
        kind = getattr(shared_memory, name)
        assert kind.__module__ == "processing_sharedctypes.shared_memory"
        assert pickle.loads(pickle.dumps(kind)) is kind


def test_a_new_block_is_zeroed_and_of_its_size(block: SharedMemory) -> None:
    assert_type(block.buf, memoryview)
    assert block.size == 100
    assert bytes(block.buf) == bytes(100)
    assert block.name.startswith("processing_")
    assert repr(block) == f"SharedMemory({block.name!r}, size=100)"
    assert (FOLDER / block.name).stat().st_size == 100


def test_an_attached_block_is_the_same_memory(block: SharedMemory) -> None:
    other = SharedMemory(block.name, size=12345, track=False)
    assert other.size == 100
    other.buf[3] = 9
    assert block.buf[3] == 9
    other.close()
    assert is_there(block.name)
    assert SharedMemory("/" + block.name).buf[3] == 9


def test_a_name_may_be_chosen_and_is_then_taken() -> None:
    name = f"chosen-{os.getpid()}"
    first = SharedMemory(name, create=True, size=1)
    assert first.name == name
    with pytest.raises(FileExistsError, match=name):
        SharedMemory(name, True, 1)
    first.close()
    with pytest.raises(FileExistsError, match=name):
        SharedMemory(name, create=True, size=1)
    first.unlink()
    again = SharedMemory(name, create=True, size=2)
    again.close()
    with pytest.raises(FileNotFoundError, match="another block"):
        first.unlink()
    assert is_there(name)
    again.unlink()
    assert not is_there(name)


def test_after_unlink_the_memory_stays_and_the_name_does_not(block: SharedMemory) -> None:
    other = SharedMemory(block.name)
    other.unlink()
    block.buf[0] = 5
    assert other.buf[0] == 5
    with pytest.raises(FileNotFoundError, match=block.name):
        SharedMemory(block.name)
    with pytest.raises(FileNotFoundError, match=block.name):
        block.unlink()


def test_what_others_unlinked_is_let_go_of() -> None:
    """The owner's descriptor would keep the memory."""
    block = SharedMemory(create=True, size=100)
    block.close()
    (FOLDER / block.name).unlink()
    assert any(block.name in target for target in open_files())
    SharedMemory(create=True, size=1).unlink()
    assert not any(block.name in target for target in open_files())


def open_files() -> list[str]:
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(path.readlink()))
        except FileNotFoundError:
            continue  # the one that the folder was read with
    return found


@pytest.mark.parametrize("size", [-1, 0])
def test_a_new_block_has_a_positive_size(size: int) -> None:
    with pytest.raises(InvalidArgument, match=str(size)):
        SharedMemory(create=True, size=size)


@pytest.mark.parametrize("size", [1.5, "10", None])
def test_a_size_is_an_int(size: object) -> None:
    with pytest.raises(InvalidType, match=str(size)):
        SharedMemory(create=True, size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1 << 44, sys.maxsize, 1 << 70])
def test_a_size_that_cannot_be_had_is_a_memory_error(size: int) -> None:
    name = f"large-{os.getpid()}"
    with pytest.raises(MemoryError, match=str(size)):
        SharedMemory(name, create=True, size=size)
    assert not is_there(name)


def test_a_name_is_needed_to_attach() -> None:
    with pytest.raises(InvalidArgument, match="name"):
        SharedMemory()
    with pytest.raises(InvalidType, match="7"):
        SharedMemory(7)  # type: ignore[arg-type]


def test_an_unknown_name_is_not_found() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-name-1234") as caught:
        SharedMemory("no-such-name-1234")
    assert caught.value.filename == "no-such-name-1234"


@pytest.mark.parametrize("name", ["", "/", "a/b", ".", "..", "x" * 300])
def test_a_name_that_no_file_can_have_is_an_error(name: str) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        SharedMemory(name)
    with pytest.raises(OSError, match="Invalid argument"):
        SharedMemory(name, create=True, size=1)


def test_a_name_without_null_characters() -> None:
    with pytest.raises(ValueError, match="embedded null"):
        SharedMemory("a\0b", create=True, size=1)


def test_an_empty_block_cannot_be_attached() -> None:
    path = FOLDER / f"empty-{os.getpid()}"
    path.touch()
    try:
        with pytest.raises(ValueError, match=path.name):
            SharedMemory(path.name)
    finally:
        path.unlink()


def test_closing_twice_is_closing_once(block: SharedMemory) -> None:
    block.close()
    block.close()
    with pytest.raises(ClosedError, match=block.name):
        _ = block.buf
    assert block.size == 100
    assert is_there(block.name)


def test_with_closes_and_leaves_the_name(block: SharedMemory) -> None:
    with SharedMemory(block.name) as other:
        other.buf[0] = 3
    with pytest.raises(ClosedError):
        _ = other.buf
    assert block.buf[0] == 3
    assert is_there(block.name)


@pytest.mark.parametrize("kind", ["slice", "cast", "bytearray view"])
def test_a_block_with_views_stays_open(block: SharedMemory, kind: str) -> None:
    view = {
        "slice": lambda: block.buf[10:20],
        "cast": lambda: block.buf.cast("B"),
        "bytearray view": lambda: memoryview(block.buf),
    }[kind]()
    for _ in range(3):
        with pytest.raises(BufferError, match=block.name):
            block.close()
    view[0] = 8
    assert 8 in bytes(block.buf)
    view.release()
    del view
    block.close()


def test_numpy_arrays_are_never_left_on_nothing(block: SharedMemory) -> None:
    """Not even those that hold no view, which the standard library pulls the memory away from."""
    numpy = pytest.importorskip("numpy")
    for array in (
        numpy.ndarray((10,), "B", buffer=block.buf),
        numpy.frombuffer(block.buf, "B"),
        numpy.asarray(block.buf),
    ):
        with pytest.raises(BufferError, match="in use"):
            block.close()
        array[1] = 77
        assert block.buf[1] == 77
    del array
    block.close()


def test_memory_stays_for_arrays_whose_block_was_collected() -> None:
    numpy = pytest.importorskip("numpy")
    block = SharedMemory(create=True, size=1000)
    array = numpy.ndarray((1000,), "B", buffer=block.buf)
    block.unlink()
    del block
    gc.collect()
    array[:] = 3
    assert array.sum() == 3000


def test_of_many_threads_one_closes() -> None:
    block = SharedMemory(create=True, size=1)
    threads = [threading.Thread(target=block.close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    block.unlink()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_stands_for_the_name(block: SharedMemory, protocol: int) -> None:
    data = pickle.dumps(block, protocol)
    other = pickle.loads(data)
    other.buf[0] = 6
    assert block.buf[0] == 6
    other.unlink()
    with pytest.raises(FileNotFoundError, match=block.name):
        pickle.loads(data)


def test_without_dev_shm_by_name_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shm_files, "FOLDER", "/dev/no-such-folder")
    with pytest.raises(FileNotFoundError, match=r"/dev/no-such-folder is missing.*pass the"):
        SharedMemory("something")
    with pytest.raises(FileNotFoundError, match=r"/dev/no-such-folder is missing.*pass the"):
        SharedMemory("something", create=True, size=1)
    block = SharedMemory(create=True, size=10)
    block.buf[0] = 1
    with pytest.raises(SharingError, match="no name"):
        pickle.dumps(block)
    with pytest.raises(FileNotFoundError, match="missing"):
        SharedMemory(block.name)
    with pytest.raises(MemoryError):
        SharedMemory(create=True, size=1 << 44)
    block.close()
    block.unlink()


def test_nothing_is_said_about_what_is_left_open() -> None:
    """Blocks that are left open, closed, unlinked or referred to at the end of the program."""
    result = run_script(
        """
        import sys
        from processing_sharedctypes.shared_memory import *
        open_one, closed, gone = (SharedMemory(create=True, size=10) for _ in range(3))
        closed.close()
        gone.unlink()
        view = SharedMemory(create=True, size=10).buf[1:]
        items = ShareableList([1, "two"])
        same = ShareableList(name=items.shm.name)
        attached = SharedMemory(open_one.name)
        part = attached.buf[2:4]
        manager = SharedMemoryManager()
        manager.start()
        kept = manager.SharedMemory(10)
        print(open_one.name, closed.name, items.shm.name, kept.name)
        print([name for name in sys.modules if name.startswith("multiprocessing")])
        """,
        options=("-W", "error", "-X", "dev"),
    ).check()
    names, modules = result.stdout.splitlines()
    assert modules == "[]"
    assert len(names.split()) == 4
    assert not any(is_there(name) for name in names.split())


def test_many_blocks_end_with_the_descriptors_they_began_with() -> None:
    for _ in range(300):
        with SharedMemory(create=True, size=10) as block:
            block.buf[0] = 1
        block.unlink()
