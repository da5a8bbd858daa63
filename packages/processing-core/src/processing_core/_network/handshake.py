"""Owns the native handshake: how two ends show each other that they know the key. No I/O here.

Every message is a frame of FRAME_BYTES, so a side never reads more than one frame ahead of what it
has checked. The three rounds, with the listener on the left:

- HELLO: a fresh nonce, and the algorithms that the listener offers       -->
- PREFACE: the client's own nonce; it does not wait for the hello          <--
- PROOF: the algorithm that the client chose of those, and its MAC         <--
- VERDICT: the listener's MAC                                             -->
- REFUSAL, instead of any of these: why this side goes no further

A MAC is an HMAC under the key over a label that names the role, then all that was said before: both
nonces, the whole list of offers, the choice. So no MAC is of use in another session, in the other
direction or for another list. The client shows first that it knows the key: a stranger who can
connect gets nothing to guess keys by.

The first byte of a frame is 0xFF and the second neither 0xFF nor one that packets use: as a message
of a connection it would be an impossible one, and a connection that was made without a key
recognizes in it the other end's wish for one.
"""

from __future__ import annotations

import os

from processing_core.errors import AuthenticationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

else:
    # Only type checkers look at protocols.
    Protocol = object

__all__ = [
    "ALGORITHMS",
    "FRAME_BYTES",
    "MAGIC",
    "ClientHandshake",
    "Handshake",
    "ListenerHandshake",
    "is_frame",
    "open_frame",
    "out_of_place",
    "refusal",
]

MAGIC = b"\xff\x7fprocessing"
VERSION = 1
HEADER_BYTES = len(MAGIC) + 2
FRAME_BYTES = 96
BODY_BYTES = FRAME_BYTES - HEADER_BYTES

HELLO, PREFACE, PROOF, VERDICT, REFUSAL, OPEN = range(1, 7)
_NAMES = {
    HELLO: "hello",
    PREFACE: "preface",
    PROOF: "proof",
    VERDICT: "verdict",
    REFUSAL: "refusal",
    OPEN: "opening",
}

NONCE_BYTES = 32
OFFERS_BYTES = 32
CHOICE_BYTES = 16
MAC_BYTES = 64

# The strongest first. A client takes the first of these that is offered.
ALGORITHMS = ("sha512", "sha256")

# What a refusal says.
WRONG_KEY, NO_KEY, KEY_WANTED, NO_ALGORITHM, NOT_UNDERSTOOD = range(1, 6)
_REASONS = {
    WRONG_KEY: "it says that the key is another one",
    NO_KEY: "it has no key",
    KEY_WANTED: "it asks for a key",
    NO_ALGORITHM: "it knows none of the algorithms that are offered here",
    NOT_UNDERSTOOD: "it did not understand what this end said",
}

CLIENT_LABEL = b"processing handshake 1: the client knows the key"
LISTENER_LABEL = b"processing handshake 1: the listener knows the key"


class Handshake(Protocol):
    """One side of a handshake, of whatever protocol.

    Write what ``outgoing`` gives, read ``needed`` bytes at most and give them to ``feed``, until
    ``needed`` is 0. When ``feed`` raises, ``outgoing`` may give a last message that says why.
    """

    @property
    def needed(self) -> int:
        """How many bytes may be read now; 0 when the handshake has succeeded."""
        ...

    def outgoing(self) -> bytes:
        """Take what is to be sent now."""
        ...

    def feed(self, data: bytes) -> None:
        """Take received bytes, any part of what is needed.

        :raises AuthenticationError: when the other end cannot be agreed with
        """
        ...


def frame(kind: int, body: bytes) -> bytes:
    """A whole frame; the body is filled up with zeros."""
    return (MAGIC + bytes((VERSION, kind)) + body).ljust(FRAME_BYTES, b"\0")


def refusal(reason: int) -> bytes:
    """The frame that tells the other end why this one goes no further."""
    return frame(REFUSAL, bytes((reason,)))


def open_frame() -> bytes:
    """The frame that a client sends along with descriptors when all is agreed."""
    return frame(OPEN, b"")


def is_frame(data: bytes | bytearray) -> bool:
    """Whether bytes from a connection begin like a frame of a handshake."""
    return data[:4] == MAGIC[:4]


