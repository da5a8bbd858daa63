"""Owns the scenarios in which strangers attack the address of a manager while clients use it."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import random
import ssl
import time
from collections.abc import Callable
from typing import Any

import managers_actors
from managers_actors import Wrong
from managers_deaths import end
from managers_figures import figures, growth, memory, settle
from network_chaos import MEMORY_BYTES
from network_machines import KEY, contexts
from network_poison import swallowed
from network_sockets import Attackers
from outcome import Outcome
from processing_core.connection import Client
from processing_managers import CreatorMethod, SyncManager
from records import Kind, Record
from supervisor import HangError, Participant, Supervisor, deadline

__all__ = ["ATTACKS", "AttackedManager", "besiege"]

VISITORS = 4
ATTACKS = 100
"""So many strangers come between two kills."""

PATIENCE = 10.0
SHARE_OF_KNOWING = 0.05
"""Of the attackers so many know the key, and then say nothing, or what no client says."""


def swallowed_here() -> list[str]:
    """What was unpickled in the manager's process that strangers have sent."""
    return swallowed


class AttackedManager(SyncManager):
    """A manager that tells whether it was poisoned."""

    swallowed = CreatorMethod(swallowed_here, exposed=("__len__",), blocking=False)


class Siege:
    """A manager, its visitors, and those who attack it."""

    def __init__(
        self,
        context: Any,
        chance: random.Random,
        outcome: Outcome,
        tls: bool,
    ) -> None:
        self._chance, self._outcome = chance, outcome
        self.slowest = self.served = 0
        server: ssl.SSLContext | None = None
        self._client: ssl.SSLContext | None = None
        if tls:
            server, self._client = contexts()
        self.supervisor = Supervisor(context, outcome, chance, self._hear)
        self.manager = AttackedManager(("127.0.0.1", 0), KEY, ctx=context, ssl_context=server)
        self.manager.start()
        self.attackers = Attackers("AF_INET", self.manager.address, chance, tls=self._client)

    def _hear(self, one: Participant, record: Record) -> None:
        kind, first, second = record
        if kind == Kind.DID:
            self.served += 1
            self.slowest = max(self.slowest, second)
        elif kind == Kind.WRONG:
            self._outcome.violations.append(f"visitor {one.number}: {Wrong(first).name}")

    def open(self) -> None:
        """Visitors come."""
        arguments = (self.manager.address, KEY, self._client)
        self.supervisor.add_role("visitor", managers_actors.visit, *arguments)
        self.supervisor.start_some("visitor", VISITORS)

    def attack(self) -> None:
        """Many strangers come."""
        for _ in range(ATTACKS):
            with deadline(PATIENCE, "attacking"):
                if self._chance.random() < SHARE_OF_KNOWING:
                    _be_strange(self.manager.address, self._chance, self._client)
                else:
                    self.attackers.attack()
            self.supervisor.listen(0)
            self._outcome.items += 1

    def end(self) -> None:
        """Visitors and strangers leave."""
        self.supervisor.tell_to_end("visitor")
        self.supervisor.wait_for_end("visitor")
        self.attackers.close()
        if not self.served:
            self._outcome.violations.append("no visitor was served")
        self._outcome.note = (
            f"{self.served:,} visitors served, the slowest in {self.slowest / 1000:.2f} s"
        )

    def close(self) -> None:
        """All of it goes, whatever has happened."""
        self.attackers.close()
        self.supervisor.close()
        end(self.manager, self._outcome)


def besiege(
    context: Any,
    kills: int,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
    outcome: Outcome,
    *,
    tls: bool = False,
) -> None:
    """Attack, and kill a visitor now and then."""
    siege = Siege(context, chance, outcome, tls)
    try:
        manager = siege.manager
        assert manager.process is not None
        assert manager.process.pid is not None
        poisoned = manager.swallowed()
        before = figures(manager)
        outcome.memory_before = memory(manager.process.pid)
        siege.open()
        siege.attack()
        for _ in range(kills):
            if time.monotonic() >= until:
                break
            siege.supervisor.kill_one("visitor")
            tick()
            siege.attack()
        siege.end()
        outcome.violations += settle(manager, before, time.monotonic(), threads=True)
        if poisoned.__len__():
            outcome.violations.append("the manager has unpickled what strangers have sent")
        outcome.memory_after = memory(manager.process.pid)
        # As for a listener alone: what so many half-done handshakes need at a time is not given
        # back to the kernel.
        outcome.violations += growth(outcome.memory_before, outcome.memory_after, MEMORY_BYTES)
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{siege.supervisor.dump()}")
    finally:
        siege.close()


def _be_strange(address: Any, chance: random.Random, client: Any) -> None:
    """Know the key, and say what a client of a manager does not say."""
    with Client(address, authkey=KEY, ssl_context=client, timeout=PATIENCE) as connection:
        what = chance.randrange(4)
        if what == 0:
            connection.send_bytes(chance.randbytes(chance.randrange(1, 500)))
        elif what == 1:
            connection.send(["not", "a", "hello"])
        elif what == 2:
            connection.send({"session": chance.getrandbits(60), "ring": True})
