"""Every public name leaves through one door, in both spellings, and belongs to its distribution."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import pytest

import processing
import processing.connection
import processing_core

# What the reference documents and exists so far. The second is the PEP 8 name, where it differs.
DOCUMENTED = [
    ("Process", "Process"),
    ("BufferTooShort", "BufferTooShort"),
    ("ProcessError", "ProcessError"),
    ("TimeoutError", "TimeoutError"),
    ("AuthenticationError", "AuthenticationError"),
    ("Pipe", "Pipe"),
    *[(name, name) for name in ("Queue", "Lock", "RLock", "Semaphore", "BoundedSemaphore")],
    *[(name, name) for name in ("Condition", "Event", "Barrier", "JoinableQueue", "SimpleQueue")],
    ("activeChildren", "active_children"),
    ("cpuCount", "cpu_count"),
    ("currentProcess", "current_process"),
    ("freezeSupport", "freeze_support"),
]
DOCUMENTED_METHODS = {
    "Process": [
        ("run", "run"),
        ("start", "start"),
        ("join", "join"),
        ("terminate", "terminate"),
        ("isAlive", "is_alive"),
        *[(name, name) for name in ("isDaemon", "setDaemon", "getName", "setName", "getPid")],
        *[(name, name) for name in ("getExitCode", "getAuthKey", "setAuthKey")],
        *[(name, name) for name in ("name", "daemon", "pid", "ident", "exitcode", "authkey")],
        *[(name, name) for name in ("sentinel", "kill", "close")],
    ],
    "Queue": [
        *[(name, name) for name in ("put", "get", "empty", "full", "qsize", "close")],
        ("putNoWait", "put_nowait"),
        ("getNoWait", "get_nowait"),
        ("putMany", "put_many"),
        ("putmany", "put_many"),
        ("joinThread", "join_thread"),
        ("jointhread", "join_thread"),
        ("cancelJoin", "cancel_join_thread"),
        ("canceljoin", "cancel_join_thread"),
    ],
    "JoinableQueue": [("taskDone", "task_done"), ("join", "join")],
    "Lock": [("acquire", "acquire"), ("release", "release")],
    "Condition": [
        *[(name, name) for name in ("acquire", "release", "wait", "wait_for", "notify")],
        ("notifyAll", "notify_all"),
        ("waitFor", "wait_for"),
    ],
    "Event": [("isSet", "is_set"), *[(name, name) for name in ("set", "clear", "wait")]],
    "Connection": [
        *[(name, name) for name in ("send", "recv", "fileno", "close", "poll")],
        *[(name, name) for name in ("closed", "readable", "writable")],
        ("sendBytes", "send_bytes"),
        ("recvBytes", "recv_bytes"),
        ("recvBytesInto", "recv_bytes_into"),
        ("sendbytes", "send_bytes"),
        ("recvbytes", "recv_bytes"),
    ],
}


@pytest.mark.parametrize(("documented", "pep8"), DOCUMENTED)
def test_a_documented_function_has_both_spellings(documented: str, pep8: str) -> None:
    assert getattr(processing, documented) is getattr(processing, pep8)
    assert {documented, pep8} <= set(processing.__all__)


CONNECTION = [
    *[(name, name) for name in ("Listener", "Client", "Pipe", "wait", "Connection")],
    *[(name, name) for name in ("AuthenticationError", "BufferTooShort")],
    ("deliverChallenge", "deliver_challenge"),
    ("answerChallenge", "answer_challenge"),
]


@pytest.mark.parametrize(("documented", "pep8"), CONNECTION)
def test_the_connection_module_has_both_spellings(documented: str, pep8: str) -> None:
    door = processing.connection
    assert getattr(door, documented) is getattr(door, pep8)
    assert {documented, pep8} <= set(door.__all__)


def test_a_listener_has_what_is_documented() -> None:
    for name in ("accept", "close", "address", "last_accepted", "fileno", "__enter__"):
        assert hasattr(processing.connection.Listener, name)


@pytest.mark.parametrize(
    ("owner", "documented", "pep8"),
    [(owner, *pair) for owner, pairs in DOCUMENTED_METHODS.items() for pair in pairs],
)
def test_a_documented_method_has_both_spellings(owner: str, documented: str, pep8: str) -> None:
    kind = getattr(processing, owner)
    assert inspect.getattr_static(kind, documented) is inspect.getattr_static(kind, pep8)


def public_modules(package: str) -> list[str]:
    """Return the package and those of its modules that have no underscore."""
    path = importlib.import_module(package).__path__
    names = [module.name for module in pkgutil.iter_modules(path)]
    return [package, *(f"{package}.{name}" for name in names if not name.startswith("_"))]


@pytest.mark.parametrize(
    "module", [*public_modules("processing_core"), *public_modules("processing")]
)
def test_a_public_module_says_what_is_public(module: str) -> None:
    door = importlib.import_module(module)
    assert len(door.__all__) == len(set(door.__all__))
    for name in door.__all__:
        assert hasattr(door, name), name


def test_a_name_means_the_same_at_every_door() -> None:
    """`processing_core.process.Process` and `processing.Process` are not two things."""
    seen: dict[str, object] = {}
    for module in (*public_modules("processing_core"), *public_modules("processing")):
        if module == "processing.dummy":
            continue  # the same names for threads: they are to mean something else
        door = importlib.import_module(module)
        for name in door.__all__:
            if name != "__version__":
                assert seen.setdefault(name, getattr(door, name)) is getattr(door, name), name


def test_a_public_class_can_be_found_where_it_says() -> None:
    """What pickle stores, module and qualified name, is public and leads back to the class."""
    for name in processing_core.__all__:
        thing = getattr(processing_core, name)
        if inspect.isclass(thing):
            assert pickle.loads(pickle.dumps(thing)) is thing
            assert not any(part.startswith("_") for part in thing.__module__.split(".")), name


@pytest.mark.parametrize(
    "error",
    [
        getattr(processing_core, name)
        for name in processing_core.__all__
        if inspect.isclass(getattr(processing_core, name))
        and issubclass(getattr(processing_core, name), BaseException)
        and not issubclass(getattr(processing_core, name), Warning)
    ],
)
def test_every_error_is_a_process_error_and_travels(error: type[Exception]) -> None:
    assert issubclass(error, processing_core.ProcessError)
    copy = pickle.loads(pickle.dumps(error("what happened", 7)))
    assert type(copy) is error
    assert copy.args == ("what happened", 7)
