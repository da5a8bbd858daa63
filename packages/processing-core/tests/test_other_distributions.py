"""Contexts offer what other distributions have, and say which one is missing."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest

from processing_core import NotInstalledError
from processing_core import context as module
from processing_core.context import BaseContext

CALLS = {
    "Array": ("i", 3),
    "Manager": (),
    "Pool": (1,),
    "RawArray": ("i", 3),
    "RawValue": ("i", 3),
    "Value": ("i", 3),
    "get_logger": (),
    "log_to_stderr": (),
}


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_classes", {})


@pytest.mark.parametrize("name", CALLS)
def test_what_is_missing_is_said(
    context: BaseContext, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [])
    with pytest.raises(NotInstalledError, match=f"have {name} when processing-.* pip install"):
        getattr(context, name)(*CALLS[name])


@pytest.mark.parametrize("name", CALLS)
def test_what_is_there_is_called(
    context: BaseContext, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []

    class Point:
        @staticmethod
        def load() -> Any:
            return lambda *args, **options: calls.append((args, options))

    def find(*, group: str, name: str) -> list[type[Point]]:
        assert (group, name) == ("processing.context", asked)
        return [Point]

    asked = name
    monkeypatch.setattr(importlib.metadata, "entry_points", find)
    for _ in range(2):
        getattr(context, name)(*CALLS[name])
    args, options = calls[1]
    assert args[: len(CALLS[name])] == CALLS[name]
    assert context in options.values() or name not in {"Manager", "Pool"}
