"""Owns what is done to real listeners and clients: peers that send damaged bytes over sockets.

A listener is attacked in its own thread while good clients in another come and go; a client is
attacked by the listener that it connects to.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import network_machines
from mutation import Mutator
from network_machines import KEY, contexts, framed, native, recorded, standard
from network_poison import poison
from processing_core import AuthenticationError, TimeoutError
from processing_core.connection import Client, Listener

__all__ = ["KINDS", "Attackers", "Besieged", "attack_client"]

HANDSHAKE_SECONDS = 0.5
PATIENCE = 10.0
RESET = struct.pack("@ii", 1, 0)
# How many attackers stay connected, and how many of them say nothing.
CROWD = 40
SHARE_OF_SILENT = 0.02

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "AF_UNIX": ("AF_UNIX", {}),
    "AF_INET": ("AF_INET", {}),
    "compat": ("AF_INET", {"compat": "multiprocessing"}),
    "TLS": ("AF_INET", {"tls": True}),
}


class Attackers:
    """Clients that do not know the key of a listener.

    :param standard: whether the listener does the standard library's challenge
    :param tls: a client's context, where the listener wants TLS
    """

    def __init__(
        self,
        family: str,
        address: Any,
        chance: random.Random,
        *,
        standard: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._family = family
        self._address = address
        self._chance = chance
        self._corpus = recorded(network_machines.standard if standard else native)
        self._mutator = Mutator(chance, [*self._corpus, poison()])
        self._tls_hello = hello_of(tls) if tls is not None else None
        self._attackers: list[socket.socket] = []

    def attack(self) -> None:
        """One more of them; now and then one leaves."""
        kind = socket.SOCK_SEQPACKET if self._family == "AF_UNIX" else socket.SOCK_STREAM
        sock = socket.socket(getattr(socket, self._family), kind)
        sock.connect(self._address)
        sock.setblocking(False)
        if self._chance.random() >= SHARE_OF_SILENT:
            with suppress(OSError):
                for piece in self._pieces():
                    sock.send(piece)
                if self._chance.random() < 0.5:
                    sock.shutdown(socket.SHUT_WR)
        self._attackers.append(sock)
        if len(self._attackers) > CROWD:
            leaver = self._attackers.pop(self._chance.randrange(CROWD))
            if self._family != "AF_UNIX" and self._chance.random() < 0.3:
                leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            leaver.close()

    def _pieces(self) -> list[bytes]:
        """What an attacker says: a session that he has recorded, damaged, and then the poison."""
        if self._tls_hello is not None and self._chance.random() < 0.8:
            said = self._tls_hello
        else:
            said = self._corpus[self._chance.randrange(2)]
        data = self._mutator.damaged(said) if self._chance.random() < 0.9 else said
        pieces = list(self._mutator.pieces(data)) if self._chance.random() < 0.3 else [data]
        return [*pieces, framed(poison()), poison()]

    def close(self) -> None:
        """All of them leave."""
        for attacker in self._attackers:
            attacker.close()


class Besieged:
    """A listener that serves whoever knows the key, good clients, and attackers."""

    def __init__(self, kind: str, chance: random.Random) -> None:
        family, options = KINDS[kind]
        options = dict(options)
        server, client = contexts() if options.pop("tls", False) else (None, None)
        self._client = {**options, "ssl_context": client}
        self._done = threading.Event()
        self.listener = Listener(
            None,
            family,
            authkey=KEY,
            handshake_timeout=HANDSHAKE_SECONDS,
            ssl_context=server,
            **options,
        )
        self._attackers = Attackers(
            family, self.listener.address, chance, standard="compat" in options, tls=client
        )
        self.served = self.turned_away = 0
        self.slowest = 0.0
        self.wrong: list[str] = []
        self._threads = [threading.Thread(target=one) for one in (self._serve, self._come_and_go)]
        for thread in self._threads:
            thread.start()

    def attack(self) -> None:
        """One more client that does not know the key."""
        self._attackers.attack()

    def close(self) -> None:
        """End it; afterwards the figures are final."""
        self._attackers.close()
        self._done.set()
        self._threads[1].join()
        self.listener.close()
        self._threads[0].join()

    def _serve(self) -> None:
        while not self.listener.closed:
            try:
                connection = self.listener.accept(0.1)
            except TimeoutError:
                continue
            except AuthenticationError:
                self.turned_away += 1
                continue
            except OSError as error:
                if not self.listener.closed:
                    self.wrong.append(f"accept failed: {error!r}")
                return
            except Exception as error:  # noqa: BLE001 - it is what is looked for
                self.wrong.append(f"accept raised {error!r}")
                continue
            try:
                with connection:
                    connection.send(connection.recv())
            except Exception as error:  # noqa: BLE001 - it is what is looked for
                self.wrong.append(f"somebody was let in and raised {error!r}")

    def _come_and_go(self) -> None:
        while not self._done.is_set():
            begin = time.monotonic()
            try:
                options = {**self._client, "timeout": PATIENCE}
                with Client(self.listener.address, authkey=KEY, **options) as connection:
                    connection.send("good")
                    if not connection.poll(PATIENCE) or connection.recv() != "good":
                        self.wrong.append("a good client was not answered")
            except Exception as error:  # noqa: BLE001 - it is what is looked for
                self.wrong.append(f"a good client was not served: {error!r}")
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.served += 1
            self._done.wait(0.001)


def hello_of(context: ssl.SSLContext) -> bytes:
    """How a TLS client begins."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def attack_client(chance: random.Random) -> Callable[[], str | None]:
    """A listener that does not know the key answers a client with a damaged session."""
    corpus = {name: recorded(make) for name, make in (("native", native), ("compat", standard))}

    def once() -> str | None:
        name = chance.choice(("native", "compat"))
        said = corpus[name][0]
        mutator = Mutator(chance, [*corpus[name], poison()])
        data = mutator.damaged(said) if chance.random() < 0.9 else said
        with socket.create_server(("127.0.0.1", 0)) as server:
            accepted: list[socket.socket] = []

            def answer() -> None:
                sock = server.accept()[0]
                accepted.append(sock)
                with suppress(OSError):
                    sock.sendall(data + framed(poison()))
                    sock.shutdown(socket.SHUT_WR)

            thread = threading.Thread(target=answer)
            thread.start()
            options: dict[str, Any] = {"compat": "multiprocessing"} if name == "compat" else {}
            try:
                Client(server.getsockname(), authkey=KEY, timeout=PATIENCE, **options).close()
            except TimeoutError:
                return "the client waited until its time was up"
            except (AuthenticationError, OSError):
                return None
            else:
                return "the client trusts somebody who does not know the key"
            finally:
                thread.join()
                for sock in accepted:
                    sock.close()

    return once
