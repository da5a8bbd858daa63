"""Owns the types that every SyncManager knows, and how the server makes them."""

from __future__ import annotations

from processing_managers._proxies.base import known_proxies
from processing_managers._registry import Registration
from processing_managers._server import containers, locks, queues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["base_registry", "kinds", "sync_registry"]

# The names, and what makes them. What proxies may call is what the classes of proxies expose.
TYPES: tuple[tuple[str, Any], ...] = (
    ("list", containers.make_list),
    ("dict", containers.make_dict),
    ("set", containers.SharedSet),
    ("Namespace", containers.NamespaceReferent),
    ("Value", containers.ValueReferent),
    ("Array", containers.ArrayReferent),
    ("Lock", locks.LockReferent),
    ("RLock", locks.RLockReferent),
    ("Semaphore", locks.SemaphoreReferent),
    ("BoundedSemaphore", locks.BoundedSemaphoreReferent),
    ("Condition", locks.ConditionReferent),
    ("Event", locks.EventReferent),
    ("Barrier", locks.BarrierReferent),
    ("Queue", queues.QueueReferent),
    ("JoinableQueue", queues.QueueReferent),
)


def exposed(typeid: str) -> tuple[str, ...]:
    """What proxies of a type may call."""
    names = known_proxies[typeid]._exposed_
    assert names is not None
    return names


def base_registry() -> dict[str, Registration]:
    """What every manager knows: iterators that are passed by reference."""
    return {
        "iter": Registration("iter", None, True, exposed("iter")),
        "cursor": Registration("cursor", None, True, exposed("cursor"), blocking=False),
    }


def sync_registry() -> dict[str, Registration]:
    """What a SyncManager makes."""
    # The classes of proxies are the clients' business; True says that they have one.
    return {
        typeid: Registration(typeid, make, True, exposed(typeid), blocking=False)
        for typeid, make in TYPES
    }


def kinds() -> dict[type, str]:
    """The types of objects that are passed by reference wherever they are met."""
    found: dict[type, str] = {
        make: typeid for typeid, make in reversed(TYPES) if isinstance(make, type)
    }
    found[containers.Cursor] = "cursor"
    found[containers.SharedList] = found[containers.NestedList] = "list"
    found[containers.SharedDict] = found[containers.NestedDict] = "dict"
    return found
