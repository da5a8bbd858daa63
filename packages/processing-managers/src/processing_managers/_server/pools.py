"""Owns pools as objects of a manager: processing-pool's, where that is installed."""

from __future__ import annotations

from importlib.metadata import entry_points

from processing_managers._proxies.pools import AsyncResultProxy, PoolProxy
from processing_managers._registry import Registration
from processing_managers.errors import UnknownTypeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["pool_registry"]

# Methods whose result stays in the manager.
RESULTS = {
    **dict.fromkeys(
        ("applyAsync", "apply_async", "mapAsync", "map_async", "starmapAsync", "starmap_async"),
        "AsyncResult",
    ),
    **dict.fromkeys(("imap", "imapUnordered", "imap_unordered"), "iter"),
}


def pool_registry() -> dict[str, Registration]:
    """What a manager has to know in order to have pools.

    :raises UnknownTypeError: when processing-pool is not installed
    """
    for point in entry_points(group="processing.context", name="Pool"):
        make: Callable[..., Any] = point.load()
        return {
            "Pool": Registration("Pool", make, True, PoolProxy._exposed_, RESULTS),
            "AsyncResult": Registration("AsyncResult", None, True, AsyncResultProxy._exposed_),
        }
    raise UnknownTypeError(
        "managers have Pool when processing-pool is installed: pip install processing-pool"
    )
