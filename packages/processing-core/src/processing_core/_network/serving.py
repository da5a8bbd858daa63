"""Owns servers for asyncio: a listener on an event loop, and a task for each of its clients."""

from __future__ import annotations

import os
from functools import partial

from processing_core import _log
from processing_core._network.listener import HANDSHAKE_SECONDS, KEEPALIVE_SECONDS, Listener
from processing_core.errors import AuthenticationError, TimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from ssl import SSLContext
    from types import TracebackType
    from typing import Any, Self, TypeAlias

    from processing_core._connection.base import Connection
    from processing_core._network.addresses import Address

    Handler: TypeAlias = Callable[[Connection[Any, Any]], Awaitable[object]]

__all__ = ["Server", "start_server"]

# How long to leave clients waiting when there are no descriptors left.
EXHAUSTED_SECONDS = 1.0


async def start_server(
    handler: Handler,
    address: Address | bytes | os.PathLike[str] | None = None,
    family: str | None = None,
    backlog: int = 1,
    authenticate: bool = False,
    authkey: bytes | str | None = None,
    *,
    on_error: Callable[[Exception], object] | None = None,
    ssl_context: SSLContext | None = None,
    compat: str | None = None,
    max_message_size: int | None = None,
    handshake_timeout: float | None = HANDSHAKE_SECONDS,
    keepalive: float | None = KEEPALIVE_SECONDS,
) -> Server:
    """Listen at an address, and have ``await handler(connection)`` run for every client.

    :param handler: a coroutine function; when it returns or raises, the connection is closed. What
        it raises goes to the loop's exception handler.
    :param on_error: called with the AuthenticationError of each client that was turned away, and
        with the OSError when a client cannot be accepted; None to log them (INFO, WARNING)

    The other parameters, and the errors, are those of ``Listener``. Clients are greeted all at the
    same time; one that says nothing or nonsense keeps nobody waiting. Takes no thread.
    """
    listener = Listener(
        address,
        family,
        backlog,
        authenticate,
        authkey,
        ssl_context=ssl_context,
        compat=compat,
        max_message_size=max_message_size,
        handshake_timeout=handshake_timeout,
        keepalive=keepalive,
    )
    try:
        return Server(listener, handler, on_error)
    except BaseException:  # a signal handler's as well: nothing stays open
        listener.close()
        raise


class Server:
    """Serves clients on the event loop that runs; made by ``start_server``.

    ``async with`` closes it and waits for the clients that are being served; if the block is left
    by an exception, these are cancelled.
    """

    def __init__(
        self,
        listener: Listener,
        handler: Handler,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        import asyncio

        self._listener = listener
        self._handler = handler
        self._on_error = _logged if on_error is None else on_error
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = self._loop.create_future()
        self._watch()

    @property
    def address(self) -> Any:
        """The address that clients connect to: (host, port), a path or an abstract name."""
        return self._listener.address

    @property
    def closed(self) -> bool:
        """Whether no more clients are accepted."""
        return self._listener.closed

    def close(self) -> None:
        """Accept no more clients. Those that are being served go on. May be called again."""
        if not self._listener.closed:
            self._unwatch()
            self._listener.close()
            if not self._ended.done():
                self._ended.set_result(None)

    def close_clients(self) -> None:
        """Cancel the handlers of all clients that are being served."""
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when the server is closed and no client is being served any more."""
        import asyncio

        await asyncio.shield(self._ended)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def serve_forever(self) -> None:
        """Serve until the server is closed; if this is cancelled, close it and cancel clients."""
        async with self:
            await self.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is not None:
            self.close_clients()
        await self.wait_closed()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._listener!r}, {len(self._tasks)} clients>"

    # Accepting, by callbacks of the loop

    def _watch(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        """Accept and greet clients as far as that needs no waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while not self.closed:
            try:
                connection = self._listener.accept(0)
            except TimeoutError:
                break
            except AuthenticationError as error:
                self._report(error)
            except OSError as error:
                self._report(error)
                self._unwatch()
                self._timer = self._loop.call_later(EXHAUSTED_SECONDS, self._watch)
                return
            else:
                task = self._loop.create_task(self._serve(connection))
                self._tasks.add(task)
                task.add_done_callback(partial(self._served, connection))
        if not self.closed and (seconds := self._listener._seconds_to_next_end()) is not None:
            # To give those up that have taken too long.
            self._timer = self._loop.call_later(seconds, self._accept)

    def _report(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception as another:  # noqa: BLE001 - whatever it is, the server goes on
            self._complain("on_error of a server failed", another)

    async def _serve(self, connection: Connection[Any, Any]) -> None:
        try:
            await self._handler(connection)
        except Exception as error:  # noqa: BLE001 - it is reported
            self._complain("the handler of a connection failed", error)

    def _served(self, connection: Connection[Any, Any], task: asyncio.Task[None]) -> None:
        # Here, because a task that is cancelled at once never runs.
        self._tasks.discard(task)
        connection.close()

    def _complain(self, message: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error, "server": self})


def _logged(error: Exception) -> None:
    if isinstance(error, AuthenticationError):
        _log.info("%s", error)
    else:
        _log.warning("clients cannot be accepted: %s", error)
