"""Owns the scenarios in which who owns something is killed: clients, and the manager itself."""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import os
import pickle
import random
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import managers_actors
from managers_actors import NUMBERS, Estate, Wrong
from managers_figures import BACK_SECONDS, figures, settle
from outcome import Outcome
from processing_managers import ManagerLost, ReferentGoneError, SyncManager
from records import Kind, Record
from supervisor import PATIENCE, HangError, Participant, Supervisor, deadline

__all__ = ["end", "owners", "server_killed", "warnings_counted"]

LOST_SECONDS = 2.0
"""Within so many seconds after the death of the manager every pending call has raised."""

MOURNERS = 6
INSTANTS = 0.2
"""The manager is killed within so many seconds after all are in their calls."""


@dataclass
class Warned:
    """How often somebody was told that an owner has died."""

    count: int = 0


@contextmanager
def warnings_counted() -> Iterator[Warned]:
    """Count the warnings of a block."""
    warned = Warned()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield warned
        warned.count = sum(one.category.__name__ == "OwnerDiedWarning" for one in caught)


def end(manager: SyncManager, outcome: Outcome) -> None:
    """End the manager; its process must end by itself, unless it was killed."""
    assert manager.process is not None
    with deadline(PATIENCE, "shutting the manager down"):
        manager.shutdown()
    if manager.process.exitcode not in (0, -signal.SIGKILL):
        outcome.violations.append(f"the manager's exit code was {manager.process.exitcode}")
    manager.process.close()


def estate_of(manager: SyncManager) -> Estate:
    """What can be owned."""
    return Estate(
        manager.Lock(),
        manager.RLock(),
        manager.Condition(),
        manager.Queue(),
        manager.list(NUMBERS),
        manager.address,
    )


