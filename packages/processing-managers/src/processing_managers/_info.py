"""Owns the types of what a manager tells of itself; only type checkers import this."""

from __future__ import annotations

from typing import Any, TypeAlias, TypedDict

__all__ = ["ClientInfo", "ManagerInfo", "TypeFigures"]

TypeFigures: TypeAlias = tuple[int, int, int]
"""How many objects of a type there are, references to them, and calls of all that there were."""


class ClientInfo(TypedDict):
    """One client process.

    ``links`` are its threads that have called, ``locks`` what it holds, ``calls`` its requests (a
    batch is one), ``since`` when it came, in seconds since the epoch. ``asks`` is whether this is
    the client that is being told. ``peer`` is (host, port) of one that came through the network.
    """

    number: int
    pid: int
    name: str
    peer: tuple[Any, ...] | None
    asks: bool
    links: int
    references: int
    locks: int
    calls: int
    since: float


class ManagerInfo(TypedDict):
    """A manager at one moment.

    ``since`` and ``now`` are in seconds since the epoch by the server's clock, ``uptime`` in
    seconds by one that nobody sets. ``calls`` is how many requests there were of all clients, those
    that are gone included. ``tickets`` hold references that are on their way to other processes.
    ``threads`` is how many are busy with calls that may take long.
    """

    pid: int
    address: Any
    since: float
    now: float
    uptime: float
    types: dict[str, TypeFigures]
    registered: list[str]
    clients: list[ClientInfo]
    calls: int
    tickets: int
    threads: int
