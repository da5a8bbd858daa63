"""Queues where something is missing: ctypes, memory, descriptors, a home, /dev/shm, /proc."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from processing_core import JoinableQueue, Pipe, Process, Queue, wait
from processing_core._platform import holds
from processing_core._platform import pthreads as pthreads_module
from processing_core._ring import channel
from processing_testkit import run_script, start_methods

assert sys.platform != "win32"

EXERCISE = """
    import sys
    from processing_core import Process, Queue, active_children, lowlevel

    def work(queue, results):
        while (item := queue.get()) is not None:
            results.put((len(item), item[:1]))

    def main():
        queue, results = Queue(4), Queue()
        process = Process(target=work, args=(queue, results))
        process.start()
        sizes = [1, 500, 70_000, 400_000] * 5
        for size in sizes:
            queue.put(b"x" * size)
        queue.put(None)
        assert [results.get(timeout=20) for _ in sizes] == [(size, b"x") for size in sizes]
        process.join()
        assert process.exitcode == 0
        print("done", *sorted(lowlevel.features().items()))

    if __name__ == "__main__":
        prepare()
        main()
"""


def run(prepare: str, method: str, **options: Any) -> str:
    text = f"def prepare():\n    {prepare or 'pass'}\n\n" + "\n".join(
        line.removeprefix("    ") for line in EXERCISE.splitlines()
    )
    result = run_script(text, method=method, **options).check()
    assert result.stdout.startswith("done"), result.describe()
    return result.stdout


@pytest.mark.parametrize("method", start_methods())
def test_few_descriptors(method: str) -> None:
    run("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))", method)


@pytest.mark.parametrize("method", start_methods())
def test_little_address_space(method: str) -> None:
    limit = 600 << 20
    run(f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))", method)


@pytest.mark.parametrize("method", start_methods())
def test_no_home_and_no_temporary_folder(method: str) -> None:
    drop = "import os; [os.environ.pop(name, None) for name in ('HOME', 'TMPDIR', 'TEMP', 'TMP')]"
    run(drop, method)


@pytest.mark.parametrize("method", start_methods())
def test_without_ctypes(method: str, tmp_path: Path) -> None:
    """A build that lacks it: the fallbacks take over, and it is said what is missing."""
    (tmp_path / "ctypes.py").write_text("raise ImportError('no ctypes in this build')")
    output = run("", method, env={"PYTHONPATH": str(tmp_path)})
    assert "('robust_mutexes', False)" in output


def test_what_there_is() -> None:
    from processing_core import lowlevel

    features = lowlevel.features()
    assert set(features) == {
        "anonymous_memory",
        "holds",
        "robust_mutexes",
        "unnamed_semaphores",
    }
    assert all(features.values()) or sys.platform != "linux"


@pytest.fixture
def no_pthreads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pthreads_module._Loaded, "tried", True)
    monkeypatch.setattr(pthreads_module._Loaded, "pthreads", None)


def keeps_the_promises() -> None:
    """What a queue does, in short."""
    queue: Queue[Any] = Queue(2)
    queue.put(1)
    assert wait([queue], 5) == [queue]
    queue.put(b"x" * 100_000)
    assert queue.full()
    assert queue.get() == 1
    assert len(queue.get()) == 100_000
    assert wait([queue], 0) == []
    receiver, sender = Pipe(False)
    queue.put(sender)
    got = queue.get()
    got.send("through")
    assert receiver.recv() == "through"
    for end in (receiver, sender, got):
        end.close()
    joinable: JoinableQueue[int] = JoinableQueue()
    joinable.put(1)
    joinable.get()
    joinable.task_done()
    joinable.join()
    many: Queue[bytes] = Queue()
    many.put_many([bytes(1000)] * 3000)
    assert many.get_many(5000) == [bytes(1000)] * 3000
    assert many._memory_in_use() < 1_000_000


def dies_with(queue: Queue[Any], which: str) -> None:
    process = Process(
        target=lambda: getattr(queue, which).run(lambda: os.kill(os.getpid(), signal.SIGKILL)),
        context="fork",
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def survives_the_dead() -> None:
    queue: Queue[Any] = Queue()
    for number, which in enumerate(("_putting", "_getting")):
        queue.put(number)
        dies_with(queue, which)
        assert queue.get() == number


@pytest.mark.usefixtures("no_pthreads")
def test_the_fallback_keeps_the_promises() -> None:
    keeps_the_promises()
    survives_the_dead()


def test_with_one_guard_for_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors that do not promise the order of stores."""
    monkeypatch.setattr(channel, "ORDERED", ())
    queue: Queue[Any] = Queue()
    assert queue._putting is queue._getting
    keeps_the_promises()
    survives_the_dead()


@pytest.mark.parametrize("fails", [False, True])
def test_without_holds_buffers_are_copied(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    np = pytest.importorskip("numpy")

    def reopen(_: int) -> None:
        if fails:
            raise OSError(24, "Too many open files")

    monkeypatch.setattr(holds, "reopen", reopen)
    queue: Queue[Any] = Queue()
    kept = []
    for number in range(3):
        queue.put(np.full(200_000, number))
        kept.append(queue.get())
    assert [int(array.sum()) for array in kept] == [0, 200_000, 400_000]


def test_no_dev_shm_is_used() -> None:
    folder = Path("/dev/shm")  # noqa: S108 - looked at, not written to
    if not folder.is_dir():
        pytest.skip("there is none here")
    before = set(folder.iterdir())
    queue: Queue[Any] = Queue()
    queue.put(bytes(1_000_000))
    assert set(folder.iterdir()) <= before
    queue.get()
