"""The leak check notices each kind of leak, says what leaked, and nothing else alarms it."""

from __future__ import annotations

import sys

import pytest

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

QUICK = ("-q", "--leak-patience=1")

LEAKS = {
    "child process": (
        """
        import subprocess, sys
        def test_it():
            subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                             stdin=subprocess.PIPE)
        """,
        ["process: pid *sys.stdin.read()*", "descriptor: * -> pipe:*"],
    ),
    "grandchild": (
        """
        import subprocess, sys
        CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', " \\
                "'import time; time.sleep(1000)'])"
        def test_it():
            assert subprocess.run([sys.executable, "-c", CHILD]).returncode == 0
        """,
        ["process: pid *time.sleep(1000)*"],
    ),
    "zombie": (
        """
        import os
        def test_it():
            if os.fork() == 0:
                os._exit(0)
        """,
        ["process: pid *zombie*"],
    ),
    "thread": (
        """
        import threading
        def test_it():
            threading.Thread(target=threading.Event().wait, name="lost", daemon=True).start()
        """,
        ["thread: 'lost'*"],
    ),
    "native thread": (
        """
        import _thread, threading
        def test_it():
            ready = threading.Event()
            def wait():
                ready.set()
                threading.Event().wait()
            _thread.start_new_thread(wait, ())
            assert ready.wait(10)
        """,
        ["thread: *"],
    ),
    "pipe": (
        """
        import os
        def test_it():
            os.pipe()
        """,
        ["descriptor: * -> pipe:*", "descriptor: * -> pipe:*"],
    ),
    "open file": (
        """
        import os
        def test_it():
            os.open(__file__, os.O_RDONLY)
        """,
        ["descriptor: * -> *test_open_file.py"],
    ),
    "memfd": (
        """
        import os
        def test_it():
            os.memfd_create("forgotten")
        """,
        ["descriptor: * -> /memfd:forgotten*"],
    ),
    "memfd that is only mapped": (
        """
        import mmap, os
        kept = []
        def test_it():
            fd = os.memfd_create("hidden")
            os.ftruncate(fd, 4096)
            import ctypes
            libc = ctypes.CDLL(None)
            libc.mmap.restype = ctypes.c_void_p
            libc.mmap(None, 4096, 3, mmap.MAP_SHARED, fd, 0)
            os.close(fd)
        """,
        ["shared mapping: /memfd:hidden*"],
    ),
    "anonymous shared memory": (
        """
        import mmap
        kept = []
        def test_it():
            kept.append(mmap.mmap(-1, 4096))
        """,
        ["shared mapping: /dev/zero*"],
    ),
    "foreign arena": (
        """
        import os
        from processing_core._memory import arena
        from processing_core._platform.shared_file import SharedFile
        kept = []
        def test_it():
            arena.allocate(64)
            theirs = SharedFile.create("arena", 1 << 16, 1 << 16)
            kept.append(arena.Arena(theirs, owned=False))
        """,
        [
            "descriptor: * -> /memfd:processing-arena*",
            "descriptor: * -> /memfd:processing-arena*",
            "shared mapping: /memfd:processing-arena*",
        ],
    ),
    "descriptor of the arena": (
        """
        from processing_core._memory import arena
        from processing_core._platform import holds
        def test_it():
            arena.allocate(64)
            holds.reopen(arena.arenas_of_this_process()[0].file.descriptor)
        """,
        ["descriptor: * -> /memfd:processing-arena*"],
    ),
    "block": (
        """
        from processing_core._memory import arena
        kept = []
        def test_it():
            kept.append(arena.allocate(1000))
        """,
        ["blocks: 1024 bytes of the arenas are still in use"],
    ),
    "file in the temp folder": (
        """
        import tempfile
        def test_it():
            tempfile.mkdtemp(prefix="forgotten-")
        """,
        ["file: *forgotten-*"],
    ),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_is_reported(pytester: pytest.Pytester, kind: str) -> None:
    program, lines = LEAKS[kind]
    name = "test_" + kind.replace(" ", "_")
    pytester.makepyfile(**{name: program, "test_the_next_one": "def test_it(): pass"})
    result = pytester.runpytest_subprocess(*QUICK)
    result.assert_outcomes(passed=2, errors=1)  # the test after it is not blamed
    result.stdout.fnmatch_lines(["*the test left behind:", *lines])


def test_a_file_in_dev_shm_is_reported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pytest

        @pytest.fixture(scope="module")
        def name():
            name = f"/dev/shm/processing-testkit-{os.getpid()}"
            yield name
            os.unlink(name)

        def test_it(name):
            open(name, "x").close()
        """
    )
    result = pytester.runpytest_subprocess(*QUICK)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["file: /dev/shm/processing-testkit-*"])


def test_leaked_processes_are_killed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, subprocess, sys
        kept = []
        def test_leaks():
            kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]))
        def test_next():
            assert not os.path.exists(f"/proc/{kept[0].pid}")
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=2, errors=1)


def test_what_ends_within_the_time_is_no_leak(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, threading, time
        def test_thread_and_descriptors():
            read, write = os.pipe()
            def end_soon():
                time.sleep(0.3)
                os.close(read)
                os.close(write)
            threading.Thread(target=end_soon).start()

        def test_garbage():
            class Holder:
                def __init__(self):
                    self.me = self
                    self.file = open(__file__)
                def __del__(self):
                    self.file.close()
            Holder()
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=2)


def test_the_child_of_another_session_is_collected(pytester: pytest.Pytester) -> None:
    """A program that a test has run may leave zombies; that is no fault of the test."""
    pytester.makepyfile(
        """
        from processing_testkit import run_script
        def test_it():
            run_script("import os; os.fork() or os._exit(0)").check()
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=1)


