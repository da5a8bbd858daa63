"""Owns how coroutines wait for descriptors, many of them for the same one, without threads."""

from __future__ import annotations

from processing_core._lifecycle import on_fork_in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import TypeAlias

    # The loop, the descriptor, whether it is to become writable.
    Key: TypeAlias = tuple[asyncio.AbstractEventLoop, int, bool]

__all__ = ["ready", "wake"]

# The coroutines that wait: a loop takes one reader and one writer for each descriptor.
_waiting: dict[Key, list[asyncio.Future[None]]] = {}
_hooked = False


async def ready(descriptor: int, *, writable: bool = False, limit: float | None = None) -> None:
    """Return when a descriptor may be readable (or writable), or ``limit`` seconds have passed.

    Who else waits for it returns, too, so everybody has to look whether it is for him. ``wake``
    ends the wait as well.

    :raises NotImplementedError: when the event loop watches no descriptors (Windows, proactor)
    """
    import asyncio

    loop = asyncio.get_running_loop()
    key = loop, descriptor, writable
    future = loop.create_future()
    futures = _waiting.get(key)
    if futures is None:
        _install_hook()
        watch = loop.add_writer if writable else loop.add_reader
        watch(descriptor, _wake_all, key)
        futures = _waiting[key] = []
    futures.append(future)
    timer = None if limit is None else loop.call_later(limit, _set, future)
    try:
        await future
    finally:
        if timer is not None:
            timer.cancel()
        if future in futures:
            futures.remove(future)
            if not futures and _waiting.get(key) is futures:
                _stop(key)


def wake(descriptor: int) -> None:
    """Have all coroutines that wait for a descriptor look again.

    To be called before it is closed, since no event loop is told of that, and when what was read
    from it shows on it no more. Any thread may call it.
    """
    if not _waiting:
        return
    import asyncio

    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    for key in list(_waiting):
        if key[1] != descriptor:
            continue
        if key[0] is running or key[0].is_closed():
            _wake_all(key)
        else:
            key[0].call_soon_threadsafe(_wake_all, key)


def _stop(key: Key) -> list[asyncio.Future[None]]:
    futures = _waiting.pop(key, [])
    loop, descriptor, writable = key
    if not loop.is_closed():
        if writable:
            loop.remove_writer(descriptor)
        else:
            loop.remove_reader(descriptor)
    return futures


def _wake_all(key: Key) -> None:
    if key in _waiting:
        for future in _stop(key):
            _set(future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(None)


def _install_hook() -> None:
    global _hooked  # noqa: PLW0603 - set once
    if not _hooked:
        _hooked = True
        # The parent's loops are not for the child, which shares their selectors with them.
        on_fork_in_child(_waiting.clear)
