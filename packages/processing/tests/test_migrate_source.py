"""What `migrate` makes of source code: real forms of imports and uses, and what it leaves alone."""

from __future__ import annotations

import ast
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing._commands.known import Known, installed
from processing._commands.rewriting import Options, concerns, migrate_source, rewrite

TOP = "Process Queue Lock Pool Manager TimeoutError current_process currentProcess get_context"
FULL = Known(
    {
        "": frozenset([*TOP.split(), "Value", "Array"]),
        "connection": frozenset(["wait", "Client", "Connection", "deliverChallenge"]),
        "dummy": frozenset(["Process", "Pool"]),
        "dummy.connection": frozenset(["Listener"]),
        "managers": frozenset(["BaseManager", "SyncManager"]),
        "pool": frozenset(["ThreadPool", "Pool"]),
        "process": frozenset(["current_process"]),
        "queues": frozenset(["Queue"]),
        "shared_memory": frozenset(["SharedMemory"]),
    },
    {"currentProcess": "current_process", "deliverChallenge": "deliver_challenge"},
    {"isAlive": "is_alive", "sendbytes": "send_bytes", "applyAsync": "apply_async"},
)
"""Names of a library that has all that these tests use, whatever is installed."""


def migrated(source: str, **options: bool) -> tuple[str, list[str]]:
    """The new source, and the notes with their lines."""
    outcome = migrate_source(source.encode(), Options(**options), FULL)
    return outcome.content.decode(), [f"{note.line}: {note.text}" for note in outcome.notes]


