"""The facade: every name is its owner's own object, and importing it does nothing else."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from typing import Any

import pytest

import processing
import processing_core
import processing_logging
import processing_managers
import processing_pool
import processing_sharedctypes
from processing_core.context import BaseContext

DOORS = {
    "connection": "processing_core",
    "context": "processing_core",
    "process": "processing_core",
    "queues": "processing_core",
    "shared_memory": "processing_sharedctypes",
    "sharedctypes": "processing_sharedctypes",
    "synchronize": "processing_core",
}

ERRORS = ("AuthenticationError", "BufferTooShort", "ProcessError", "TimeoutError")
ADDED = {
    "context": {name: name for name in ("Process", *ERRORS)},
    "process": {"BaseProcess": "Process"},
}
"""Where the standard library has names of the package in a module too: the name, and what it is."""

IMPORT_UNDER_AUDIT = """
import sys, threading
starts = ("os.fork", "os.posix_spawn", "os.exec", "subprocess.", "_thread.start")
forbidden = (*starts, "socket.", "signal.")
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(forbidden) else None)
import processing
print(seen, threading.active_count())
"""


def test_the_version_is_that_of_the_metadata() -> None:
    assert processing.__version__ == importlib.metadata.version("processing")


SIBLINGS = {
    "Array": processing_sharedctypes,
    "Manager": processing_managers,
    "Pool": processing_pool,
    "RawArray": processing_sharedctypes,
    "RawValue": processing_sharedctypes,
    "SUBDEBUG": processing_logging,
    "SUBWARNING": processing_logging,
    "Value": processing_sharedctypes,
    "enableLogging": processing_logging,
    "enable_logging": processing_logging,
    "getLogger": processing_logging,
    "get_logger": processing_logging,
    "log_to_stderr": processing_logging,
}
"""Names that are not core's, and whose they are."""


def test_it_offers_all_that_core_offers() -> None:
    offered = set(processing.__all__) - set(SIBLINGS)
    assert offered == set(processing_core.__all__) - {"__version__"}


@pytest.mark.parametrize("name", processing.__all__)
def test_a_name_is_the_object_of_its_owner(name: str) -> None:
    thing = getattr(processing, name)
    owner = SIBLINGS.get(name, processing_core)
    assert thing is getattr(owner, name)
    if isinstance(thing, int):
        return
    assert thing.__module__.partition(".")[0] == owner.__name__


def test_a_star_import_gives_every_name() -> None:
    names: dict[str, object] = {}
    exec("from processing import *", names)  # noqa: S102 - the statement under test
    assert {name: names.get(name) for name in processing.__all__} == {
        name: getattr(processing, name) for name in processing.__all__
    }


@pytest.mark.parametrize("door", DOORS)
def test_a_submodule_is_a_door_to_the_owners_submodule(door: str) -> None:
    ours = importlib.import_module(f"processing.{door}")
    # The whole of processing-sharedctypes is what the documented module was.
    owner = DOORS[door] if door == "sharedctypes" else f"{DOORS[door]}.{door}"
    theirs = importlib.import_module(owner)
    added = ADDED.get(door, {})
    assert set(ours.__all__) - set(added) == set(theirs.__all__) - {"__version__"}
    for name in set(ours.__all__) - set(added):
        assert getattr(ours, name) is getattr(theirs, name), name
    for name, original in added.items():
        assert getattr(ours, name) is getattr(processing, original), name


def test_the_module_of_pools_has_all_of_processing_pool() -> None:
    ours = importlib.import_module("processing.pool")
    added = {"ApplyResult", "IMapUnorderedIterator", "MaybeEncodingError", "TimeoutError"}
    added |= {"RemoteTraceback"}
    assert set(ours.__all__) - added == set(processing_pool.__all__) - {"__version__"}
    for name in set(ours.__all__) - added:
        assert getattr(ours, name) is getattr(processing_pool, name), name
    assert ours.ApplyResult is ours.AsyncResult
    assert ours.IMapUnorderedIterator is ours.IMapIterator
    assert ours.TimeoutError is processing.TimeoutError
    assert ours.MaybeEncodingError is processing.SerializationError
    assert ours.RemoteTraceback is processing.RemoteTraceback
    assert all(
        issubclass(each, processing.ProcessError) for each in (ours.WorkerLost, ours.TaskTimeout)
    )


def test_a_context_can_find_the_pool() -> None:
    """By the entry point, since core must not import its siblings."""
    (point,) = importlib.metadata.entry_points(group="processing.context", name="Pool")
    assert point.load() is processing.Pool


@pytest.mark.parametrize(
    ("documented", "pep8"),
    [
        ("activeChildren", "active_children"),
        ("cpuCount", "cpu_count"),
        ("currentProcess", "current_process"),
        ("freezeSupport", "freeze_support"),
        ("parentProcess", "parent_process"),
    ],
)
def test_both_spellings_are_one_object(documented: str, pep8: str) -> None:
    assert getattr(processing, documented) is getattr(processing, pep8)


def test_importing_starts_nothing() -> None:
    """No process, thread, socket or signal handler, and no warning."""
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_UNDER_AUDIT],
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout.split("\n")[0] == "[] 1"


def test_importing_loads_only_core() -> None:
    """What is not used costs nothing."""
    code = (
        "import sys, processing;"
        "print(sorted(m for m in sys.modules if m.startswith('processing_') and '.' not in m))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert outcome.stdout.strip() == "['processing_core']"


def test_modules_are_at_hand_without_an_import() -> None:
    """What is written for multiprocessing counts on it."""
    code = (
        "import processing as multiprocessing, sys\n"
        "assert 'processing.connection' not in sys.modules\n"
        "print(multiprocessing.connection.wait([]), hasattr(multiprocessing, 'nothing'))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert outcome.stdout == "[] False\n"


@pytest.mark.parametrize(
    ("door", "owner", "added"),
    [
        ("managers", processing_managers, {"SharedMemoryManager"}),
        ("logger", processing_logging, set()),
    ],
)
def test_the_modules_of_siblings_have_all_of_theirs(door: str, owner: Any, added: set[str]) -> None:
    ours = importlib.import_module(f"processing.{door}")
    assert set(ours.__all__) - added == set(owner.__all__) - {"__version__"}
    for name in set(ours.__all__) - added:
        assert getattr(ours, name) is getattr(owner, name), name


def test_contexts_have_what_siblings_have(context: BaseContext) -> None:
    assert context.Value("i", 3).value == 3
    assert context.Array("i", [1, 2])[1] == 2
    assert context.RawValue("i", 4).value == 4
    assert len(context.RawArray("i", 5)) == 5
    assert context.get_logger() is processing.get_logger()
    with context.Manager() as manager:
        assert manager.list([1])[0] == 1
    with context.Pool(1) as pool:
        assert pool.apply(abs, (-3,)) == 3


def test_a_manager_has_pools() -> None:
    with processing.Manager() as manager, manager.Pool(1) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
        result = pool.apply_async(abs, (-3,))
        assert result.get(20) == 3
        assert result.successful()
        assert list(pool.imap(abs, [-4, -5])) == [4, 5]
        for starmap in (pool.starmap_async, pool.starmapAsync):
            assert starmap(divmod, [(7, 3)]).get(20) == [(2, 1)]
