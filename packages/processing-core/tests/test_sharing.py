"""Offers: descriptors for running processes of this machine, over whatever transport."""

from __future__ import annotations

import os
import pickle
import resource
import socket
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

assert sys.platform != "win32", "there conftest.py leaves this file out"

import sharing_children
from children import finished
from conftest import Starter
from network_tools import KEY, connected
from processing_core import (
    AuthenticationError,
    InvalidArgument,
    Lock,
    Pipe,
    Queue,
    SerializationError,
    SharingError,
    current_process,
)
from processing_core._network import sharing
from processing_core.connection import Client, Listener, Offer, offer
from processing_testkit import wait_until

Ends = tuple[Any, Any]


def at_rest() -> bool:
    """Whether no offer is left, and nothing of what they need."""
    service = sharing.service
    thread = service._thread
    return service._listener is None and (thread is None or not thread.is_alive())


def test_connections_and_listening_sockets_over_tcp(start: Starter, one_way: Ends) -> None:
    with (
        Listener(("127.0.0.1", 0), authkey=KEY) as listener,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        process = start(sharing_children.use_from_client, listener.address, KEY)
        with listener.accept(30) as connection:
            connection.send((one_way[1], listening))
            one_way[1].close()
            address = connection.recv()
            assert address == listening.getsockname()
            listening.close()
            assert one_way[0].recv() == "from the child"
            with socket.create_connection(address) as client:
                assert client.recv(100) == b"accepted by the child"
    assert finished(process) == 0
    wait_until(at_rest)


def test_by_a_plain_pickle(start: Starter, one_way: Ends, pipe: Ends) -> None:
    one = pickle.dumps(offer(one_way[1]))
    one_way[1].close()
    process = start(sharing_children.take_and_answer, one, pipe[1])
    assert one_way[0].recv() == "taken"
    with pytest.raises(EOFError):
        one_way[0].recv()  # nobody else has a copy
    assert pipe[0].recv() == "done"
    assert finished(process) == 0
    again = start(sharing_children.take_and_answer, one, pipe[1])
    assert pipe[0].recv().startswith("SharingError")
    assert finished(again) == 0
    wait_until(at_rest)


def test_queues_and_locks(start: Starter) -> None:
    queue, lock = Queue[int](), Lock()
    with connected(authkey=KEY) as (ours, theirs):
        ours.send((queue, lock))
        got, held = theirs.recv()
        got.put(5)
        assert queue.get() == 5
        held.acquire()
        assert not lock.acquire(block=False)
    queue.close()
    got.close()
    wait_until(at_rest)


def test_in_the_same_process_and_by_coroutines(one_way: Ends) -> None:
    import asyncio

    async def main() -> None:
        with connected(authkey=KEY) as (ours, theirs):
            await ours.asend(one_way[1])
            with await theirs.arecv() as sender:
                sender.send("through")
                assert one_way[0].recv() == "through"

    asyncio.run(main())
    wait_until(at_rest)


def test_an_offer_that_nobody_takes_runs_out(one_way: Ends) -> None:
    one = offer(one_way[1], timeout=0.1)
    one_way[1].close()
    with pytest.raises(EOFError):
        one_way[0].recv()  # returns when the copy is closed
    wait_until(at_rest)
    with pytest.raises(SharingError, match="run out"):
        one.take()


def test_a_message_that_nobody_receives(one_way: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing.offer, "__defaults__", (0.1,))
    with connected(authkey=KEY) as (ours, theirs):
        ours.send(one_way[1])
        wait_until(at_rest)
        with pytest.raises(SharingError):
            theirs.recv()
        ours.send("the connection goes on")
        assert theirs.recv() == "the connection goes on"


def test_taken_once_though_many_try(one_way: Ends) -> None:
    one = offer(one_way[1])
    keep = offer("so that the service stays")

    def take(_: int) -> Any:
        try:
            return one.take()
        except SharingError:
            return None

    with ThreadPoolExecutor(8) as threads:
        taken = [each for each in threads.map(take, range(8)) if each is not None]
    assert len(taken) == 1
    taken.pop().close()
    assert keep.take() == "so that the service stays"
    wait_until(at_rest)


def test_another_machine() -> None:
    one = offer("something")
    elsewhere = Offer(one._address, one._token, "another machine")
    with pytest.raises(SharingError, match="another machine"):
        elsewhere.take()
    assert one.take() == "something"
    wait_until(at_rest)


def test_another_key(one_way: Ends) -> None:
    one = offer(one_way[1])
    process = current_process()
    before = process.authkey
    process.authkey = b"another key"
    try:
        with pytest.raises(AuthenticationError) as caught:
            one.take()
        assert "authkey" in caught.value.__notes__[0]
    finally:
        process.authkey = before
    one.take().close()
    wait_until(at_rest)


def test_strangers_and_the_silent_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "ANSWER_SECONDS", 0.2)
    one = offer("something")
    key = bytes(current_process().authkey)
    bare = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with (
        bare,
        Client(one._address, authkey=key) as silent,
        Client(one._address, authkey=key) as wrong,
    ):
        bare.connect(one._address)
        bare.send(b"nonsense")
        wrong.send_bytes(b"no token")
        assert wrong.poll(10)
        with pytest.raises(EOFError):
            wrong.recv()
        assert silent.poll(10)
        with pytest.raises(EOFError):
            silent.recv()
        assert one.take() == "something"
    wait_until(at_rest)


def test_the_process_that_offers_has_ended(start: Starter, pipe: Ends) -> None:
    process = start(_offer_and_end, pipe[1])
    one = pipe[0].recv()
    assert finished(process) == 0
    with pytest.raises(SharingError, match="has ended"):
        one.take()


def _offer_and_end(answer: Any) -> None:
    receiver, sender = Pipe(duplex=False)
    answer.send(offer(receiver))
    receiver.close()
    sender.close()


def test_a_fork_meanwhile(one_way: Ends) -> None:
    """There is one thread at the moment of the fork, so no Python warns of it."""
    one = offer(one_way[1])
    one_way[1].close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pid = os.fork()
        if pid == 0:
            os._exit(
                0 if sharing.service._listener is None and threading.active_count() == 1 else 1
            )
    assert os.waitpid(pid, 0)[1] == 0
    with one.take() as sender:
        sender.send("still offered")
    assert one_way[0].recv() == "still offered"
    with pytest.raises(EOFError):
        one_way[0].recv()
    wait_until(at_rest)


def test_what_cannot_be_offered(one_way: Ends) -> None:
    with pytest.raises(InvalidArgument, match="time limit"):
        offer(one_way[1], timeout=None)
    with pytest.raises((AttributeError, TypeError)):
        offer(lambda: None)
    assert at_rest()


@pytest.mark.parametrize("free", range(6))
def test_too_few_descriptors_leave_nothing(one_way: Ends, free: int) -> None:

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.dup(0)
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + free, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            offer(one_way[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert at_rest()


def test_not_to_the_standard_library(one_way: Ends) -> None:
    with (
        connected(authkey=KEY, compat="multiprocessing") as (ours, _),
        pytest.raises(SerializationError, match="another machine"),
    ):
        ours.send(one_way[1])


def test_an_unused_offer_costs_little_time() -> None:
    begin = time.monotonic()
    for number in range(20):
        assert offer(number).take() == number
    assert time.monotonic() - begin < 10
    wait_until(at_rest)
