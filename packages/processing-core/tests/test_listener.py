"""Listeners and clients: families, addresses, arguments, keys, hostile clients, life and death."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import network_children
from children import LONG, finished
from conftest import Starter
from network_tools import FAMILIES, KEY, TIME, bare_socket, connected, in_thread, reset
from processing_core import (
    AuthenticationError,
    InvalidArgument,
    Pipe,
    ProcessError,
    TimeoutError,
    current_process,
    wait,
)
from processing_core._network import handshake
from processing_core._network import listener as listener_module
from processing_core._network.handshake import FRAME_BYTES, ClientHandshake, ListenerHandshake
from processing_core.connection import (
    Client,
    Listener,
    answer_challenge,
    answerChallenge,
    deliver_challenge,
    deliverChallenge,
)
from processing_testkit import run_script

families = pytest.mark.parametrize("family", FAMILIES)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="about Linux")


@families
@pytest.mark.parametrize("key", [None, KEY, "a text"])
def test_messages_both_ways(family: str, key: bytes | str | None) -> None:
    with connected(family, authkey=key) as (ours, theirs):
        for size in (0, 100, 70_000, 2_000_000):
            for one, other in ((ours, theirs), (theirs, ours)):
                with in_thread(one.send, [size, bytes(size)]):
                    assert other.recv() == [size, bytes(size)]
        ours.close()
        with pytest.raises(EOFError):
            theirs.recv()


@families
def test_a_client_without_a_key_does_not_wait_for_the_listener(family: str) -> None:
    with Listener(family=family) as listener, Client(listener.address) as theirs:
        theirs.send("hello")
        with listener.accept(TIME) as ours:
            assert ours.recv() == "hello"


@families
def test_addresses_tell_their_family(family: str) -> None:
    with Listener(None, family, authkey=KEY) as listener:
        address = listener.address
        assert "closed" not in repr(listener)
        with in_thread(listener.accept, TIME) as accepted, Client(address, authkey=KEY):
            accepted.result(TIME).close()
        if family == "AF_UNIX":
            assert isinstance(address, str)
            assert listener.last_accepted is None
        else:
            assert address[0] in ("127.0.0.1", "::1")
            assert address[1]
            assert listener.last_accepted[0] == address[0]
    assert "closed" in repr(listener)


def test_the_fastest_family_is_the_default() -> None:
    with Listener() as listener:
        assert isinstance(listener.address, str)


def test_the_key_of_the_process_is_the_default() -> None:
    with Listener(authenticate=True) as listener, in_thread(listener.accept, TIME) as accepted:
        key = current_process().authkey
        with Client(listener.address, authkey=key, timeout=TIME), accepted.result(TIME):
            pass
    with connected(authenticate=True) as (ours, theirs):
        ours.send(1)
        assert theirs.recv() == 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"family": "AF_NOWHERE"}, "AF_NOWHERE"),
    ({"family": "AF_PIPE"}, "AF_PIPE"),
    ({"address": 17}, "17"),
    ({"address": ("localhost",)}, "localhost"),
    ({"address": ("localhost", "80")}, "80"),
    ({"address": ("localhost", 65536)}, "65536"),
    ({"address": ""}, "''"),
    ({"address": "a\0b"}, "a"),
    ({"address": "name", "family": "AF_INET"}, "name"),
    ({"address": ("::1", 0), "family": "AF_UNIX"}, "::1"),
    ({"authkey": b""}, "empty"),
    ({"authkey": ""}, "empty"),
    ({"authkey": 17}, "int"),
    ({"compat": "multi"}, "multi"),
    ({"max_message_size": 0}, "0"),
    ({"max_message_size": 1.5}, "1.5"),
    ({"keepalive": 0}, "keepalive"),
    ({"handshake_timeout": "soon"}, "soon"),
    ({"ssl_context": "tls"}, "tls"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD)
def test_wrong_arguments_are_errors_that_name_them(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises((TypeError, ValueError), match=named) as info:
        Listener(**{"address": ("localhost", 0), **arguments})
    assert isinstance(info.value, ProcessError)
    with pytest.raises((TypeError, ValueError), match=named) as info:
        Client(**{"address": ("localhost", 1), **arguments})
    assert isinstance(info.value, ProcessError)


def test_a_listener_of_its_own() -> None:
    with pytest.raises(InvalidArgument, match="-1"):
        Listener(backlog=-1)
    with pytest.raises(TypeError):
        Listener(backlog="many")  # type: ignore[arg-type]
    with Listener(("localhost", 0), backlog=5) as listener:
        with pytest.raises(OSError, match="in use") as info:
            Listener(listener.address)
        assert any(str(listener.address[1]) in note for note in info.value.__notes__)


def test_nobody_listens() -> None:
    with Listener(family="AF_INET") as listener:
        address = listener.address
    with pytest.raises(ConnectionRefusedError) as info:
        Client(address)
    assert any(str(address[1]) in note for note in info.value.__notes__)


# Files


def test_the_file_is_its_owners_alone_and_goes_with_the_listener(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "socket"
        with Listener(path) as listener:
            assert listener.address == str(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with pytest.raises(OSError, match="in use"):
                Listener(path)
        assert not path.exists()
        with Listener(family="AF_UNIX") as listener:
            folder = Path(listener.address).parent
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not folder.exists()
    finally:
        os.umask(before)


def test_where_the_mode_cannot_be_given_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from processing_core._platform import socket_files

    monkeypatch.setattr(socket_files, "bind", socket_files.bind_aside)
    path = tmp_path / "socket"
    with Listener(path) as listener, Client(path):
        listener.accept(TIME).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(OSError, match="in use"):
            Listener(path)
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_ours_any_more_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Listener(path):
        path.unlink()
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"
    with Listener(tmp_path / "gone"):
        (tmp_path / "gone").unlink()


def test_the_file_goes_when_the_program_ends() -> None:
    result = run_script(
        """
        import os
        from processing_core.connection import Listener
        listener = Listener(family="AF_UNIX")
        print(listener.address)
        """
    )
    assert not Path(result.check().stdout.strip()).parent.exists()


def test_a_forked_childs_end_leaves_the_file(tmp_path: Path) -> None:
    with Listener(tmp_path / "socket") as listener:
        pid = os.fork()
        if not pid:
            try:
                listener.close()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        with Client(listener.address), listener.accept(TIME):
            pass


@linux_only
def test_an_abstract_name() -> None:
    name = f"\0processing-test-{os.getpid()}"
    with Listener(name, authkey=KEY) as listener:
        assert listener.address == name
        with in_thread(listener.accept, TIME) as accepted, Client(name, authkey=KEY):
            accepted.result(TIME).close()


# What does not authenticate


@families
@pytest.mark.parametrize("compat", [None, "multiprocessing"])
def test_another_key_is_an_error_at_both_ends(family: str, compat: str | None) -> None:
    with (
        Listener(family=family, authkey=KEY, compat=compat) as listener,
        in_thread(listener.accept, TIME) as accepted,
    ):
        with pytest.raises(AuthenticationError, match="another one"):
            Client(listener.address, family, authkey=b"wrong", timeout=TIME, compat=compat)
        with pytest.raises(AuthenticationError, match="does not know the key"):
            accepted.result(TIME)


@families
def test_a_client_that_has_no_key(family: str) -> None:
    with (
        Listener(family=family, authkey=KEY) as listener,
        in_thread(listener.accept, TIME) as accepted,
        Client(listener.address, family) as theirs,
    ):
        with pytest.raises(AuthenticationError, match="asks for a key"):
            theirs.recv()
        with pytest.raises(AuthenticationError):
            accepted.result(TIME)


@families
def test_a_listener_that_has_no_key(family: str) -> None:
    with Listener(family=family) as listener, in_thread(listener.accept, TIME) as accepted:

        def first_message() -> Any:
            with accepted.result(TIME) as ours:
                return ours.recv()

        with in_thread(first_message) as receiving:
            with pytest.raises(AuthenticationError, match="has no key"):
                Client(listener.address, family, authkey=KEY, timeout=TIME)
            with pytest.raises(AuthenticationError, match="wants to authenticate"):
                receiving.result(TIME)


def test_a_listener_that_does_not_ask_for_a_key_in_time() -> None:
    with Listener(family="AF_INET") as listener:
        with pytest.raises(AuthenticationError, match="too long"):
            Client(listener.address, authkey=KEY, handshake_timeout=0.05)
        with pytest.raises(TimeoutError):
            Client(listener.address, authkey=KEY, timeout=0.05)


def test_one_side_speaks_as_the_standard_library() -> None:
    for ours, theirs in ((None, "multiprocessing"), ("multiprocessing", None)):
        with (
            Listener(family="AF_INET", authkey=KEY, compat=ours) as listener,
            in_thread(listener.accept, TIME) as accepted,
        ):
            with pytest.raises(AuthenticationError):
                Client(listener.address, authkey=KEY, compat=theirs, timeout=TIME)
            with pytest.raises(AuthenticationError):
                accepted.result(TIME)


@linux_only
def test_packets_and_streams_do_not_meet() -> None:
    with Listener(family="AF_UNIX", compat="multiprocessing") as listener:
        with pytest.raises(OSError, match="wrong type") as info:
            Client(listener.address)
        assert any("compat" in note for note in info.value.__notes__)


@families
def test_nothing_is_unpickled_before_authentication(family: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    poison = pickle.dumps(network_children.Poison(str(mark)))
    framed = struct.pack("!i", len(poison)) + poison
    with Listener(family=family, authkey=KEY, handshake_timeout=0.3) as listener:
        for data in (poison, framed, poison[:FRAME_BYTES], handshake.MAGIC + poison):
            with (
                bare_socket(listener) as bare,
                in_thread(listener.accept, TIME) as accepted,
            ):
                bare.sendall(data)
                with pytest.raises(AuthenticationError):
                    accepted.result(TIME)
    assert not mark.exists()
    pickle.loads(poison)
    assert mark.exists()


def test_no_more_is_read_than_a_frame() -> None:
    """What an unauthenticated client sends stays in the kernel."""
    with Listener(family="AF_INET", authkey=KEY) as listener, bare_socket(listener) as bare:
        bare.sendall(ClientHandshake(KEY).outgoing() + bytes(1000))
        with pytest.raises(AuthenticationError):
            listener.accept(TIME)


CUTS = range(2 * FRAME_BYTES)


def conversation(side: Any, bare: socket.socket, cut: int) -> None:
    """Play a side over a bare socket up to byte ``cut`` of what it says."""
    said = 0
    while True:
        data = side.outgoing()
        bare.sendall(data[: max(0, cut - said)])
        said += len(data)
        if said >= cut:
            return
        side.feed(bare.recv(side.needed, socket.MSG_WAITALL))


@pytest.mark.parametrize("end", [reset, socket.socket.close])
def test_a_client_that_goes_at_any_byte(end: Callable[[socket.socket], None]) -> None:
    with Listener(family="AF_INET", authkey=KEY) as listener:
        for cut in CUTS:
            with in_thread(listener.accept, TIME) as accepted:
                bare = bare_socket(listener)
                conversation(ClientHandshake(KEY), bare, cut)
                end(bare)
                with pytest.raises(AuthenticationError, match=r"127\.0\.0\.1"):
                    accepted.result(TIME)
        with in_thread(listener.accept, TIME) as accepted, Client(listener.address, authkey=KEY):
            accepted.result(TIME).close()


@pytest.mark.parametrize("end", [reset, socket.socket.close])
def test_a_listener_that_goes_at_any_byte(end: Callable[[socket.socket], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(cut: int) -> None:
            bare, _ = server.accept()
            bare.settimeout(TIME)
            conversation(ListenerHandshake(KEY), bare, cut)
            end(bare)

        for cut in CUTS:
            with (
                in_thread(serve, cut),
                pytest.raises((AuthenticationError, ConnectionError)),
            ):
                Client(server.getsockname(), authkey=KEY, timeout=TIME)


@families
def test_signals_do_not_put_a_clients_deadline_off(family: str) -> None:
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    try:
        with Listener(family=family, authkey=KEY) as listener:
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            with pytest.raises(TimeoutError, match="did not agree in time"):
                Client(listener.address, authkey=KEY, timeout=0.2)
            with pytest.raises(AuthenticationError, match="too long"):
                Client(listener.address, authkey=KEY, handshake_timeout=0.2)
        assert handled
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@linux_only
@pytest.mark.parametrize("kind", ["a pipe", "a stream"])
def test_a_second_socket_of_another_kind_is_refused(kind: str) -> None:
    first, second = socket.socketpair()
    with first, second, Listener(family="AF_UNIX", authkey=KEY) as listener:
        reading, writing = os.pipe()
        try:
            with in_thread(listener.accept, TIME) as accepted, bare_socket(listener) as bare:
                handshake = ClientHandshake(KEY)
                bare.sendall(handshake.outgoing())
                handshake.feed(bare.recv(1000))
                number = reading if kind == "a pipe" else first.fileno()
                socket.send_fds(bare, [handshake.outgoing()], [number])
                with pytest.raises(AuthenticationError, match="descriptor of"):
                    accepted.result(TIME)
        finally:
            os.close(reading)
            os.close(writing)


def test_many_silent_clients_and_somebody_who_waits_for_the_descriptor() -> None:
    """Guests move from poll(2) to a selector, by their number or for the sake of fileno()."""
    with (
        contextlib.ExitStack() as opened,
        Listener(family="AF_INET", authkey=KEY, handshake_timeout=TIME) as listener,
    ):
        for count in (1, listener_module.MOST_POLLED, 3):
            for _ in range(count):
                opened.enter_context(bare_socket(listener))
            with (
                in_thread(Client, listener.address, authkey=KEY, timeout=TIME) as connecting,
                listener.accept(TIME),
                connecting.result(TIME),
            ):
                pass
    with Listener(family="AF_INET", authkey=KEY, handshake_timeout=TIME) as listener:
        with bare_socket(listener), pytest.raises(TimeoutError):
            listener.accept(0.05)
        with (
            bare_socket(listener),
            in_thread(Client, listener.address, authkey=KEY, timeout=TIME) as connecting,
        ):
            while True:
                assert wait([listener.fileno()], TIME)
                # The silent client of before has left, which is reported, too.
                with contextlib.suppress(TimeoutError, AuthenticationError):
                    accepted = listener.accept(0)
                    break
            with accepted, connecting.result(TIME):
                pass


@linux_only
def test_descriptors_that_nobody_asked_for_are_closed() -> None:
    """Those of an unauthenticated client, however many, of whatever kind."""
    with Listener(family="AF_UNIX", authkey=KEY) as listener:
        for count in (1, 3, 200):
            with in_thread(listener.accept, TIME) as accepted, bare_socket(listener) as bare:
                socket.send_fds(bare, [ClientHandshake(KEY).outgoing()], [0] * count)
                bare.recv(1000)
                with pytest.raises(AuthenticationError):
                    accepted.result(TIME)


def test_a_crowd_of_bad_clients_keeps_no_good_one_waiting() -> None:
    """500 clients: 100 silent, 100 with garbage, 100 that leave, and 200 good ones."""
    with Listener(family="AF_INET", authkey=KEY, handshake_timeout=TIME) as listener:
        stop = threading.Event()
        served: list[int] = []
        failed: list[str] = []

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection = listener.accept(0.2)
                except TimeoutError:
                    continue
                except AuthenticationError as error:
                    failed.append(str(error))
                    continue
                with connection:
                    served.append(connection.recv())
                    connection.send("done")

        def visit(number: int) -> str:
            with Client(listener.address, authkey=KEY, timeout=TIME) as connection:
                connection.send(number)
                return str(connection.recv())

        with in_thread(serve) as serving, ThreadPoolExecutor(8) as threads:
            silent, visits = [], []
            for number in range(100):
                silent.append(bare_socket(listener))
                with bare_socket(listener) as bare:
                    bare.sendall(b"\x16\x03\x01" + os.urandom(200))
                leaving = bare_socket(listener)
                conversation(ClientHandshake(KEY), leaving, number)
                leaving.close()
                visits += [threads.submit(visit, 2 * number + more) for more in (0, 1)]
            assert {one.result(TIME) for one in visits} == {"done"}
            for one in silent:
                one.close()
            while len(failed) < 300:
                assert not serving.done()
                stop.wait(0.01)
            stop.set()
            serving.result(TIME)
        assert sorted(served) == list(range(200))
        assert len(failed) == 300
        assert all("127.0.0.1" in text for text in failed)


def test_a_silent_client_is_turned_away_in_time() -> None:
    with (
        Listener(family="AF_INET", authkey=KEY, handshake_timeout=0.1) as listener,
        bare_socket(listener) as bare,
    ):
        with pytest.raises(AuthenticationError, match="too long"):
            listener.accept(TIME)
        assert bare.recv(FRAME_BYTES, socket.MSG_WAITALL)
        assert bare.recv(1) == b""


def test_too_many_at_once_the_one_that_took_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "MOST_GREETINGS", 3)
    with Listener(family="AF_INET", authkey=KEY) as listener:
        silent = [bare_socket(listener) for _ in range(4)]
        with pytest.raises(AuthenticationError, match="too many"):
            listener.accept(TIME)

        def accept_the_next() -> None:
            with pytest.raises(AuthenticationError, match="too many"):
                listener.accept(TIME)
            listener.accept(TIME).close()

        with in_thread(accept_the_next) as accepting:
            Client(listener.address, authkey=KEY, timeout=TIME).close()
            accepting.result(TIME)
        for one in silent:
            one.close()


# accept and close


def test_accept_keeps_to_its_timeout() -> None:
    with Listener(family="AF_INET") as listener:
        for timeout in (0, 0.05):
            with pytest.raises(TimeoutError):
                listener.accept(timeout)
        with pytest.raises(TypeError):
            listener.accept("soon")  # type: ignore[arg-type]


def test_close_wakes_all_who_accept() -> None:
    with Listener(family="AF_INET", authkey=KEY) as listener, ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(listener.accept) for _ in range(3)]
        with bare_socket(listener) as bare:
            assert bare.recv(FRAME_BYTES, socket.MSG_WAITALL)  # somebody is accepting
            listener.close()
            for one in waiting:
                with pytest.raises(OSError, match="closed"):
                    one.result(TIME)
    for use in (listener.accept, listener.fileno):
        with pytest.raises(OSError, match="closed"):
            use()
    listener.close()


def test_several_threads_accept() -> None:
    with Listener(authkey=KEY) as listener, ThreadPoolExecutor(8) as threads:
        accepting = [threads.submit(listener.accept, TIME) for _ in range(4)]
        clients = [threads.submit(Client, listener.address, authkey=KEY) for _ in range(4)]
        ends = [one.result(TIME) for one in (*accepting, *clients)]
        for number, end in enumerate(ends[4:]):
            end.send(number)
        assert {end.recv() for end in ends[:4]} == {0, 1, 2, 3}
        for end in ends:
            end.close()


@linux_only
def test_a_listener_can_be_waited_for() -> None:
    with Listener(family="AF_INET", authkey=KEY) as listener:
        assert wait([listener], 0) == []
        with in_thread(Client, listener.address, authkey=KEY, timeout=TIME) as connecting:
            while True:
                assert wait([listener], TIME) == [listener]
                try:
                    connection = listener.accept(0)
                except TimeoutError:
                    continue
                break
            connection.close()
            connecting.result(TIME).close()


def test_forked_children_accept_from_one_listener() -> None:
    from processing_core.context import get_context

    here, there = Pipe()
    with here, there, Listener(family="AF_INET", authkey=KEY) as listener:
        processes = [
            get_context("fork").Process(target=network_children.serve, args=(listener, there))
            for _ in range(2)
        ]
        for process in processes:
            process.start()
        pids = set()
        for _ in processes:
            with Client(listener.address, authkey=KEY, timeout=TIME) as connection:
                pids.add(connection.recv())
            assert here.recv() == "served"
        assert pids == {process.pid for process in processes}
        assert [finished(process) for process in processes] == [0, 0]


@families
def test_between_processes(start: Starter, family: str) -> None:
    with Listener(family=family, authkey=KEY) as listener:
        process = start(network_children.echo_until_end, listener.address, KEY)
        with listener.accept(LONG) as connection:
            for message in (1, "two", bytes(300_000)):
                connection.send(message)
                assert connection.recv() == message
        assert finished(process) == 0


@linux_only
def test_descriptors_cross_between_local_processes(start: Starter) -> None:
    with Listener(family="AF_UNIX", authkey=KEY) as listener:
        process = start(network_children.echo_until_end, listener.address, KEY)
        here, there = Pipe()
        with listener.accept(LONG) as connection, here:
            connection.send(there)
            there.close()
            with connection.recv() as back:
                back.send("through it")
                assert here.recv() == "through it"
        assert finished(process) == 0


@linux_only
def test_a_limit_for_local_messages() -> None:
    with connected("AF_UNIX", server={"max_message_size": 100_000}) as (ours, theirs):
        theirs.send_bytes(bytes(99_999))
        assert len(ours.recv_bytes()) == 99_999
        theirs.send_bytes(bytes(100_001))
        with pytest.raises(OSError, match="max_message_size=100000"):
            ours.recv_bytes()
        assert ours.closed


@families
def test_the_limit_is_for_what_is_received(family: str) -> None:
    with (
        connected(family, server={"max_message_size": 1_000_000}) as (ours, theirs),
        in_thread(ours.send_bytes, bytes(2_000_000)),
    ):
        assert len(theirs.recv_bytes()) == 2_000_000


# The challenge by itself


def test_a_challenge_over_any_connection() -> None:
    here, there = Pipe()
    with here, there, connected() as (ours, theirs):
        for one, other in ((here, there), (ours, theirs)):
            with in_thread(deliverChallenge, one, KEY) as delivering:
                answerChallenge(other, KEY)
                delivering.result(TIME)
            with in_thread(deliver_challenge, one, "wrong") as delivering:
                with pytest.raises(AuthenticationError, match="another one"):
                    answer_challenge(other, KEY)
                with pytest.raises(AuthenticationError, match="does not know"):
                    delivering.result(TIME)


def test_a_challenge_that_is_none() -> None:
    here, there = Pipe()
    with here, there:
        for message in (b"", b"hello", bytes(300), b"#CHALLENGE#short"):
            here.send_bytes(message)
            with pytest.raises(AuthenticationError):
                answer_challenge(there, KEY)
        for key in (b"", None, 17):
            with pytest.raises((ProcessError, TypeError)):
                deliver_challenge(here, key)  # type: ignore[arg-type]
        here.close()
        with pytest.raises(EOFError):
            answer_challenge(there, KEY)
