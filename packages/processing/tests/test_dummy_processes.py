"""Processes, and threads in place of them: what both do in the same way."""

from __future__ import annotations

import re
import sys
import threading
from typing import Any

assert sys.platform != "win32"

import pytest

import flavours
import processing.dummy
import processing.dummy.connection
from processing import InvalidArgument, InvalidType, MisuseError
from processing.dummy import NotWithThreadsError

# An exception that leaves a thread is shown by pytest in its own way.
shown = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def ended(process: Any) -> int | None:
    process.join(30)
    code: int | None = process.exitcode
    return code


@shown
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("return", 0),
        ("error", 1),
        ("text", 1),
        ("none", 0),
        ("three", 3),
        ("wrapped", 4),
        ("minus", 255),
    ],
)
def test_exit_codes(flavour: Any, how: str, code: int) -> None:
    process = flavour.Process(target=flavours.end, args=(how,))
    assert process.exitcode is None
    process.start()
    assert ended(process) == process.getExitCode() == code
    assert not process.is_alive()
    state = "stopped" if code == 0 else f"stopped[{code}]"
    assert repr(process).endswith(f"({process.name}, {state})>")


def test_what_a_process_knows_of_itself(flavour: Any) -> None:
    ours, theirs = flavour.Pipe()
    process = flavour.Process(target=flavours.tell, args=(flavour, theirs), daemon=True)
    assert re.fullmatch(r"Process-\d+", process.name)
    assert process.pid is process.ident is process.getPid() is None
    process.start()
    pid = process.pid
    me = flavour.current_process()
    name = process.name
    assert ours.recv() == (name, True, pid, pid, True, None, process.authkey)
    assert process.authkey == me.authkey
    assert ours.recv() == (me.name, me.pid) == ("MainProcess", me.pid)
    assert ours.recv() == "child"
    assert ours.recv() == (f"{name}:1", True)
    assert ended(process) == 0
    ours.close()
    theirs.close()


def test_the_main_process(flavour: Any) -> None:
    main = flavour.current_process()
    assert main is flavour.current_process()
    assert main.name == "MainProcess"
    assert main.pid == main.ident
    assert main.is_alive()
    assert main.exitcode is None
    assert not main.daemon
    assert flavour.parent_process() is None
    with pytest.raises(ValueError, match="closed"):
        main.close()
    with pytest.raises(AssertionError, match="cannot join itself"):
        main.join()


def test_a_process_cannot_join_itself(flavour: Any) -> None:
    ours, theirs = flavour.Pipe()
    process = flavour.Process(target=flavours.join_self, args=(flavour, theirs))
    process.start()
    assert ours.recv() == "a process cannot join itself"
    assert ended(process) == 0
    ours.close()
    theirs.close()


