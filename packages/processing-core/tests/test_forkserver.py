"""The fork server: dies with its users, is replaced when killed, and its death hangs nobody."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import children
import processing_core
from children import LONG, finished
from processing_core import Process, wait
from processing_core._runtime import runtime
from processing_testkit import run_script, start_methods, wait_until

pytestmark = pytest.mark.skipif(
    "forkserver" not in start_methods(), reason="forkserver is not among the methods to test"
)


def new_process(target: Any = children.nothing, *args: Any, **options: Any) -> Process:
    return Process(target=target, args=args, context="forkserver", **options)


def server_pid() -> int:
    """The pid of a server that certainly runs."""
    process = new_process()
    process.start()
    assert finished(process) == 0
    assert runtime.forkserver is not None
    assert runtime.forkserver.pid is not None
    return runtime.forkserver.pid


def test_one_server_serves_all() -> None:
    pid = server_pid()
    processes = [new_process() for _ in range(5)]
    for process in processes:
        process.start()
    assert [finished(process) for process in processes] == [0] * 5
    assert server_pid() == pid


def test_a_killed_server_is_replaced() -> None:
    old = server_pid()
    os.kill(old, signal.SIGKILL)
    for _ in range(3):
        process = new_process()
        process.start()
        assert finished(process) == 0
    assert server_pid() != old


@pytest.mark.orphans
def test_join_does_not_hang_when_the_server_is_killed(pipe: tuple[Any, Any]) -> None:
    """The child lives on; that it has ended is seen all the same, only its code is not known."""
    process = new_process(children.say_ready_and_wait, pipe[1])
    process.start()
    assert pipe[0].recv() == "ready"
    os.kill(server_pid(), signal.SIGKILL)
    process.join(0.1)
    assert process.is_alive()
    assert process.exitcode is None
    assert wait([process.sentinel], 0) == []
    pipe[0].send(None)
    assert wait([process.sentinel], LONG)
    assert finished(process) == 255
    assert not process.is_alive()
    assert process not in processing_core.active_children()


@pytest.mark.orphans
def test_a_child_of_a_killed_server_can_be_ended(pipe: tuple[Any, Any]) -> None:
    for end in ("terminate", "kill"):
        process = new_process(children.say_ready_and_wait, pipe[1])
        process.start()
        assert pipe[0].recv() == "ready"
        os.kill(server_pid(), signal.SIGKILL)
        getattr(process, end)()
        assert finished(process) != 0


def test_a_stopped_server_delays_but_a_killed_one_ends_the_wait() -> None:
    """start() waits for the server's answer; its death is an answer too."""
    import threading

    pid = server_pid()
    os.kill(pid, signal.SIGSTOP)
    process = new_process()
    outcome: list[object] = []

    def start() -> None:
        try:
            process.start()
        except RuntimeError as error:
            outcome.append(error)
        else:
            outcome.append(None)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(0.2)
    os.kill(pid, signal.SIGKILL)
    thread.join(LONG)
    assert not thread.is_alive()
    if outcome[0] is None:
        assert finished(process) == 0
    else:
        assert isinstance(outcome[0], processing_core.StartError)
        assert "initial" in repr(process)
    again = new_process()
    again.start()
    assert finished(again) == 0


def test_the_exit_code_is_known_when_the_sentinel_is_ready(pipe: tuple[Any, Any]) -> None:
    """The kernel tells of the end at once, the server when it comes to it."""
    import threading

    pid = server_pid()
    process = new_process(children.echo, pipe[1])
    process.start()
    os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(0.05, os.kill, (pid, signal.SIGCONT))
    timer.start()
    pipe[0].send(None)
    try:
        assert wait([process.sentinel], LONG) == [process.sentinel]
        assert process.exitcode == 0
    finally:
        timer.join()
    assert finished(process) == 0


def test_threads_share_a_server_and_replace_it_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def run(code: int) -> int:
        process = new_process(children.exit_with, code)
        process.start()
        return finished(process)

    for _ in range(4):  # which thread finds out when differs each time
        os.kill(server_pid(), signal.SIGKILL)
        with ThreadPoolExecutor(6) as threads:
            assert list(threads.map(run, range(8))) == list(range(8))


