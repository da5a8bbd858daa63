"""Owns ``wait``: which of several connections, sockets and sentinels are ready."""

from __future__ import annotations

import select
import sys

from processing_core._clock import Deadline, checked_timeout
from processing_core.errors import InvalidArgument, InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar, overload

    from typing_extensions import TypeIs

    from processing_core._connection.base import Connection
    from processing_core.abc import HasFileno

    WaitableT = TypeVar("WaitableT", bound=HasFileno)
else:

    def overload(function):
        return function


__all__ = ["wait"]

if sys.platform == "win32":
    from processing_core._connection.windows_waiting import wait
else:

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

        An object is a connection, a socket, a process's ``sentinel``, a descriptor, or anything
        with a ``fileno()``. A connection is ready when it can receive or its other end is closed.
        ``timeout`` in seconds, None without limit; the list is empty when it ran out.

        :raises InvalidType: (a TypeError) when an object has no descriptor
        :raises OSError: when an object is closed (a closed socket: ValueError)
        """
        deadline = Deadline(checked_timeout(timeout))
        objects = list(object_list)
        if not objects and deadline.seconds() is None:
            return []  # nothing could ever end the wait
        descriptors = [descriptor_of(one) for one in objects]
        ahead = {
            descriptor: one
            for one, descriptor in zip(objects, descriptors, strict=True)
            if reads_ahead(one)
        }
        poller = select.poll()
        for descriptor in descriptors:
            poller.register(descriptor, select.POLLIN)
        found = {descriptor for descriptor, one in ahead.items() if one.poll()}
        while True:
            ready = dict(poller.poll(0 if found else deadline.poll_milliseconds()))
            for descriptor, events in ready.items():
                if events & select.POLLNVAL:
                    raise OSError(f"descriptor {descriptor} is not open")
                if descriptor not in ahead or ahead[descriptor].poll():
                    found.add(descriptor)
            if found or deadline.passed:
                return [
                    one
                    for one, descriptor in zip(objects, descriptors, strict=True)
                    if descriptor in found
                ]


def reads_ahead(one: object) -> TypeIs[Connection[Any, Any]]:
    """Whether a connection's descriptor alone does not tell if there is a message."""
    return getattr(one, "reads_ahead", False) is True


def descriptor_of(one: HasFileno | int) -> int:
    """The descriptor to wait for.

    :raises InvalidType: when there is none
    :raises InvalidArgument: when the object is closed, as far as a negative descriptor tells
    """
    if isinstance(one, int):
        descriptor = one
    elif hasattr(one, "fileno"):
        descriptor = one.fileno()
    else:
        raise InvalidType(
            f"cannot wait for {one!r}: neither a descriptor nor an object with fileno()"
        )
    if descriptor < 0:
        raise InvalidArgument(f"cannot wait for {one!r}: it is closed")
    return descriptor
