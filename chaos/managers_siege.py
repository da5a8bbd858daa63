"""Owns the scenarios in which strangers attack the address of a manager while clients use it."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import random
import time
from collections.abc import Callable
from typing import Any

import managers_actors
from managers_actors import Wrong
from managers_deaths import end
from managers_figures import figures, growth, memory, settle
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
    slowest = served = 0

    def hear(one: Participant, record: Record) -> None:
        nonlocal slowest, served
        kind, first, second = record
        if kind == Kind.DID:
            served += 1
            slowest = max(slowest, second)
        elif kind == Kind.WRONG:
            outcome.violations.append(f"visitor {one.number}: {Wrong(first).name}")

    server, client = contexts() if tls else (None, None)
    supervisor = Supervisor(context, outcome, chance, hear)
    manager = AttackedManager(("127.0.0.1", 0), KEY, ctx=context, ssl_context=server)
    manager.start()
    attackers = Attackers("AF_INET", manager.address, chance, tls=client)
    try:
        assert manager.process is not None
        assert manager.process.pid is not None
        poisoned = manager.swallowed()
        before = figures(manager)
        outcome.memory_before = memory(manager.process.pid)
        supervisor.add_role("visitor", managers_actors.visit, manager.address, KEY, client)
        for _ in range(VISITORS):
            supervisor.start("visitor")
        for _ in range(max(kills, 1)):
            if time.monotonic() >= until:
                break
            for _ in range(ATTACKS):
                with deadline(PATIENCE, "attacking"):
                    if chance.random() < SHARE_OF_KNOWING:
                        _be_strange(manager.address, chance, client)
                    else:
                        attackers.attack()
                supervisor.listen(0)
                outcome.items += 1
            if kills:
                supervisor.kill_one("visitor")
                tick()
        supervisor.tell_to_end("visitor")
        supervisor.wait_for_end("visitor")
        attackers.close()
        outcome.violations += settle(manager, before, time.monotonic(), threads=True)
        if poisoned.__len__():
            outcome.violations.append("the manager has unpickled what strangers have sent")
        outcome.memory_after = memory(manager.process.pid)
        outcome.violations += growth(outcome.memory_before, outcome.memory_after)
        if not served:
            outcome.violations.append("no visitor was served")
        outcome.note = f"{served:,} visitors served, the slowest in {slowest / 1000:.2f} s"
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{supervisor.dump()}")
    finally:
        attackers.close()
        supervisor.close()
        end(manager, outcome)


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
