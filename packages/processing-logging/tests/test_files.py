"""Several processes log to one file, which is rotated meanwhile."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import logging
import os
import pickle
import random
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import file_children
from file_children import log, text_of
from processing_core import InvalidArgument, Pipe, Process
from processing_core.context import BaseContext
from processing_logging import SharedFileHandler, enable_logging, get_logger
from processing_testkit import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


@contextlib.contextmanager
def handler_of(path: Path, *args: Any, **options: Any) -> Iterator[SharedFileHandler]:
    handler = SharedFileHandler(path, *args, **options)
    try:
        yield handler
    finally:
        handler.close()


def files_of(path: Path) -> list[Path]:
    """The file and what it was renamed to, oldest first."""
    numbered = [each for each in path.parent.iterdir() if each.name.startswith(path.name + ".")]
    numbered.sort(key=lambda each: -int(each.suffix[1:]))
    return [*numbered, *([path] if path.exists() else [])]


def lines_of(path: Path, encoding: str = "utf-8") -> list[str]:
    return [
        line
        for each in files_of(path)
        for line in each.read_bytes().decode(encoding).split("\n")[:-1]
    ]


def by_sender(lines: list[str]) -> dict[int, list[int]]:
    """Checks that each line is whole."""
    got: dict[int, list[int]] = {}
    for line in lines:
        who, number, _ = line.split(" ", 2)
        assert line == text_of(int(who), int(number))
        got.setdefault(int(who), []).append(int(number))
    return got


# Several processes


@pytest.mark.parametrize("max_bytes", [0, 3_000])
def test_processes_write_and_rotate_and_are_killed(
    context: BaseContext, path: Path, max_bytes: int
) -> None:
    count, options = 300, {"max_bytes": max_bytes, "backup_count": 10_000}
    ends = [150 if who == 1 else count for who in range(4)]
    processes = [
        context.Process(target=file_children.log_many, args=(str(path), who, count, options, end))
        for who, end in enumerate(ends)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert by_sender(lines_of(path)) == {who: list(range(end)) for who, end in enumerate(ends)}
    files = files_of(path)
    assert len(files) > 50 if max_bytes else len(files) == 1
    if max_bytes:
        assert all(each.stat().st_size <= max_bytes for each in files)
        assert [each.name for each in files[:-1]] == [
            f"app.log.{number}" for number in range(len(files) - 1, 0, -1)
        ]


def test_processes_are_killed_at_any_moment(context: BaseContext, path: Path) -> None:
    """Only what a killed one had in its hands may be missing; everything else is whole."""
    chance = random.Random(3)  # noqa: S311 - chance is enough
    options = {"max_bytes": 5_000, "backup_count": 10_000}
    told: dict[int, int] = {}
    running: dict[int, tuple[Process, Any]] = {}

    def start(who: int) -> None:
        receiver, sender = Pipe(duplex=False)
        os.set_blocking(receiver.fileno(), True)
        process = context.Process(
            target=file_children.log_for_ever, args=(str(path), who, options, sender), daemon=True
        )
        process.start()
        sender.close()
        running[who], told[who] = (process, receiver), 0

    for who in range(3):
        start(who)
    for who in range(3, 12):
        victim = chance.choice(sorted(running))
        process, receiver = running.pop(victim)
        told[victim] += len(os.read(receiver.fileno(), 1))
        for _ in range(chance.randrange(20)):
            told[victim] += len(os.read(receiver.fileno(), 65_536))
        process.kill()
        told[victim] += rest_of(process, receiver)
        if who < 9:
            start(who)
    for who in sorted(running):
        process, receiver = running.pop(who)
        process.kill()
        told[who] += rest_of(process, receiver)
    with handler_of(path) as handler:
        log(handler, "the last")
    *lines, last = lines_of(path)
    assert last == "the last"
    torn = [line for line in lines if not line.endswith("|")]
    assert len(torn) <= len(told)
    got = by_sender([line for line in lines if line.endswith("|")])
    for who, count in told.items():
        numbers = got.get(who, [])
        assert numbers == list(range(len(numbers)))
        assert count <= len(numbers) <= count + 1


def rest_of(process: Process, receiver: Any) -> int:
    process.join()
    count = 0
    while data := os.read(receiver.fileno(), 65_536):
        count += len(data)
    receiver.close()
    return count


@pytest.mark.parametrize("written", range(1, 10))
def test_a_line_that_its_writer_was_killed_in_ends_there(
    context: BaseContext, path: Path, written: int
) -> None:
    """No other goes on with it, and no character is left in half."""
    if context.get_start_method() != "fork" and written % 4 != 2:
        pytest.skip("once is enough")
    process = context.Process(target=file_children.be_killed_in_write, args=(str(path), written))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with handler_of(path) as handler:
        log(handler, "next")
    rest = "ä€😀".encode()[:written].decode(errors="ignore")
    assert lines_of(path) == ["whole", rest, "next"]


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_a_rotation_that_was_broken_off_loses_nothing(path: Path, calls: int) -> None:
    for number in (3, 2, 1):
        path.with_name(f"app.log.{number}").write_text(f"{number}\n")
    path.write_text("now, and large enough\n")
    process = Process(
        target=file_children.be_killed_in_rotation, args=(str(path), calls), context="fork"
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with handler_of(path, 10, 9) as handler:
        log(handler, "the next one, large enough")
        log(handler, "the last")
    assert lines_of(path) == [
        *("3", "2", "1", "now, and large enough", "the next one, large enough", "the last")
    ]


def test_a_forked_child_does_not_keep_the_lock_of_its_killed_parent(path: Path) -> None:
    receiver, sender = Pipe(duplex=False)
    os.set_blocking(receiver.fileno(), True)
    process = Process(
        target=file_children.be_killed_while_a_child_has_it_open,
        args=(str(path), sender),
        context="fork",
    )
    process.start()
    process.join()
    grandchild = int(os.read(receiver.fileno(), 100))
    try:
        assert process.exitcode == -signal.SIGKILL
        with handler_of(path) as handler:
            log(handler, "afterwards")
    finally:
        os.kill(grandchild, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(grandchild, 0)
        receiver.close()
        sender.close()
    assert lines_of(path) == ["before the fork", "afterwards"]


def test_a_handler_that_is_open_during_a_fork(path: Path) -> None:
    with handler_of(path) as handler:
        log(handler, "before")
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                try:
                    log(handler, f"child {number}")
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            log(handler, f"parent {number}")
    expected = [f"{who} {number}" for number in range(3) for who in ("child", "parent")]
    assert lines_of(path) == ["before", *expected]


def test_it_can_be_passed_to_children(context: BaseContext, path: Path) -> None:
    with handler_of(path, 1_000, 3, "utf-8") as handler:
        handler.setLevel(logging.INFO)
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        log(handler, "here")
        process = context.Process(target=file_children.log_by, args=(handler, "there"))
        process.start()
        process.join()
        copy = pickle.loads(pickle.dumps(handler))
        assert (copy.max_bytes, copy.backup_count, copy.level) == (1_000, 3, logging.INFO)
        log(copy, "by a copy")
        copy.close()
    assert lines_of(path) == ["INFO: here", "INFO: there", "INFO: by a copy"]


def test_a_process_that_changes_its_folder_goes_on_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with handler_of(Path("app.log"), 10, 5) as handler:
        log(handler, "one is long enough")
        monkeypatch.chdir(tmp_path / "other")
        log(handler, "two")
    assert lines_of(tmp_path / "app.log") == ["one is long enough", "two"]
    assert list((tmp_path / "other").iterdir()) == []


# Threads and signal handlers


def test_threads(path: Path) -> None:
    with handler_of(path, 2_000, 10_000) as handler:

        def log_some(who: int) -> None:
            for number in range(200):
                log(handler, text_of(who, number))

        threads = [threading.Thread(target=log_some, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert by_sender(lines_of(path)) == {who: list(range(200)) for who in range(4)}


def test_a_signal_handler_that_logs(path: Path) -> None:
    """It interrupts its own thread in the middle of a record, or of a rotation."""
    with handler_of(path, 2_000, 10_000) as handler:
        numbers: list[int] = []

        def on_signal(*_: object) -> None:
            number = len(numbers)
            numbers.append(number)
            log(handler, text_of(2, number))
            if number < 199:
                # Only now, or a slow machine would do nothing else.
                signal.setitimer(signal.ITIMER_REAL, 0.0005)

        before = signal.signal(signal.SIGALRM, on_signal)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        try:
            number = 0
            while len(numbers) < 200:
                log(handler, text_of(1, number))
                number += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    got = by_sender(lines_of(path))
    assert got[1] == list(range(number))
    assert sorted(got[2]) == numbers


# Rotation and encodings


def test_only_so_many_files_are_kept(path: Path) -> None:
    with handler_of(path, 20, 2) as handler:
        for number in range(10):
            log(handler, f"line {number} is long")
    assert lines_of(path) == [f"line {number} is long" for number in (7, 8, 9)]
    assert [each.name for each in files_of(path)] == ["app.log.2", "app.log.1", "app.log"]


def test_a_file_is_filled_up_to_its_size(path: Path) -> None:
    with handler_of(path, 20, 9) as handler:
        for text in ("123456789", "123456789", "x", "a line that is longer than that alone", "y"):
            log(handler, text)
    assert [each.read_text().splitlines() for each in files_of(path)] == [
        ["123456789", "123456789"],
        ["x"],
        ["a line that is longer than that alone"],
        ["y"],
    ]


@pytest.mark.parametrize("options", [{}, {"max_bytes": 5}, {"backup_count": 5}])
def test_without_both_numbers_nothing_is_rotated(path: Path, options: dict[str, int]) -> None:
    with handler_of(path, **options) as handler:
        for number in range(10):
            log(handler, f"line {number}")
    assert lines_of(path) == [f"line {number}" for number in range(10)]
    assert files_of(path) == [path]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "iso2022_jp"]
)
def test_encodings(path: Path, encoding: str) -> None:
    """Each file is one text, whoever has written its lines, and after a kill as well."""
    texts = ["eins", "漢字", "drei"]
    for text in texts:
        with handler_of(path, encoding=encoding) as handler:
            log(handler, text)
            log(handler, text)
    assert lines_of(path, encoding) == [text for text in texts for _ in range(2)]
    with path.open("ab") as file:
        file.write("to".encode(encoding)[len("".encode(encoding)) :][:-1])
    with handler_of(path, encoding=encoding) as handler:
        log(handler, "next")
    *_, torn, last = lines_of(path, encoding)
    assert torn == "t"
    assert last == "next"


def test_what_the_encoding_does_not_have(path: Path) -> None:
    with handler_of(path, encoding="ascii") as handler:
        log(handler, "ä")
    with handler_of(path, encoding="ascii", errors="replace") as handler:
        log(handler, "ä")
    assert lines_of(path) == ["\\xe4", "?"]


def test_another_terminator(path: Path) -> None:
    with handler_of(path) as handler:
        handler.terminator = "\n\n"
        log(handler, "a")
        log(handler, "b")
    assert path.read_text() == "a\n\nb\n\n"


# Errors


@pytest.mark.parametrize("options", [{"max_bytes": -1}, {"backup_count": -1}])
def test_negative_numbers(path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="must not be negative"):
        SharedFileHandler(path, **options)
    assert not path.exists()


def test_unknown_encodings(path: Path) -> None:
    with pytest.raises(LookupError):
        SharedFileHandler(path, encoding="none")


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with every handler the program goes on; once the folder is there, so does the log."""
    path = tmp_path / "folder" / "app.log"
    with handler_of(path) as handler:
        log(handler, "lost")
        assert "FileNotFoundError" in capsys.readouterr().err
        path.parent.mkdir()
        log(handler, "written")
    assert lines_of(path) == ["written"]