MOVED = {
    "import": (
        "import multiprocessing\nmultiprocessing.Process()\n",
        "import processing\nprocessing.Process()\n",
    ),
    "import as": (
        "import multiprocessing as mp\nmp.Process(target=mp.current_process)\n",
        "import processing as mp\nmp.Process(target=mp.current_process)\n",
    ),
    "among others": (
        "import os, multiprocessing, sys  # all\n",
        "import os, processing, sys  # all\n",
    ),
    "from": (
        "from multiprocessing import Process, Queue as Q\n",
        "from processing import Process, Queue as Q\n",
    ),
    "from, in parentheses": (
        "from multiprocessing import (  # why\n    Process,  # one\n    Queue,\n)\n",
        "from processing import (  # why\n    Process,  # one\n    Queue,\n)\n",
    ),
    "star": ("from multiprocessing import *\nProcess\n", "from processing import *\nProcess\n"),
    "submodule": (
        "import multiprocessing.pool\nmultiprocessing.pool.ThreadPool(2)\n",
        "import processing.pool\nprocessing.pool.ThreadPool(2)\n",
    ),
    "submodule as": (
        "import multiprocessing.shared_memory as shm\nshm.SharedMemory\n",
        "import processing.shared_memory as shm\nshm.SharedMemory\n",
    ),
    "submodule from": (
        "from multiprocessing import pool, connection\npool.ThreadPool\n",
        "from processing import pool, connection\npool.ThreadPool\n",
    ),
    "from submodule": (
        "from multiprocessing.managers import BaseManager\nclass M(BaseManager): ...\n",
        "from processing.managers import BaseManager\nclass M(BaseManager): ...\n",
    ),
    "dummy": (
        "from multiprocessing.dummy import Pool as ThreadPool\n",
        "from processing.dummy import Pool as ThreadPool\n",
    ),
    "deep": (
        "import multiprocessing.dummy.connection\nmultiprocessing.dummy.connection.Listener\n",
        "import processing.dummy.connection\nprocessing.dummy.connection.Listener\n",
    ),
    "dotted without import": (
        "import multiprocessing\nmultiprocessing.connection.wait([])\n",
        "import processing\nprocessing.connection.wait([])\n",
    ),
    "in a function": (
        "def f():\n    import multiprocessing\n\n    return multiprocessing.Pool()\n",
        "def f():\n    import processing\n\n    return processing.Pool()\n",
    ),
    "in a class": (
        "class A:\n    import multiprocessing\n    L = multiprocessing.Lock()\n",
        "class A:\n    import processing\n    L = processing.Lock()\n",
    ),
    "one line": (
        "if 1: from multiprocessing import Pool\n",
        "if 1: from processing import Pool\n",
    ),
    "decorators, defaults, base classes": (
        (
            "import multiprocessing\nclass P(multiprocessing.Process):\n"
            "    def f(self, q=multiprocessing.Queue()): ...\n"
        ),
        (
            "import processing\nclass P(processing.Process):\n"
            "    def f(self, q=processing.Queue()): ...\n"
        ),
    ),
    "annotations": (
        (
            'import multiprocessing\nq: "list[multiprocessing.Queue]"\n'
            "def f(a: multiprocessing.Queue) -> 'multiprocessing.Queue': ...\n"
        ),
        (
            'import processing\nq: "list[processing.Queue]"\n'
            "def f(a: processing.Queue) -> 'processing.Queue': ...\n"
        ),
    ),
    "fallback": (
        (
            "try:\n    import multiprocessing\nexcept ImportError:\n    multiprocessing = None\n"
            "if multiprocessing: multiprocessing.Process()\n"
        ),
        (
            "try:\n    import processing as multiprocessing\nexcept ImportError:\n"
            "    multiprocessing = None\nif multiprocessing: multiprocessing.Process()\n"
        ),
    ),
    "backport": (
        (
            "try:\n    import multiprocessing\nexcept ImportError:\n"
            "    import billiard as multiprocessing\nmultiprocessing.Process()\n"
        ),
        (
            "try:\n    import processing as multiprocessing\nexcept ImportError:\n"
            "    import billiard as multiprocessing\nmultiprocessing.Process()\n"
        ),
    ),
    "the new name is taken": (
        "import multiprocessing\nprocessing = True\nmultiprocessing.Process()\n",
        "import processing as multiprocessing\nprocessing = True\nmultiprocessing.Process()\n",
    ),
    "the new name is a parameter": (
        "import multiprocessing\ndef f(processing): multiprocessing.Process(processing)\n",
        (
            "import processing as multiprocessing\n"
            "def f(processing): multiprocessing.Process(processing)\n"
        ),
    ),
    "the new name is a keyword or an attribute": (
        "import multiprocessing\nf(processing=multiprocessing.Process).processing\n",
        "import processing\nf(processing=processing.Process).processing\n",
    ),
    "the new name is another import": (
        "from mytools import processing\nimport multiprocessing\nmultiprocessing.Process\n",
        (
            "from mytools import processing\nimport processing as multiprocessing\n"
            "multiprocessing.Process\n"
        ),
    ),
    "the old name is a parameter elsewhere": (
        "import multiprocessing\nmultiprocessing.Lock\ndef f(multiprocessing): multiprocessing.x\n",
        (
            "import processing as multiprocessing\nmultiprocessing.Lock\n"
            "def f(multiprocessing): multiprocessing.x\n"
        ),
    ),
    "a global": (
        "def f():\n    global multiprocessing\n    import multiprocessing\n",
        "def f():\n    global multiprocessing\n    import processing as multiprocessing\n",
    ),
    "an attribute of another": (
        "import multiprocessing\nconf.multiprocessing = multiprocessing.Process\n",
        "import processing\nconf.multiprocessing = processing.Process\n",
    ),
    "some names stay": (
        "from multiprocessing import Process, get_logger, Queue\n",
        "from multiprocessing import get_logger\nfrom processing import Process, Queue\n",
    ),
    "some names in parentheses stay": (
        "if 1:\n    from multiprocessing import (\n        Lock,  # 1\n        util,  # 2\n    )",
        (
            "if 1:\n    from multiprocessing import (\n        util,  # 2\n    )\n"
            "    from processing import (\n        Lock,  # 1\n    )"
        ),
    ),
    "DOS": ("import multiprocessing\r\nx = 1\r\n", "import processing\r\nx = 1\r\n"),
    "no newline at the end": ("import multiprocessing", "import processing"),
    "strange layout": (
        "import   multiprocessing   ;x=( multiprocessing . Process ,)\n",
        "import   processing   ;x=( processing . Process ,)\n",
    ),
    "new syntax": (
        (
            "import multiprocessing\nmatch x:\n    case {'a': multiprocessing.Process(b)}: ...\n"
            "async def f[T](): (y := multiprocessing.Process)\nf'{multiprocessing.Lock!r:>{w}}'\n"
        ),
        (
            "import processing\nmatch x:\n    case {'a': processing.Process(b)}: ...\n"
            "async def f[T](): (y := processing.Process)\nf'{processing.Lock!r:>{w}}'\n"
        ),
    ),
}


