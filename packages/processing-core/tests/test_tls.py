"""Connections under TLS: certificates of one side or both, with and without a key, and attacks."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest
import trustme

from network_tools import KEY, TIME, bare_socket, connected, in_thread
from pipe_children import pattern
from processing_core import AuthenticationError, SerializationError, TimeoutError, wait
from processing_core._network.tls import TLSConnection
from processing_core.connection import Client, Listener


@dataclass
class Contexts:
    """Contexts of one authority, and those of a stranger."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    strict_server: ssl.SSLContext
    known_client: ssl.SSLContext
    stranger: ssl.SSLContext


@pytest.fixture(scope="module")
def tls() -> Contexts:
    authority, another = trustme.CA(), trustme.CA()
    contexts = Contexts(
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    server = authority.issue_cert("127.0.0.1", "localhost", "machine.example")
    server.configure_cert(contexts.server)
    server.configure_cert(contexts.strict_server)
    contexts.strict_server.verify_mode = ssl.CERT_REQUIRED
    for context in (contexts.strict_server, contexts.client, contexts.known_client):
        authority.configure_trust(context)
    authority.issue_cert("client@machine.example").configure_cert(contexts.known_client)
    another.configure_trust(contexts.stranger)
    return contexts


def pair(tls: Contexts, **options: Any) -> Any:
    return connected(
        "AF_INET", server={"ssl_context": tls.server}, ssl_context=tls.client, **options
    )


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("compat", [None, "multiprocessing"])
def test_messages_of_all_sizes(tls: Contexts, key: bytes | None, compat: str | None) -> None:
    with pair(tls, authkey=key, compat=compat) as (ours, theirs):
        assert isinstance(ours, TLSConnection)
        assert ours.tls.version() in ("TLSv1.2", "TLSv1.3")
        for size in (0, 1, 300, 16_384, 70_000, 3_000_000):
            for one, other in ((ours, theirs), (theirs, ours)):
                message = pattern(size)
                with in_thread(one.send, [message, 1]):
                    assert other.recv() == [message, 1]
        for number in range(50):
            ours.send(number)
        assert theirs.recv() == 0
        for number in range(1, 50):
            assert wait([theirs], TIME) == [theirs]
            assert theirs.recv() == number
        assert not theirs.poll(0)
        ours.close()
        assert theirs.poll(TIME)
        with pytest.raises(EOFError):
            theirs.recv()


@pytest.mark.parametrize("size", [10, 16 * 1024 - 4, 16 * 1024, 100_000])
def test_messages_that_come_in_one_read_of_the_socket(tls: Contexts, size: int) -> None:
    with pair(tls) as (ours, theirs):
        for number in range(4):
            ours.send_bytes(bytes([number]) * size)
        # All are there before the first is received.
        for number in range(4):
            assert theirs.recv_bytes() == bytes([number]) * size
        ours.send_bytes(b"last")
        assert theirs.recv_bytes() == b"last"


def test_both_directions_at_once(tls: Contexts) -> None:
    with pair(tls) as ends, ThreadPoolExecutor(4) as threads:
        sending = [threads.submit(end.send, pattern(8_000_000, n)) for n, end in enumerate(ends)]
        receiving = [threads.submit(end.recv) for end in ends]
        assert receiving[0].result(TIME) == pattern(8_000_000, 1)
        assert receiving[1].result(TIME) == pattern(8_000_000, 0)
        for one in sending:
            one.result(TIME)


def test_certificates_on_both_sides(tls: Contexts) -> None:
    with connected(
        server={"ssl_context": tls.strict_server}, ssl_context=tls.known_client, authkey=KEY
    ) as (ours, theirs):
        assert isinstance(ours, TLSConnection)
        assert ours.tls.getpeercert()
        theirs.send(1)
        assert ours.recv() == 1


def test_a_client_that_has_no_certificate(tls: Contexts) -> None:
    with (
        Listener(family="AF_INET", ssl_context=tls.strict_server, authkey=KEY) as listener,
        in_thread(listener.accept, TIME) as accepted,
    ):
        with pytest.raises((AuthenticationError, ConnectionError)):
            Client(listener.address, ssl_context=tls.client, authkey=KEY, timeout=TIME)
        with pytest.raises(AuthenticationError, match="TLS"):
            accepted.result(TIME)


def test_a_client_that_does_not_trust_the_listener(tls: Contexts) -> None:
    with (
        Listener(family="AF_INET", ssl_context=tls.server) as listener,
        in_thread(listener.accept, TIME) as accepted,
    ):
        with pytest.raises(AuthenticationError, match=r"(?i)certificate"):
            Client(listener.address, ssl_context=tls.stranger, timeout=TIME)
        with pytest.raises(AuthenticationError):
            accepted.result(TIME)


def test_the_name_in_the_certificate(tls: Contexts) -> None:
    for name, fits in (("machine.example", True), ("elsewhere.example", False)):
        with (
            Listener(family="AF_INET", ssl_context=tls.server) as listener,
            in_thread(listener.accept, TIME) as accepted,
        ):
            options: dict[str, Any] = {"ssl_context": tls.client, "server_hostname": name}
            if fits:
                Client(listener.address, timeout=TIME, **options).close()
                accepted.result(TIME).close()
            else:
                with pytest.raises(AuthenticationError, match="not valid"):
                    Client(listener.address, timeout=TIME, **options)
                with pytest.raises(AuthenticationError):
                    accepted.result(TIME)


def test_another_key_under_tls(tls: Contexts) -> None:
    with (
        Listener(family="AF_INET", ssl_context=tls.server, authkey=KEY) as listener,
        in_thread(listener.accept, TIME) as accepted,
    ):
        with pytest.raises(AuthenticationError, match="another one"):
            Client(listener.address, ssl_context=tls.client, authkey=b"wrong", timeout=TIME)
        with pytest.raises(AuthenticationError, match="does not know"):
            accepted.result(TIME)


def test_one_side_without_tls(tls: Contexts) -> None:
    with (
        Listener(family="AF_INET", ssl_context=tls.server, authkey=KEY) as listener,
        in_thread(listener.accept, TIME) as accepted,
    ):
        with pytest.raises((AuthenticationError, ConnectionError)):
            Client(listener.address, authkey=KEY, timeout=TIME)
        with pytest.raises(AuthenticationError, match="TLS"):
            accepted.result(TIME)
    with (
        Listener(family="AF_INET", authkey=KEY) as listener,
        in_thread(listener.accept, TIME) as accepted,
    ):
        with pytest.raises(AuthenticationError, match="TLS"):
            Client(listener.address, ssl_context=tls.client, authkey=KEY, timeout=TIME)
        with pytest.raises(AuthenticationError, match="another protocol"):
            accepted.result(TIME)


def test_bad_clients_keep_no_good_one_waiting(tls: Contexts) -> None:
    with Listener(
        family="AF_INET", ssl_context=tls.server, authkey=KEY, handshake_timeout=TIME
    ) as listener:
        silent = [bare_socket(listener) for _ in range(20)]
        for number in range(20):
            with bare_socket(listener) as bare:
                bare.sendall(b"\x16\x03\x01\x02\x00" + bytes([number]) * 30 * number)
        problems = []

        def accept() -> Any:
            while True:
                try:
                    return listener.accept(TIME)
                except AuthenticationError as error:
                    problems.append(error)

        with in_thread(accept) as accepting:
            options: dict[str, Any] = {"ssl_context": tls.client, "authkey": KEY}
            with Client(listener.address, timeout=TIME, **options), accepting.result(TIME):
                assert len(problems) <= 20
        for one in silent:
            one.close()
        while len(problems) < 40:
            with pytest.raises(AuthenticationError):
                listener.accept(TIME)
            problems.append(AuthenticationError())
        with pytest.raises(TimeoutError):
            listener.accept(0)


class Relay:
    """Between the ends: passes on up to so many bytes of what the client says, then goes."""

    def __init__(self, to: Any, most: int) -> None:
        self._to, self._most = to, most
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = self._server.getsockname()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with (
            self._server,
            self._server.accept()[0] as one,
            socket.create_connection(self._to) as other,
        ):
            back = threading.Thread(target=self._pass_on, args=(other, one, 1 << 30))
            back.start()
            self._pass_on(one, other, self._most)
            one.shutdown(socket.SHUT_RDWR)
            other.shutdown(socket.SHUT_RDWR)
            back.join()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket, most: int) -> None:
        try:
            while most and (data := source.recv(min(most, 65536))):
                sink.sendall(data)
                most -= len(data)
        except OSError:
            return

    def join(self) -> None:
        self._thread.join()


@pytest.mark.parametrize("most", [0, 1, 5, 100, 400, 600])
def test_a_session_that_is_cut_off(tls: Contexts, most: int) -> None:
    """Where TLS does not say that it ends, the stream was cut: never a plain end of file."""
    with (
        Listener(family="AF_INET", ssl_context=tls.server, authkey=KEY) as listener,
        in_thread(listener.accept, TIME) as accepted,
    ):
        relay = Relay(listener.address, most)
        with pytest.raises((AuthenticationError, ConnectionError)):
            Client(relay.address, ssl_context=tls.client, authkey=KEY, timeout=TIME)
        with pytest.raises(AuthenticationError):
            accepted.result(TIME)
        relay.join()


def test_a_stream_that_ends_without_a_goodbye(tls: Contexts) -> None:
    with pair(tls) as (ours, theirs):
        theirs.send("last")
        theirs._socket.shutdown(socket.SHUT_WR)
        assert ours.recv() == "last"
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                ours.recv()


def test_a_session_is_not_passed_on(tls: Contexts) -> None:
    from processing_core import Pipe

    here, there = Pipe()
    with here, there, pair(tls) as (ours, _), pytest.raises(SerializationError, match="TLS"):
        here.send(ours)
