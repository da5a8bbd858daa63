"""Every name that multiprocessing documents is here, or a list says why not; so does the page."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import multiprocessing
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / "docs" / "names_table.py"


def load() -> Any:
    """The script that writes the page, which is in no package."""
    spec = importlib.util.spec_from_file_location("names_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


table = load()
NAMES = table.Names()
OURS, THEIRS = "processing", "multiprocessing"
# The first value makes a file that multiprocessing keeps: no test leaves it behind.
table.find(THEIRS, "Value('i')")

UNDOCUMENTED = {
    "pool.Pool.Process": "of its implementation",
    "process.current_process": "the package has it",
}
"""Public by name only."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="queues are for POSIX so far")


def verdict_of(name: str) -> str:
    return str(NAMES.verdict(name)[0])


def test_no_name_of_multiprocessing_is_forgotten() -> None:
    forgotten = []
    for home in NAMES.names:
        thing = table.find(THEIRS, home)
        if isinstance(thing, ModuleType):
            members = set(getattr(thing, "__all__", ()))
        else:
            kind = thing if inspect.isclass(thing) else type(thing)
            # What a subclass only inherits is in the table of its base class.
            members = {name for name in vars(kind) if not name.startswith("_")}
            if home == "context":
                members = {name for name in dir(thing) if not name.startswith("_")}
        known = {*NAMES.names[home], *methods_of_c(home)}
        forgotten += [f"{home}.{name}".lstrip(".") for name in members - known]
    assert sorted(set(forgotten) - set(UNDOCUMENTED)) == []


MODULES = (
    *("connection", "context", "dummy.connection", "managers", "pool", "process", "queues"),
    *("shared_memory", "sharedctypes", "synchronize"),
)


def defined_in(module: ModuleType) -> set[str]:
    """Names without an underscore that a module defines: what it imports is not its own."""
    return {
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and not isinstance(thing, ModuleType)
        and getattr(thing, "__module__", module.__name__) == module.__name__
    }


@pytest.mark.parametrize("home", MODULES)
def test_every_name_that_a_module_defines_is_here_or_left_out_for_a_reason(home: str) -> None:
    theirs = importlib.import_module(f"{THEIRS}.{home}")
    ours = importlib.import_module(f"{OURS}.{home}")
    reasons = NAMES.left_out() | NAMES.verdicts["missing"]
    unexplained = {
        name
        for name in defined_in(theirs)
        if not hasattr(ours, name) and f"{home}.{name}" not in reasons
    }
    assert unexplained == set()


def test_every_module_is_here_or_left_out_for_a_reason() -> None:
    modules = {each.name for each in pkgutil.iter_modules(multiprocessing.__path__)}
    reasons = NAMES.left_out()
    assert {name for name in modules if not table.exists(OURS, name)} == modules & set(reasons)


def test_what_is_left_out_is_not_there() -> None:
    assert [name for name in NAMES.left_out() if table.exists(OURS, name)] == []


def methods_of_c(home: str) -> set[str]:
    """Attributes of ctypes' own, as those of arrays."""
    return {"get_lock", "get_obj"} if home.startswith(("Value", "Array")) else set()


def test_a_shareable_list_knows_its_memory() -> None:
    """An attribute of its objects, which is why it is not in the table."""
    shared_memory = pytest.importorskip("processing.shared_memory")
    numbers = shared_memory.ShareableList([1])
    assert numbers.shm.size > 0
    numbers.shm.close()
    numbers.shm.unlink()


def test_the_lists_have_names_of_multiprocessing_only() -> None:
    """A name that is misspelled here would be checked by nobody."""
    unknown = [name for name in NAMES.all() if not table.exists(THEIRS, name)]
    # The first is an attribute of managers that were started, the others are Python 3.14's.
    newer = {"Process.interrupt", "Lock().locked", "RLock().locked", "managers.SyncManager.set"}
    assert set(unknown) <= {"managers.BaseManager.shutdown"} | newer


@pytest.mark.parametrize("name", NAMES.all())
def test_what_is_said_of_a_name_is_true(name: str) -> None:
    here = table.exists(OURS, name)
    if verdict_of(name) == "missing":
        assert not here, "it exists: take it out of the missing ones in docs/names.toml"
    elif NAMES.comes(name) is None:
        assert here, "processing has no such name: docs/names.toml has to say so, and why"


@pytest.mark.parametrize("prefix", NAMES.to_come)
def test_what_is_to_come_is_not_there_yet(prefix: str) -> None:
    under = [name for name in NAMES.all() if NAMES.comes(name) == prefix]
    expected = [name for name in under if verdict_of(name) != "missing"]
    assert any(not table.exists(OURS, name) for name in expected), (
        f"{prefix} is there: delete its line in docs/names.toml and run docs/names_table.py"
    )


def test_every_verdict_is_about_a_name() -> None:
    for reasons in NAMES.verdicts.values():
        assert set(reasons) <= set(NAMES.all())
        assert all(reasons.values())
    lists = [set(reasons) for reasons in NAMES.verdicts.values()]
    assert sum(map(len, lists)) == len(set().union(*lists)), "a name has two verdicts"


def test_the_page_is_what_the_script_writes() -> None:
    written = table.PAGE.read_text(encoding="utf-8")
    assert written == table.page(), "run docs/names_table.py"


def test_the_package_has_every_module_that_is_promised() -> None:
    for home, names in NAMES.names.items():
        if home and "(" not in home and home != "context" and NAMES.comes(home) is None:
            assert table.exists(OURS, home), names
    assert importlib.import_module("processing.queue").__all__
