"""What the library does on systems that have less than Linux, tried on a Linux that has less.

Whole programs run where pidfd, memfd, packet sockets and signals on a hang-up are missing; the
small pieces are tested by themselves. What belongs to Windows can only be imported there, apart
from the quoting of command lines.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fallback_system
from processing_core import Connection
from processing_core._connection.stream import StreamConnection
from processing_core._platform import anonymous, rights
from processing_core._platform.children import has_ended
from processing_core._start import spawn
from processing_core._start.quoting import command_line
from processing_testkit import run_python, run_script, start_python, wait_until

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="takes away what only Linux has")


class Program:
    """A script that runs on the poorer system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "sitecustomize.py").write_text(fallback_system.SITECUSTOMIZE, encoding="utf-8")
        tests = str(Path(__file__).parent)
        self.environment = {"PYTHONPATH": os.pathsep.join([str(folder), tests])}

    def write(self, text: str) -> str:
        script = self.folder / "program.py"
        script.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(script)

    def run(self, text: str, method: str) -> str:
        result = run_python([self.write(text)], method=method, env=self.environment)
        return result.check().stdout


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@linux_only
def test_processes_and_pipes(program: Program, start_method: str) -> None:
    output = program.run(
        """
        import os, signal, sys, threading
        import processing_core as pc

        def echo(connection):
            while True:
                message = connection.recv()
                if message is None:
                    break
                connection.send(message)
            connection.send_bytes(b"x" * 3_000_000)
            sys.exit(7)

        def grandparent(connection):
            mine, other = pc.Pipe()
            child = pc.Process(target=echo, args=(other,))
            child.start()
            other.close()
            mine.send(os.getpid())
            connection.send(mine.recv() == os.getpid() != child.pid)
            mine.send(None)
            connection.send(len(mine.recv_bytes()))
            child.join()
            connection.send(child.exitcode)

        def wait_for_ever(connection):
            connection.send("ready")
            threading.Event().wait()

        if __name__ == "__main__":
            mine, other = pc.Pipe()
            print(type(mine).__name__)
            child = pc.Process(target=echo, args=(other,))
            child.start()
            assert child._handle._pidfd is None
            other.close()
            for message in (1, "two", b"", list(range(1000))):
                mine.send(message)
                assert mine.recv() == message
            assert child.is_alive() and child.exitcode is None
            child.join(0.05)
            assert child.is_alive()
            assert pc.wait([child.sentinel], 0) == []
            mine.send(None)
            assert mine.recv_bytes() == b"x" * 3_000_000
            assert pc.wait([child.sentinel], 20) == [child.sentinel]
            child.join()
            print(child.exitcode)
            try:
                mine.recv()
            except EOFError:
                print("end")
            mine.close()

            mine, other = pc.Pipe()
            child = pc.Process(target=grandparent, args=(other,))
            child.start()
            print(mine.recv(), mine.recv(), mine.recv())
            child.join()

            child = pc.Process(target=wait_for_ever, args=(other,))
            child.start()
            assert mine.recv() == "ready"
            child.terminate()
            child.join()
            print(child)
        """,
        start_method,
    )
    assert output.splitlines() == [
        "StreamConnection",
        "7",
        "end",
        "True 3000000 7",
        "<Process(Process-3, stopped[SIGTERM])>",
    ]


@linux_only
def test_sentinels_tell_of_the_child_itself(program: Program, start_method: str) -> None:
    # The child leaves a child of its own behind, which must not keep the witness open.
    output = program.run(
        """
        import os, threading
        import processing_core as pc

        def wait_for_end(connection):
            connection.recv()

        def leave_one_behind(connection):
            child = pc.Process(target=wait_for_end, args=(connection,))
            child.start()
            os._exit(3)

        if __name__ == "__main__":
            mine, other = pc.Pipe()
            child = pc.Process(target=leave_one_behind, args=(other,))
            child.start()
            other.close()
            print(pc.wait([child.sentinel], 20) == [child.sentinel])
            child.join(20)
            print(child.exitcode)
            mine.send("end")
        """,
        start_method,
    )
    assert output.split() == ["True", "3"]


@linux_only
def test_starting_processes_leaves_no_descriptors(program: Program, start_method: str) -> None:
    output = program.run(
        """
        import os
        import processing_core as pc

        def nothing():
            pass

        def start_some():
            for _ in range(3):
                child = pc.Process(target=nothing)
                child.start()
                child.join()
                child.close()
            return len(os.listdir("/proc/self/fd"))

        if __name__ == "__main__":
            start_some()  # the fork server's socket stays
            print(start_some() - start_some())
        """,
        start_method,
    )
    assert output == "0\n"


@linux_only
@pytest.mark.orphans
@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_watches_the_lifeline(program: Program, start_method: str, daemon: bool) -> None:
    script = program.write(
        f"""
        import os, threading
        import processing_core as pc

        def tell_and_wait(connection):
            names = [thread.name for thread in threading.enumerate()]
            connection.send((os.getpid(), "processing-lifeline" in names))
            pc.parent_process().join()
            connection.send("orphan")

        if __name__ == "__main__":
            mine, other = pc.Pipe()
            pc.Process(target=tell_and_wait, args=(other,), daemon={daemon}).start()
            print(*mine.recv(), flush=True)
            input()
        """
    )
    with start_python([script], method=start_method, env=program.environment) as process:
        assert process.stdout is not None
        pid, watched = process.stdout.readline().split()
        assert watched == str(daemon)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # The one that is not daemonic finds out by parent_process() and ends by itself.
        wait_until(lambda: has_ended(int(pid)), 10.0)


