"""What importing the library does: nothing. And what it offers: every documented name."""

from __future__ import annotations

import sys

import pytest

import processing_core
import processing_core.connection
import processing_core.context
import processing_core.lowlevel
import processing_core.process
from processing_testkit import run_script

NAMES = """
    Process ProcessError BufferTooShort TimeoutError AuthenticationError Pipe
    activeChildren cpuCount currentProcess freezeSupport
    active_children cpu_count current_process freeze_support parent_process
    get_context set_start_method get_start_method get_all_start_methods set_executable
    set_forkserver_preload wait __version__
    Queue JoinableQueue SimpleQueue Lock RLock Semaphore BoundedSemaphore Condition Event Barrier
    OwnerDiedWarning SharingError RemoteError RemoteTraceback
    MisuseError ClosedError InvalidArgument InvalidType StartError SerializationError Connection
"""
DOCUMENTED = NAMES.split()

METHODS = {
    processing_core.Process: """
        run start join isAlive is_alive isDaemon setDaemon getName setName getPid getExitCode
        getAuthKey setAuthKey terminate kill close name daemon pid exitcode authkey ident sentinel
    """,
    processing_core.Connection: """
        send recv fileno close poll sendBytes recvBytes recvBytesInto send_bytes recv_bytes
        recv_bytes_into sendbytes recvbytes recvbytes_into closed readable writable
        __enter__ __exit__
    """,
    processing_core.context.BaseContext: """
        Process Pipe current_process parent_process active_children cpu_count freeze_support
        get_context get_start_method set_start_method set_executable set_forkserver_preload
        ProcessError BufferTooShort TimeoutError AuthenticationError
    """,
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_documented_name_is_there(name: str) -> None:
    assert hasattr(processing_core, name)
    assert name in processing_core.__all__


@pytest.mark.parametrize("cls", METHODS)
def test_every_documented_method_is_there(cls: type) -> None:
    missing = [name for name in METHODS[cls].split() if not hasattr(cls, name)]
    assert missing == []


def test_the_doors_export_what_they_name() -> None:
    for door in (
        processing_core,
        processing_core.connection,
        processing_core.context,
        processing_core.lowlevel,
        processing_core.process,
        processing_core.errors,
    ):
        assert [name for name in door.__all__ if not hasattr(door, name)] == []
        assert len(set(door.__all__)) == len(door.__all__)
        assert door.__doc__


def test_star_import_gives_the_documented_names() -> None:
    namespace: dict[str, object] = {}
    exec("from processing_core import *", namespace)  # noqa: S102
    assert [name for name in DOCUMENTED if name not in namespace] == []


def test_public_classes_say_where_they_come_from() -> None:
    for name in processing_core.__all__:
        value = getattr(processing_core, name)
        if isinstance(value, type):
            assert value.__module__ == "processing_core", name


def test_import_has_no_effects() -> None:
    """No threads, processes, descriptors, exit functions, signal handlers, changed settings."""
    result = run_script(
        """
        import atexit, gc, os, signal, socket, sys, threading, warnings
        def state():
            return {
                "threads": threading.active_count(),
                "fds": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self") else [],
                "atexit": atexit._ncallbacks(),
                "handlers": [signal.getsignal(n) for n in sorted(signal.valid_signals())],
                "environment": dict(os.environ),
                "path": sys.path[:],
                "excepthook": (sys.excepthook, threading.excepthook, sys.unraisablehook),
                "timeout": socket.getdefaulttimeout(),
                "recursion": sys.getrecursionlimit(),
                "switch": sys.getswitchinterval(),
                "filters": warnings.filters[:],
                "gc": (gc.isenabled(), gc.get_threshold()),
            }
        before = state()
        import processing_core
        import processing_core.connection, processing_core.context, processing_core.lowlevel
        import processing_core.process, processing_core.errors
        after = state()
        changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
        assert not changed, changed
        assert processing_core._runtime.runtime.current is None
        assert processing_core._runtime.runtime.start_method is None
        """
    )
    result.check()


def test_import_is_lazy_about_what_is_dear() -> None:
    """Every spawned child imports the library."""
    result = run_script(
        """
        import sys
        before = set(sys.modules)
        import processing_core
        print(*sorted(set(sys.modules) - before))
        """,
        options=["-S"] if sys.flags.no_site else [],
    )
    loaded = set(result.check().stdout.split())
    dear = "asyncio ctypes hmac inspect logging multiprocessing selectors socket ssl subprocess"
    assert loaded & {*dear.split(), "tempfile", "typing", "numpy", "cloudpickle"} == set()


@pytest.mark.skipif(sys.platform == "win32", reason="about SIGCHLD")
@pytest.mark.parametrize("imported", ["import logging", ""])
def test_the_librarys_warnings_do_not_reach_stderr_by_themselves(imported: str) -> None:
    """A child that is reaped behind the library's back is worth a warning to those who listen."""
    result = run_script(
        f"""
        {imported}
        import signal
        import processing_core
        if __name__ == "__main__":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            process = processing_core.Process()
            process.start()
            process.join()
            print(process.exitcode, processing_core.active_children())
        """
    )
    assert result.check().stdout == "255 []\n"


@pytest.mark.skipif(sys.platform == "win32", reason="about SIGCHLD")
def test_the_librarys_warnings_reach_those_who_listen() -> None:
    result = run_script(
        """
        import logging, signal
        import processing_core
        if __name__ == "__main__":
            logging.basicConfig(format="%(name)s %(levelname)s")
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            process = processing_core.Process()
            process.start()
            process.join()
        """
    )
    assert result.returncode == 0
    assert result.stderr == "processing WARNING\n"
