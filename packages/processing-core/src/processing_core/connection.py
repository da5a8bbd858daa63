"""Connections between processes: pipes, listeners and clients, and waiting for them."""

from __future__ import annotations

from processing_core._connection.base import Connection
from processing_core._connection.pipe import Pipe
from processing_core._connection.waiting import wait
from processing_core._network.client import Client
from processing_core._network.delivering import (
    answer_challenge,
    answerChallenge,
    deliver_challenge,
    deliverChallenge,
)
from processing_core._network.listener import Listener
from processing_core._network.opening import open_connection
from processing_core._network.serving import Server, start_server
from processing_core._network.sharing import Offer, offer
from processing_core.errors import AuthenticationError, BufferTooShort

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "Client",
    "Connection",
    "Listener",
    "Offer",
    "Pipe",
    "Server",
    "answerChallenge",
    "answer_challenge",
    "deliverChallenge",
    "deliver_challenge",
    "offer",
    "open_connection",
    "start_server",
    "wait",
]

Client.__module__ = Listener.__module__ = Server.__module__ = __name__
Offer.__module__ = offer.__module__ = __name__
open_connection.__module__ = start_server.__module__ = __name__
deliver_challenge.__module__ = answer_challenge.__module__ = __name__
