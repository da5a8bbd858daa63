"""Owns the challenge of the standard library's connections: the messages, and a side's machine.

One end delivers a challenge, random bytes, and the other answers with an HMAC of it under the key;
then the roles change. The algorithm is named in braces before the bytes. Python 3.11 and earlier
know no names and answer with MD5; that is accepted only where it is asked for. No I/O here.
"""

from __future__ import annotations

import os

from processing_core.errors import AuthenticationError, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "LONGEST_MESSAGE",
    "StandardHandshake",
    "answer_to",
    "check_answer",
    "check_welcome",
    "new_challenge",
    "verdict",
]

CHALLENGE = b"#CHALLENGE#"
WELCOME = b"#WELCOME#"
FAILURE = b"#FAILURE#"
# No message of the exchange is longer than this.
LONGEST_MESSAGE = 256
LENGTH_BYTES = 4

NONCE_BYTES = 40
SHORTEST_NONCE = 20
ALGORITHM = b"sha256"
# What may be asked of us, or answered to us, by name.
STRONG = frozenset((b"sha256", b"sha384", b"sha512", b"sha3_256", b"sha3_384", b"sha3_512"))
WEAK = b"md5"


def new_challenge() -> bytes:
    """What one end delivers."""
    return CHALLENGE + b"{" + ALGORITHM + b"}" + os.urandom(NONCE_BYTES)


def answer_to(message: bytes, key: bytes, *, weak: bool) -> bytes:
    """The answer to a delivered challenge. ``weak``: MD5 is given to who asks for it.

    :raises AuthenticationError: when the message is none, or asks for what is not given
    """
    if not message.startswith(CHALLENGE):
        raise AuthenticationError("the other end delivered no challenge")
    asked = message[len(CHALLENGE) :]
    algorithm, nonce = split(asked)
    if len(nonce) < SHORTEST_NONCE:
        raise AuthenticationError("the other end's challenge is too short")
    digest = mac(key, asked, algorithm, weak=weak)
    # Who names no algorithm does not expect one to be named in the answer.
    return digest if algorithm is None else b"{" + algorithm + b"}" + digest


def check_answer(challenge: bytes, answer: bytes, key: bytes, *, weak: bool) -> None:
    """:raises AuthenticationError: when the answer to our challenge is not the right one"""
    import hmac

    algorithm, digest = split(answer)
    expected = mac(key, challenge[len(CHALLENGE) :], algorithm, weak=weak)
    if not hmac.compare_digest(digest, expected):
        raise AuthenticationError("the other end does not know the key")


def verdict(accepted: bool) -> bytes:
    """What the end that delivered the challenge says of the answer."""
    return WELCOME if accepted else FAILURE


def check_welcome(message: bytes) -> None:
    """:raises AuthenticationError: when the other end did not accept our answer"""
    if message != WELCOME:
        raise AuthenticationError("the other end refused: it says that the key is another one")


def split(message: bytes) -> tuple[bytes | None, bytes]:
    """The algorithm that a challenge or an answer names, if any, and the rest."""
    if message.startswith(b"{"):
        name, brace, rest = message[1:].partition(b"}")
        if brace and name in STRONG | {WEAK}:
            return name, rest
    return None, message


def mac(key: bytes, message: bytes, algorithm: bytes | None, *, weak: bool) -> bytes:
    """:raises AuthenticationError: when the algorithm is too weak"""
    import hmac

    if algorithm is None or algorithm == WEAK:
        if not weak:
            raise AuthenticationError(
                "the other end speaks the challenge of Python 3.11 and earlier, which rests on MD5"
            )
        algorithm = WEAK
    return hmac.digest(key, message, algorithm.decode("ascii"))


class StandardHandshake:
    """One side of the whole exchange, both challenges, as bytes of a stream. See Handshake."""

    def __init__(self, key: bytes, *, is_listener: bool, weak: bool = True) -> None:
        self._key = key
        self._weak = weak
        self._received = b""
        self._to_send = b""
        self._done = False
        self._steps = self._both(is_listener)
        next(self._steps)

    @property
    def needed(self) -> int:
        """How many bytes may be read now; 0 when the handshake has succeeded."""
        if self._done:
            return 0
        have = len(self._received)
        if have < LENGTH_BYTES:
            return LENGTH_BYTES - have
        return LENGTH_BYTES + self._length() - have

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
            raise InvalidArgument("more bytes than are needed")
        self._received += data
        if len(self._received) < LENGTH_BYTES:
            return
        if not 0 < self._length() <= LONGEST_MESSAGE:
            raise AuthenticationError("the other end speaks another protocol")
        if self.needed == 0:
            message, self._received = self._received[LENGTH_BYTES:], b""
            try:
                self._steps.send(message)
            except StopIteration:
                self._done = True

    def _length(self) -> int:
        return int.from_bytes(self._received[:LENGTH_BYTES], "big", signed=True)

    def _say(self, message: bytes) -> None:
        self._to_send += len(message).to_bytes(LENGTH_BYTES, "big") + message

    def _both(self, is_listener: bool) -> Generator[None, bytes, None]:
        if is_listener:
            yield from self._deliver()
            yield from self._answer()
        else:
            yield from self._answer()
            yield from self._deliver()

    def _deliver(self) -> Generator[None, bytes, None]:
        challenge = new_challenge()
        self._say(challenge)
        answer = yield
        try:
            check_answer(challenge, answer, self._key, weak=self._weak)
        except AuthenticationError:
            self._say(verdict(False))
            raise
        self._say(verdict(True))

    def _answer(self) -> Generator[None, bytes, None]:
        message = yield
        self._say(answer_to(message, self._key, weak=self._weak))
        message = yield
        check_welcome(message)
