"""Names, generations, repr, pids, keys and the other things a process object tells."""

from __future__ import annotations

import os
import pickle
import re
import signal
from typing import Any

import pytest

import children
import processing_core
from children import finished
from conftest import Starter
from processing_core import Process, ProcessError, current_process, parent_process
from processing_core.context import BaseContext


def test_the_main_process() -> None:
    main = current_process()
    assert main is current_process()
    assert main.name == "MainProcess"
    assert main.pid == main.ident == os.getpid()
    assert main.is_alive()
    assert not main.daemon
    assert main.exitcode is None
    assert parent_process() is None
    assert repr(main) == "<_MainProcess(MainProcess, started)>"


def test_default_names_count_up_and_show_generations(
    start: Starter, pipe: tuple[Any, Any], start_method: str
) -> None:
    process = start(children.children_of_child, pipe[1], start_method, 2)
    assert re.fullmatch(r"Process-\d+", process.name)
    number = process.name.removeprefix("Process-")
    assert pipe[0].recv() == (
        f"Process-{number}:1",
        (f"Process-{number}:1", f"Process-{number}:1:1"),
    )
    assert pipe[0].recv() == (
        f"Process-{number}:2",
        (f"Process-{number}:2", f"Process-{number}:2:1"),
    )
    assert finished(process) == 0


def test_subclasses_share_the_default_names() -> None:
    first, second = children.Silent(), Process()
    assert first.name.startswith("Process-")
    assert int(second.name.split("-")[1]) == int(first.name.split("-")[1]) + 1


def test_a_name_can_be_given_and_changed() -> None:
    process = Process(name="worker")
    assert process.name == process.getName() == "worker"
    process.setName("other")
    assert process.name == "other"
    process.name = "third"
    assert process.getName() == "third"
    with pytest.raises(TypeError):
        process.name = 3  # type: ignore[assignment]
    with pytest.raises(TypeError):
        Process(name=3)  # type: ignore[call-overload]


def test_what_a_child_knows(start: Starter, pipe: tuple[Any, Any], start_method: str) -> None:
    process = start(children.send_facts, pipe[1])
    seen = pipe[0].recv()
    assert finished(process) == 0
    assert seen["name"] == process.name
    assert seen["pid"] == seen["os_pid"] == process.pid == process.ident == process.getPid()
    assert seen["authkey"] == current_process().authkey
    assert seen["parent"] == ("MainProcess", os.getpid(), True)
    assert seen["alive"]
    assert seen["exitcode"] is None
    assert not seen["daemon"]
    assert seen["threads"] == 1
    assert seen["children"] == []
    assert seen["repr"] == f"<{seen['type']}({process.name}, started)>"


def test_a_child_keeps_its_start_method(pipe: tuple[Any, Any], start_method: str) -> None:
    """set_start_method, not the method of the one process, is what descendants inherit."""
    before = processing_core.get_start_method()
    processing_core.set_start_method(start_method, force=True)
    try:
        process = Process(target=children.send_facts, args=(pipe[1],))
        process.start()
        assert pipe[0].recv()["method"] == start_method
        assert finished(process) == 0
    finally:
        processing_core.set_start_method(before, force=True)


def test_repr_in_every_state(context: BaseContext, pipe: tuple[Any, Any]) -> None:
    process = context.Process(target=children.say_ready_and_wait, args=(pipe[1],), name="P")
    kind = type(process).__name__
    assert repr(process) == f"<{kind}(P, initial)>"
    process.start()
    assert pipe[0].recv() == "ready"
    assert repr(process) == f"<{kind}(P, started)>"
    pipe[0].send(None)
    assert finished(process) == 0
    assert repr(process) == f"<{kind}(P, stopped)>"
    process.close()
    assert "closed" in repr(process)


