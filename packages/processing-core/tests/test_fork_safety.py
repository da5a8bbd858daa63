"""Forks by any thread and by anybody.

No inherited lock hangs a child, no child does its parent's work, and the library gives no
interpreter a reason to warn.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import children
import processing_core
from children import LONG, finished
from conftest import Starter
from processing_core import Process, active_children, current_process
from processing_testkit import run_script, start_methods

pytestmark = pytest.mark.skipif(
    "fork" not in start_methods(), reason="fork is not among the methods to test"
)

# What Python 3.12 and later say of every fork in a process with threads. Theirs, not the library's.
THREADS_OF_THE_TEST = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def forked(function: Any) -> int:
    """Run a function in a raw fork; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = function() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@THREADS_OF_THE_TEST
def test_fork_while_other_threads_use_everything() -> None:
    """Some thread holds some lock of the library at nearly every fork."""
    stop = threading.Event()

    def send_and_receive() -> None:
        first, second = processing_core.Pipe()
        with first, second:
            while not stop.is_set():
                first.send([1, "two", b"3" * 100_000])
                second.recv()

    def start_and_join() -> None:
        while not stop.is_set():
            process = Process(target=children.nothing, context="fork")
            process.start()
            active_children()
            assert finished(process) == 0

    with ThreadPoolExecutor(3) as threads:
        noise = [threads.submit(f) for f in (send_and_receive, start_and_join, start_and_join)]
        try:
            for _ in range(40):
                process = Process(target=use_everything, context="fork")
                process.start()
                assert finished(process) == 0
        finally:
            stop.set()
        for one in noise:
            one.result(LONG)


def use_everything() -> None:
    first, second = processing_core.Pipe()
    with first, second:
        first.send("hello")
        assert second.recv() == "hello"
        first.send_bytes(bytes(200_000))
        assert len(second.recv_bytes()) == 200_000
    process = Process(target=children.nothing, context="fork")
    process.start()
    assert finished(process) == 0
    assert active_children() == []


@THREADS_OF_THE_TEST
def test_raw_forks_while_other_threads_use_everything() -> None:
    stop = threading.Event()

    def start_and_join() -> None:
        while not stop.is_set():
            process = Process(target=children.nothing, context="fork")
            process.start()
            assert finished(process) == 0

    with ThreadPoolExecutor(2) as threads:
        noise = [threads.submit(start_and_join) for _ in range(2)]
        try:
            for _ in range(30):
                assert forked(use_everything) == 0
        finally:
            stop.set()
        for one in noise:
            one.result(LONG)


def test_a_raw_fork_does_not_own_the_children(start: Starter, pipe: tuple[Any, Any]) -> None:
    process = start(children.say_ready_and_wait, pipe[1])
    assert pipe[0].recv() == "ready"

    def look() -> int:
        assert active_children() == []
        assert "unknown" in repr(process)
        for use in (process.join, process.terminate, process.kill, process.is_alive):
            try:
                use()
            except AssertionError:
                continue
            return 1
        return 0

    assert forked(look) == 0
    assert process.is_alive()
    assert active_children() == [process]
    pipe[0].send(None)
    assert finished(process) == 0


@pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_the_end_of_a_raw_fork_touches_nothing_of_the_parent(start_method: str, end: str) -> None:
    """It neither joins nor kills the parent's children, and breaks no connection."""
    result = run_script(
        f"""
        import os, sys
        import processing_core

        def echo(connection):
            while (message := connection.recv()) is not None:
                connection.send(message)

        if __name__ == "__main__":
            ends = []
            for daemon in (True, False):
                ours, theirs = processing_core.Pipe()
                process = processing_core.Process(target=echo, args=(theirs,), daemon=daemon)
                process.start()
                theirs.close()
                ours.send(daemon)
                assert ours.recv() is daemon
                ends.append((ours, process))
            pid = os.fork()
            if pid == 0:
                {end}
            os.waitpid(pid, 0)  # would hang here if the fork joined
            for ours, process in ends:
                ours.send("still there")
                assert ours.recv() == "still there"
                assert process.is_alive()
                ours.send(None)
                process.join()
                assert process.exitcode == 0
            print("done")
        """,
        method=start_method,
    )
    assert result.check().stdout == "done\n"