def test_names_and_daemons_in_both_spellings(flavour: Any) -> None:
    process = flavour.Process(name="one")
    assert process.getName() == process.name == "one"
    process.setName("two")
    assert process.name == "two"
    with pytest.raises(TypeError, match="name must be a string"):
        process.name = 3
    assert (process.isDaemon(), process.daemon) == (False, False)
    process.setDaemon(True)
    assert (process.isDaemon(), process.daemon) == (True, True)
    kind = type(process).__name__
    assert repr(process) == f"<{kind}(two, initial daemon)>"
    process.setAuthKey("key")
    assert process.getAuthKey() == process.authkey == b"key"
    with pytest.raises(TypeError, match="bytes or a string"):
        process.authkey = 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"group": 1}, MisuseError),
        ({"target": 1}, InvalidType),
        ({"name": 1}, InvalidType),
        ({"args": 1}, InvalidType),
        ({"kwargs": 1}, InvalidType),
    ],
)
def test_wrong_arguments(flavour: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        flavour.Process(**options)


def test_misuse(flavour: Any) -> None:
    go = flavour.Event()
    process = flavour.Process(target=flavours.wait_for, args=(go,))
    with pytest.raises(AssertionError, match="before it is started"):
        process.join()
    with pytest.raises(AssertionError, match="before it is started"):
        process.terminate()
    process.start()
    with pytest.raises(AssertionError, match="started before"):
        process.start()
    with pytest.raises(AssertionError, match="only before"):
        process.daemon = True
    with pytest.raises(ValueError, match="cannot be closed while it runs"):
        process.close()
    with pytest.raises(InvalidArgument):
        process.join(float("nan"))
    process.join(0)
    process.join(-1)
    assert process.isAlive()
    go.set()
    process.join(float("inf"))
    process.join()
    for end in (process.terminate, process.kill, process.interrupt):
        end()  # it is over
    process.close()
    process.close()
    assert "closed" in repr(process)
    for use in (process.join, process.is_alive, process.start, lambda: process.pid):
        with pytest.raises(ValueError, match="is closed"):
            use()


def test_active_children(flavour: Any) -> None:
    go = flavour.Event()
    assert flavour.active_children() == []
    processes = [flavour.Process(target=flavours.wait_for, args=(go,)) for _ in range(2)]
    for process in processes:
        process.start()
    assert set(flavour.activeChildren()) == set(processes)
    go.set()
    assert [ended(process) for process in processes] == [0, 0]
    assert flavour.active_children() == []


def test_a_process_waits_for_its_children(flavour: Any) -> None:
    ours, theirs = flavour.Pipe()
    go = flavour.Event()
    process = flavour.Process(target=flavours.family, args=(flavour, theirs, go))
    process.start()
    assert ours.recv() == 1
    process.join(0.01)
    assert process.exitcode is None
    go.set()
    assert ended(process) == 0
    assert ours.poll(0)
    assert ours.recv() == "late"
    ours.close()
    theirs.close()


def test_each_side_closes_its_own_end(flavour: Any) -> None:
    ours, theirs = flavour.Pipe()
    process = flavour.Process(target=flavours.echo, args=(theirs,))
    process.start()
    theirs.close()
    for message in ("one", [2]):
        ours.send(message)
        assert ours.recv() == message
    if flavour.get_start_method() == "fork":
        # The child has a copy of this end, too, and would never see it closed.
        process.terminate()
    else:
        ours.close()
    process.join(30)
    assert process.exitcode is not None
    ours.close()


def test_the_end_of_a_process_closes_its_ends(flavour: Any) -> None:
    ours, theirs = flavour.Pipe()
    process = flavour.Process(target=flavours.tell_thread, args=(flavour, theirs))
    process.start()
    theirs.close()
    assert ours.recv() in {process.name, "MainProcess"}
    with pytest.raises(EOFError):
        ours.recv()
    assert ended(process) == 0
    ours.close()


def test_an_end_as_an_attribute(flavour: Any) -> None:
    is_dummy = flavour.get_start_method() == "thread"
    kind: Any = flavours.EchoThread if is_dummy else flavours.EchoProcess
    ours, theirs = flavour.Pipe()
    process = kind(theirs, name="echo", context=flavour)
    process.start()
    theirs.close()
    ours.send(1)
    assert ours.recv() == 1
    assert repr(process) == f"<{kind.__name__}(echo, started)>"
    if flavour.get_start_method() == "fork":
        process.terminate()
    else:
        ours.close()
    process.join(30)
    assert process.exitcode is not None
    ours.close()


def wait_of(flavour: Any) -> Any:
    """The ``wait`` of processes or of threads."""
    return (processing.dummy if flavour.get_start_method() == "thread" else processing).wait


def test_waiting_for_several_things(flavour: Any) -> None:
    wait = wait_of(flavour)
    assert wait([]) == wait([], 0.01) == []
    ours, theirs = flavour.Pipe()
    numbers, go = flavour.Queue(), flavour.Event()
    process = flavour.Process(target=flavours.wait_and_send, args=(go, theirs, "now"))
    with pytest.raises(ValueError, match="no sentinel before"):
        assert process.sentinel
    process.start()
    things = [ours, numbers, process.sentinel]
    assert wait(things, 0) == wait(things, -1) == wait(things, 0.01) == []
    go.set()
    assert set(wait(things)) <= {ours, process.sentinel}
    assert wait([process.sentinel]) == [process.sentinel]
    assert process.exitcode == 0
    assert not process.is_alive()
    assert wait(things) == [ours, process.sentinel]
    assert ours.recv() == "now"
    numbers.put(1)
    assert wait(things, 30) == [numbers, process.sentinel]
    process.join()
    theirs.close()
    assert wait([ours]) == [ours]
    with pytest.raises(TypeError):
        wait(["text"])
    ours.close()
    with pytest.raises(OSError, match="closed"):
        wait([ours])


# What threads do in their own way


@pytest.mark.parametrize("what", ["queue", "simple", "many", "pipe", "end", "listener"])
def test_waiting_is_ended_by_another_thread(what: str) -> None:
    numbers, simple = processing.dummy.Queue[int](), processing.dummy.SimpleQueue[int]()
    ours, theirs = processing.dummy.Pipe()
    listener = processing.dummy.connection.Listener()
    things: dict[str, tuple[Any, Any]] = {
        "queue": (numbers, lambda: numbers.put(1)),
        "simple": (simple, lambda: simple.put(1)),
        "many": (numbers, lambda: numbers.put_many([1])),
        "pipe": (ours, lambda: theirs.send(1)),
        "end": (ours, theirs.close),
        "listener": (listener, lambda: processing.dummy.connection.Client(listener.address)),
    }
    thing, act = things[what]
    timer = threading.Timer(0.05, act)
    timer.start()
    everything: list[Any] = [numbers, simple, ours, listener]
    assert processing.dummy.wait(everything, 30) == [thing]
    timer.join()


def test_a_process_is_a_thread() -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.extend([threading.current_thread(), processing.dummy.current_process()])

    process = processing.dummy.Process(target=look)
    assert isinstance(process, threading.Thread)
    process.start()
    process.join()
    assert seen == [process, process]
    assert process not in threading.enumerate()


def test_threads_cannot_be_ended() -> None:
    go = processing.dummy.Event()
    process = processing.dummy.Process(target=go.wait)
    process.start()
    for end, what in [
        (process.terminate, "terminated"),
        (process.kill, "killed"),
        (process.interrupt, "interrupted"),
    ]:
        with pytest.raises(NotWithThreadsError, match=f"a thread, which cannot be {what}"):
            end()
    assert process.die_with_parent
    go.set()
    process.join()
    assert process.exitcode == 0


def test_an_exception_is_printed_as_of_a_thread(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    process = processing.dummy.Process(target=flavours.end, args=("error",), name="Failing")
    process.start()
    process.join()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Exception in thread Failing:"
    assert lines[-1] == "ValueError: on purpose"
    assert process.exitcode == 1


def test_the_hook_of_threads_gets_the_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.thread))
    process = processing.dummy.Process(target=flavours.end, args=("error",))
    process.start()
    process.join()
    assert seen == [process]


def test_other_threads_belong_to_the_main_process() -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append(processing.dummy.current_process())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [processing.dummy.current_process()]


def test_objects_are_not_copied() -> None:
    seen: list[Any] = []
    thing = object()
    process = processing.dummy.Process(target=seen.append, args=(thing,))
    process.start()
    process.join()
    assert seen[0] is thing


def test_a_thread_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    seen: list[int] = []
    process = processing.dummy.Process(target=seen.append, args=(1,))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(processing.StartError, match="can't start new thread"):
            process.start()
    assert processing.dummy.active_children() == []
    process.start()
    process.join()
    assert (seen, process.exitcode) == ([1], 0)