@pytest.mark.parametrize("form", MOVED)
def test_a_form_is_moved(form: str) -> None:
    before, after = MOVED[form]
    assert migrated(before)[0] == after


@pytest.mark.parametrize("form", MOVED)
def test_what_was_moved_has_nothing_left_to_move(form: str) -> None:
    after = MOVED[form][1]
    assert migrated(after)[0] == after


STAYS = {
    "nothing of it": "import os\nos.getpid()\n",
    "a comment": "# multiprocessing\nx = 1\n",
    "another package": "import torch.multiprocessing as mp\nfrom torch import multiprocessing\n",
    "futures": "from concurrent.futures import ProcessPoolExecutor\nx = 'multiprocessing'\n",
    "relative": "from . import multiprocessing\nfrom .multiprocessing import Pool\n",
    "old processing": "from processing import currentProcess\ncurrentProcess().isAlive()\n",
    "private": "import multiprocessing as mp\nmp.process._current_process\n",
    "a module that we have not": "from multiprocessing.util import Finalize\n",
    "its use": "import multiprocessing\nmultiprocessing.util.Finalize\nmultiprocessing.Lock()\n",
    "its import": "import multiprocessing.reduction\nmultiprocessing.Lock()\n",
    "of a submodule": "from multiprocessing import managers\nmanagers.rebuild_as_list\n",
}


@pytest.mark.parametrize("form", STAYS)
def test_a_form_stays(form: str) -> None:
    assert migrated(STAYS[form])[0] == STAYS[form]


@pytest.mark.parametrize(
    ("source", "notes"),
    [
        ("import multiprocessing as m\nm.util.x\n", ["2: left alone: processing has no util"]),
        (
            "from multiprocessing.pool import Pool, RUN\n",
            ["1: left alone: processing has no pool.RUN"],
        ),
        (
            "from multiprocessing import *\n",
            ["1: every name of multiprocessing is imported: see which are used"],
        ),
        (
            "x = 1\npatch('a.multiprocessing.Process')\n",
            ["2: left alone: the string 'a.multiprocessing.Process'"],
        ),
        (
            "import multiprocessing as mp\nEx(mp_context=mp.get_context('spawn'))\n",
            ["2: left alone: concurrent.futures needs contexts of multiprocessing"],
        ),
        (
            "from multiprocessing import Lock\nEx(mp_context=context)\n",
            ["2: mp_context has to be one of multiprocessing, not of processing"],
        ),
        ("'multiprocessing is a word here'\n", []),
        ("import multiprocessing\n", []),
    ],
)
def test_what_a_person_should_look_at_is_noted(source: str, notes: list[str]) -> None:
    assert migrated(source)[1] == notes


def test_an_executor_keeps_its_contexts() -> None:
    source = "import multiprocessing as mp\nEx(mp_context=mp.get_context('spawn'))\n"
    assert migrated(source)[0] == source


def test_old_names_can_be_kept() -> None:
    before = "import multiprocessing\nimport multiprocessing.pool\nmultiprocessing.pool.Pool\n"
    after = before.replace("import multiprocessing.pool", "import multiprocessing")
    after = after.replace("import multiprocessing", "import processing as multiprocessing")
    assert migrated(before, keep_names=True)[0] == after


