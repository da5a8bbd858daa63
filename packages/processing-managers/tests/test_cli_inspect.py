"""``python -m processing_managers inspect``, which looks at servers that run as real programs."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_programs import COMMAND, Folder, Server, served
from processing_managers import SyncManager
from processing_testkit import ScriptResult, run_python, start_python

assert sys.platform != "win32"

SYNC = "processing_managers:SyncManager"
WITHOUT_RICH = """
import sys
sys.modules["rich"] = None
from processing_managers._cli import main
sys.exit(main())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.delenv("COLUMNS", raising=False)
    return Folder(tmp_path)


@pytest.fixture(params=["127.0.0.1:0", "./path"])
def server(folder: Folder, request: pytest.FixtureRequest) -> Iterator[Server]:
    with served(folder, SYNC, request.param) as one:
        yield one


def inspect(folder: Folder, where: str, *words: str) -> ScriptResult:
    place = ("--address", where, "--authkey-file", "key")
    return run_python([*COMMAND, "inspect", *place, *words], cwd=folder.path)


def rows(output: str) -> dict[str, list[str]]:
    """The cells of the tables, by the first."""
    lines = (re.split(r" {2,}", line) for line in output.splitlines() if line)
    return {first: [cell.strip() for cell in cells] for first, *cells in lines}


def failed(result: ScriptResult) -> str:
    """What it says when it fails, in one line."""
    assert (result.returncode, result.stdout) == (1, ""), result.describe()
    start, _, message = result.stderr.partition("processing_managers inspect: ")
    assert not start
    assert message.endswith("\n")
    assert "\n" not in message[:-1]
    return message[:-1]


def test_what_it_shows(folder: Folder, server: Server) -> None:
    manager = SyncManager.from_address(server.address, folder.key)
    numbers, lock = manager.list([1, 2]), manager.Lock()
    lock.acquire()
    for _ in range(3):
        assert numbers[0] == 1
    gone = manager.dict()
    gone["a"] = 1
    del gone
    result = inspect(folder, server.shown).check()
    shown = rows(result.stdout)
    first, second = result.stdout.splitlines()[:2]
    assert first.startswith(f"manager at {server.shown}, process {server.process.pid}, up ")
    assert re.match(r"\d+ requests per second, \d+ in all; busy threads: \d+, tickets: 0", second)
    assert shown["type"] == ["objects", "references", "calls", "per second"]
    assert shown["list"] == ["1", "1", "3", "0"]
    assert shown["Lock"] == ["1", "1", "1", "0"]
    assert shown["dict"] == ["0", "0", "1", "0"]
    came_from, pid, since, threads, references, locks, requests, per_second = shown["MainProcess"]
    assert came_from == ("127.0.0.1" if isinstance(server.address, tuple) else "here")
    assert (pid, threads, references, locks, per_second) == (str(os.getpid()), "1", "2", "1", "0")
    assert since.endswith(" s")
    assert int(requests) >= 8
    assert shown["this command"][-2] == "2"


def test_calls_are_counted_per_second(folder: Folder, server: Server) -> None:
    """While a client calls without a pause, as often as it says itself."""
    program = """
import sys, time
from processing_managers import SyncManager
from pathlib import Path
address = sys.argv[1]
if "/" not in address:
    host, _, port = address.rpartition(":")
    address = host, int(port)
numbers = SyncManager.from_address(address, Path("key").read_bytes().rstrip()).list([1])
print("calling", flush=True)
while True:
    numbers[0]
"""
    with start_python(["-c", program, server.shown], cwd=folder.path) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "calling\n"
        result = inspect(folder, server.shown).check()
    shown = rows(result.stdout)
    *_, calls, per_second = shown["list"]
    assert 0 < int(per_second.replace(",", "")) < 2 * int(calls.replace(",", ""))
    assert int(shown["MainProcess"][-1].replace(",", "")) > 0


def test_names_of_clients_move_no_cursor(folder: Folder, server: Server) -> None:
    program = """
import sys, time
import processing_core
from processing_managers import SyncManager
from pathlib import Path
processing_core.current_process().name = "\\x1b[2J[red]wild[/red]"
address = sys.argv[1]
if "/" not in address:
    host, _, port = address.rpartition(":")
    address = host, int(port)
manager = SyncManager.from_address(address, Path("key").read_bytes().rstrip())
print(len(manager.list()), flush=True)
time.sleep(600)
"""
    with start_python(["-c", program, server.shown], cwd=folder.path) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "0\n"
        result = inspect(folder, server.shown).check()
    assert "\x1b" not in result.stdout
    assert r"\x1b[2J[red]wild[/red]" in result.stdout