@linux_only
def test_a_fork_server_that_is_killed_is_replaced(program: Program) -> None:
    output = program.run(
        """
        import os, signal
        import processing_core as pc
        from processing_core._runtime import runtime

        def nothing():
            pass

        def run_one():
            child = pc.Process(target=nothing)
            child.start()
            child.join()
            return child.exitcode

        if __name__ == "__main__":
            print(run_one())
            first = runtime.forkserver.pid
            os.kill(first, signal.SIGKILL)
            print(run_one(), runtime.forkserver.pid != first)
        """,
        "forkserver",
    )
    assert output.split() == ["0", "0", "True"]


def test_anonymous_files_without_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "memfd_create", fallback_system._missing, raising=False)
    descriptor = anonymous.anonymous_file("test")
    try:
        assert os.fstat(descriptor).st_nlink == 0
        assert not os.get_inheritable(descriptor)
        pieces = [memoryview(piece) for piece in (b"ab", b"", b"c")]
        assert anonymous.write_all(descriptor, pieces, 2) == 5
        assert os.pread(descriptor, 10, 0) == b"\0\0abc"
    finally:
        os.close(descriptor)


def test_writing_without_pwritev(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pwritev", raising=False)
    descriptor = anonymous.anonymous_file("test")
    try:
        pieces = [memoryview(bytes([number]) * number) for number in range(5)]
        assert anonymous.write_all(descriptor, pieces, 0) == 10
        assert os.pread(descriptor, 20, 0) == b"".join(pieces)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("onto_itself", [True, False])
def test_descriptors_reach_a_program_under_their_numbers(
    monkeypatch: pytest.MonkeyPatch, onto_itself: bool
) -> None:
    if onto_itself and not spawn.SELF_DUPLICATION:
        pytest.skip("not certain here")
    monkeypatch.setattr(spawn, "SELF_DUPLICATION", onto_itself)
    (first, into_first), (second, into_second) = os.pipe(), os.pipe()
    try:
        code = f"import os; os.write({into_first}, b'1'); os.write({into_second}, b'2')"
        pid = spawn.run_interpreter([sys.executable, "-c", code], [into_first, into_second])
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert os.read(first, 10) + os.read(second, 10) == b"12"
    finally:
        for descriptor in (first, into_first, second, into_second):
            os.close(descriptor)


@pytest.mark.parametrize("at_once", [True, False])
def test_received_descriptors_do_not_outlive_an_exec(
    monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    if at_once and not rights.CLOSES_ON_EXEC:
        pytest.skip("not here")
    monkeypatch.setattr(rights, "CLOSES_ON_EXEC", at_once)
    ours, theirs = socket.socketpair()
    with ours, theirs, Path(os.devnull).open("rb") as file:
        rights.send(ours, b"12345678", [file.fileno()])
        rights.send(ours, b"87654321", [])
        message, descriptors, complete = rights.receive(theirs, 8)
        try:
            assert message == b"12345678"
            assert complete
            assert [os.get_inheritable(one) for one in descriptors] == [False]
            assert os.path.sameopenfile(descriptors[0], file.fileno())
        finally:
            for one in descriptors:
                os.close(one)
        assert rights.receive(theirs, 8) == (b"87654321", [], True)


def test_streams_carry_no_descriptors_between_running_processes() -> None:
    ours, theirs = socket.socketpair()
    connections: list[Connection] = [
        StreamConnection(end.detach(), readable=True, writable=True) for end in (ours, theirs)
    ]
    with connections[0], connections[1], socket.socket() as third:
        with pytest.raises(Exception, match="pass them to a child when it is started"):
            connections[0].send(third)
        connections[0].send("still whole")
        assert connections[1].recv() == "still whole"


@given(st.lists(st.text(alphabet=' \t"\\ab', max_size=8), max_size=6))
def test_command_lines_for_windows_are_quoted_as_everywhere(arguments: list[str]) -> None:
    assert command_line(arguments) == subprocess.list2cmdline(arguments)


@pytest.mark.parametrize(
    "name",
    [
        "_connection.windows",
        "_connection.windows_waiting",
        "_platform.winapi",
        "_platform.windows_children",
        "_platform.windows_handles",
        "_platform.windows_lifeline",
        "_platform.windows_pipes",
        "_start.entry_windows",
        "_start.spawn_windows",
    ],
)
def test_modules_for_windows_say_so(name: str) -> None:
    with pytest.raises(AssertionError):
        importlib.import_module(f"processing_core.{name}")


def test_a_python_without_the_functions_for_pidfds_starts_processes(start_method: str) -> None:
    """One that was built where the kernel's headers had none, whatever the kernel has."""
    program = """
        import os, signal
        del os.pidfd_open, signal.pidfd_send_signal
        import processing_core

        if __name__ == "__main__":
            process = processing_core.Process(target=print, args=("here",))
            process.start()
            process.join()
            endless = processing_core.Process(target=signal.pause)
            endless.start()
            endless.terminate()
            endless.join()
            print(process.exitcode, endless.exitcode)
    """
    done = run_script(program, method=start_method)
    assert (done.stdout, done.stderr) == ("here\n0 -15\n", ""), done.describe()
