"""Which start method is used, how it is chosen, and contexts."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest

import children
import processing_core
from children import finished
from processing_core import Process, get_context
from processing_core.context import BaseContext, DefaultContext
from processing_testkit import run_script, start_methods


def test_the_methods_of_the_platform() -> None:
    methods = processing_core.get_all_start_methods()
    if sys.platform == "win32":
        assert methods == ["spawn"]
    else:
        assert set(methods) == {"fork", "forkserver", "spawn"}
    assert methods[0] == ("fork" if sys.platform == "linux" else "spawn")
    assert set(start_methods()) <= set(methods)


def test_the_default_is_chosen_at_first_use(
    unfixed_method: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROCESSING_START_METHOD", raising=False)
    assert processing_core.get_start_method(allow_none=True) is None
    assert processing_core.get_start_method() == processing_core.get_all_start_methods()[0]
    assert processing_core.get_start_method(allow_none=True) is not None


def test_the_environment_chooses(
    unfixed_method: None, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSING_START_METHOD", start_method)
    assert processing_core.get_start_method() == start_method


def test_the_program_wins_over_the_environment(
    unfixed_method: None, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSING_START_METHOD", "spawn")
    processing_core.set_start_method(start_method)
    assert processing_core.get_start_method() == start_method


def test_an_unknown_method_in_the_environment(
    unfixed_method: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSING_START_METHOD", "teleport")
    with pytest.raises(ValueError, match=r"PROCESSING_START_METHOD.*teleport"):
        processing_core.get_start_method()


def test_the_method_is_set_once_unless_forced(unfixed_method: None) -> None:
    processing_core.set_start_method("spawn")
    for method in ("spawn", processing_core.get_all_start_methods()[-1]):
        with pytest.raises(RuntimeError) as info:
            processing_core.set_start_method(method)
        assert isinstance(info.value, processing_core.ProcessError)
    processing_core.set_start_method("spawn", force=True)
    processing_core.set_start_method(None, force=True)
    assert processing_core.get_start_method(allow_none=True) is None


def test_using_the_default_fixes_the_method(unfixed_method: None) -> None:
    processing_core.get_start_method()
    with pytest.raises(RuntimeError):
        processing_core.set_start_method("spawn")


def test_a_context_has_its_method(context: BaseContext, start_method: str) -> None:
    assert context.get_start_method() == start_method
    assert context.get_context() is context
    assert context.get_context("spawn").get_start_method() == "spawn"
    assert get_context(start_method) is context
    with pytest.raises(ValueError, match="teleport"):
        context.get_context("teleport")
    with pytest.raises(ValueError, match="fixed"):
        context.set_start_method("spawn")


def test_contexts_do_not_fix_the_method(unfixed_method: None, start_method: str) -> None:
    process = get_context(start_method).Process(target=children.nothing)
    process.start()
    assert finished(process) == 0
    assert processing_core.get_start_method(allow_none=True) is None
    processing_core.set_start_method("spawn")


def test_a_context_offers_what_the_module_does(context: BaseContext) -> None:
    for name in ("current_process", "parent_process", "active_children", "cpu_count"):
        assert getattr(context, name) is getattr(processing_core, name)
    for name in ("ProcessError", "BufferTooShort", "TimeoutError", "AuthenticationError"):
        assert getattr(context, name) is getattr(processing_core, name)
    assert issubclass(context.Process, Process)
    first, second = context.Pipe()
    first.send("through")
    assert second.recv() == "through"
    first.close()
    second.close()


@pytest.mark.parametrize("by_name", [True, False])
def test_a_process_takes_a_context(
    context: BaseContext, start_method: str, by_name: bool, one_way: tuple[Any, Any]
) -> None:
    """What was started by fork shares the parent's memory; the others have a fresh module."""
    process = Process(
        target=children.send_facts,
        args=(one_way[1],),
        context=start_method if by_name else context,
    )
    children.facts.__dict__["mark"] = True
    try:
        process.start()
    finally:
        del children.facts.__dict__["mark"]
    assert one_way[0].recv()["name"] == process.name
    assert finished(process) == 0


def test_a_default_context_as_an_argument(unfixed_method: None) -> None:
    processing_core.set_start_method("spawn")
    process = Process(target=children.nothing, context=DefaultContext())
    process.start()
    assert finished(process) == 0


def test_contexts_pickle_to_themselves(context: BaseContext) -> None:
    assert pickle.loads(pickle.dumps(context)) is context


def test_the_methods_really_differ(start_method: str) -> None:
    """Under fork a child has the parent's memory; under forkserver it has another parent."""
    result = run_script(
        """
        import os, sys
        import processing_core
        memory = "fresh"

        def tell(connection):
            connection.send((memory, os.getppid()))

        if __name__ == "__main__":
            memory = "changed"
            receiver, sender = processing_core.Pipe(duplex=False)
            process = processing_core.Process(target=tell, args=(sender,))
            process.start()
            seen, parent = receiver.recv()
            process.join()
            print(seen, parent == os.getpid())
        """,
        method=start_method,
    )
    expected = {"fork": "changed True", "forkserver": "fresh False", "spawn": "fresh True"}
    assert result.check().stdout == expected[start_method] + "\n"


def test_set_executable_is_used(unfixed_method: None, tmp_path: Any) -> None:
    """The interpreter is what spawn starts; one that does not exist is an error in start()."""
    before = processing_core._runtime.runtime.executable
    processing_core.set_executable(str(tmp_path / "no-python"))
    try:
        process = Process(target=children.nothing, context="spawn")
        with pytest.raises(OSError, match=r"no-python|No such file"):
            process.start()
        processing_core.set_executable(sys.executable.encode())
        again = Process(target=children.nothing, context="spawn")
        again.start()
        assert finished(again) == 0
    finally:
        processing_core._runtime.runtime.executable = before


def test_freeze_support_does_nothing_in_a_normal_program() -> None:
    processing_core.freeze_support()
    processing_core.freezeSupport()