# Live


@contextlib.contextmanager
def at_a_terminal(folder: Folder, *words: str) -> Iterator[tuple[int, int]]:
    """A command at a terminal of its own: its pid and the terminal."""
    command = [sys.executable, *COMMAND, *words]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder.path)
        os.execve(command[0], command, {**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    try:
        yield pid, terminal
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)


def read_until(terminal: int, pattern: bytes) -> bytes:
    """What a terminal shows until there is something in it, or it ends."""
    shown = b""
    limit = time.monotonic() + 30
    while not re.search(pattern, shown, re.DOTALL):
        assert select.select([terminal], [], [], limit - time.monotonic())[0], shown
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # EIO is how a terminal ends
            break
    return shown


NEVER = rb"(?!)"
SHOW_CURSOR = b"\x1b[?25h"


@pytest.mark.parametrize("by", ["Ctrl-C", "SIGTERM"])
def test_it_is_live_at_a_terminal(folder: Folder, server: Server, by: str) -> None:
    place = ("--address", server.shown, "--authkey-file", "key", "--watch", "0.05")
    with at_a_terminal(folder, "inspect", *place) as (pid, terminal):
        shown = read_until(terminal, b"this command.*this command.*this command")
        assert b"\x1b[1A" in shown  # the cursor goes up, so that it is the same place
        if by == "Ctrl-C":
            os.write(terminal, b"\x03")
        else:
            os.kill(pid, signal.SIGTERM)
        shown += read_until(terminal, NEVER)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == (0 if by == "Ctrl-C" else 143)
    assert b"Traceback" not in shown
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(b"this command")


def test_without_a_terminal_one_comes_below_the_other(folder: Folder, server: Server) -> None:
    place = ("--address", server.shown, "--authkey-file", "key", "--watch", "0.05")
    with folder.start("inspect", *place) as process:
        assert process.stdout is not None
        lines = 0
        while lines < 3:
            lines += process.stdout.readline().startswith("manager at ")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert "\x1b" not in output


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_while_it_is_watched(
    folder: Folder, server: Server, number: signal.Signals
) -> None:
    place = ("--address", server.shown, "--authkey-file", "key", "--watch", "0.05")
    with folder.start("inspect", *place) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("manager at ")
        server.process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith(f"processing_managers inspect: {server.shown}: ")
    assert errors.count("\n") == 1


def test_nobody_reads_it_any_more(folder: Folder, server: Server) -> None:
    place = ("--address", server.shown, "--authkey-file", "key", "--watch", "0.05")
    with folder.start("inspect", *place) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("manager at ")
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read() == ""


# What does not work


def test_nobody_is_there(folder: Folder) -> None:
    with served(folder, SYNC, "127.0.0.1:0") as server:
        server.end(signal.SIGTERM)
    message = failed(inspect(folder, server.shown))
    assert message == f"no manager at {server.shown}: Connection refused"
    message = failed(inspect(folder, "./nobody"))
    assert message == f"no manager at {folder.path}/nobody: No such file or directory"


def test_a_server_that_was_killed(folder: Folder) -> None:
    with served(folder, SYNC, "./path") as server:
        server.process.kill()
        server.process.wait()
    assert failed(inspect(folder, "./path")).endswith("/path: Connection refused")


def test_another_key(folder: Folder, server: Server) -> None:
    folder.write_key("another")
    message = failed(inspect(folder, server.shown))
    assert "the key is another one" in message
    assert server.shown in message


def test_without_rich(folder: Folder, server: Server) -> None:
    place = ("--address", server.shown, "--authkey-file", "key")
    result = run_python(["-c", WITHOUT_RICH, "inspect", *place], cwd=folder.path)
    assert failed(result) == (
        "the tables are drawn by rich, which is not installed: "
        "pip install 'processing-managers[cli]'"
    )


def test_serve_does_not_need_rich(folder: Folder) -> None:
    place = ("--address", "127.0.0.1:0", "--authkey-file", "key")
    with start_python(["-c", WITHOUT_RICH, "serve", SYNC, *place], cwd=folder.path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving ")
        process.terminate()
        assert process.wait(30) == 0