def test_a_file_that_others_remove_or_rename(path: Path) -> None:
    with handler_of(path) as handler:
        log(handler, "one")
        path.unlink()
        log(handler, "two")
        path.rename(path.with_name("elsewhere"))
        log(handler, "three")
    assert lines_of(path) == ["three"]
    assert path.with_name("elsewhere").read_text() == "two\n"


def test_a_file_that_cannot_be_renamed_grows(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost, and one error is shown."""
    obstacle = path.with_name("app.log.1")
    obstacle.mkdir()
    with handler_of(path, 10, 1) as handler:
        for number in range(5):
            log(handler, f"line {number}")
        assert path.read_text().splitlines() == [f"line {number}" for number in range(5)]
        assert capsys.readouterr().err.count("Error:") == 1
        obstacle.rmdir()
        log(handler, "at last")
    assert lines_of(path) == [*(f"line {number}" for number in range(5)), "at last"]


def test_of_what_has_no_room_nothing_is_written(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk: the kernel writes a part, then no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with handler_of(path) as handler:
        log(handler, "short")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        try:
            log(handler, "longer than there is room for")
            log(handler, "short")
            written = path.read_text()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "OSError" in capsys.readouterr().err
        assert written == "short\nshort\n"
        log(handler, "after that")
    assert lines_of(path) == ["short", "short", "after that"]


def test_it_may_be_used_after_close(path: Path) -> None:
    handler = SharedFileHandler(path)
    log(handler, "one")
    handler.close()
    handler.close()
    log(handler, "two")
    handler.close()
    assert lines_of(path) == ["one", "two"]


def test_repr(path: Path) -> None:
    with handler_of(path) as handler:
        assert repr(handler) == f"<SharedFileHandler {path} (NOTSET)>"


def test_all_processes_of_a_program(context: BaseContext, path: Path) -> None:
    """By the settings that children take over."""
    enable_logging("WARNING", SharedFileHandler, (path, 200, 100), "%(processName)s %(message)s")
    processes = [context.Process(target=log_some, name=f"P{who}") for who in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    wait_until(lambda: len(lines_of(path)) == 60)
    lines = lines_of(path)
    for who in range(3):
        mine = [line for line in lines if line.startswith(f"P{who} ")]
        assert mine == [f"P{who} number {number}" for number in range(20)]
    get_logger().handlers[0].close()


def log_some() -> None:
    for number in range(20):
        get_logger().warning("number %d", number)
