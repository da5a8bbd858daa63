"""Owns how coroutines wait for a descriptor, many of them for the same one, without threads."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

__all__ = ["readable"]

# The coroutines that wait, by loop and descriptor: a loop takes one reader for each descriptor.
_waiting: dict[tuple[asyncio.AbstractEventLoop, int], list[asyncio.Future[None]]] = {}


async def readable(descriptor: int) -> None:
    """Return when a descriptor is readable. Who else waits for it returns, too, and looks again."""
    import asyncio

    loop = asyncio.get_running_loop()
    key = loop, descriptor
    future = loop.create_future()
    if key not in _waiting:
        _waiting[key] = []
        loop.add_reader(descriptor, _wake_all, key)
    _waiting[key].append(future)
    try:
        await future
    finally:
        others = _waiting.get(key)
        if others is not None and future in others:
            others.remove(future)
            if not others:
                _stop(key)


def _stop(key: tuple[asyncio.AbstractEventLoop, int]) -> list[asyncio.Future[None]]:
    loop, descriptor = key
    loop.remove_reader(descriptor)
    return _waiting.pop(key)


def _wake_all(key: tuple[asyncio.AbstractEventLoop, int]) -> None:
    for future in _stop(key):
        if not future.done():
            future.set_result(None)
