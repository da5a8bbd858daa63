"""What the three programs share: the manager class, the queues, the options, the key."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path
from typing import Any

from processing.managers import DictProxy, QueueProxy, SyncManager

# At most so many jobs wait; then producers do.
MOST_WAITING = 1000


class QueueManager(SyncManager):
    """A manager whose server has one dictionary for all clients, by the method get_shared."""


# A client says the name only. What makes the object is the server's business.
QueueManager.register("get_shared", proxytype=DictProxy)


def queues_of(manager: Any) -> tuple[QueueProxy[Any], QueueProxy[Any]]:
    """The queues of jobs and of results, the same ones for all clients.

    Whoever comes first makes them. They are the manager's own queues, so a client that dies while
    it waits at one takes nothing from it.
    """
    shared = manager.get_shared()
    jobs = shared.setdefault("jobs", manager.Queue(MOST_WAITING))
    return jobs, shared.setdefault("results", manager.Queue())


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The options that tell where the server is and who may talk to it."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, required=True, help="0 has the server take a free one")
    parser.add_argument("--key-file", type=Path, required=True, metavar="FILE")
    return parser


def key_of(options: argparse.Namespace) -> bytes:
    """The key: what the file says, without the line end at its end."""
    key: bytes = options.key_file.read_bytes()
    return key.rstrip(b"\r\n")


def connected(options: argparse.Namespace) -> QueueManager:
    """A client's manager object, connected to the server; with TLS if there is an authority."""
    context = ssl.create_default_context(cafile=options.tls_ca) if options.tls_ca else None
    manager = QueueManager((options.host, options.port), key_of(options), ssl_context=context)
    manager.connect()
    return manager


def add_client_options(parser: argparse.ArgumentParser) -> None:
    """What only clients have."""
    parser.add_argument("--tls-ca", metavar="PEM", help="the authority of the server's certificate")
