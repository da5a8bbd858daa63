"""Coroutines that send and receive: pipes, byte streams, network connections, TLS aside."""

from __future__ import annotations

import _socket as sockets
import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

import asyncio_children
from conftest import Starter
from processing_core import Pipe, SerializationError
from processing_core._connection.stream import stream_pipe
from processing_core._network.connection import NetworkConnection
from processing_core._platform import awaiting
from processing_testkit import wait_until

Ends = tuple[Any, Any]


def network_pair() -> Ends:
    pair = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_STREAM)
    return NetworkConnection(pair[0]), NetworkConnection(pair[1])


PAIRS: dict[str, Callable[[], Ends]] = {
    "pipe": Pipe,
    "network": network_pair,
    "stream": lambda: stream_pipe(True),
}


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Iterator[Ends]:
    ends = PAIRS[request.param]()
    yield ends
    for end in ends:
        end.close()


@pytest.fixture(params=["pipe", "network"])
def patient_pair(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """Of the kinds that never make the event loop wait."""
    ends = PAIRS[request.param]()
    yield ends
    for end in ends:
        end.close()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine for as long as a test may take; afterwards nobody waits any more."""

    async def limited() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(limited(), debug=False)
    assert not awaiting._waiting


def test_objects_and_bytes(pair: Ends) -> None:
    async def main() -> None:
        await pair[0].asend({"some": ["object"]})
        assert await pair[1].arecv() == {"some": ["object"]}
        await pair[1].asend_bytes(b"0123456789", 2, 5)
        assert await pair[0].arecv_bytes() == b"23456"
        await pair[0].asend_bytes(b"")
        assert await pair[1].arecv_bytes() == b""
        await pair[0].asend_bytes(b"\xff\x01")
        assert await pair[1].arecv_bytes(2) == b"\xff\x01"
        await pair[0].asend_bytes(b"too long")
        with pytest.raises(OSError, match="longer than maxlength=3"):
            await pair[1].arecv_bytes(3)

    run(main())


def test_a_receiver_waits_for_a_message(pair: Ends) -> None:
    async def main() -> None:
        receiver = asyncio.create_task(pair[1].arecv())
        await asyncio.sleep(0)
        assert awaiting._waiting
        pair[0].send("it")
        assert await receiver == "it"

    run(main())


def test_large_messages_in_both_directions_at_once(patient_pair: Ends) -> None:
    first, second = patient_pair
    payload = os.urandom(5_000_000)

    async def main() -> None:
        for _ in range(3):
            _, _, got, back = await asyncio.gather(
                first.asend(payload),
                second.asend_bytes(payload),
                second.arecv(),
                first.arecv_bytes(),
            )
            assert got == back == payload

    run(main())


def test_many_senders_many_receivers(patient_pair: Ends) -> None:
    first, second = patient_pair
    sizes = [10, 100_000, 1_000, 700_000] * 10

    async def main() -> None:
        receivers = [asyncio.create_task(second.arecv()) for _ in sizes]
        await asyncio.gather(*(first.asend(bytes(size)) for size in sizes))
        assert sorted(map(len, await asyncio.gather(*receivers))) == sorted(sizes)

    run(main())


def test_the_order_of_one_sender_is_kept(patient_pair: Ends) -> None:
    first, second = patient_pair

    async def send() -> None:
        for number in range(3_000):
            await first.asend(number.to_bytes(4, "big") * (30_000 if number % 500 == 0 else 100))

    async def main() -> None:
        sender = asyncio.create_task(send())
        for number in range(3_000):
            assert (await second.arecv())[:4] == number.to_bytes(4, "big")
        await sender

    run(main())


def test_the_end_is_told(pair: Ends) -> None:
    async def main() -> None:
        receiver = asyncio.create_task(pair[1].arecv())
        await asyncio.sleep(0)
        pair[0].send("last")
        pair[0].close()
        assert await receiver == "last"
        with pytest.raises(EOFError):
            await pair[1].arecv()
        with pytest.raises(BrokenPipeError):
            await pair[1].asend("to nobody")
        pair[1].close()
        with pytest.raises(OSError, match="closed"):
            await pair[1].arecv()
        with pytest.raises(OSError, match="closed"):
            await pair[1].asend(1)

    run(main())


def test_closing_ends_the_waits_of_this_end(pair: Ends) -> None:
    async def main() -> None:
        receiver = asyncio.create_task(pair[1].arecv())
        await asyncio.sleep(0)
        pair[1].close()
        with pytest.raises(OSError, match="closed"):
            await receiver

    run(main())


def test_closing_by_another_thread_ends_the_wait(patient_pair: Ends) -> None:
    async def main() -> None:
        receiver = asyncio.create_task(patient_pair[1].arecv())
        await asyncio.sleep(0)
        thread = threading.Thread(target=patient_pair[1].close)
        thread.start()
        with pytest.raises(OSError, match="closed"):
            await receiver
        thread.join()

    run(main())


def test_cancelled_receivers_lose_nothing(pair: Ends) -> None:
    async def main() -> None:
        got = []
        for number in range(200):
            receiver = asyncio.create_task(pair[1].arecv())
            await asyncio.sleep(0)
            pair[0].send(number)
            if number % 2:
                await asyncio.sleep(0)
            receiver.cancel()
            try:
                got.append(await receiver)
            except asyncio.CancelledError:
                got.append(await pair[1].arecv())
        assert got == list(range(200))

    run(main())


def test_a_receiver_cancelled_in_the_middle_of_a_message(patient_pair: Ends) -> None:
    first, second = patient_pair
    payload = os.urandom(3_000_000)

    async def main() -> None:
        sender = asyncio.create_task(first.asend(payload))
        for _ in range(5):
            receiver = asyncio.create_task(second.arecv())
            await asyncio.sleep(0)
            if receiver.done():
                assert await receiver == payload
                break
            receiver.cancel()
            await asyncio.gather(receiver, return_exceptions=True)
        else:
            assert await second.arecv() == payload
        await sender
        first.send("next")
        assert await second.arecv() == "next"

    run(main())


def test_a_cancelled_sender_tears_no_message(patient_pair: Ends) -> None:
    """Nobody receives, so all senders wait. Whole messages arrive, and those sent later do too."""
    first, second = patient_pair
    payload = bytes(range(256)) * 8_000

    async def main() -> None:
        senders = [asyncio.create_task(first.asend(payload)) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for sender in senders:
            sender.cancel()
        results = await asyncio.gather(*senders, return_exceptions=True)
        cancelled = sum(isinstance(one, asyncio.CancelledError) for one in results)
        assert cancelled
        last = asyncio.create_task(first.asend("last"))
        count = 0
        while (message := await second.arecv()) != "last":
            assert message == payload
            count += 1
        assert len(senders) - cancelled <= count <= len(senders)
        await last

    run(main())


def test_what_was_begun_arrives_without_another_send() -> None:
    first, second = network_pair()
    payload = os.urandom(4_000_000)

    async def main() -> None:
        sender = asyncio.create_task(first.asend(payload))
        await asyncio.sleep(0)
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
        assert await second.arecv() == payload

    run(main())
    first.close()
    second.close()


def test_a_call_completes_what_a_coroutine_has_begun() -> None:
    first, second = network_pair()
    payload = os.urandom(4_000_000)
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.extend((second.recv(), second.recv())))

    async def main() -> None:
        sender = asyncio.create_task(first.asend(payload))
        await asyncio.sleep(0)
        thread.start()
        first.send("a call")
        await sender

    run(main())
    thread.join()
    assert got == [payload, "a call"]
    first.close()
    second.close()


def test_what_a_call_has_read_ahead_is_for_coroutines_too() -> None:
    first, second = network_pair()

    async def main() -> None:
        receivers = [asyncio.create_task(second.arecv()) for _ in range(2)]
        await asyncio.sleep(0)
        for number in range(3):
            first.send(number)
        assert second.recv() == 0
        assert await asyncio.gather(*receivers) == [1, 2]

    run(main())
    first.close()
    second.close()


def test_parcels_through_a_full_pipe(one_way: Ends) -> None:
    receiver, sender = one_way

    async def main() -> None:
        sending = asyncio.create_task(send())
        for number in range(300):
            message = await receiver.arecv()
            assert len(message) == 70_000 + number
        await sending

    async def send() -> None:
        for number in range(300):
            await sender.asend(bytes(70_000 + number))

    run(main())


def test_directions(one_way: Ends) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="only receives"):
            await one_way[0].asend(1)
        with pytest.raises(OSError, match="only sends"):
            await one_way[1].arecv()

    run(main())


def test_an_object_that_does_not_pickle(pair: Ends) -> None:
    async def main() -> None:
        with pytest.raises((AttributeError, TypeError)):
            await pair[0].asend(lambda: None)
        await pair[0].asend("fine")
        assert await pair[1].arecv() == "fine"

    run(main())


def test_connections_travel(pipe: Ends) -> None:
    async def main() -> None:
        receiver, sender = Pipe(duplex=False)
        await pipe[0].asend(sender)
        sender.close()
        got = await pipe[1].arecv()
        got.send("through")
        assert await receiver.arecv() == "through"
        got.close()
        receiver.close()

    run(main())


def test_a_connection_is_an_asynchronous_context_manager(pair: Ends) -> None:
    async def main() -> None:
        async with pair[0] as connection:
            await connection.asend(1)
        assert pair[0].closed

    run(main())


def test_with_processes(start: Starter, pair: Ends) -> None:
    ours, theirs = pair
    start(asyncio_children.echo, theirs)
    theirs.close()

    async def main() -> None:
        async def send() -> None:
            for number in range(500):
                await ours.asend(number)

        sender = asyncio.create_task(send())
        assert [await ours.arecv() for _ in range(500)] == list(range(500))
        await sender

    run(main())


def test_two_loops_wait_for_two_ends_in_two_threads(patient_pair: Ends) -> None:
    first, second = patient_pair

    def echo() -> None:
        async def main() -> None:
            for _ in range(500):
                await second.asend(await second.arecv())

        asyncio.run(main())

    thread = threading.Thread(target=echo)
    thread.start()

    async def main() -> None:
        for number in range(500):
            await first.asend(number)
            assert await first.arecv() == number

    run(main())
    thread.join()


def test_a_thread_and_a_coroutine_receive_from_one_end(patient_pair: Ends) -> None:
    first, second = patient_pair
    got: list[int] = []
    begun = threading.Event()

    def receive() -> None:
        begun.set()
        got.extend(iter(second.recv, None))

    thread = threading.Thread(target=receive)
    thread.start()
    begun.wait()

    async def main() -> None:
        async def receive() -> None:
            while (item := await second.arecv()) is not None:
                got.append(item)

        receiver = asyncio.create_task(receive())
        for number in range(1_000):
            await first.asend(number)
            if number % 50 == 0:
                await asyncio.sleep(0)
        await first.asend(None)
        await first.asend(None)
        await receiver

    run(main())
    thread.join()
    assert sorted(got) == list(range(1_000))


def test_descriptors_cannot_cross_a_byte_stream() -> None:
    first, second = stream_pipe(True)

    async def main() -> None:
        with pytest.raises(SerializationError):
            await first.asend(second)

    run(main())
    first.close()
    second.close()


def test_a_forked_child_leaves_the_waits_of_its_parent_alone(pipe: Ends, start: Starter) -> None:
    async def main() -> None:
        receiver = asyncio.create_task(pipe[1].arecv())
        await asyncio.sleep(0)
        pid = os.fork()
        if pid == 0:
            os._exit(1 if awaiting._waiting else (pipe[1].close() or 0))
        _, status = os.waitpid(pid, 0)  # noqa: ASYNC222 - the child does nothing else
        assert status == 0
        await pipe[0].asend("still here")
        assert await receiver == "still here"

    run(main())


def test_nobody_waits_after_a_loop_that_was_stopped(pipe: Ends) -> None:
    left_behind: list[asyncio.Task[Any]] = []

    async def main() -> None:
        left_behind.append(asyncio.create_task(pipe[1].arecv()))
        await asyncio.sleep(0)

    asyncio.run(main())
    wait_until(lambda: not awaiting._waiting)
    pipe[0].send(1)
    assert pipe[1].recv() == 1
