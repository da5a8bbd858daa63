"""Every name of the facade is in ``processing.dummy``, or a table says why not."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

assert sys.platform != "win32"

import pytest

import processing
import processing.connection
import processing.dummy
import processing.dummy.connection
from processing.dummy import LocalManager, ThreadContext
from processing.managers import SyncManager

ABSENT = {
    "": {
        "ParentProcess": "the parent is a Process",
    },
    "connection": {
        "Offer": "nothing leaves the process",
        "Server": "of asyncio",
        "answerChallenge": "nobody is authenticated",
        "answer_challenge": "as above",
        "deliverChallenge": "as above",
        "deliver_challenge": "as above",
        "offer": "nothing leaves the process",
        "open_connection": "of asyncio",
        "start_server": "of asyncio",
    },
    "Connection": {
        "arecv": "of asyncio",
        "arecv_bytes": "of asyncio",
        "asend": "of asyncio",
        "asend_bytes": "of asyncio",
        "fileno": "there is no descriptor",
        "reads_ahead": "there is no buffer",
    },
    "Listener": {
        "fileno": "there is no descriptor",
    },
    "Queue": {
        "aget": "of asyncio",
        "aput": "of asyncio",
        "fileno": "there is no descriptor",
    },
    "JoinableQueue": {
        "aget": "of asyncio",
        "aput": "of asyncio",
        "fileno": "there is no descriptor",
    },
    "SimpleQueue": {
        "fileno": "there is no descriptor",
    },
    "SyncManager": {
        "batch": "calls cost nothing",
        "connect": "there is nothing to connect to",
        "fromAddress": "as above",
        "from_address": "as above",
        "get_server": "there is no server",
        "info": "there is no server",
        "process": "there is no process",
        "register": "make the object itself",
        "serveForever": "there is no server",
        "serve_forever": "there is no server",
    },
}
"""What threads cannot have or do not need, and why."""

ADDED = {
    "LocalArray",
    "LocalManager",
    "LocalNamespace",
    "LocalValue",
    "Namespace",
    "NotHeldError",
    "NotWithThreadsError",
    "Sentinel",
    "ThreadContext",
}
"""Names that only threads have."""

SAME = [
    *("AuthenticationError", "BufferTooShort", "ClosedError", "InvalidArgument", "InvalidType"),
    *("MethodFixedError", "MisuseError", "NotInstalledError", "OwnerDiedWarning", "ProcessError"),
    *("RemoteError", "RemoteTraceback", "SerializationError", "SharingError", "StartError"),
    *("TimeoutError", "RawArray", "RawValue", "cpu_count", "cpuCount", "get_logger", "getLogger"),
    *("enable_logging", "enableLogging", "log_to_stderr", "SUBDEBUG", "SUBWARNING"),
]
"""Objects that serve both."""

PAIRS: dict[str, tuple[Any, Any]] = {
    **{
        name: (getattr(processing, name), getattr(processing.dummy, name))
        for name in (
            *("Barrier", "BoundedSemaphore", "Condition", "Connection", "Event", "JoinableQueue"),
            *("Lock", "Pool", "Process", "Queue", "RLock", "Semaphore", "SimpleQueue"),
        )
    },
    "Listener": (processing.connection.Listener, processing.dummy.connection.Listener),
    "SyncManager": (SyncManager, LocalManager),
    "context": (type(processing.get_context("spawn")), ThreadContext),
}


def public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_name_of_the_facade() -> None:
    missing = set(processing.__all__) - set(processing.dummy.__all__)
    assert missing == set(ABSENT[""])
    assert set(processing.dummy.__all__) - set(processing.__all__) == ADDED
    assert len(processing.dummy.__all__) == len(set(processing.dummy.__all__))


def test_every_name_of_the_connection_module() -> None:
    ours, theirs = processing.dummy.connection, processing.connection
    assert set(theirs.__all__) - set(ours.__all__) == set(ABSENT["connection"])
    assert set(ours.__all__) <= set(theirs.__all__)


@pytest.mark.parametrize("name", PAIRS)
def test_every_method(name: str) -> None:
    process, thread = PAIRS[name]
    assert public(process) - public(thread) == set(ABSENT.get(name, ()))


@pytest.mark.parametrize("name", PAIRS)
def test_both_spellings_are_one_object(name: str) -> None:
    process, thread = PAIRS[name]
    spellings: dict[int, set[str]] = {}
    for member in public(process) & public(thread):
        spellings.setdefault(id(inspect.getattr_static(process, member)), set()).add(member)
    for twins in spellings.values():
        if len(twins) > 1 and name != "context":
            assert len({inspect.getattr_static(thread, each) for each in twins}) == 1, twins


@pytest.mark.parametrize(
    ("documented", "pep8"),
    [
        ("activeChildren", "active_children"),
        ("currentProcess", "current_process"),
        ("freezeSupport", "freeze_support"),
        ("parentProcess", "parent_process"),
        ("cpuCount", "cpu_count"),
    ],
)
def test_both_spellings_of_functions(documented: str, pep8: str) -> None:
    assert getattr(processing.dummy, documented) is getattr(processing.dummy, pep8)
    context = processing.dummy.get_context()
    assert getattr(context, documented) is getattr(context, pep8)


@pytest.mark.parametrize("name", SAME)
def test_what_serves_both_is_one_object(name: str) -> None:
    assert getattr(processing.dummy, name) is getattr(processing, name)


def test_what_is_made_here_says_so() -> None:
    for name in set(processing.dummy.__all__) - set(SAME):
        thing = getattr(processing.dummy, name)
        if inspect.isclass(thing):
            assert thing.__module__.startswith("processing.dummy"), name


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_arguments_of_methods(name: str) -> None:
    """What is called by keyword for processes can be for threads."""
    process, thread = PAIRS[name]
    for member in public(process) & public(thread):
        try:
            wanted = inspect.signature(getattr(process, member)).parameters
            given = inspect.signature(getattr(thread, member)).parameters
        except (TypeError, ValueError):
            continue  # a property, or a method that is written in C
        if any(each.kind is each.VAR_KEYWORD for each in given.values()):
            continue
        various = {"self", "args", "kwds"}
        assert set(wanted) - various <= set(given), member


def test_a_star_import_leaves_builtins_alone() -> None:
    names: dict[str, object] = {}
    exec("from processing.dummy import *", names)  # noqa: S102 - the statement under test
    assert set(processing.dummy.__all__) <= set(names)
    assert not {"list", "dict"} & set(names)
    assert (processing.dummy.list, processing.dummy.dict) == (list, dict)


def test_names_of_the_standard_library() -> None:
    import multiprocessing.dummy

    for name in (*multiprocessing.dummy.__all__, "Namespace", "Value", "Array", "dict", "list"):
        assert hasattr(processing.dummy, name), name


def test_importing_loads_only_core() -> None:
    """Managers, pools, values and logging are imported when they are used."""
    code = (
        "import sys, threading, processing\n"
        "assert not any(name.startswith('processing.dummy') for name in sys.modules)\n"
        "import processing.dummy\n"
        "print(sorted(m for m in sys.modules if m.startswith('processing_') and '.' not in m))\n"
        "print([m for m in ('ctypes', 'typing', 'logging') if m in sys.modules])\n"
        "print(threading.active_count(), 'Pool' in dir(processing.dummy))\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.splitlines()[0] == "['processing_core']"
    assert outcome.stdout.splitlines()[2] == "1 True"
    print(outcome.stdout)


def test_the_package_is_at_hand_without_an_import() -> None:
    code = "import processing; print(processing.dummy.Lock())"
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert outcome.stdout == "<Lock(owner=None)>\n"


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        processing.dummy.nothing  # type: ignore[attr-defined]  # noqa: B018 - it raises


def test_start_methods_are_taken_and_change_nothing() -> None:
    dummy = processing.dummy
    context = dummy.get_context("spawn")
    assert context is dummy.get_context() is context.get_context("fork")
    assert repr(context) == "<ThreadContext>"
    assert dummy.get_all_start_methods() == ["thread"]
    dummy.set_start_method("forkserver")
    dummy.set_start_method("spawn", force=True)
    assert dummy.get_start_method() == dummy.get_start_method(allow_none=True) == "thread"
    dummy.set_executable("nowhere")
    dummy.set_forkserver_preload(["nothing"])
    dummy.freeze_support()
    for function in (dummy.get_context, dummy.set_start_method, context.get_context):
        with pytest.raises(processing.InvalidArgument, match="no start method 'unknown'"):
            function("unknown")
