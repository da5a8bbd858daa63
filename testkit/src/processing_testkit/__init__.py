"""What the tests of the processing distributions share. See plugin.py for the fixtures."""

from __future__ import annotations

from processing_testkit._procfs import ProcessInfo
from processing_testkit.load import busy_cores
from processing_testkit.scripts import ScriptResult, run_python, run_script, start_python
from processing_testkit.start_methods import start_methods
from processing_testkit.waiting import process_tree, wait_until

__all__ = [
    "ProcessInfo",
    "ScriptResult",
    "busy_cores",
    "process_tree",
    "run_python",
    "run_script",
    "start_methods",
    "start_python",
    "wait_until",
]