def kind_of(data: bytes) -> int:
    """The kind of a whole frame.

    :raises AuthenticationError: when it is none, or of another version
    """
    if not data.startswith(MAGIC):
        raise AuthenticationError("the other end speaks another protocol")
    if (version := data[len(MAGIC)]) != VERSION:
        raise AuthenticationError(f"the other end speaks version {version} of the handshake")
    return data[len(MAGIC) + 1]


def refused(data: bytes) -> AuthenticationError:
    """The error for a whole frame that is a refusal."""
    reason = _REASONS.get(data[HEADER_BYTES], "it does not say why")
    return AuthenticationError(f"the other end refused: {reason}")


def out_of_place(data: bytes) -> AuthenticationError:
    """The error for a frame that comes where messages are expected, since this end has no key."""
    try:
        kind = kind_of(data)
    except AuthenticationError as error:
        return error
    if kind == REFUSAL:
        return refused(data)
    if kind == HELLO:
        return AuthenticationError("the listener asks for a key, and this end was given none")
    return AuthenticationError("the client wants to authenticate, and this listener has no key")


class _Library:
    """The module hmac once it is needed: OpenSSL is dear to import."""

    digest: Callable[[bytes, bytes, str], bytes] | None = None
    compare: Callable[[bytes, bytes], bool]

    @classmethod
    def load(cls) -> Callable[[bytes, bytes, str], bytes]:
        import hmac

        cls.compare = staticmethod(hmac.compare_digest)
        cls.digest = staticmethod(hmac.digest)
        return hmac.digest


def mac(key: bytes, algorithm: str, label: bytes, *transcript: bytes) -> bytes:
    """The MAC that shows knowledge of the key, in this role, for this conversation."""
    digest = _Library.digest or _Library.load()
    return digest(key, b"\0".join((label, *transcript)), algorithm)


def same(first: bytes, second: bytes) -> bool:
    """Compare in a time that does not depend on where they differ."""
    if _Library.digest is None:
        _Library.load()
    return _Library.compare(first, second)


def padded(text: str, size: int) -> bytes:
    return text.encode("ascii").ljust(size, b"\0")


class _Side:
    """What the two sides have in common: collecting frames, failing."""

    def __init__(self, key: bytes, nonce: bytes | None) -> None:
        self._key = key
        self._nonce = os.urandom(NONCE_BYTES) if nonce is None else nonce
        self._received = b""
        self._to_send = b""
        self._done = False

    @property
    def needed(self) -> int:
        """How many bytes may be read now; 0 when the handshake has succeeded."""
        return 0 if self._done else FRAME_BYTES - len(self._received)

    def outgoing(self) -> bytes:
        """Take what is to be sent now."""
        data, self._to_send = self._to_send, b""
        return data

    def feed(self, data: bytes) -> None:
        """Take received bytes, any part of what is needed.

        :raises AuthenticationError: when the other end does not know the key, refuses, or speaks
            otherwise than it should
        """
        if len(data) > self.needed:
            raise self._failed(NOT_UNDERSTOOD, "the other end said more than it should")
        received = self._received + data
        if len(received) < FRAME_BYTES:
            self._received = received
            if not MAGIC.startswith(received[: len(MAGIC)]):
                raise self._failed(NOT_UNDERSTOOD, "the other end speaks another protocol")
            return
        self._received = b""
        try:
            kind = kind_of(received)
        except AuthenticationError as error:
            raise self._failed(NOT_UNDERSTOOD, str(error)) from None
        if kind == REFUSAL:
            raise refused(received)
        self._take(kind, received)

    def _take(self, kind: int, whole: bytes) -> None:
        raise NotImplementedError

    def _failed(self, reason: int, text: str) -> AuthenticationError:
        """Refuse: tell the other end, and make the error to be raised here."""
        self._to_send += refusal(reason)
        self._received = b""
        return AuthenticationError(text)

    def _body(self, whole: bytes, *sizes: int) -> list[bytes]:
        """The fields of a frame's body. :raises AuthenticationError: when anything follows them"""
        fields, position = [], HEADER_BYTES
        for size in sizes:
            fields.append(whole[position : position + size])
            position += size
        if whole[position:].strip(b"\0"):
            raise self._failed(NOT_UNDERSTOOD, "the other end speaks another protocol")
        return fields

    def _unexpected(self, kind: int) -> AuthenticationError:
        if kind == OPEN:
            return self._failed(KEY_WANTED, "the other end has no key")
        name = _NAMES.get(kind, f"message of kind {kind}")
        return self._failed(NOT_UNDERSTOOD, f"the other end sent a {name} out of turn")


