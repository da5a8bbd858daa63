"""Pipes, listeners, clients: the names of ``processing_core.connection``."""

from __future__ import annotations

from processing_core.connection import AuthenticationError as AuthenticationError
from processing_core.connection import BufferTooShort as BufferTooShort
from processing_core.connection import Client as Client
from processing_core.connection import Connection as Connection
from processing_core.connection import Listener as Listener
from processing_core.connection import Offer as Offer
from processing_core.connection import Pipe as Pipe
from processing_core.connection import Server as Server
from processing_core.connection import answer_challenge as answer_challenge
from processing_core.connection import answerChallenge as answerChallenge
from processing_core.connection import deliver_challenge as deliver_challenge
from processing_core.connection import deliverChallenge as deliverChallenge
from processing_core.connection import offer as offer
from processing_core.connection import open_connection as open_connection
from processing_core.connection import start_server as start_server
from processing_core.connection import wait as wait

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