SERVER = """
    import os, sys
    import processing_core
    from processing_core._runtime import runtime

    def nothing():
        pass

    if __name__ == "__main__":
        process = processing_core.Process(target=nothing, context="forkserver")
        process.start()
        process.join()
        print(runtime.forkserver.pid, flush=True)
        if sys.argv[1] == "killed":
            os.kill(os.getpid(), 9)
        if sys.argv[1] == "exits hard":
            os._exit(0)
"""


@pytest.mark.parametrize("how", ["ends", "exits hard", "killed"])
def test_the_server_ends_with_its_user(how: str) -> None:
    result = run_script(SERVER, how)
    assert int(result.stdout) > 0
    assert result.survivors == ()
    assert result.stderr == ""


def test_the_server_preloads_main_and_modules() -> None:
    """What stands at the top of the main module runs once in the server, not in each child."""
    result = run_script(
        """
        import os, sys
        import processing_core

        LOADED_IN = os.getpid()

        def tell(connection):
            connection.send((LOADED_IN, os.getpid(), os.getppid(), "colorsys" in sys.modules))

        if __name__ == "__main__":
            processing_core.set_forkserver_preload(["__main__", "colorsys", "no_such_module"])
            receiver, sender = processing_core.Pipe(duplex=False)
            for _ in range(2):
                process = processing_core.Process(target=tell, args=(sender,), context="forkserver")
                process.start()
                loaded, own, server, preloaded = receiver.recv()
                process.join()
                assert loaded == server != own, (loaded, server, own)
                assert preloaded
        """
    )
    assert result.returncode == 0, result.describe()
    assert result.stdout == ""
    assert result.survivors == ()


def test_children_use_the_server_of_their_parent() -> None:
    """A child's own child comes from the same server and reports to the child."""
    result = run_script(
        """
        import os
        import processing_core

        def leaf(connection):
            connection.send(os.getppid())

        def branch(connection):
            receiver, sender = processing_core.Pipe(duplex=False)
            process = processing_core.Process(target=leaf, args=(sender,))
            process.start()
            connection.send((os.getppid(), receiver.recv()))
            process.join()
            connection.send(process.exitcode)

        if __name__ == "__main__":
            receiver, sender = processing_core.Pipe(duplex=False)
            process = processing_core.Process(target=branch, args=(sender,))
            process.start()
            first, second = receiver.recv()
            print(first == second, receiver.recv())
            process.join()
        """,
        method="forkserver",
    )
    assert result.check().stdout == "True 0\n"


def test_the_server_survives_ctrl_c() -> None:
    server = server_pid()
    os.kill(server, signal.SIGINT)
    process = new_process()
    process.start()
    assert finished(process) == 0
    assert server_pid() == server


def test_children_react_to_ctrl_c(pipe: tuple[Any, Any]) -> None:
    process = new_process(children.wait_for_interrupt, pipe[1])
    process.start()
    assert pipe[0].recv() == "ready"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    assert pipe[0].recv() == "interrupted"
    assert finished(process) == 0


BLOCKS_SIGNALS = """
import signal
from processing_core import Process

def show(what):
    print(what, *sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))), flush=True)

def start(what):
    process = Process(target=show, args=(what,))
    process.start()
    process.join()

if __name__ == "__main__":
    last = max(signal.valid_signals())
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, last])
    start("blocked")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, last])
    start("free")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    start("one")
"""


@pytest.mark.orphans
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_block_the_signals_that_who_starts_them_blocks(method: str) -> None:
    """Not those that were blocked when the server was started."""
    result = run_script(BLOCKS_SIGNALS, method=method)
    last = max(signal.valid_signals())
    assert result.check().stdout == f"blocked 2 {int(last)}\nfree\none 2\n"


def test_the_current_environment_reaches_the_children(
    pipe: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Not the one that was current when the server was started."""
    server_pid()
    monkeypatch.setenv("PROCESSING_TEST_VARIABLE", "late")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["late", "arguments"])
    process = new_process(children.send_facts, pipe[1])
    process.start()
    seen = pipe[0].recv()
    assert finished(process) == 0
    assert seen["environment"] == "late"
    assert seen["cwd"] == str(tmp_path)
    assert seen["argv"] == ["late", "arguments"]


def test_zombies_are_collected_by_the_server() -> None:
    from processing_testkit import process_tree

    server = server_pid()
    for _ in range(5):
        process = new_process()
        process.start()
        assert finished(process) == 0
    wait_until(lambda: process_tree(server) == [])
