"""Every public name of every distribution, and every public member of a class, is in the reference.

Sphinx reads the reference as it does for the site, and this asks it what it has found there. It
needs what the `docs` session installs.
"""

from __future__ import annotations

import array
import functools
import importlib
import inspect
import pkgutil
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="the session `docs` runs this")
pytest.importorskip("furo", reason="the session `docs` runs this")

from sphinx.application import Sphinx

import processing.pool

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
DISTRIBUTIONS = sorted(path.name.replace("-", "_") for path in (ROOT / "packages").iterdir())

ACTS_AS: dict[str, tuple[type, ...]] = {
    "ArrayProxy": (array.array,),
    "DictProxy": (dict,),
    "ListProxy": (list,),
    "PoolProxy": (processing.pool.Pool,),
    "SetProxy": (set,),
    "ThreadPool": (processing.pool.Pool,),
}
"""Classes of which the reference says that they have the methods of others."""

_TASK = {
    *("accept", "alone", "attempts", "bulky", "count", "describe", "first", "function", "grants"),
    *(
        "items",
        "kind",
        "over",
        "payload",
        "retries",
        "settle",
        "single",
        "timeout",
        "timing",
        "work",
    ),
}
INTERNAL = {
    "AsyncResult": _TASK,
    "MapResult": _TASK,
    "CallResult": {"ident", "set"},
    "Packer": {"reducer_override"},  # what pickle asks for
    "Patience": {"sure"},  # what those who look by themselves ask for
    "PoolStats": {"of"},
    "Receiver": {"stuck_since"},  # what processing-pool asks for
    "SharedFileHandler": {"terminator"},  # what logging asks for
    "WorkerLost": {"told"},
    "WorkerStats": {"of"},
}
"""What the library itself does with objects that it makes, and users only get."""

EXCLUDED = ["_build", "how-to", "explanation", "tutorial.md", "index.md"]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The full names of all that the reference describes."""
    folder = tmp_path_factory.mktemp("reference")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Sphinx's own, of which the `docs` session makes errors
        application = Sphinx(
            str(ROOT / "docs"),
            str(ROOT / "docs"),
            str(folder / "out"),
            str(folder / "doctrees"),
            "dummy",
            {"exclude_patterns": EXCLUDED, "root_doc": "reference/index"},
            status=None,
            warning=None,
        )
        application.build()
    domain = application.env.domains.python_domain
    return frozenset(domain.objects)


@functools.cache
def prose() -> str:
    """The text of the pages of the reference."""
    pages = sorted(REFERENCE.glob("*.md"))
    return "\n".join(page.read_text(encoding="utf-8") for page in pages if page.stem != "names")


@functools.cache
def public_modules() -> dict[str, list[str]]:
    """The public modules of all distributions, and the names that they offer."""
    names = []
    for distribution in DISTRIBUTIONS:
        package = importlib.import_module(distribution)
        below = pkgutil.walk_packages(package.__path__, f"{distribution}.")
        names += [distribution, *(module.name for module in below)]
    public = [name for name in names if not re.search(r"\._", name)]
    return {name: list(importlib.import_module(name).__all__) for name in public}


def is_ours(thing: object) -> bool:
    module = getattr(thing, "__module__", None) or ""
    return module.partition(".")[0] in DISTRIBUTIONS


def things() -> Iterator[tuple[str, str, object]]:
    """Every public name: its module, itself, what it stands for."""
    for module, names in public_modules().items():
        for name in names:
            yield module, name, getattr(importlib.import_module(module), name)


def identity(full_name: str) -> int | None:
    """What a full name stands for; None for what is no attribute, of an instance for example."""
    module, _, name = full_name.rpartition(".")
    owner = importlib.import_module(module) if module in public_modules() else None
    return id(getattr(owner, name)) if hasattr(owner, name) else None


def test_every_public_name_is_described(described: frozenset[str]) -> None:
    """By any of its names: an alias stands for the same object."""
    known = {identity(name) for name in described}
    words = prose()
    missing = []
    for module, name, thing in things():
        # Threads have the names of processes; a page says what is different.
        if name == "__version__" or module.startswith("processing.dummy"):
            continue
        # What is not ours, as `queue.Empty`, is told by a word; what is no object of its own, too.
        in_words = not is_ours(thing) and f"`{name}`" in words
        if id(thing) not in known and not in_words:
            missing.append(f"{module}.{name}")
    assert not missing, "\n".join(["not in the reference:", *missing])


def test_every_public_member_of_a_class_is_described(described: frozenset[str]) -> None:
    """In the class or one that it is derived from, in one of its spellings."""
    missing = set()
    for _, _, kind in things():
        if inspect.isclass(kind) and is_ours(kind):
            for name in undescribed(kind, described):
                missing.add(f"{kind.__module__}.{kind.__name__}.{name}")
    assert not missing, "\n".join(["not in the reference:", *sorted(missing)])


def undescribed(kind: type, described: frozenset[str]) -> Iterator[str]:
    """The members of a class that are its own or of a class of ours, and are not described."""
    ours = [base for base in kind.__mro__ if is_ours(base)]
    theirs = [
        *(base for base in kind.__mro__ if not is_ours(base)),
        *ACTS_AS.get(kind.__name__, ()),
    ]
    last_parts = {".".join(name.rsplit(".", 2)[1:]) for name in described}
    owners = {base.__name__ for base in (*ours, *theirs)}
    members = {name: member for base in reversed(ours) for name, member in vars(base).items()}
    words = prose()
    found = {
        name
        for name in members
        if any(f"{owner}.{name}" in last_parts for owner in owners)
        or any(
            name in vars(base) for base in theirs
        )  # what it overrides has a reference of its own
        or re.search(rf"`{name}\b", words)
    }
    found |= INTERNAL.get(kind.__name__, set())
    same = {id(members[name]) for name in found if name in members}
    for name, member in members.items():
        if not name.startswith("_") and name not in found and id(member) not in same:
            yield name
