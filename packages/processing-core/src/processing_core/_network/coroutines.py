"""Owns how coroutines send and receive over a network connection, on an event loop's thread.

The state is the connection's own, so coroutines and calls that wait may follow each other in any
order: a message that is half sent is completed by whoever comes next, one that is half received
stays in the inbox. A coroutine holds a direction's lock only between two waits.
"""

from __future__ import annotations

from contextlib import suppress

from processing_core._platform.awaiting import ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from processing_core._network.connection import NetworkConnection, Pieces

__all__ = ["receive", "send"]

# How long to wait for the lock of a direction that another thread uses, before the next try.
PAUSE_SECONDS = 0.002

# The tasks that complete what cancelled coroutines have begun to send.
_completing: set[asyncio.Task[None]] = set()


async def send(connection: NetworkConnection[Any, Any], pieces: Pieces) -> None:
    """Send a whole message, header included.

    If it is cancelled before the first byte was sent, nothing is sent; afterwards the loop goes on
    with the message by itself.
    """
    message: tuple[Pieces, list[int]] = (pieces, [])
    begun = False
    try:
        while True:
            lock = connection._lock(receiving=False)
            taken: list[bool] = []
            try:
                taken += map(lock.acquire, (False,))  # see NetworkConnection.poll
                if not taken[0]:
                    await _pause()
                    continue
                if begun and connection._unsent is not message:
                    return  # the next sender has completed it
                if not begun and connection._go_on():
                    connection._unsent = message
                    begun = True
                if begun and connection._go_on():
                    return
            except (BrokenPipeError, ConnectionResetError) as error:
                raise BrokenPipeError(
                    error.errno, "the other end of the connection is closed"
                ) from None
            finally:
                if True in taken:
                    lock.release()
            await ready(connection.fileno(), writable=True)
    except BaseException as error:
        if begun and connection._unsent is message:
            if sum(message[1]) == 0:
                connection._unsent = None
            elif not isinstance(error, OSError):
                connection._unsent = ([bytes(piece) for piece in pieces], message[1])
                _complete_later(connection)
        raise


def _complete_later(connection: NetworkConnection[Any, Any]) -> None:
    import asyncio

    task = asyncio.get_running_loop().create_task(_complete(connection))
    _completing.add(task)
    task.add_done_callback(_completing.discard)


async def _complete(connection: NetworkConnection[Any, Any]) -> None:
    """Send the rest of what was begun; that the connection breaks is for the next send to tell."""
    with suppress(OSError):
        while True:
            lock = connection._lock(receiving=False)
            taken: list[bool] = []
            try:
                taken += map(lock.acquire, (False,))  # see NetworkConnection.poll
                if not taken[0]:
                    await _pause()
                    continue
                if connection._go_on():
                    return
            finally:
                if True in taken:
                    lock.release()
            await ready(connection.fileno(), writable=True)


async def receive(connection: NetworkConnection[Any, Any]) -> bytes | bytearray:
    """Receive a message, once it is whole."""
    while True:
        lock = connection._lock(receiving=True)
        taken: list[bool] = []
        try:
            taken += map(lock.acquire, (False,))
            if not taken[0]:
                await _pause()
                continue
            if connection._look():
                connection._raise_failure()
                return connection._inbox.take()
            connection._acknowledge()
        finally:
            if True in taken:
                lock.release()
        await ready(connection.fileno())


async def _pause() -> None:
    import asyncio

    await asyncio.sleep(PAUSE_SECONDS)