class ListenerHandshake(_Side):
    """The listener's side.

    ``offers`` are the algorithms that it accepts; ``nonce`` is given by tests only.
    """

    def __init__(
        self, key: bytes, *, offers: tuple[str, ...] = ALGORITHMS, nonce: bytes | None = None
    ) -> None:
        super().__init__(key, nonce)
        self._offers = offers
        self._hello = frame(HELLO, self._nonce + padded(",".join(offers), OFFERS_BYTES))
        self._to_send = self._hello
        self._preface: bytes | None = None

    def _take(self, kind: int, whole: bytes) -> None:
        if kind == PREFACE and self._preface is None:
            (nonce,) = self._body(whole, NONCE_BYTES)
            if same(nonce, self._nonce):
                raise self._failed(NOT_UNDERSTOOD, "the other end sent our own nonce back")
            self._preface = whole
        elif kind == PROOF and self._preface is not None:
            self._verify(whole, self._preface)
        else:
            raise self._unexpected(kind)

    def _verify(self, whole: bytes, preface: bytes) -> None:
        choice, proof = self._body(whole, CHOICE_BYTES, MAC_BYTES)
        algorithm = next(
            (name for name in self._offers if choice == padded(name, CHOICE_BYTES)), ""
        )
        if not algorithm:
            raise self._failed(
                NO_ALGORITHM, "the other end chose an algorithm that was not offered"
            )
        said = (self._hello, preface, choice)
        expected = mac(self._key, algorithm, CLIENT_LABEL, *said)
        if not same(proof, expected.ljust(MAC_BYTES, b"\0")):
            raise self._failed(WRONG_KEY, "the other end does not know the key")
        answer = mac(self._key, algorithm, LISTENER_LABEL, *said, proof)
        self._to_send += frame(VERDICT, answer)
        self._done = True


class ClientHandshake(_Side):
    """The client's side. ``algorithms``: those it accepts, the one it likes best first."""

    def __init__(
        self,
        key: bytes,
        *,
        algorithms: tuple[str, ...] = ALGORITHMS,
        nonce: bytes | None = None,
    ) -> None:
        super().__init__(key, nonce)
        self._algorithms = algorithms
        self._preface = frame(PREFACE, self._nonce)
        self._to_send = self._preface
        self._expected: bytes | None = None

    def _take(self, kind: int, whole: bytes) -> None:
        if kind == HELLO and self._expected is None:
            self._prove(whole)
        elif kind == VERDICT and self._expected is not None:
            (answer,) = self._body(whole, MAC_BYTES)
            if not same(answer, self._expected):
                raise self._failed(WRONG_KEY, "the other end does not know the key")
            self._done = True
        else:
            raise self._unexpected(kind)

    def _prove(self, hello: bytes) -> None:
        nonce, offers = self._body(hello, NONCE_BYTES, OFFERS_BYTES)
        if same(nonce, self._nonce):
            raise self._failed(NOT_UNDERSTOOD, "the other end sent our own nonce back")
        offered = offers.rstrip(b"\0").split(b",")
        algorithm = next((name for name in self._algorithms if name.encode() in offered), "")
        if not algorithm:
            raise self._failed(
                NO_ALGORITHM, "the other end offers no algorithm that is accepted here"
            )
        choice = padded(algorithm, CHOICE_BYTES)
        said = (hello, self._preface, choice)
        proof = mac(self._key, algorithm, CLIENT_LABEL, *said).ljust(MAC_BYTES, b"\0")
        answer = mac(self._key, algorithm, LISTENER_LABEL, *said, proof)
        self._expected = answer.ljust(MAC_BYTES, b"\0")
        self._to_send += frame(PROOF, choice + proof)
