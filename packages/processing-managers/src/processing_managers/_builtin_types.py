"""Owns the types that every SyncManager knows, and how the server makes them."""

from __future__ import annotations

from processing_managers._registry import Registration
from processing_managers._server import containers, locks, queues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["base_registry", "kinds", "sync_registry"]

LIST = (
    "__add__ __contains__ __delitem__ __getitem__ __imul__ __len__ __mul__ __setitem__ append "
    "clear copy count extend index insert pop remove reverse sort"
)
DICT = (
    "__contains__ __delitem__ __getitem__ __len__ __or__ __setitem__ clear copy get items iterate "
    "keys pop popitem setdefault update values"
)
SET = (
    "__and__ __contains__ __len__ __or__ __rsub__ __sub__ __xor__ add clear copy difference "
    "difference_update discard intersection intersection_update isdisjoint issubset issuperset "
    "iterate pop remove symmetric_difference symmetric_difference_update union update"
)
ARRAY = (
    "__contains__ __delitem__ __getitem__ __imul__ __len__ __setitem__ append count extend index "
    "insert pop remove reverse set_items tobytes tolist"
)
QUEUE = "empty full get get_nowait join put put_many put_nowait qsize task_done"
LOCK = "acquire locked release"
SEMAPHORE = "acquire get_value release"
# The name, what makes it, and what proxies may call.
TYPES: tuple[tuple[str, Any, str], ...] = (
    ("list", containers.make_list, LIST),
    ("dict", containers.make_dict, DICT),
    ("set", containers.SharedSet, SET),
    ("Namespace", containers.NamespaceReferent, "__delattr__ __getattribute__ __setattr__"),
    ("Value", containers.ValueReferent, "get set"),
    ("Array", containers.ArrayReferent, ARRAY),
    ("Lock", locks.LockReferent, LOCK),
    ("RLock", locks.RLockReferent, LOCK),
    ("Semaphore", locks.SemaphoreReferent, SEMAPHORE),
    ("BoundedSemaphore", locks.BoundedSemaphoreReferent, SEMAPHORE),
    ("Condition", locks.ConditionReferent, "acquire notify notify_all release wait"),
    ("Event", locks.EventReferent, "clear is_set set wait"),
    ("Barrier", locks.BarrierReferent, "abort reset state wait"),
    ("Queue", queues.QueueReferent, QUEUE),
    ("JoinableQueue", queues.QueueReferent, QUEUE),
)


def base_registry() -> dict[str, Registration]:
    """What every manager knows: iterators that are passed by reference."""
    iterator = ("__next__", "send", "throw", "close")
    return {
        "iter": Registration("iter", None, True, iterator),
        "cursor": Registration("cursor", None, True, ("take",), blocking=False),
    }


def sync_registry() -> dict[str, Registration]:
    """What a SyncManager makes."""
    # The classes of proxies are the clients' business; True says that they have one.
    return {
        typeid: Registration(typeid, make, True, tuple(exposed.split()), blocking=False)
        for typeid, make, exposed in TYPES
    }


def kinds() -> dict[type, str]:
    """The types of objects that are passed by reference wherever they are met."""
    found: dict[type, str] = {
        make: typeid for typeid, make, _ in reversed(TYPES) if isinstance(make, type)
    }
    found[containers.Cursor] = "cursor"
    found[containers.SharedList] = found[containers.NestedList] = "list"
    found[containers.SharedDict] = found[containers.NestedDict] = "dict"
    return found