@pytest.mark.parametrize(
    ("target", "args", "state"),
    [
        (children.exit_with, (3,), "stopped[3]"),
        (children.kill_self, (signal.SIGTERM,), "stopped[SIGTERM]"),
        (children.kill_self, (9,), "stopped[SIGKILL]"),
    ],
)
def test_repr_tells_how_it_ended(start: Starter, target: Any, args: Any, state: str) -> None:
    process = start(target, *args, name="P")
    finished(process)
    assert repr(process) == f"<{type(process).__name__}(P, {state})>"


def test_repr_names_the_subclass_and_daemons() -> None:
    assert repr(Process(name="P", daemon=True)) == "<Process(P, initial daemon)>"
    silent = children.Silent()
    assert repr(silent) == f"<Silent({silent.name}, initial)>"


def test_another_process_sees_the_state_unknown(start: Starter, pipe: tuple[Any, Any]) -> None:
    other = Process(name="other", daemon=True)
    process = start(children.misuse_from_child, pipe[1], other)
    shown, name, daemon, *errors = pipe[0].recv()
    assert shown == "<Process(other, unknown daemon)>"
    assert (name, daemon) == ("other", True)
    assert len(errors) == 4
    for error in errors:
        assert isinstance(error, ProcessError)
        assert isinstance(error, AssertionError)
    assert finished(process) == 0


def test_another_process_sees_a_running_process_as_unknown(
    start: Starter, pipe: tuple[Any, Any], one_way: tuple[Any, Any]
) -> None:
    running = start(children.say_ready_and_wait, pipe[1], name="running")
    assert pipe[0].recv() == "ready"
    process = start(children.misuse_from_child, one_way[1], running)
    assert "unknown" in one_way[0].recv()[0]
    assert finished(process) == 0
    assert running.is_alive()
    pipe[0].send(None)
    assert finished(running) == 0


def test_the_key_is_inherited_as_it_is_when_the_object_is_made(
    context: BaseContext, one_way: tuple[Any, Any]
) -> None:
    before = current_process().authkey
    assert isinstance(before, bytes)
    assert len(before) >= 16
    try:
        current_process().setAuthKey(b"changed")
        process = context.Process(target=children.send_facts, args=(one_way[1],))
    finally:
        current_process().authkey = before
    process.start()
    assert one_way[0].recv()["authkey"] == b"changed"
    assert finished(process) == 0


def test_the_key_of_a_process_can_be_set_as_text() -> None:
    process = Process()
    process.setAuthKey("clé")
    assert process.getAuthKey() == process.authkey == "clé".encode()
    with pytest.raises(TypeError):
        process.setAuthKey(3)  # type: ignore[arg-type]


def test_the_key_does_not_pickle(pipe: tuple[Any, Any]) -> None:
    with pytest.raises((TypeError, pickle.PicklingError)):
        pipe[0].send(current_process().authkey)
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps(current_process().authkey)
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps([{"deep": current_process().getAuthKey()}])
    assert not pipe[1].poll()


def test_process_objects_do_not_pickle_into_pipes(pipe: tuple[Any, Any]) -> None:
    process = Process(name="P")
    with pytest.raises(pickle.PicklingError, match="P"):
        pipe[0].send(process)
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(process)


def test_both_spellings_do_the_same(start: Starter) -> None:
    process = start(children.nothing)
    assert finished(process) == process.getExitCode() == 0
    assert process.isAlive() is process.is_alive() is False
    assert process.isDaemon() is process.daemon is False
    assert processing_core.activeChildren is processing_core.active_children
    assert processing_core.currentProcess is processing_core.current_process
    assert processing_core.parentProcess is processing_core.parent_process
    assert processing_core.cpuCount is processing_core.cpu_count
    assert processing_core.freezeSupport is processing_core.freeze_support


def test_before_start_there_is_no_pid() -> None:
    process = Process()
    assert process.pid is process.ident is process.getPid() is None
    assert process.exitcode is process.getExitCode() is None
    assert not process.is_alive()
