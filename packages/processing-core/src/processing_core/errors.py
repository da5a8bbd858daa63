"""The exceptions of the library.

Every exception that the library raises of its own derives from :class:`ProcessError` and, where the
standard library raises a certain type for the same mistake, from that type too, so that code
written for either keeps working. All of them can be pickled.
"""

from __future__ import annotations

import builtins

from processing_core._cpickle import PicklingError

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "ClosedError",
    "InvalidArgument",
    "InvalidType",
    "MethodFixedError",
    "MisuseError",
    "NotInstalledError",
    "OwnerDiedWarning",
    "ProcessError",
    "RemoteError",
    "RemoteTraceback",
    "SerializationError",
    "SharingError",
    "StartError",
    "TimeoutError",
]


class ProcessError(Exception):
    """Base of every exception that the library raises of its own."""


class BufferTooShort(ProcessError):
    """A received message does not fit the buffer given; ``args[0]`` is the whole message."""


class TimeoutError(ProcessError, builtins.TimeoutError):
    """A time limit ran out before the result was there."""


class AuthenticationError(ProcessError):
    """The other side of a connection could not show that it knows the key."""


class MisuseError(ProcessError, AssertionError):
    """A method was called at a moment or by a process for which it is not meant."""


class MethodFixedError(MisuseError, RuntimeError):
    """The start method was chosen before."""


class ClosedError(ProcessError, ValueError):
    """The object was closed before."""


class InvalidArgument(ProcessError, ValueError):
    """An argument has a value that the function cannot work with."""


class InvalidType(ProcessError, TypeError):
    """An argument is of a type that the function cannot work with."""


class SerializationError(ProcessError, PicklingError):
    """An object cannot travel to another process; the message names it and where it was found."""


class SharingError(SerializationError, RuntimeError):
    """An object that processes share was pickled otherwise than on its way to another of them."""


class RemoteError(ProcessError):
    """Something went wrong in another process that its own exception cannot tell here.

    The message names it; the cause is a RemoteTraceback where there is one.
    """


class RemoteTraceback(ProcessError):
    """The cause of an exception that came from another process: the traceback it had there."""

    def __str__(self) -> str:
        # On lines of its own, whatever is printed before it.
        return "\n" + super().__str__().rstrip()


class NotInstalledError(ProcessError, ImportError):
    """What was asked for belongs to a distribution that is not installed; the message names it."""


class StartError(ProcessError, RuntimeError):
    """A child process could not be started."""


class OwnerDiedWarning(RuntimeWarning):
    """A robust lock was taken over from a process or thread that ended while it held it.

    What the lock guards may be half changed.
    """
