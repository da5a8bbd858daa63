"""Owns the two halves of an authentication by themselves, over any connection."""

from __future__ import annotations

from processing_core._network import challenge
from processing_core._network.addresses import checked_compat, checked_key
from processing_core.errors import AuthenticationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from processing_core._connection.base import Connection

__all__ = ["answerChallenge", "answer_challenge", "deliverChallenge", "deliver_challenge"]


def deliver_challenge(
    connection: Connection[Any, Any], authkey: bytes | str, *, compat: str | None = None
) -> None:
    """Have the other end show that it knows the key; it has to call ``answer_challenge``.

    The messages are those of the standard library (SHA-256). ``compat="multiprocessing"`` accepts
    what Python 3.11 and earlier answer, which rests on MD5.

    :raises AuthenticationError: when it does not know the key; it is told so
    :raises InvalidArgument: (a ValueError) when the key is empty
    :raises InvalidType: (a TypeError) when the key is neither bytes nor a string
    :raises EOFError: when the other end closed the connection

    Of what is received, no more than 256 bytes are looked at, and nothing is unpickled. This is one
    half of what a ``Listener`` with a key does, and does not tie the two directions to each other
    as that does; where there is a choice, give the key to the listener and its clients.
    """
    key, weak = _checked(authkey, compat)
    sent = challenge.new_challenge()
    connection.send_bytes(sent)
    try:
        answer = _receive(connection)
        challenge.check_answer(sent, answer, key, weak=weak)
    except AuthenticationError:
        connection.send_bytes(challenge.verdict(False))
        raise
    connection.send_bytes(challenge.verdict(True))


deliverChallenge = deliver_challenge


def answer_challenge(
    connection: Connection[Any, Any], authkey: bytes | str, *, compat: str | None = None
) -> None:
    """Show the other end, which calls ``deliver_challenge``, that we know the key.

    The key itself is not sent. ``compat="multiprocessing"`` answers also Python 3.11 and earlier,
    which ask for MD5.

    :raises AuthenticationError: when the other end delivers no challenge, or says that the key is
        another one
    :raises InvalidArgument: (a ValueError) when the key is empty
    :raises InvalidType: (a TypeError) when the key is neither bytes nor a string
    :raises EOFError: when the other end closed the connection
    """
    key, weak = _checked(authkey, compat)
    connection.send_bytes(challenge.answer_to(_receive(connection), key, weak=weak))
    challenge.check_welcome(_receive(connection))


answerChallenge = answer_challenge


def _checked(authkey: bytes | str, compat: str | None) -> tuple[bytes, bool]:
    key = checked_key(False, authkey)
    if key is None:
        # checked_key takes None for "no key wanted".
        raise AuthenticationError("no key was given")
    return key, checked_compat(compat)


def _receive(connection: Connection[Any, Any]) -> bytes:
    try:
        return connection.recv_bytes(challenge.LONGEST_MESSAGE)
    except OSError as error:
        if isinstance(error, ConnectionError) or connection.closed:
            raise
        raise AuthenticationError(f"the other end speaks another protocol: {error}") from error
