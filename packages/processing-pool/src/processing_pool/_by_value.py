"""Owns the use of cloudpickle, which pickles functions and classes that cannot be imported."""

from __future__ import annotations

from processing_core.lowlevel import Packer, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dumps_by_value", "serialize"]


def dumps_by_value(obj: Any) -> bytes:
    """The pickle of an object, with the functions and classes that cannot be imported elsewhere."""
    import cloudpickle

    data: bytes = cloudpickle.dumps(obj)  # type: ignore[no-untyped-call] # it has no types
    return data


def serialize(obj: Any) -> bytes | Packer:
    """The same, and of what only our own pickler knows, such as queues, what that makes of it."""
    try:
        return dumps_by_value(obj)
    except Exception as error:  # noqa: BLE001 - pickling runs code of others
        try:
            return pack(obj)
        except Exception:  # noqa: BLE001 - the first error tells more
            raise error from None