PEP8 = {
    "functions": (
        "import processing\nprocessing.currentProcess().pid\n",
        "import processing\nprocessing.current_process().pid\n",
    ),
    "imported functions": (
        "from processing import Process, currentProcess\nprint(currentProcess())\n",
        "from processing import Process, current_process\nprint(current_process())\n",
    ),
    "of modules": (
        "from processing.connection import deliverChallenge as d\nd(c, k)\n",
        "from processing.connection import deliver_challenge as d\nd(c, k)\n",
    ),
    "under the same name": (
        "from processing import currentProcess as currentProcess\ncurrentProcess()\n",
        "from processing import currentProcess as currentProcess\ncurrentProcess()\n",
    ),
    "methods": (
        "import processing\np.isAlive(); f().sendbytes(b'')\n",
        "import processing\np.is_alive(); f().send_bytes(b'')\n",
    ),
    "methods of one's own": (
        "import processing\nclass A:\n    def isAlive(self): return self.isAlive()\n",
        "import processing\nclass A:\n    def isAlive(self): return self.isAlive()\n",
    ),
    "the twin is taken": (
        "from processing import currentProcess\ncurrent_process = currentProcess()\n",
        "from processing import currentProcess\ncurrent_process = currentProcess()\n",
    ),
    "two libraries": (
        (
            "try:\n    from processing import currentProcess\nexcept ImportError:\n"
            "    from other import currentProcess\ncurrentProcess()\n"
        ),
        None,
    ),
    "another library": ("import threading\nt.isAlive()\n# processing\n", None),
}


@pytest.mark.parametrize("form", PEP8)
def test_pep8_spellings(form: str) -> None:
    before, after = PEP8[form]
    assert migrated(before, pep8=True)[0] == (before if after is None else after)
    assert migrated(before)[0] == before


def test_code_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(SyntaxError, match="line 2"):
        migrate_source(b"import multiprocessing\nprint 'old'\n", None, FULL)
    with pytest.raises(SyntaxError):
        migrate_source(b"# coding: utf-8\nimport multiprocessing\nx = '\xff'\n", None, FULL)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "cp1252"])
def test_encodings_are_kept(encoding: str) -> None:
    cookie = "" if encoding.startswith("utf-8") else f"# coding: {encoding}\n"
    before = f"{cookie}import multiprocessing\nx = 'é'\nmultiprocessing.Lock()\n"
    outcome = migrate_source(before.encode(encoding), None, FULL)
    assert outcome.content == before.replace("multiprocessing", "processing").encode(encoding)


# What nobody thought of

WORDS = st.sampled_from(
    [
        "x = 1",
        "# multiprocessing",
        "'multiprocessing.Pool'",
        "def multiprocessing(): ...",
        "\tif",
        "import multiprocessings",
        "from os import path as multiprocessing",
        "multiprocessing = 1",
        "from . import multiprocessing",
        "import a.multiprocessing",
        "processing.currentProcess()",
        "class processing: ...",
        "",
        "   ",
        "\x0c",
        "if x:\n\ty\n",
        "é = '€'",
        "x = '''\n  \n'''",
        "\\\n",
    ]
)


