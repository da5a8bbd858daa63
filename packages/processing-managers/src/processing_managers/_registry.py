"""Owns what is known of a type of objects that a manager makes."""

from __future__ import annotations

from processing_core import InvalidArgument, InvalidType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

__all__ = ["Registration", "checked_registration", "public_methods"]


class Registration:
    """One type of a manager.

    :ivar typeid: its name
    :ivar make: makes an object of it; None when objects are only passed
    :ivar exposed: the methods that proxies may call; None for the public ones
    :ivar method_to_typeid: for methods that return not a copy of their result but a proxy to it,
        the type of that
    :ivar proxytype: the class of proxies; None for one that is made of the exposed methods
    :ivar blocking: whether its methods may take long and run in threads: True, False, or the names
        of those that may
    """

    __slots__ = ("blocking", "exposed", "make", "method_to_typeid", "proxytype", "typeid")

    def __init__(
        self,
        typeid: str,
        make: Callable[..., Any] | None = None,
        proxytype: Any = None,
        exposed: tuple[str, ...] | None = None,
        method_to_typeid: Mapping[str, str] | None = None,
        blocking: bool | frozenset[str] = True,
    ) -> None:
        self.typeid = typeid
        self.make = make
        self.exposed = exposed
        self.method_to_typeid = dict(method_to_typeid or {})
        self.proxytype = proxytype
        self.blocking = blocking

    def may_block(self, name: str) -> bool:
        """Whether a method may take long."""
        return self.blocking if isinstance(self.blocking, bool) else name in self.blocking


def checked_registration(
    typeid: str,
    make: Callable[..., Any] | None,
    proxytype: Any,
    exposed: Iterable[str] | None,
    method_to_typeid: Mapping[str, str] | None,
    blocking: bool | Iterable[str],
) -> Registration:
    """A registration of what a user has given; see BaseManager.register."""
    if not isinstance(typeid, str):
        raise InvalidType(f"typeid must be a string, not {typeid!r}")
    if not typeid.isidentifier():
        raise InvalidArgument(f"typeid must be an identifier, not {typeid!r}")
    if make is not None and not callable(make):
        raise InvalidType(f"callable must be callable, not {make!r}")
    if proxytype is not None and not callable(proxytype):
        raise InvalidType(f"proxytype must be a class of proxies, not {proxytype!r}")
    if exposed is None:
        exposed = getattr(make, "__exposed__", None)
    if exposed is None:
        exposed = getattr(proxytype, "_exposed_", None)
    if method_to_typeid is None:
        method_to_typeid = getattr(proxytype, "_method_to_typeid_", None)
    return Registration(
        typeid,
        make,
        proxytype,
        None if exposed is None else _names(exposed, "exposed"),
        _checked_types(method_to_typeid),
        blocking if isinstance(blocking, bool) else frozenset(_names(blocking, "blocking")),
    )


def _names(names: Iterable[str], what: str) -> tuple[str, ...]:
    if isinstance(names, str):
        raise InvalidType(f"{what} must be names of methods, not the string {names!r}")
    result = tuple(names)
    for name in result:
        if not isinstance(name, str):
            raise InvalidType(f"{what} must be names of methods; {name!r} is none")
    return result


def _checked_types(types: Mapping[str, str] | None) -> dict[str, str]:
    result: dict[Any, Any] = {} if types is None else dict(types)
    for name, typeid in result.items():
        if not isinstance(name, str) or not isinstance(typeid, str):
            raise InvalidType(
                f"method_to_typeid must map names to names, not {name!r} to {typeid!r}"
            )
    return result


def public_methods(obj: object) -> tuple[str, ...]:
    """The names of the methods of an object that do not begin with an underscore."""
    return tuple(
        name for name in dir(obj) if not name.startswith("_") and callable(getattr(obj, name, None))
    )
