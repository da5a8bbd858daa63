"""Owns the arguments that listeners and clients share: addresses, families, keys, limits."""

from __future__ import annotations

import operator
import os
import sys

from processing_core._process import current_process
from processing_core.errors import InvalidArgument, InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import TypeAlias

    # (host, port), for IPv6 also (host, port, flow, scope); a path, an abstract name or a pipe.
    Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str

__all__ = [
    "FAMILIES",
    "checked_compat",
    "checked_context",
    "checked_family",
    "checked_key",
    "checked_size",
    "default_size_limit",
    "is_abstract",
    "normal_address",
    "shown",
]

FAMILIES = ("AF_INET", "AF_INET6", "AF_UNIX", "AF_PIPE")
# Where a message may come from another machine (bytes).
NETWORK_MESSAGE_BYTES = 256 << 20
PIPE_PREFIX = "\\\\"
MOST_PORT = 65535


def checked_family(family: str | None, address: object) -> str:
    """The family that is asked for, or that the address shows; the fastest if neither is given.

    :raises InvalidArgument: when the platform has no such family
    """
    if family is None:
        family = _family_of(address)
    if family not in FAMILIES:
        raise InvalidArgument(f"unknown family {family!r}; there are {', '.join(FAMILIES)}")
    if (family == "AF_PIPE") != (sys.platform == "win32") and family in ("AF_PIPE", "AF_UNIX"):
        raise InvalidArgument(f"this platform has no {family}")
    return family


def _family_of(address: object) -> str:
    if address is None:
        return "AF_PIPE" if sys.platform == "win32" else "AF_UNIX"
    if isinstance(address, tuple):
        host = address[0] if address else None
        v6 = len(address) == 4 or (isinstance(host, str) and ":" in host)
        return "AF_INET6" if v6 else "AF_INET"
    if isinstance(address, str) and address.startswith(PIPE_PREFIX):
        return "AF_PIPE"
    if isinstance(address, (str, bytes, os.PathLike)):
        return "AF_UNIX"
    raise InvalidType(f"an address is (host, port), a path or the name of a pipe, not {address!r}")


def normal_address(address: object, family: str) -> Address:
    """The address as the family wants it.

    :raises InvalidType: when it is of the wrong type
    :raises InvalidArgument: when it is of the wrong form
    """
    if family in ("AF_UNIX", "AF_PIPE"):
        if isinstance(address, (bytes, os.PathLike)):
            address = os.fsdecode(address)
        if not isinstance(address, str):
            raise InvalidType(f"an address of {family} is a string or a path, not {address!r}")
        if not address or "\0" in address[1:]:
            raise InvalidArgument(f"an address of {family} is a path or a name, not {address!r}")
        return address
    if not isinstance(address, tuple):
        raise InvalidType(f"an address of {family} is (host, port), not {address!r}")
    lengths = (2, 4) if family == "AF_INET6" else (2,)
    if len(address) not in lengths:
        raise InvalidArgument(f"an address of {family} is (host, port), not {address!r}")
    host, port = address[:2]
    if not isinstance(host, str) or not isinstance(port, int):
        raise InvalidType(f"host must be a string and port a number, not {address!r}")
    if not 0 <= port <= MOST_PORT:
        raise InvalidArgument(f"port must be between 0 and {MOST_PORT}: {address!r}")
    return address


def is_abstract(address: Address) -> bool:
    """Whether an address is a name that only the kernel knows (unix(7))."""
    return isinstance(address, str) and address.startswith("\0")


def shown(address: object) -> str:
    """An address for a message."""
    if isinstance(address, tuple) and len(address) >= 2:
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{host}:{address[1]}"
    return repr(address) if address else "a local process"


def checked_key(authenticate: bool, authkey: bytes | str | None) -> bytes | None:
    """The key to authenticate with; None if that is not wanted.

    :raises InvalidType: when the key is neither bytes nor a string
    :raises InvalidArgument: when it is empty
    """
    if authkey is None:
        return bytes(current_process().authkey) if authenticate else None
    if isinstance(authkey, str):
        authkey = authkey.encode("utf-8")
    if not isinstance(authkey, (bytes, bytearray, memoryview)):
        raise InvalidType(f"authkey must be bytes or a string, not {type(authkey).__name__}")
    if not len(authkey):
        raise InvalidArgument("authkey is empty: everybody knows that one")
    return bytes(authkey)


def checked_compat(compat: str | None) -> bool:
    """Whether the other end is the standard library's."""
    if compat not in (None, "multiprocessing"):
        raise InvalidArgument(f"compat must be None or 'multiprocessing', not {compat!r}")
    return compat is not None


def checked_size(size: int | None) -> int | None:
    """A limit for messages, in bytes.

    :raises InvalidArgument: when it is not positive
    """
    if size is None:
        return None
    try:
        size = operator.index(size)
    except TypeError:
        raise InvalidType(f"max_message_size must be a number of bytes, not {size!r}") from None
    if size <= 0:
        raise InvalidArgument(f"max_message_size must be positive, not {size}")
    return size


def default_size_limit(family: str) -> int | None:
    """How long a message may be when nobody says (bytes); None for as long as memory allows."""
    return NETWORK_MESSAGE_BYTES if family in ("AF_INET", "AF_INET6") else None


def checked_context(context: SSLContext | None, family: str) -> SSLContext | None:
    """A context for TLS.

    :raises InvalidType: when it is no ``ssl.SSLContext``
    :raises InvalidArgument: when the family is not for other machines
    """
    if context is None:
        return None
    if not hasattr(context, "wrap_bio"):
        raise InvalidType(f"ssl_context must be an ssl.SSLContext, not {context!r}")
    if family not in ("AF_INET", "AF_INET6"):
        raise InvalidArgument(f"ssl_context is for connections across machines, not {family}")
    return context
