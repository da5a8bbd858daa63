"""Owns what a manager's process does from its first step to its last."""

from __future__ import annotations

import signal

from processing_core.lowlevel import log_exit_as, log_info, pack_failure
from processing_managers._server.server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from processing_core import Connection

__all__ = ["STOP", "run"]

# What the process that has started the server sends in order to end it.
STOP = b"stop"


def run(
    settings: dict[str, Any],
    session: int,
    connection: Connection[Any, Any],
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
) -> None:
    """Serve until the process that has started this one says so, or ends.

    :param settings: the arguments of Server
    :param session: the number of that process's session
    :param connection: the connection to it: it is sent how the beginning went
    """
    # Ctrl-C is for those who use the manager; it ends with them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if initializer is not None:
            initializer(*initargs)
        server = Server(**settings)
    except BaseException as error:  # the one who waits gets it, SystemExit too
        connection.send((None, pack_failure(error)))
        if not isinstance(error, Exception):
            raise
        return
    server.add_owner(session, connection)
    log_info("manager bound to %r", server.address)
    log_exit_as("manager")
    connection.send((server.number, server.address))
    server.serve()
