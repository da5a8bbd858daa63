"""Owns what all proxies share: calling, travelling, comparing, and being given up."""

from __future__ import annotations

import threading

from processing_core import AuthenticationError, InvalidType, ProcessError
from processing_core.lowlevel import is_starting_child
from processing_managers import _arrivals
from processing_managers._client import batches
from processing_managers._client.links import here
from processing_managers._client.sessions import (
    Session,
    known_session,
    session_at,
    session_with,
)
from processing_managers.errors import ReferentGoneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, ClassVar

    from processing_managers._client.batches import CallResult

__all__ = [
    "AutoProxy",
    "BaseProxy",
    "IteratorProxy",
    "MakeProxyType",
    "Token",
    "known_proxies",
    "make",
]


class Token:
    """Says which object a proxy stands for: its type, where its manager is, and its number."""

    __slots__ = ("address", "id", "typeid")

    def __init__(self, typeid: str, address: Any, id: int) -> None:  # noqa: A002 - documented name
        self.typeid: str = typeid
        self.address: Any = address
        self.id: int = id

    def __repr__(self) -> str:
        return f"Token(typeid={self.typeid!r}, address={self.address!r}, id={self.id:x})"


class BaseProxy:
    """Stands for an object in a manager's process.

    Proxies are made by managers. They can be passed to children, pickled, sent and used by any
    number of threads. The object lives as long as a proxy does, in whatever process or on its way.
    Proxies compare by the values of their referents, and so cannot be hashed.
    """

    _exposed_: tuple[str, ...] | None = None
    _method_to_typeid_: dict[str, str] | None = None

    # What a class made by MakeProxyType cannot be found by when it is unpickled.
    _made_from: tuple[str, ...] | None = None

    _session: Session
    _ident: int
    _typeid: str
    _manager: object = None

    def __init__(self, session: Session, ident: int, typeid: str) -> None:
        self.__dict__.update(_session=session, _ident=ident, _typeid=typeid)

    @property
    def _token(self) -> Token:
        return Token(self._typeid, self._session.address, self._ident)

    @property
    def _id(self) -> int:
        return self._ident

    def _callmethod(
        self, methodname: str, args: tuple[Any, ...] = (), kwds: dict[str, Any] | None = None
    ) -> Any:
        """Call a method of the referent and return a copy of what it returns.

        :param methodname: an exposed method
        :param args: its arguments, which are pickled
        :param kwds: its keyword arguments
        :raises NotExposedError: (an AttributeError) when proxies may not call it
        :raises RemoteError: when the result cannot be sent
        :raises ManagerLost: when the manager has ended

        What the method raises is raised here, with its traceback there as the cause.
        """
        return self._session.call(self._ident, methodname, args, kwds)

    _callMethod = _callmethod

    def call_async(self, methodname: str, /, *args: Any, **kwds: Any) -> CallResult[Any]:
        """Call a method of the referent without waiting for it; the result has ``get()``.

        Calls of one thread on one proxy are done in the order in which they are made.
        """
        return batches.post(self._session, self._ident, methodname, args, kwds)

    def _getvalue(self) -> Any:
        """A copy of the referent; containers that are nested in it are copied, too."""
        return self._session.ask("value", self._ident)

    _getValue = _getvalue

    def __repr__(self) -> str:
        return f"<Proxy[{self._typeid}] object at {self._ident:#x}>"

    def __str__(self) -> str:
        try:
            text: str = self._callmethod("#STR")
        except ProcessError as error:
            return f"{repr(self)[:-1]}; '__str__()' failed: {error}>"
        return text

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._getvalue()

    def _operand(self, other: Any) -> Any:
        """What is sent as an argument that the method only reads.

        A proxy of the same manager is its referent there. Of others the value is sent, so that no
        manager has to wait for another one.
        """
        if isinstance(other, BaseProxy) and other._session is not self._session:
            return other._getvalue()
        return other

    # By value

    def _is_same(self, other: object) -> bool:
        return (
            isinstance(other, BaseProxy)
            and other._ident == self._ident
            and other._session is self._session
        )

    def __eq__(self, other: object) -> bool:
        result: bool = self._is_same(other) or self._getvalue() == value_of(other)
        return result

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        result: bool = self._getvalue() < value_of(other)
        return result

    def __le__(self, other: Any) -> bool:
        result: bool = self._getvalue() <= value_of(other)
        return result

    def __gt__(self, other: Any) -> bool:
        result: bool = self._getvalue() > value_of(other)
        return result

    def __ge__(self, other: Any) -> bool:
        result: bool = self._getvalue() >= value_of(other)
        return result

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # proxies compare by value

    # Travelling

    def __reduce__(self) -> tuple[Any, ...]:
        session = self._session
        server = session.state.server
        if here.server == server:
            return _arrivals.referent, (server, self._ident)
        ticket = session.ask("ticket", self._ident)
        made_from = self._made_from
        how = {
            "class": type(self) if made_from is None else made_from,
            "typeid": self._typeid,
            "server": server,
            "address": session.address,
            "ident": self._ident,
            "ticket": ticket,
            "tls": session.ssl_context is not None,
        }
        if is_starting_child():
            how["authkey"] = session.authkey
        return rebuild, (how,)

    def __getattr__(self, name: str) -> Any:
        # Only for a proxy that comes in a request to a manager: see rebuild().
        claiming = self.__dict__.get("_claiming")
        if name == "_session" and claiming is not None:
            return claiming.session()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __del__(self) -> None:
        session = self.__dict__.get("_session")
        if session is not None:
            session.give_up(self._ident)


