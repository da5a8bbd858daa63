"""The native handshake and the cutting of messages, without any I/O."""

from __future__ import annotations

import errno
import itertools
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing_core import AuthenticationError
from processing_core._network import challenge, handshake
from processing_core._network.challenge import StandardHandshake
from processing_core._network.framing import FIRST_BYTES, GROWTH, READ_BYTES, Inbox, header
from processing_core._network.handshake import (
    FRAME_BYTES,
    ClientHandshake,
    Handshake,
    ListenerHandshake,
)

KEY = b"a key"
Pair = Callable[[bytes, bytes], tuple[Handshake, Handshake]]


def native(listeners: bytes, clients: bytes) -> tuple[Handshake, Handshake]:
    return ListenerHandshake(listeners), ClientHandshake(clients)


def standard(listeners: bytes, clients: bytes) -> tuple[Handshake, Handshake]:
    return (
        StandardHandshake(listeners, is_listener=True),
        StandardHandshake(clients, is_listener=False),
    )


both = pytest.mark.parametrize("pair", [native, standard])


def converse(
    listener: Handshake, client: Handshake, pieces: Callable[[], int] = lambda: 1 << 20
) -> list[Exception]:
    """Carry bytes to and fro until nobody has any; returns what was raised."""
    wires = {listener: b"", client: b""}  # what is on its way to each
    other = {listener: client, client: listener}
    failed: dict[Handshake, Exception] = {}
    moved = True
    while moved:
        moved = False
        for side in (listener, client):
            said = side.outgoing()
            wires[other[side]] += said
            moved |= bool(said)
        for side in (listener, client):
            count = min(pieces(), len(wires[side]), side.needed)
            if count and side not in failed:
                data, wires[side] = wires[side][:count], wires[side][count:]
                moved = True
                try:
                    side.feed(data)
                except AuthenticationError as error:
                    failed[side] = error
    return list(failed.values())


@both
@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=20))
def test_agreement_however_the_bytes_are_split(pair: Pair, sizes: list[int]) -> None:
    listener, client = pair(KEY, KEY)
    turns = itertools.cycle(sizes)
    assert converse(listener, client, lambda: next(turns)) == []
    assert listener.needed == client.needed == 0


@both
def test_another_key_is_an_error_at_both_ends(pair: Pair) -> None:
    listener, client = pair(KEY, b"another key")
    errors = converse(listener, client)
    assert len(errors) == 2
    assert any("does not know the key" in str(error) for error in errors)
    assert any("another" in str(error) for error in errors)
    assert listener.needed
    assert client.needed


@pytest.mark.parametrize("offers", handshake.ALGORITHMS)
def test_the_ends_agree_on_an_algorithm_that_both_know(offers: str) -> None:
    assert converse(ListenerHandshake(KEY, offers=(offers,)), ClientHandshake(KEY)) == []
    assert converse(ListenerHandshake(KEY), ClientHandshake(KEY, algorithms=(offers,))) == []


def test_no_algorithm_in_common() -> None:
    listener = ListenerHandshake(KEY, offers=("sha512",))
    errors = converse(listener, ClientHandshake(KEY, algorithms=("sha256",)))
    assert len(errors) == 2


def test_an_offer_that_was_cut_down_on_the_way_is_noticed() -> None:
    listener, client = native(KEY, KEY)
    hello = listener.outgoing()
    listener.feed(client.outgoing())
    assert b"sha512,sha256" in hello
    client.feed(hello.replace(b"sha512,sha256", b"sha256\0\0\0\0\0\0\0"))
    with pytest.raises(AuthenticationError):
        listener.feed(client.outgoing())


def test_a_choice_that_was_not_offered_is_refused() -> None:
    listener, client = ListenerHandshake(KEY, offers=("sha512",)), ClientHandshake(KEY)
    listener.outgoing()
    listener.feed(client.outgoing())
    forged = handshake.frame(handshake.PROOF, b"md5".ljust(handshake.CHOICE_BYTES, b"\0"))
    with pytest.raises(AuthenticationError, match="not offered"):
        listener.feed(forged)


