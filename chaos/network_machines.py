"""Owns what is done to the protocols without sockets between processes: framing, handshakes, TLS.

Every function here is one input. It returns what was wrong, or nothing.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import _socket as sockets
import random
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trustme

from mutation import Mutator
from network_poison import poison
from processing_core import AuthenticationError
from processing_core._network.challenge import StandardHandshake
from processing_core._network.connection import NetworkConnection
from processing_core._network.framing import Inbox, header
from processing_core._network.greeting import Greeting
from processing_core._network.handshake import ClientHandshake, ListenerHandshake
from processing_core._network.manners import checked_manners

__all__ = ["KEY", "WORKS", "Work", "contexts", "recorded"]

KEY = b"the key that nobody else knows"
LIMIT = 1 << 20
MOST_ROUNDS = 12

Work = Callable[[], str | None]


# Framing


def frames(chance: random.Random) -> bytes:
    """A few messages in a row."""
    sizes = [chance.choice((0, 1, 5, 100, 3000)) for _ in range(chance.randint(1, 4))]
    return b"".join(header(size) + chance.randbytes(size) for size in sizes) + framed(poison())


def framed(data: bytes) -> bytes:
    """One message with its header."""
    return header(len(data)) + data


def framing(chance: random.Random) -> Work:
    """Cut messages out of a damaged stream."""
    mutator = Mutator(chance, [frames(chance), *recorded(native)])

    def once() -> str | None:
        inbox = Inbox(limit=LIMIT)
        total = 0
        try:
            for piece in mutator.pieces(mutator.damaged(frames(chance))):
                inbox.add(piece)
                total += len(piece)
                while not inbox.missing():
                    before = len(inbox.received)
                    if len(inbox.take()) > min(LIMIT, total):
                        return "a message is longer than what was received"
                    if len(inbox.received) >= before:
                        return "a message was taken and is still there"
        except (OSError, AuthenticationError):
            return None
        return None

    return once


def streams(chance: random.Random) -> Work:
    """Receive from a socket that a damaged stream comes from."""
    mutator = Mutator(chance, [frames(chance), *recorded(native)])

    def once() -> str | None:
        ours, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM)
        with NetworkConnection[Any, Any](ours, limit=LIMIT) as connection:
            theirs.send(mutator.damaged(frames(chance)))
            theirs.close()
            try:
                while True:
                    connection.recv_bytes()
            except (EOFError, OSError, AuthenticationError):
                return None

    return once


# Handshakes


def native(is_listener: bool) -> Any:
    """One side of the library's own handshake."""
    return ListenerHandshake(KEY) if is_listener else ClientHandshake(KEY)


def standard(is_listener: bool) -> Any:
    """One side of the standard library's."""
    return StandardHandshake(KEY, is_listener=is_listener)


def recorded(make: Callable[[bool], Any]) -> list[bytes]:
    """What the listener and the client say in a session that succeeds."""
    listener, client = make(True), make(False)
    said = [b"", b""]
    for _ in range(MOST_ROUNDS):
        for number, (side, other) in enumerate(((listener, client), (client, listener))):
            data = side.outgoing()
            said[number] += data
            give(other, data)
    assert listener.needed == client.needed == 0
    return said


def give(side: Any, data: bytes) -> bytes:
    """Give a side what it wants of some bytes; returns what it has taken."""
    position = 0
    while position < len(data) and (needed := side.needed):
        part = data[position : position + needed]
        position += len(part)
        side.feed(part)
    return data[:position]


def stranger(make: Callable[[bool], Any], is_listener: bool) -> Callable[[random.Random], Work]:
    """Somebody without the key has recorded a session, and plays it again, damaged."""

    def prepare(chance: random.Random) -> Work:
        corpus = recorded(make)
        mutator = Mutator(chance, [*corpus, poison()])

        def once() -> str | None:
            side = make(is_listener)
            said = corpus[1 if is_listener else 0]
            # His turns are damaged one by one, so that later ones are reached, too.
            data = said if chance.random() < 0.1 else mutator.damaged(said)
            try:
                for piece in mutator.pieces(data):
                    give(side, piece)
                    if len(side.outgoing()) > 1024:
                        return "more is said than a handshake needs"
            except AuthenticationError:
                side.outgoing()
                return None
            return None if side.needed else "a stranger was let in"

        return once

    return prepare


