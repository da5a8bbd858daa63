"""Owns ``wait`` on Windows, where connections, handles and sockets are waited for differently.

A handle is waited for by the system, a connection by a read of no bytes that ends when a message
comes. Sockets can be waited for together with these only through functions that Python does not
give access to, so they are looked at every SOCKET_SECONDS.
"""

from __future__ import annotations

import select
import sys
import time

assert sys.platform == "win32"

from processing_core._clock import Deadline, checked_timeout
from processing_core._connection.windows import PipeConnection
from processing_core._platform.windows_handles import wait_for_any
from processing_core._platform.windows_pipes import Probe
from processing_core.errors import InvalidArgument, InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar, overload

    from processing_core.abc import HasFileno

    WaitableT = TypeVar("WaitableT", bound=HasFileno)
else:

    def overload(function):
        return function


__all__ = ["wait"]

SOCKET_SECONDS = 0.01


# The same signatures as for POSIX, in waiting.
@overload
def wait(object_list: Iterable[WaitableT], timeout: float | None = None) -> list[WaitableT]: ...
@overload
def wait(  # noqa: F811 - an overload, though not typing's
    object_list: Iterable[int], timeout: float | None = None
) -> list[int]: ...
@overload
def wait(  # noqa: F811 - an overload, though not typing's
    object_list: Iterable[HasFileno | int], timeout: float | None = None
) -> list[HasFileno | int]: ...
def wait(  # noqa: F811 - what the overloads are of
    object_list: Iterable[HasFileno | int], timeout: float | None = None
) -> list[HasFileno | int] | list[Any]:
    """Wait until at least one of the objects is ready; return those that are, in their order.

    An object is a connection, a socket, a process's ``sentinel`` or another handle that can be
    waited for. A connection is ready when it can receive or its other end is closed. ``timeout`` in
    seconds, None without limit; the list is empty when it ran out.

    Among more than 60 connections and handles, or with sockets among them, readiness is noticed up
    to some hundredths of a second late; there may be at most 512 sockets (``select.select``).

    :raises InvalidType: (a TypeError) when an object has no handle
    :raises OSError: when an object is closed (a closed socket: ValueError)
    """
    deadline = Deadline(checked_timeout(timeout))
    objects = list(object_list)
    if not objects:
        left = deadline.seconds()
        if left is not None:
            time.sleep(left)
        return []  # without a limit nothing could ever end the wait
    probes: dict[int, Probe] = {}
    handles: dict[int, int] = {}
    sockets: dict[int, int] = {}
    ahead: dict[int, Any] = {}
    ready: set[int] = set()
    try:
        for position, one in enumerate(objects):
            if isinstance(one, PipeConnection):
                one._usable_for(receiving=True)
                probes[position] = Probe(one.fileno())
            elif isinstance(one, int):
                handles[position] = one
            elif getattr(one, "reads_ahead", False):
                ahead[position] = one
                sockets[position] = _socket_of(one)
            else:
                sockets[position] = _socket_of(one)
        ready.update(position for position, one in ahead.items() if one.poll())
        if ready or not all(probe.pending for probe in probes.values()):
            deadline = Deadline(0.0)
        events = {position: probe.event for position, probe in probes.items() if probe.pending}
        while True:
            found = _ready(handles | events, sockets, deadline)
            # A socket may be readable and the message on it not whole yet.
            ready |= {key for key in found if key not in ahead or ahead[key].poll()}
            if ready or deadline.passed:
                break
    finally:
        # Each must be ended, because it would take part in later reads of the same pipe.
        ready.update([position for position, probe in probes.items() if probe.finish()])
    return [one for position, one in enumerate(objects) if position in ready]


def _ready(handles: dict[int, int], sockets: dict[int, int], deadline: Deadline) -> set[int]:
    """The keys of the handles and sockets that are ready, after waiting until there is one."""
    keys, waited_for = list(handles), list(handles.values())
    if not sockets:
        return {keys[index] for index in wait_for_any(waited_for, deadline)} if keys else set()
    pause = 0.0
    while True:
        left = deadline.seconds()
        pause = pause if left is None else min(pause, left)
        # In short steps also where there are only sockets: Ctrl-C does not end a select.
        found = {
            keys[index] for index in (wait_for_any(waited_for, Deadline(pause)) if keys else ())
        }
        readable = select.select(list(sockets.values()), [], [], 0 if keys else pause)[0]
        found.update(position for position, number in sockets.items() if number in readable)
        if found or deadline.passed:
            return found
        pause = SOCKET_SECONDS


def _socket_of(one: HasFileno) -> int:
    if not hasattr(one, "fileno"):
        raise InvalidType(f"cannot wait for {one!r}: neither a handle nor an object with fileno()")
    number = one.fileno()
    if number < 0:
        raise InvalidArgument(f"cannot wait for {one!r}: it is closed")
    return number
