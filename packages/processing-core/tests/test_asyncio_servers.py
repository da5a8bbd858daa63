"""open_connection and start_server: clients and listeners on an event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest
import trustme

import asyncio_children
from conftest import Starter
from processing_core import AuthenticationError, TimeoutError
from processing_core._platform import awaiting
from processing_core.connection import Client, Listener, Server, open_connection, start_server
from processing_testkit import wait_until

KEY = b"a key for these tests"
ADDRESSES = {
    "AF_UNIX": None,
    "AF_INET": ("127.0.0.1", 0),
    "abstract": f"\0processing-tests-{os.getpid()}",
}


def run(main: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await main

    asyncio.run(limited())
    assert not awaiting._waiting


@pytest.fixture(params=ADDRESSES)
def address(request: pytest.FixtureRequest) -> Any:
    return ADDRESSES[request.param]


@pytest.fixture
def silent() -> Iterator[list[socket.socket]]:
    """Sockets of clients that misbehave; closed afterwards."""
    found: list[socket.socket] = []
    yield found
    for one in found:
        one.close()


async def echo(connection: Any) -> None:
    while True:
        try:
            message = await connection.arecv()
        except EOFError:
            return
        await connection.asend(message)


def connected(server: Server) -> socket.socket:
    """A client's socket that has said nothing so far."""
    if isinstance(server.address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    else:
        sock = socket.socket()
    sock.connect(server.address)
    return sock


@pytest.mark.parametrize("options", [{}, {"authkey": KEY}], ids=["open", "key"])
def test_a_server_serves(address: Any, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with await start_server(echo, address, **options) as server:
            async with await open_connection(server.address, **options) as connection:
                for message in ("small", bytes(3_000_000), {"a": [1]}):
                    await connection.asend(message)
                    assert await connection.arecv() == message
            assert connection.closed
        assert server.closed

    run(main())


def test_clients_in_processes(start: Starter) -> None:
    async def double(connection: Any) -> None:
        while True:
            try:
                await connection.asend(2 * await connection.arecv())
            except EOFError:
                return

    async def main() -> None:
        async with await start_server(double, authkey=KEY) as server:
            arguments = (server.address, {"authkey": KEY}, [1, 2, 3])
            processes = [start(asyncio_children.double_over_network, *arguments) for _ in range(3)]
            for process in processes:
                while process.is_alive():
                    await awaiting.ready(process.sentinel)
                assert process.exitcode == 0

    run(main())


def test_a_client_for_a_listener_that_waits() -> None:
    with Listener(("127.0.0.1", 0), authkey=KEY) as listener:

        def serve() -> None:
            with listener.accept() as connection:
                connection.send(connection.recv())

        thread = threading.Thread(target=serve)
        thread.start()

        async def main() -> None:
            async with await open_connection(listener.address, authkey=KEY) as connection:
                await connection.asend("there and back")
                assert await connection.arecv() == "there and back"

        run(main())
        thread.join()


def test_a_hundred_clients_at_once() -> None:
    async def use(address: Any, number: int) -> None:
        async with await open_connection(address, authkey=KEY) as connection:
            await connection.asend(number)
            assert await connection.arecv() == number

    async def main() -> None:
        async with await start_server(echo, authkey=KEY) as server:
            await asyncio.gather(*(use(server.address, number) for number in range(100)))

    run(main())


def test_bad_clients_are_reported_and_keep_nobody_waiting(
    address: Any, silent: list[socket.socket]
) -> None:
    """Some say nothing, some nonsense, some leave, some have another key."""

    async def main() -> None:
        reported: asyncio.Queue[Exception] = asyncio.Queue()
        server = await start_server(
            echo, address, authkey=KEY, on_error=reported.put_nowait, handshake_timeout=1.0
        )
        async with server:
            silent.extend(connected(server) for _ in range(5))
            for _ in range(5):
                silent.append(connected(server))
                silent[-1].send(b"GET / HTTP/1.1\r\n\r\n")
            for _ in range(5):
                connected(server).close()
            with pytest.raises(AuthenticationError):
                await open_connection(server.address, authkey=b"another key")
            begin = time.monotonic()
            async with await open_connection(server.address, authkey=KEY) as connection:
                await connection.asend("served")
                assert await connection.arecv() == "served"
            assert time.monotonic() - begin < 1.0
            errors = [await reported.get() for _ in range(16)]
        assert all(isinstance(error, AuthenticationError) for error in errors)
        assert sum("took too long" in str(error) for error in errors) == 5

    run(main())


def test_without_a_hook_bad_clients_are_logged(
    caplog: pytest.LogCaptureFixture, silent: list[socket.socket]
) -> None:
    async def main() -> None:
        async with await start_server(echo, ("127.0.0.1", 0), authkey=KEY) as server:
            silent.append(connected(server))
            silent[-1].send(b"x" * 200)
            logged = asyncio.Event()
            wake = logging.Handler()
            wake.emit = lambda _: logged.set()  # type: ignore[assignment, method-assign]
            logging.getLogger("processing").addHandler(wake)
            await logged.wait()
            logging.getLogger("processing").removeHandler(wake)
        assert "was turned away" in caplog.text

    with caplog.at_level("INFO", logger="processing"):
        run(main())


def test_what_a_handler_raises_goes_to_the_loop() -> None:
    complaints: list[dict[str, Any]] = []

    async def fail(connection: Any) -> None:
        raise ArithmeticError(await connection.arecv())

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        async with await start_server(fail) as server:
            for text in ("first", "second"):
                async with await open_connection(server.address) as connection:
                    await connection.asend(text)
                    with pytest.raises(EOFError):
                        await connection.arecv()
        assert [str(one["exception"]) for one in complaints] == ["first", "second"]
        assert all(one["server"] is server for one in complaints)

    run(main())


def test_a_hook_that_fails_does_not_stop_the_server() -> None:
    complaints: list[dict[str, Any]] = []

    def fail(error: Exception) -> None:
        raise RuntimeError(str(error))

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        async with await start_server(echo, authkey=KEY, on_error=fail) as server:
            for _ in range(2):
                with pytest.raises(AuthenticationError):
                    await open_connection(server.address, authkey=b"wrong")
        assert len(complaints) == 2

    run(main())


def test_closing_leaves_clients_that_are_served() -> None:
    async def main() -> None:
        server = await start_server(echo)
        connection = await open_connection(server.address)
        await connection.asend(1)
        assert await connection.arecv() == 1
        server.close()
        server.close()
        with pytest.raises(OSError, match="address is"):
            await open_connection(server.address)
        waiter = asyncio.create_task(server.wait_closed())
        await connection.asend(2)
        assert await connection.arecv() == 2
        assert not waiter.done()
        connection.close()
        await waiter
        assert "closed" in repr(server)

    run(main())


def test_an_exception_in_the_block_cancels_clients() -> None:
    async def main() -> None:
        opened: list[Any] = []

        async def serve_and_fail() -> None:
            async with await start_server(echo) as server:
                opened.append(await open_connection(server.address))
                await opened[0].asend(1)
                assert await opened[0].arecv() == 1
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await serve_and_fail()
        with pytest.raises(EOFError):
            await opened[0].arecv()
        opened[0].close()

    run(main())


def test_serving_until_it_is_cancelled() -> None:
    async def main() -> None:
        server = await start_server(echo)
        serving = asyncio.create_task(server.serve_forever())
        async with await open_connection(server.address) as connection:
            await connection.asend(1)
            assert await connection.arecv() == 1
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            with pytest.raises(EOFError):
                await connection.arecv()

    run(main())


def test_time_limits_of_a_client(silent: list[socket.socket]) -> None:
    """A listener that never accepts, and one that never answers."""
    deaf = socket.socket()
    silent.append(deaf)
    deaf.bind(("127.0.0.1", 0))
    deaf.listen()

    async def main() -> None:
        begin = time.monotonic()
        with pytest.raises(TimeoutError, match="did not agree"):
            await open_connection(deaf.getsockname(), authkey=KEY, timeout=0.1)
        with pytest.raises(AuthenticationError, match="took too long"):
            await open_connection(deaf.getsockname(), authkey=KEY, handshake_timeout=0.1)
        assert time.monotonic() - begin < 10

    run(main())


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        unused = sock.getsockname()

    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await open_connection(unused)
        with pytest.raises(FileNotFoundError):
            await open_connection(str(tmp_path / "missing"))

    run(main())


def test_a_full_queue_of_a_unix_listener(tmp_path: Path, silent: list[socket.socket]) -> None:
    path = str(tmp_path / "socket")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    silent.append(listening)
    listening.bind(path)
    listening.listen(0)
    first = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    silent.append(first)
    first.connect(path)

    async def main() -> None:
        with pytest.raises(TimeoutError, match="did not accept"):
            await open_connection(path, timeout=0.05)
        waiting = asyncio.create_task(open_connection(path))
        await asyncio.sleep(0)
        silent.append(listening.accept()[0])
        (await waiting).close()

    run(main())


def test_a_host_given_by_name() -> None:
    async def main() -> None:
        async with await start_server(echo, ("localhost", 0)) as server:
            address = ("localhost", server.address[1])
            async with await open_connection(address) as connection:
                await connection.asend("by name")
                assert await connection.arecv() == "by name"

    run(main())


def test_a_cancelled_client_leaves_nothing(silent: list[socket.socket]) -> None:
    deaf = socket.socket()
    silent.append(deaf)
    deaf.bind(("127.0.0.1", 0))
    deaf.listen()

    async def main() -> None:
        opening = asyncio.create_task(open_connection(deaf.getsockname(), authkey=KEY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    run(main())


def test_a_server_without_descriptors_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from processing_core._network import listener, serving

    errors: list[Exception] = []
    monkeypatch.setattr(serving, "EXHAUSTED_SECONDS", 0.05)

    async def main() -> None:
        async with await start_server(echo, on_error=errors.append) as server:

            def no_descriptors(_: object) -> None:
                monkeypatch.undo()
                raise OSError(errno.EMFILE, "too many open files")

            monkeypatch.setattr(listener.Listener, "_admit", no_descriptors)
            async with await open_connection(server.address) as connection:
                await connection.asend("late")
                assert await connection.arecv() == "late"
        assert [getattr(error, "errno", None) for error in errors] == [errno.EMFILE]

    run(main())


def test_the_standard_library_is_served() -> None:
    import multiprocessing.connection as standard

    def use(address: Any) -> None:
        with standard.Client(address, authkey=KEY) as connection:
            connection.send("from elsewhere")
            assert connection.recv() == "from elsewhere"

    async def main() -> None:
        options: dict[str, Any] = {"authkey": KEY, "compat": "multiprocessing"}
        async with await start_server(echo, ("127.0.0.1", 0), **options) as server:
            await asyncio.to_thread(use, server.address)
            async with await open_connection(server.address, **options) as connection:
                await connection.asend(1)
                assert await connection.arecv() == 1

    run(main())


def test_a_blocking_client_of_a_server() -> None:
    """A server in one thread, clients that know nothing of asyncio in others."""
    ready = threading.Event()
    found: list[Server] = []

    async def serve() -> None:
        async with await start_server(echo, authkey=KEY) as server:
            found.append(server)
            ready.set()
            await server.wait_closed()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    with Client(found[0].address, authkey=KEY) as connection:
        connection.send("hello")
        assert connection.recv() == "hello"
    found[0]._loop.call_soon_threadsafe(found[0].close)
    thread.join()
    wait_until(lambda: not awaiting._waiting)
    found.clear()


@pytest.mark.parametrize("key", [None, KEY], ids=["no key", "key"])
def test_under_tls(key: bytes | None) -> None:
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    payload = os.urandom(4_000_000)

    async def main() -> None:
        served = await start_server(echo, ("127.0.0.1", 0), authkey=key, ssl_context=theirs)
        async with served as server:
            opened = await open_connection(server.address, authkey=key, ssl_context=ours)
            async with opened as connection:
                for message in ("small", payload, b""):
                    await connection.asend(message)
                    assert await connection.arecv() == message
                # Nobody reads the answers until all is sent: the session must not mix them up.
                sending = asyncio.gather(*(connection.asend(payload[:300_000]) for _ in range(20)))
                got = [await connection.arecv() for _ in range(20)]
                assert got == [payload[:300_000]] * 20
                await sending
                sender = asyncio.create_task(connection.asend(payload))
                await asyncio.sleep(0)
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
                await connection.asend("last")
                if (message := await connection.arecv()) != "last":
                    assert message == payload
                    assert await connection.arecv() == "last"

    run(main())