def between(chance: random.Random) -> Work:
    """Somebody between two that have the key damages what they say."""
    corpus = recorded(native)
    mutator = Mutator(chance, [*corpus, poison()])

    def once() -> str | None:
        sides = [native(True), native(False)]
        turn = chance.randrange(4)
        genuine = True
        alive = [True, True]
        for number in range(MOST_ROUNDS):
            sender, receiver = number % 2, 1 - number % 2
            data = sides[sender].outgoing()
            if number == turn and data:
                damaged = mutator.damaged(data)
                genuine = damaged[: len(data)] == data
                data = damaged
            if alive[receiver]:
                try:
                    give(sides[receiver], data)
                except AuthenticationError:
                    alive[receiver] = False
        agreed = [one and not side.needed for one, side in zip(alive, sides, strict=True)]
        if all(agreed) and not genuine:
            return "both agreed although what one has said was changed"
        if agreed[1] and not agreed[0]:
            return "the client trusts a listener that does not trust it"
        return None

    return once


# TLS


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and that of a client who trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def tls(is_listener: bool) -> Callable[[random.Random], Work]:
    """Our side of a TLS handshake, whose other side is damaged in one of its turns."""

    def prepare(chance: random.Random) -> Work:
        both = contexts()
        ours, theirs = both if is_listener else both[::-1]
        mutator = Mutator(chance, [poison(), *recorded(native)])
        manners = checked_manners(
            "AF_INET",
            authenticate=False,
            authkey=KEY,
            ssl_context=ours,
            compat=None,
            max_message_size=None,
            keepalive=None,
            is_listener=is_listener,
            hostname=None if is_listener else "127.0.0.1",
        )

        def once() -> str | None:
            with socket.create_server(("127.0.0.1", 0)) as server:
                far = socket.create_connection(server.getsockname())
                near = server.accept()[0]
            with far:
                far.setblocking(False)
                greeting = Greeting(sockets.socket(fileno=near.detach()), manners)
                try:
                    return talk(greeting, far)
                finally:
                    greeting.close()

        def talk(greeting: Greeting, far: socket.socket) -> str | None:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = theirs.wrap_bio(
                incoming,
                outgoing,
                server_side=not is_listener,
                server_hostname="127.0.0.1" if is_listener else None,
            )
            turn = chance.randrange(3)
            for number in range(4):
                with suppress(ssl.SSLError, ValueError):
                    session.do_handshake()
                if data := outgoing.read():
                    with suppress(OSError):
                        far.send(mutator.damaged(data) if number == turn else data)
                try:
                    if greeting.go_on():
                        return "a stranger was let in"
                except (AuthenticationError, OSError):
                    return None
                with suppress(OSError):
                    incoming.write(far.recv(1 << 16))
            return None

        return once

    return prepare


WORKS: dict[tuple[str, str], tuple[int, Callable[[random.Random], Work]]] = {
    ("framing", "bytes"): (400_000, framing),
    ("framing", "socket"): (60_000, streams),
    ("handshake, between", "both"): (200_000, between),
    ("handshake, stranger", "listener"): (150_000, stranger(native, True)),
    ("handshake, stranger", "client"): (150_000, stranger(native, False)),
    ("standard challenge", "listener"): (100_000, stranger(standard, True)),
    ("standard challenge", "client"): (100_000, stranger(standard, False)),
    ("TLS", "listener"): (10_000, tls(True)),
    ("TLS", "client"): (10_000, tls(False)),
}
"""What is done, to whom, how often, and by what."""
