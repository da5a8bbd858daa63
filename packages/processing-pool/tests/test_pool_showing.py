"""Tasks are described without running what their arguments are made of."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Any

import pytest

from processing_pool._showing import load_for_show


class Dangerous:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_run(protocol: int) -> None:
    data = pickle.dumps(((1, "two", [3.0, None], Dangerous()), {"key": Dangerous()}), protocol)
    assert repr(load_for_show(data)) == "((1, 'two', [3.0, None], <_exit>), {'key': <_exit>})"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_of_all_kinds_are_stood_for(protocol: int) -> None:
    objects = [OrderedDict(a=1), PurePosixPath("a"), {1}]
    assert len(load_for_show(pickle.dumps(objects, protocol))) == 3