def test_the_arena_stays_and_its_blocks_come_back(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        from processing_core._memory import arena

        def test_first():
            arena.allocate(64)
            assert len(arena.arenas_of_this_process()) == 1

        def test_cycle():
            holder = [arena.allocate(4096)]
            holder.append(holder)

        def test_child():
            block = arena.allocate(64)
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("marker", "outcomes"),
    [("pytest.mark.orphans", {"passed": 1}), ("", {"passed": 1, "errors": 1})],
)
def test_orphans_are_collected_where_the_test_says_so(
    pytester: pytest.Pytester, marker: str, outcomes: dict[str, int]
) -> None:
    pytester.makepyfile(
        f"""
        import os, pytest
        pytestmark = [{marker}]
        def test_it():
            child = os.fork()
            if child == 0:
                os.fork()
                os._exit(0)
            os.waitpid(child, 0)
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(**outcomes)


def test_kinds_can_be_allowed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pytest, tempfile
        @pytest.mark.allow_leaks("descriptors")
        def test_allowed():
            os.pipe()
        @pytest.mark.allow_leaks("files")
        def test_other_kind_allowed():
            os.pipe()
        @pytest.mark.allow_leaks("nonsense")
        def test_unknown_kind():
            pass
        """
    )
    result = pytester.runpytest_subprocess(*QUICK)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*no such kind: *nonsense*"])


def test_a_failed_test_is_not_blamed_for_what_its_traceback_keeps(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import subprocess, sys
        def test_it():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
            file = open(__file__)
            assert False
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(failed=1)


def test_the_temp_folder_of_a_run_is_removed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, subprocess, sys, tempfile
        def test_it(tmp_path):
            folder = tempfile.gettempdir()
            assert os.environ["TMPDIR"] == folder
            assert not tmp_path.is_relative_to(folder)
            pathlib.Path("folder.txt").write_text(folder)
        """
    )
    pytester.runpytest_subprocess(*QUICK).assert_outcomes(passed=1)
    folder = (pytester.path / "folder.txt").read_text()
    assert folder
    assert not pytester.path.joinpath(folder).exists()
