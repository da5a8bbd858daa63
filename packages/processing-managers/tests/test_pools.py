"""``manager.Pool`` where processing-pool is not installed."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from processing_core import get_context
from processing_core.context import BaseContext
from processing_managers import SyncManager, UnknownTypeError
from processing_managers._server import pools

assert sys.platform != "win32"

MESSAGE = "have Pool when processing-pool is installed: pip install processing-pool"


def check_that_there_is_no_pool(manager: SyncManager) -> None:
    for _ in range(2):
        with pytest.raises(UnknownTypeError, match=MESSAGE):
            manager.Pool(2)
    assert list(manager.list([1, 2])) == [1, 2]
    assert manager.process is not None
    manager.shutdown()
    manager.process.close()


@pytest.mark.skipif(
    importlib.util.find_spec("processing_pool") is not None, reason="processing-pool is installed"
)
def test_a_manager_without_pools(context: BaseContext) -> None:
    manager = SyncManager(ctx=context)
    manager.start()
    check_that_there_is_no_pool(manager)


def test_a_manager_that_does_not_find_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where it is installed; a forked server has what is changed here."""
    monkeypatch.setattr(pools, "entry_points", lambda **_: ())
    manager = SyncManager(ctx=get_context("fork"))
    manager.start()
    check_that_there_is_no_pool(manager)