@given(st.lists(WORDS), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
def test_files_without_such_imports_stay_byte_for_byte(
    lines: list[str], newline: str, ends: bool, pep8: bool
) -> None:
    source = (newline.join(lines) + newline * ends).encode()
    options = Options(pep8=pep8)
    try:
        content = rewrite(source, options, FULL).content
    except SyntaxError:
        return  # which is what is raised, and nothing is written
    assert content == source
    assert migrate_source(source, options, FULL).content == source


@pytest.mark.parametrize("form", MOVED)
def test_what_is_looked_at_first_keeps_nobody_from_being_moved(form: str) -> None:
    assert concerns(MOVED[form][0].encode(), Options())


@pytest.mark.parametrize(
    "source",
    ["# multiprocessing\n", "import processing\n", "x = 'preprocessing.x'\n", "a.processing\n"],
)
def test_other_files_are_not_even_parsed_by_libcst(source: str) -> None:
    assert not concerns(source.encode(), Options())


IMPORTS = st.sampled_from(
    [
        "import multiprocessing",
        "import multiprocessing as mp",
        "import multiprocessing.connection",
        "from multiprocessing import Process as P, connection, Queue",
        "from multiprocessing import *",
        "import multiprocessing.connection as c, os, multiprocessing.queues",
        "try:\n    import multiprocessing\nexcept ImportError:\n    multiprocessing = None",
        "def f(multiprocessing): return multiprocessing.x",
        "processing = 1",
        "from multiprocessing.connection import Client, wait as w",
    ]
)
USES = st.sampled_from(
    [
        "multiprocessing.Process",
        "mp.connection.wait",
        "P",
        "c.Client",
        "connection.wait",
        "w",
        "multiprocessing.connection.Client",
        "multiprocessing.queues.Queue",
        "Queue",
        "Client",
    ]
)


@settings(deadline=None)
@given(st.lists(IMPORTS, min_size=1), st.lists(USES, min_size=1), st.booleans())
def test_every_name_means_the_same_thing_of_the_other_library(
    imports: list[str], uses: list[str], keep_names: bool
) -> None:
    """Both programs are run, and what their names mean is compared."""
    values = [f"try: found.append({use})\nexcept NameError: found.append(None)" for use in uses]
    before = "\n".join([*imports, "found = []", *values]) + "\n"
    outcome = migrate_source(before.encode(), Options(keep_names=keep_names), installed())
    assert not outcome.notes or all("every name" in note.text for note in outcome.notes)
    then, now = meanings(before), meanings(outcome.content.decode())
    assert [name for name, _ in then] == [name for name, _ in now]
    for (name, home), (_, new_home) in zip(then, now, strict=True):
        if name is not None:
            assert home.partition(".")[0] == "multiprocessing"
            assert new_home.partition(".")[0] in {"processing", "processing_core"}


def meanings(source: str) -> list[tuple[str | None, str]]:
    namespace: dict[str, Any] = {}
    exec("import multiprocessing.connection, multiprocessing.queues", {})  # noqa: S102 - loads them
    exec(source, namespace)  # noqa: S102 - what is tested
    return [(getattr(each, "__name__", None), getattr(each, "__module__", "")) for each in
            namespace["found"]]  # fmt: skip


def standard_library() -> list[Path]:
    """Files of the standard library that say something of processing."""
    folder = Path(sysconfig.get_path("stdlib"))
    found = [*folder.glob("*.py"), *folder.glob("[a-z]*/*.py"), *folder.glob("concurrent/*/*.py")]
    outside = [path for path in found if path.parent.name not in {"site-packages", "test"}]
    return [path for path in outside if b"multiprocessing" in path.read_bytes()]


def test_files_of_the_standard_library() -> None:
    """Those that import it are Python still; all others stay byte for byte."""
    files = standard_library()
    assert len(files) > 20
    changed = 0
    for path in files:
        source = path.read_bytes()
        content = migrate_source(source, Options(pep8=True), FULL).content
        ast.parse(content)
        changed += content != source
        assert content == source or imports_it(source), path
    assert changed


def imports_it(source: bytes) -> bool:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        if any(name.partition(".")[0] in {"multiprocessing", "processing"} for name in names):
            return True
    return False


def test_the_names_are_those_of_the_installed_version() -> None:
    known = installed()
    assert {"Process", "Queue", "Lock", "Value"} <= known.modules[""]
    assert "wait" in known.modules["connection"]
    assert known.functions["currentProcess"] == "current_process"
    assert known.methods["isAlive"] == "is_alive"
    assert known.methods["sendbytes"] == known.methods["sendBytes"] == "send_bytes"
    assert known.methods["cancelJoin"] == "cancel_join_thread"
    assert "getName" not in known.methods
    assert known.missing(["connection", "wait"]) is None
    assert known.missing(["connection", "nothing", "more"]) == "connection.nothing"


def test_source_in_this_file_is_what_it_says() -> None:
    for before, after in MOVED.values():
        for source in (before, after):
            if "f[T]" not in source:  # Python 3.12's
                ast.parse(textwrap.dedent(source))