def test_what_one_side_says_is_of_no_use_against_it() -> None:
    """Reflection: everything that a side sends is sent back to it, or to another of its kind."""
    for first, second in (
        (ListenerHandshake(KEY), ListenerHandshake(KEY)),
        (ClientHandshake(KEY), ClientHandshake(KEY)),
    ):
        assert len(converse(first, second)) >= 1
        assert first.needed
        assert second.needed


@pytest.mark.parametrize("kind", ["listener", "client"])
def test_our_own_nonce_is_not_taken_back(kind: str) -> None:
    nonce = bytes(range(32))
    side: Handshake
    if kind == "listener":
        side = ListenerHandshake(KEY, nonce=nonce)
        echoed = ClientHandshake(KEY, nonce=nonce).outgoing()
    else:
        side = ClientHandshake(KEY, nonce=nonce)
        echoed = ListenerHandshake(KEY, nonce=nonce).outgoing()
    with pytest.raises(AuthenticationError, match="own nonce"):
        side.feed(echoed)


def test_a_recorded_session_is_of_no_use() -> None:
    listener, client = native(KEY, KEY)
    preface = client.outgoing()
    client.feed(listener.outgoing())
    proof = client.outgoing()
    listener.feed(preface)
    listener.feed(proof)
    verdict = listener.outgoing()
    assert listener.needed == 0

    again = ListenerHandshake(KEY)
    again.feed(preface)
    with pytest.raises(AuthenticationError):
        again.feed(proof)
    fresh = ClientHandshake(KEY)
    fresh.feed(ListenerHandshake(KEY).outgoing())
    with pytest.raises(AuthenticationError):
        fresh.feed(verdict)


def test_the_roles_have_macs_of_their_own() -> None:
    said = (b"hello", b"preface", b"choice")
    client = handshake.mac(KEY, "sha256", handshake.CLIENT_LABEL, *said)
    listener = handshake.mac(KEY, "sha256", handshake.LISTENER_LABEL, *said)
    assert client != listener


def test_neither_key_nor_listeners_proof_is_shown_to_a_stranger() -> None:
    listener = ListenerHandshake(KEY)
    said = listener.outgoing()
    listener.feed(ClientHandshake(b"guess").outgoing())
    said += listener.outgoing()
    stranger = ClientHandshake(b"guess")
    stranger.feed(said[:FRAME_BYTES])
    stranger.outgoing()
    assert len(said) == FRAME_BYTES
    assert KEY not in said


@both
@settings(max_examples=300)
@given(data=st.binary(min_size=1, max_size=400), sizes=st.integers(1, 100))
def test_garbage_is_refused_and_never_more_is_kept_than_needed(
    pair: Pair, data: bytes, sizes: int
) -> None:
    for side in pair(KEY, KEY):
        try:
            while data and side.needed:
                assert side.needed <= challenge.LONGEST_MESSAGE
                count = min(sizes, side.needed)
                side.feed(data[:count])
                data = data[count:]
        except AuthenticationError:
            continue
        assert side.needed > 0


@settings(max_examples=300)
@given(position=st.integers(0, 4 * FRAME_BYTES - 1), bit=st.integers(0, 7))
def test_no_bit_of_the_conversation_can_be_changed(position: int, bit: int) -> None:
    """Where a change is not refused at once, no side ends up believing that all is well alone."""
    listener, client = native(KEY, KEY)
    frames = [listener.outgoing(), client.outgoing()]

    def altered(index: int, data: bytes) -> bytes:
        if position // FRAME_BYTES != index:
            return data
        changed = bytearray(data)
        changed[position % FRAME_BYTES] ^= 1 << bit
        return bytes(changed)

    def all_of_it() -> None:
        client.feed(altered(0, frames[0]))
        listener.feed(altered(1, frames[1]))
        listener.feed(altered(2, client.outgoing()))
        client.feed(altered(3, listener.outgoing()))

    with pytest.raises(AuthenticationError):
        all_of_it()
    assert client.needed