class Listener:
    """Hears what the participants say."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.ready: set[int] = set()
        self.moments: list[int] = []
        self.heirs: list[int] = []

    def hear(self, one: Participant, record: Record) -> None:
        """For Supervisor."""
        kind, first, second = record
        if kind == Kind.WRONG:
            self._outcome.violations.append(f"{one.role} {one.number}: {Wrong(first).name}")
        elif kind == Kind.DID and first:
            self.ready.add(one.number)
            self._outcome.items += 1
            if second:
                self.moments.append(second)
        elif kind == Kind.PUT:
            self.ready.add(one.number)
        elif kind == Kind.GOT:
            self.heirs.append(first)

    def bury_heirs(self) -> None:
        """For a process that orphans come to."""
        while self.heirs:
            with suppress(ChildProcessError):
                os.waitpid(self.heirs.pop(), 0)


def await_ready(supervisor: Supervisor, listener: Listener, them: list[Participant]) -> None:
    """Listen until all of them are where they are to be killed, or have seen a death.

    :raises HangError: when that takes too long, or one of them has ended
    """
    limit = time.monotonic() + PATIENCE
    while any(one.number not in listener.ready for one in them):
        supervisor.listen(0.001)
        if time.monotonic() > limit:
            late = [one.number for one in them if one.number not in listener.ready]
            raise HangError(f"{PATIENCE:g} s were not enough for {them[0].role} {late}")
        if gone := [one.number for one in them if one not in supervisor.alive]:
            if listener.ready.issuperset(gone):
                continue
            raise HangError(f"{them[0].role} {gone} ended by itself")


# Owners


def owners(
    context: Any,
    kills: int,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
    outcome: Outcome,
) -> None:
    """Kill one owner after the other, and see who gets what it had."""
    listener = Listener(outcome)
    supervisor = Supervisor(context, outcome, chance, listener.hear)
    manager = SyncManager(ctx=context)
    manager.start()
    try:
        estate = estate_of(manager)
        before = figures(manager)
        supervisor.add_role("owner", managers_actors.own, estate, True)
        supervisor.add_role("next", managers_actors.come_next, estate.lock)
        for _ in range(kills):
            if time.monotonic() >= until:
                break
            (owner,) = supervisor.start_some("owner", 1)
            await_ready(supervisor, listener, [owner])
            following = supervisor.start_some("next", chance.randrange(2))
            if chance.random() < 0.5:
                supervisor.listen(chance.uniform(0, 0.3))
            supervisor.kill(owner)
            listener.bury_heirs()
            begin = time.monotonic()
            outcome.kills += 1
            tick()
            if following:
                await_ready(supervisor, listener, following)
                supervisor.wait_for_end("next")
                begin = time.monotonic()
            outcome.violations += take_over(estate, begin, expect_lock=not following)
            outcome.violations += settle(manager, before, begin)
    except HangError as error:
        outcome.hangs += 1
        outcome.violations.append(f"{error}\n{supervisor.dump()}")
    finally:
        supervisor.close()
        estate = None  # type: ignore[assignment]  # its proxies go before their manager
        end(manager, outcome)


def take_over(estate: Estate, begin: float, *, expect_lock: bool) -> list[str]:
    """Take all that an owner had who died at ``begin``."""
    wrong = []
    locks = {"RLock": estate.rlock, "Condition": estate.condition}
    if expect_lock:
        locks["Lock"] = estate.lock
    with deadline(PATIENCE, "taking over what an owner had"):
        for name, lock in locks.items():
            for expected in (1, 0):
                with warnings_counted() as warned:
                    if not lock.acquire(True, PATIENCE / 2):
                        wrong.append(f"the {name} of the dead cannot be acquired")
                        break
                lock.release()
                if warned.count != expected:
                    wrong.append(f"{warned.count} warnings for the {name}, not {expected}")
        if (seconds := time.monotonic() - begin) > BACK_SECONDS and expect_lock:
            wrong.append(f"the locks of the dead were free after {seconds:.1f} s")
        estate.queue.put("for the living")
        try:
            if estate.queue.get(timeout=PATIENCE / 2) != "for the living":
                wrong.append("the queue gave something else")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
            wrong.append(f"the dead has got an item: {error!r}")
    return wrong


# The manager


def server_killed(
    context: Any,
    kills: int,
    chance: random.Random,
    until: float,
    tick: Callable[[], object],
    outcome: Outcome,
) -> None:
    """Kill one manager after the other while its clients are in calls, and start successors."""
    for number in range(kills):
        if time.monotonic() >= until:
            break
        listener = Listener(outcome)
        supervisor = Supervisor(context, outcome, chance, listener.hear)
        address = ("127.0.0.1", 0) if number % 2 else str(supervisor.folder / "manager")
        manager = SyncManager(address, ctx=context)
        manager.start()
        managers = [manager]
        try:
            _kill_server(manager, managers, context, chance, listener, supervisor, outcome)
            tick()
        except HangError as error:
            outcome.hangs += 1
            outcome.violations.append(f"{error}\n{supervisor.dump()}")
        finally:
            supervisor.close()
            for one in managers:
                end(one, outcome)


def _kill_server(
    manager: SyncManager,
    managers: list[SyncManager],
    context: Any,
    chance: random.Random,
    listener: Listener,
    supervisor: Supervisor,
    outcome: Outcome,
) -> None:
    estate = estate_of(manager)
    estate.lock.acquire()
    token = pickle.dumps(estate.numbers)
    supervisor.add_role("mourner", managers_actors.mourn, estate)
    mourners = supervisor.start_some("mourner", MOURNERS)
    await_ready(supervisor, listener, mourners)
    supervisor.listen(chance.uniform(0, INSTANTS))
    listener.ready.clear()
    assert manager.process is not None
    assert manager.process.pid is not None
    os.kill(manager.process.pid, signal.SIGKILL)
    begin = time.monotonic_ns()
    outcome.kills += 1
    await_ready(supervisor, listener, mourners)
    with deadline(PATIENCE, "calling a manager that is gone"):
        outcome.violations += lost("the supervisor", lambda: estate.numbers[0])
        outcome.violations += lost("the supervisor", manager.info)
        manager.process.join()
        successor = SyncManager(manager.address, ctx=context)
        if isinstance(manager.address, str):
            os.unlink(manager.address)  # noqa: PTH108 - as a program would that starts it anew
        successor.start()
    managers.append(successor)
    supervisor.tell_to_end("mourner")
    supervisor.wait_for_end("mourner")
    latest = max(listener.moments, default=0)
    if len(listener.moments) != 3 * MOURNERS:
        outcome.violations.append(f"{len(listener.moments)} of {3 * MOURNERS} calls have raised")
    if (seconds := (latest - begin) / 1e9) > LOST_SECONDS:
        outcome.violations.append(f"a pending call raised {seconds:.1f} s after the death")
    with deadline(PATIENCE, "using the successor"):
        outcome.violations += lost("the supervisor, later", lambda: estate.numbers[0])
        try:
            found = pickle.loads(token)[:]
        except (ManagerLost, ReferentGoneError):
            pass
        else:
            outcome.violations.append(f"an old proxy has reached the successor: {found!r:.100}")
        if successor.list([1])[:] != [1]:
            outcome.violations.append("the successor does not work")


def lost(who: str, call: Callable[[], object]) -> list[str]:
    """A call must raise the named error."""
    try:
        call()
    except ManagerLost:
        return []
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
        return [f"{who} got {error!r}"]
    return [f"{who} has reached a manager that is gone"]
