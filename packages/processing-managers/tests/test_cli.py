"""``python -m processing_managers serve`` as real programs, and what is wrong with its options."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_programs import COMMAND, Folder, Server, served
from processing_core import AuthenticationError
from processing_managers import BaseManager, ManagerLost, SyncManager
from processing_testkit import run_python

assert sys.platform != "win32"

WORK = """
import os, signal, threading, time
import processing_core
from processing_managers import BaseManager, CreatorMethod, SyncManager

class Worker:
    def pid(self):
        return os.getpid()

    def hang(self):
        time.sleep(600)

    def signal_own_thread(self, number):
        signal.pthread_kill(threading.get_ident(), number)

    def end_a_child(self):
        "How a forked child ends that gets SIGTERM."
        reader, writer = processing_core.Pipe(duplex=False)
        child = processing_core.get_context("fork").Process(target=wait, args=(writer,))
        child.start()
        reader.recv()
        child.terminate()
        child.join()
        return child.exitcode

def wait(ready):
    ready.send("waiting")
    time.sleep(600)

class Work(BaseManager):
    Stuck = CreatorMethod(Worker, blocking=False)
    Worker = CreatorMethod(Worker)

class Outer:
    class Inner(SyncManager):
        pass

def function():
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Where the programs are run: with a key and a module of managers."""
    (tmp_path / "work.py").write_text(WORK)
    return Folder(tmp_path)


def worker(server: Server, folder: Folder, name: str = "Worker") -> Any:
    """A proxy to a Worker of the served class, by a client that has not got the class."""

    class Work(BaseManager):
        pass

    Work.register("Worker")
    Work.register("Stuck")
    return getattr(Work.from_address(server.address, folder.key), name)()


# What works


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_at_a_free_port_until_a_signal(folder: Folder, number: signal.Signals) -> None:
    with served(folder, "work:Work", "127.0.0.1:0") as server:
        assert server.line == f"serving work:Work at 127.0.0.1:{server.address[1]}\n"
        assert worker(server, folder).pid() == server.process.pid
        assert server.end(number) == (0, "", "")


def test_a_signal_that_interrupts_nothing_ends_it(folder: Folder) -> None:
    """Another thread has it, so that what the main thread waits for is not interrupted.

    That is what happens, too, when a signal comes in just before the main thread begins to wait.
    """
    with served(folder, "work:Work", "127.0.0.1:0") as server:
        with contextlib.suppress(ManagerLost):  # the reply may come before the end
            worker(server, folder).signal_own_thread(int(signal.SIGTERM))
        assert server.rest() == (0, "", "")


def test_it_serves_at_a_path(folder: Folder) -> None:
    path = folder.path / "a socket"
    with served(folder, "processing_managers:SyncManager", "./a socket") as server:
        assert server.address == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        manager = SyncManager.from_address(server.address, folder.key)
        assert list(manager.list([1, 2])) == [1, 2]
        assert server.end(signal.SIGTERM) == (0, "", "")
    assert not path.exists()


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_it_serves_at_an_address_of_ipv6(folder: Folder) -> None:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with served(folder, "work:Outer.Inner", "[::1]:0") as server:
        assert server.line == f"serving work:Outer.Inner at [::1]:{server.address[1]}\n"
        assert SyncManager.from_address(server.address, folder.key).list([1])[0] == 1
        assert server.end(signal.SIGTERM) == (0, "", "")


def test_clients_that_wait_when_it_ends_are_told(folder: Folder) -> None:
    with served(folder, "processing_managers:SyncManager", "127.0.0.1:0") as server:
        manager = SyncManager.from_address(server.address, folder.key)
        waiting = manager.Event().call_async("wait")
        assert manager.list([1])[0] == 1
        assert server.end(signal.SIGTERM) == (0, "", "")
        with pytest.raises(ManagerLost):
            waiting.get()
        with pytest.raises(ManagerLost):
            manager.list()


def test_a_client_ends_it(folder: Folder) -> None:
    with served(folder, "work:Work", "127.0.0.1:0") as server:
        BaseManager.from_address(server.address, folder.key)._connected().ask("shutdown")
        assert server.rest() == (0, "", "")


def test_a_method_that_never_returns_does_not_keep_it(folder: Folder) -> None:
    """One that was said to be short: the others have threads that nobody waits for."""
    with served(folder, "work:Work", "127.0.0.1:0") as server:
        worker(server, folder).call_async("hang")
        assert server.end(signal.SIGTERM) == (0, "", "")
    with served(folder, "work:Work", "./path") as server:
        stuck = worker(server, folder, "Stuck")
        calling = stuck.call_async("hang")
        code, output, errors = server.end(signal.SIGTERM)
        assert (code, output) == (1, "")
        assert errors == (
            "processing_managers serve: a method has not returned for 3 s; ended by force\n"
        )
        with pytest.raises(ManagerLost):
            calling.get()
    assert not (folder.path / "path").exists()


def test_signals_of_its_children_are_theirs(folder: Folder) -> None:
    with served(folder, "work:Work", "127.0.0.1:0") as server:
        proxy = worker(server, folder)
        assert proxy.end_a_child() == -signal.SIGTERM
        assert proxy.pid() == server.process.pid
        assert server.end(signal.SIGTERM) == (0, "", "")


def test_only_who_knows_the_key_is_let_in(folder: Folder) -> None:
    with served(folder, "work:Work", "127.0.0.1:0") as server:
        with pytest.raises(AuthenticationError):
            BaseManager.from_address(server.address, b"another")
        assert server.end(signal.SIGTERM) == (0, "", "")


def test_line_ends_at_the_end_of_the_key_do_not_count(folder: Folder) -> None:
    folder.write_key("a key\r\n\n")
    with served(folder, "work:Work", "127.0.0.1:0") as server:
        assert BaseManager.from_address(server.address, b"a key").info()["calls"] == 1
        assert server.end(signal.SIGTERM) == (0, "", "")


# What does not


def refused(folder: Folder, *words: str, code: int = 2) -> str:
    """What serve says, in one line, when it cannot serve; its exit code is as expected."""
    result = run_python([*COMMAND, "serve", *words], cwd=folder.path)
    assert result.returncode == code, result.describe()
    assert not result.stdout
    assert not result.survivors
    start, _, message = result.stderr.partition("processing_managers serve: ")
    assert start in ("", "python -m ")
    assert message.endswith("\n")
    assert "\n" not in message[:-1]
    return message[:-1]


def at(address: str = "127.0.0.1:0") -> tuple[str, ...]:
    return ("--address", address, "--authkey-file", "key")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Manager", "there is no module nowhere"),
        ("work.deeper:Manager", "there is no module work.deeper"),
        ("work:Missing", "there is no Missing in the module work"),
        ("work:Outer.Missing", "there is no Outer.Missing in the module work"),
        ("work:function", "work:function is not a class of managers: it is <function "),
        ("work:Worker", "work:Worker is not a class of managers: it is <class 'work.Worker'>"),
        ("work", "work is not MODULE:CLASS"),
        (":Work", ":Work is not MODULE:CLASS"),
        ("work.py:Work", "there is no module work.py"),
        ("./work:Work", "./work:Work is not MODULE:CLASS"),
        ("needs_more:Work", "the module needs_more cannot be imported: ModuleNotFoundError: "),
        ("ends:Work", "the module ends cannot be imported: SystemExit: 3 ("),
        ("wrong:Work", "the module wrong cannot be imported: SyntaxError: "),
    ],
)
def test_what_is_not_a_manager_class(folder: Folder, name: str, message: str) -> None:
    (folder.path / "needs_more.py").write_text("import not_installed_at_all\n")
    (folder.path / "ends.py").write_text("raise SystemExit(3)\n")
    (folder.path / "wrong.py").write_text("(\n")
    assert refused(folder, name, *at()).startswith(message)


def test_where_a_module_fails_is_said(folder: Folder) -> None:
    (folder.path / "fails.py").write_text("import os\n\n\n1 / 0\n")
    message = refused(folder, "fails:Work", *at())
    assert message.startswith(
        "the module fails cannot be imported: ZeroDivisionError: division by zero ("
    )
    assert message.endswith("fails.py:4)")
    program = "from work import *\nclass M(BaseManager):\n    no = CreatorMethod(3)\n"
    (folder.path / "registers.py").write_text(program)
    assert "callable must be callable, not 3" in refused(folder, "registers:M", *at())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense", "--address: nonsense is neither HOST:PORT nor a path"),
        (":5000", "--address: :5000 is neither HOST:PORT nor a path"),
        ("localhost:", "--address: localhost: is neither HOST:PORT nor a path"),
        ("localhost:" + "9" * 5000, "--address: the port is a number up to 65535, not 999"),
        ("localhost:http", "--address: the port is a number up to 65535, not http"),
        ("localhost:65536", "--address: the port is a number up to 65535, not 65536"),
        ("localhost:-1", "--address: the port is a number up to 65535, not -1"),
        ("::1:5000", "--address: write an IPv6 address as [::1]:5000"),
        ("esc\x1b[1m", r"--address: esc\x1b[1m is neither"),
    ],
)
def test_what_is_not_an_address(folder: Folder, address: str, message: str) -> None:
    assert refused(folder, "work:Work", *at(address)).startswith(message)


def test_an_address_that_cannot_be_had(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused(folder, "work:Work", *at(f"127.0.0.1:{port}"), code=1)
        assert message == f"cannot serve at 127.0.0.1:{port}: Address already in use"
    message = refused(folder, "work:Work", *at("nowhere.invalid:0"), code=1)
    assert message.startswith("cannot serve at nowhere.invalid:0: ")
    message = refused(folder, "work:Work", *at("./no/folder"), code=1)
    assert message.endswith("no/folder: No such file or directory")
    (folder.path / "taken").touch()
    message = refused(folder, "work:Work", *at("./taken"), code=1)
    assert message.endswith(
        "Address already in use; if that is what a killed server has left, remove it"
    )
    refused(folder, "work:Work", *at("./" + "long" * 50), code=1)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_a_key_that_others_may_use(folder: Folder, mode: int) -> None:
    folder.key_file.chmod(mode)
    message = refused(folder, "work:Work", *at())
    assert message.startswith(f"--authkey-file: others may use key (its mode is {mode:04o}); ")


def empty(path: Path) -> None:
    path.write_text("\n")


def long(path: Path) -> None:
    path.write_text("x" * 70_000)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Path.unlink, "cannot read key: No such file or directory"),
        (folder_instead, "cannot read key: Is a directory"),
        (empty, "key is empty"),
        (long, "key is too long for a key"),
    ],
)
def test_what_is_not_a_key(folder: Folder, change: Callable[[Path], None], message: str) -> None:
    change(folder.key_file)
    assert refused(folder, "work:Work", *at()) == f"--authkey-file: {message}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_may_not_be_read(folder: Folder) -> None:
    folder.key_file.chmod(0)
    message = refused(folder, "work:Work", *at())
    assert message == "--authkey-file: cannot read key: Permission denied"


@pytest.mark.parametrize(
    "words",
    [
        ["serve"],
        ["serve", "work:Work"],
        ["serve", "work:Work", "--address", "localhost:0"],
        ["serve", "work:Work", "--authkey-file", "key"],
        ["serve", "work:Work", *at(), "--unknown"],
        ["inspect"],
        ["inspect", *at(), "--watch", "never"],
        ["inspect", *at(), "--watch", "0"],
        ["inspect", *at(), "--watch", "inf"],
        ["unknown"],
        [],
    ],
)
def test_wrong_words(folder: Folder, words: list[str]) -> None:
    result = run_python([*COMMAND, *words], cwd=folder.path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "(--help tells more)" in result.stderr


def test_help() -> None:
    for words in ([], ["serve"], ["inspect"]):
        result = run_python([*COMMAND, *words, "--help"]).check()
        assert result.stdout.startswith("usage: python -m processing_managers")


def test_ctrl_c_while_a_module_is_imported(folder: Folder) -> None:
    """Before there is a server it is an interruption, as of any program."""
    program = "import time\nprint('importing', flush=True)\ntime.sleep(600)\n"
    (folder.path / "slow.py").write_text(program)
    with folder.start("serve", "slow:Work", *at()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")
    assert errors == "processing_managers serve: interrupted\n"


def test_nobody_reads_where_it_serves(folder: Folder) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, *COMMAND, "serve", "work:Work", *at()],
        cwd=folder.path,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