def test_too_weak_a_challenge_is_answered_only_when_asked_for() -> None:
    nonce = bytes(20)
    for asked in (challenge.CHALLENGE + nonce, challenge.CHALLENGE + b"{md5}" + nonce):
        with pytest.raises(AuthenticationError, match="MD5"):
            challenge.answer_to(asked, KEY, weak=False)
        assert challenge.answer_to(asked, KEY, weak=True)
    with pytest.raises(AuthenticationError, match="short"):
        challenge.answer_to(challenge.CHALLENGE + b"{sha256}" + bytes(19), KEY, weak=True)
    with pytest.raises(AuthenticationError, match="no challenge"):
        challenge.answer_to(b"hello", KEY, weak=True)


# Messages in a stream


def wire(message: bytes) -> bytes:
    return header(len(message)) + message


@given(
    messages=st.lists(st.binary(max_size=300), max_size=20),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=10),
)
def test_messages_are_cut_out_however_the_bytes_are_split(
    messages: list[bytes], sizes: list[int]
) -> None:
    stream = b"".join(map(wire, messages))
    inbox, found = Inbox(), []
    for size in itertools.cycle(sizes):
        inbox.add(stream[:size])
        stream = stream[size:]
        while inbox.received and not inbox.missing():
            found.append(bytes(inbox.take()))
        if not stream:
            break
    assert found == messages
    assert inbox.received == b""


@given(
    sizes=st.lists(st.sampled_from([0, 300, READ_BYTES, 3 * READ_BYTES, 9 << 20]), max_size=4),
    parts=st.lists(st.integers(30_000, 3 << 20), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_large_messages_are_received_in_memory_that_grows_with_what_has_come(
    sizes: list[int], parts: list[int]
) -> None:
    """Whether they are read to where they stay, or given."""
    messages = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    rest = memoryview(b"".join(map(wire, messages)))
    inbox, found = Inbox(), []
    for part in itertools.cycle(parts):
        while not (missing := inbox.missing()):
            found.append(bytes(inbox.take()))
        if not rest:
            break
        large = inbox.large()
        if large is None:
            step = rest[: min(part, READ_BYTES)]
            inbox.add(bytes(step))
        elif part % 2:
            step = rest[: min(part, missing)]
            inbox.add(bytes(step))
        else:
            space = large.space()
            step = rest[: min(part, len(space))]
            space[: len(step)] = step
            large.counts.append(len(step))
        rest = rest[len(step) :]
        if large is not None:
            assert len(large._memory[1]) <= max(FIRST_BYTES, GROWTH * sum(large.counts))
    assert found == messages
    assert inbox.received == b""


@given(announced=st.integers(101, 2**64 - 1), sent=st.binary(max_size=50))
def test_what_is_announced_is_neither_believed_nor_allocated(announced: int, sent: bytes) -> None:
    start = struct.pack("!iQ", -1, announced) + sent
    for inbox in (Inbox(start, limit=100), Inbox(start, limit=None)):
        if inbox.limit is None:
            assert inbox.missing() == announced - len(sent)
        else:
            with pytest.raises(OSError, match="longer than max_message_size") as info:
                inbox.missing()
            assert info.value.errno == errno.EMSGSIZE
        assert inbox.next() is None
        assert len(inbox.received) == len(start)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_a_part_of_one_or_an_error(data: bytes) -> None:
    inbox, problem = Inbox(data, limit=150), None
    try:
        while inbox.received and not inbox.missing():
            inbox.take()
    except (OSError, AuthenticationError) as error:
        problem = error
    if isinstance(problem, OSError):
        assert problem.errno in (errno.EMSGSIZE, errno.EBADMSG)
    assert isinstance(problem, AuthenticationError) <= handshake.is_frame(inbox.received)


def test_a_handshake_where_messages_are_expected_says_what_is_wrong() -> None:
    for side, words in (
        (ListenerHandshake(KEY), "the listener asks for a key"),
        (ClientHandshake(KEY), "the client wants to authenticate"),
    ):
        data = side.outgoing()
        inbox = Inbox(data[:50])
        assert inbox.missing() == len(data) - 50
        inbox.add(data[50:])
        with pytest.raises(AuthenticationError, match=words):
            inbox.missing()
