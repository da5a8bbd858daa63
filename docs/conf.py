"""How Sphinx builds the documentation."""

from __future__ import annotations

from processing import __version__

project = "processing"
author = "The processing developers"
copyright = "2026, The processing developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"processing {__version__}"
html_static_path = ["_static"]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
# `Process` is two classes: core's, and that of processing.dummy.
suppress_warnings = ["ref.python"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True

# The build must need no network, so other projects' documents cannot be looked up: what belongs to
# Python itself is not searched for. Every reference to our own names has to lead somewhere.
nitpicky = True
MODULES = (
    "_pickle builtins collections logging mmap os pathlib pickle queue socket ssl threading types"
    " typing"
)
PYTHON = rf"({'|'.join(MODULES.split())})\..*"
BUILTINS = (
    r"bool|bytearray|bytes|dict|float|frozenset|int|list|memoryview|object|set|str|tuple|type"
    r"|(Assertion|BlockingIO|BrokenPipe|Buffer|EOF|FileExists|FileNotFound|Index|Memory)Error"
    r"|(NotImplemented|OS|Runtime|Type|Value)Error"
    r"|Exception|Any|Buffer|SSLContext|Callable|Iterable|Iterator|Mapping|Sequence|Self|SupportsIndex|None"
)
nitpick_ignore_regex = [
    (r"py:.*", PYTHON),
    (r"py:(class|exc|data|obj|func|meth|attr)", BUILTINS),
]
# Types of our own that only type checkers import, so that Sphinx cannot tell their module.
NAMES = (
    "*Ts",
    "Address",
    "Handler",
    "HasFileno",
    "Item",
    "ItemT",
    "K",
    "LockLike",
    "ManagerInfo",
    "MessageChannel",
    "P",
    "ResultT",
    "StartsProcesses",
    "T",
    "V",
    "WaitableT",
)
nitpick_ignore = [("py:class", name) for name in NAMES]
