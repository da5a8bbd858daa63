"""Owns the pytest plugin: fixtures, markers and options; each test's deadline and leak check."""

# ruff: noqa: D103 - pytest knows its hooks by their names

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

from processing_testkit import load
from processing_testkit._helper import kept_by_library
from processing_testkit._orphans import adopt_orphans
from processing_testkit.deadline import make_deadline
from processing_testkit.leaks import KINDS, LeakCheck
from processing_testkit.start_methods import start_methods

if TYPE_CHECKING:
    from processing_core.context import BaseContext

DEFAULT_SECONDS = 60.0
DEFAULT_PATIENCE = 5.0

_run = pytest.StashKey["TestRun"]()
_failed = pytest.StashKey[bool]()


class TestRun:
    """What lasts for a whole run: its temporary folder, its watchdog, its load."""

    __test__ = False

    def __init__(self, busy: int, patience: float) -> None:
        self._closing = contextlib.ExitStack()
        folder = self._private_temp()
        self._set_environment("PYTHONFAULTHANDLER", "1")
        self.deadline = make_deadline(folder)
        self._closing.callback(self.deadline.close)
        adopt_orphans(True)
        self._closing.callback(adopt_orphans, False)
        machinery = list(self.deadline.pids)
        if busy:
            machinery += self._closing.enter_context(load.busy_cores(busy))
        self.leak_check = LeakCheck(machinery, kept_by_library, patience)

    def close(self) -> None:
        self._closing.close()

    def _private_temp(self) -> str:
        """Give the run a temporary folder of its own, in which every file is somebody's leak.

        pytest's tmp_path folders outlive the run on purpose and stay where they always are.
        """
        self._set_environment("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir(), keep=True)
        folder = tempfile.mkdtemp(prefix="testkit-")
        self._closing.callback(shutil.rmtree, folder, ignore_errors=True)
        self._set_environment("TMPDIR", folder)
        self._closing.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = folder
        return folder

    def _set_environment(self, name: str, value: str, *, keep: bool = False) -> None:
        old = os.environ.get(name)
        if old is not None and keep:
            return
        os.environ[name] = value
        if old is None:
            self._closing.callback(os.environ.pop, name, None)
        else:
            self._closing.callback(os.environ.__setitem__, name, old)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("processing-testkit")
    group.addoption(
        "--deadline",
        type=float,
        default=DEFAULT_SECONDS,
        help="seconds after which a test has the whole run killed (default: %(default)s)",
    )
    group.addoption(
        "--leak-patience",
        type=float,
        default=DEFAULT_PATIENCE,
        help="seconds that things get to go away before they are leaks (default: %(default)s)",
    )
    group.addoption(
        "--busy-cores",
        type=int,
        default=0,
        metavar="N",
        help="keep N cores busy during the whole run",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "deadline(seconds): how long the test may take before the run is killed"
    )
    config.addinivalue_line(
        "markers", f"allow_leaks(*kinds): the test may leave these behind; kinds: {KINDS}"
    )
    config.addinivalue_line(
        "markers", "orphans: the test kills parents; their ended children are collected silently"
    )
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So it is in the background jobs of a shell; what is tested expects Ctrl-C to work.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "slow: takes long or needs much memory")
    config.stash[_run] = TestRun(config.getoption("busy_cores"), config.getoption("leak_patience"))


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(_run, None)
    if run is not None:
        run.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    marker = item.get_closest_marker("deadline")
    seconds = float(marker.args[0]) if marker else item.config.getoption("deadline")
    deadline = item.config.stash[_run].deadline
    deadline.arm(seconds, item.nodeid)
    try:
        return (yield)
    finally:
        deadline.disarm()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture(autouse=True)
def _leak_check(request: pytest.FixtureRequest) -> Iterator[None]:
    """First to be set up and last to be torn down of a test's own fixtures."""
    check = request.config.stash[_run].leak_check
    allowed: set[str] = set()
    for marker in request.node.iter_markers("allow_leaks"):
        allowed.update(marker.args)
    unknown = allowed - set(KINDS)
    if unknown:
        raise pytest.UsageError(f"allow_leaks: no such kind: {sorted(unknown)}")
    before = check.snapshot()
    yield
    if request.node.stash.get(_failed, False):
        # The traceback of the failure keeps objects alive, so nothing can be said of descriptors;
        # processes would disturb the tests that follow.
        check.kill_new_processes(before)
        return
    orphans = request.node.get_closest_marker("orphans") is not None
    found = check.leaks(before, allowed, reap_orphans=orphans)
    if found or "processes" in allowed:
        check.kill_new_processes(before)
    if found:
        pytest.fail("the test left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(params=start_methods())
def start_method(request: pytest.FixtureRequest) -> str:
    """Each start method of the platform in turn."""
    method: str = request.param
    return method


@pytest.fixture
def context(start_method: str) -> BaseContext:
    """The context of each start method in turn."""
    # Imported here, so that the plugin also serves tests of what does not need the library.
    from processing_core.context import get_context

    return get_context(start_method)