def value_of(obj: Any) -> Any:
    """What a proxy stands for, or the object itself."""
    return obj._getvalue() if isinstance(obj, BaseProxy) else obj


def rebuild(how: dict[str, Any]) -> Any:
    """A proxy that was pickled; in the process of its manager the object itself."""
    server = how["server"]
    if server in _arrivals.servers:
        return _arrivals.servers[server].claim_here(how["ident"], how["ticket"])
    made_from = how["class"]
    cls: type[BaseProxy] = (
        made_from if isinstance(made_from, type) else MakeProxyType(how["typeid"], made_from)
    )
    proxy: BaseProxy = object.__new__(cls)
    proxy.__dict__.update(_ident=how["ident"], _typeid=how["typeid"])
    if _arrivals.servers:
        # This process is a manager. While it waited for the other manager, that might wait for it.
        proxy.__dict__["_claiming"] = _Claiming(proxy, how)
    else:
        proxy.__dict__["_session"] = claimed(how)
    return proxy


def claimed(how: dict[str, Any]) -> Session:
    """The session that has the reference of a proxy that was pickled."""
    session = known_session(how["server"])
    if session is None:
        if how["tls"]:
            raise AuthenticationError(
                f"the manager at {how['address']!r} wants TLS: connect() to it with an ssl_context "
                "before its proxies are unpickled in this process"
            )
        session = session_at(how["address"], how.get("authkey"))
    if session.state.server != how["server"]:
        raise ReferentGoneError(f"the manager at {how['address']!r} is another one by now")
    session.ask("claim", how["ident"], how["ticket"])
    return session


class _Claiming:
    """Gets the reference of a proxy in a thread of its own."""

    def __init__(self, proxy: BaseProxy, how: dict[str, Any]) -> None:
        self._session: Session | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._claim, args=(how,), daemon=True)
        self._proxy = proxy.__dict__
        self._thread.start()

    def _claim(self, how: dict[str, Any]) -> None:
        try:
            self._session = claimed(how)
        except Exception as error:  # noqa: BLE001 - who uses the proxy gets it
            self._error = error
        else:
            self._proxy["_session"] = self._session

    def session(self) -> Session:
        """Wait until there is one."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._session is not None
        return self._session


def _method(name: str) -> Callable[..., Any]:
    def method(self: BaseProxy, /, *args: Any, **kwds: Any) -> Any:
        return self._callmethod(name, args, kwds)

    method.__name__ = method.__qualname__ = name
    return method


_made: dict[tuple[str, tuple[str, ...]], type[BaseProxy]] = {}


def MakeProxyType(name: str, exposed: Iterable[str]) -> type[BaseProxy]:  # noqa: N802 - documented name
    """A class of proxies with the methods that are named.

    :raises InvalidType: (a TypeError) when a name is none
    """
    names: tuple[Any, ...] = tuple(exposed)
    for one in (name, *names):
        if not (isinstance(one, str) and one.isidentifier()):
            raise InvalidType(f"{one!r} is not the name of a method or a class")
    cls = _made.get((name, names))
    if cls is None:
        methods = {one: _method(one) for one in names}
        body = {**methods, "_exposed_": names, "_made_from": names, "__module__": __name__}
        cls = _made[name, names] = type(name, (BaseProxy,), body)
    return cls


def AutoProxy(  # noqa: N802 - documented name
    session: Session, ident: int, typeid: str, exposed: tuple[str, ...] | None = None
) -> BaseProxy:
    """A proxy with the methods that the object exposes."""
    if exposed is None:
        exposed = session.ask("methods", ident)
    return MakeProxyType(typeid, exposed)(session, ident, typeid)


# The classes of proxies to the types that all managers know.
known_proxies: dict[str, type[BaseProxy]] = {}


def make(server: int, typeid: str, ident: int, exposed: tuple[str, ...] | None) -> BaseProxy:
    """The proxy of a reference that came in a reply."""
    session = session_with(server)
    if session is None:
        raise ReferentGoneError("the session with the manager has ended")
    cls: Any = session.proxytypes.get(typeid) or known_proxies.get(typeid)
    if cls is None or cls is AutoProxy:
        return AutoProxy(session, ident, typeid, exposed)
    proxy: BaseProxy = cls(session, ident, typeid)
    return proxy


_arrivals.make_proxies_by(make)


class IteratorProxy(BaseProxy):
    """A proxy to an iterator or a generator."""

    _exposed_ = ("__next__", "send", "throw", "close")

    def __iter__(self) -> IteratorProxy:
        return self

    def __next__(self) -> Any:
        return self._callmethod("__next__")

    def send(self, value: Any) -> Any:
        """As of a generator."""
        return self._callmethod("send", (value,))

    def throw(self, *args: Any) -> Any:
        """As of a generator."""
        return self._callmethod("throw", args)

    def close(self) -> None:
        """As of a generator."""
        self._callmethod("close")

    def __eq__(self, other: object) -> bool:
        return self._is_same(other)

    __hash__: ClassVar[None] = None  # as of all proxies


known_proxies["iter"] = IteratorProxy