def test_a_raw_fork_may_start_processes_of_its_own(start_method: str) -> None:
    result = run_script(
        """
        import os, sys
        import processing_core

        def tell(connection):
            connection.send((processing_core.current_process().name,
                             processing_core.parent_process().pid))

        if __name__ == "__main__":
            processing_core.Process().start()
            pid = os.fork()
            if pid == 0:
                receiver, sender = processing_core.Pipe(duplex=False)
                process = processing_core.Process(target=tell, args=(sender,), daemon=True)
                process.start()
                name, parent = receiver.recv()
                process.join()
                assert process.exitcode == 0 and parent == os.getpid(), (process.exitcode, parent)
                assert processing_core.active_children() == []
                sys.exit(5)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
        """,
        method=start_method,
    )
    result.check()


def test_a_single_threaded_program_gets_no_warning_of_fork() -> None:
    """Python 3.12 and later warn of a fork beside threads: the library must not have any."""
    result = run_script(
        """
        import os, threading
        import processing_core

        def work(connection):
            connection.send(bytes(1_000_000))
            connection.recv()
            child = processing_core.Process(target=print, args=("grandchild",), daemon=False)
            child.start()
            child.join()

        if __name__ == "__main__":
            for method in processing_core.get_all_start_methods():
                for options in ({}, {"daemon": True}, {"die_with_parent": True}):
                    ours, theirs = processing_core.Pipe()
                    process = processing_core.Process(target=work, args=(theirs,), context=method,
                                                      **options)
                    process.start()
                    assert len(ours.recv()) == 1_000_000
                    ours.send(b"x" * 300_000)
                    process.join(0.01)
                    process.join()
                    assert process.exitcode == 0
                    assert len(os.listdir("/proc/self/task")) == threading.active_count() == 1
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        """,
        options=["-W", "error::DeprecationWarning", "-W", "error::ResourceWarning"],
    )
    assert result.check().stdout == "grandchild\n" * 9


def test_signal_handlers_may_start_processes() -> None:
    """A handler runs between any two steps of the library, in the thread that takes them.

    In a program of its own: concurrent.futures, where it is imported, takes a plain lock at every
    fork, so that a handler that runs in the middle of one and forks would wait for its own thread.
    """
    result = run_script(
        """
        import os, signal, time
        import processing_core

        codes = []

        def handler(number, frame):
            codes.append(run())

        def run():
            process = processing_core.Process(context="fork")
            process.start()
            processing_core.active_children()
            process.join()
            return process.exitcode

        def bombard(pid, connection):
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            for _ in range(20):
                os.kill(pid, signal.SIGUSR1)
                time.sleep(0.01)  # so that the signals fall on different steps
            connection.send("done")

        if __name__ == "__main__":
            receiver, sender = processing_core.Pipe(duplex=False)
            bombarder = processing_core.Process(target=bombard, args=(os.getpid(), sender),
                                                context="fork")
            signal.signal(signal.SIGUSR1, handler)
            bombarder.start()
            while not receiver.poll():
                assert run() == 0
            bombarder.join()
            print(bombarder.exitcode, len(codes) > 5, set(codes))
        """
    )
    assert result.check().stdout == "0 True {0}\n"


def test_the_parents_atexit_and_exit_callbacks_stay_with_it() -> None:
    from processing_core.lowlevel import at_exit

    calls: list[int] = []
    callback = at_exit(lambda: calls.append(os.getpid()))

    def look() -> int:
        callback()
        return len(calls)

    assert forked(look) == 0
    callback()
    callback()
    assert calls == [os.getpid()]


def test_a_raw_fork_keeps_the_name_of_the_process() -> None:
    """A process that the library did not start is nobody's child, but tells its own pid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = f"{current_process().name} {current_process().pid == os.getpid()}"
        os.write(writer, text.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    assert os.read(reader, 100) == b"MainProcess True"
    os.close(reader)


def test_fork_hooks_run_in_every_forked_child() -> None:
    result = run_script(
        """
        import os
        import processing_core
        from processing_core.lowlevel import on_fork_in_child

        def tell(): pass

        if __name__ == "__main__":
            on_fork_in_child(lambda: print("in child", flush=True))
            process = processing_core.Process(target=tell, context="fork")
            process.start()
            process.join()
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        """
    )
    assert result.check().stdout == "in child\nin child\n"
