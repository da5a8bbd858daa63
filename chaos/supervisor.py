"""Owns the participants of a scenario: starting, killing, stopping them, hearing what they say,
and noticing when one of them hangs.

It has no threads: children are forked from here.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import contextlib
import os
import random
import select
import selectors
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outcome import Outcome
from records import Inbox, Kind, Post, Record

__all__ = [
    "HangError",
    "Participant",
    "Supervisor",
    "deadline",
    "descriptors_of",
    "surroundings",
]

PATIENCE = 10.0
"""Seconds within which every participant is to get on with its work."""

BEGIN_PATIENCE = 60.0
"""Seconds for who has to load its modules first, on a machine where many do something."""

SHARE_OF_EARLY_KILLS = 0.05
"""Some are killed while they are still starting; most while they do what they are there for."""

MOST_ERRORS, ERROR_LINES = 5, 40
"""Of so many participants so much of what they complain about is shown."""

STOP_SECONDS = 0.05
SHARE_OF_STOPS = 0.1


class HangError(Exception):
    """A survivor did not get on."""


@dataclass(eq=False)
class Participant:
    """A child that takes part."""

    number: int
    role: str
    process: Any
    inbox: Inbox
    dump: Path
    heard: float
    records: int = 0
    leaving: bool = False
    """It is to end and may do so."""

    stopped_until: float = 0.0


@dataclass
class Role:
    """What a child runs, and what it is given after its `Post`."""

    target: Callable[..., None]
    arguments: tuple[object, ...]
    killed: int = 0


class Supervisor:
    """Keeps so many participants of each role going while it kills them."""

    def __init__(
        self,
        context: Any,
        outcome: Outcome,
        chance: random.Random,
        hear: Callable[[Participant, Record], None],
    ) -> None:
        self._context = context
        self._outcome = outcome
        self._chance = chance
        self._hear = hear
        self._folder = tempfile.TemporaryDirectory(prefix="chaos-")
        self._numbers = 0
        self.roles: dict[str, Role] = {}
        self.alive: list[Participant] = []

    @property
    def folder(self) -> Path:
        """A folder that goes when the scenario is over."""
        return Path(self._folder.name)

    def add_role(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        """Say what participants of this role do."""
        self.roles[name] = Role(target, arguments)

    def start(self, role: str) -> Participant:
        """One more participant."""
        self._numbers += 1
        number, what = self._numbers, self.roles[role]
        dump = self.folder / f"{role}-{number}.txt"
        receiving, sending = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=what.target,
            args=(Post(sending, str(dump), number), *what.arguments),
            daemon=True,
        )
        process.start()
        sending.close()
        one = Participant(number, role, process, Inbox(receiving), dump, time.monotonic())
        self.alive.append(one)
        return one

    def start_some(self, role: str, number: int) -> list[Participant]:
        """So many more participants. Where each loads its modules, one after the other does."""
        started = []
        for _ in range(number):
            started.append(self.start(role))
            self.listen(0)
            if self._context.get_start_method() != "fork":
                self.wait_for_beginning(started[-1])
        return started

    def wait_for_beginning(self, one: Participant) -> None:
        """Listen until one has said that it runs."""
        while one.records == 0 and one in self.alive:
            self.listen(0.001)

    # Listening

    def listen(self, seconds: float) -> None:
        """Hear what the participants say for so long.

        :raises HangError: when one has not got on for too long
        """
        limit = time.monotonic() + seconds
        while True:
            self._wake_stopped()
            left = limit - time.monotonic()
            with selectors.DefaultSelector() as selector:
                for one in self.alive:
                    selector.register(one.inbox, selectors.EVENT_READ, one)
                if not self.alive:
                    return
                for key, _ in selector.select(max(0.0, min(left, 0.02))):
                    self._read(key.data)
            self._look_for_hangs()
            if time.monotonic() >= limit:
                return

    def _read(self, one: Participant) -> None:
        for record in one.inbox.read():
            one.records += 1
            self._take(one, record)
        one.heard = time.monotonic()
        if one.inbox.ended:
            self._bury(one)

    def _take(self, one: Participant, record: Record) -> None:
        if record[0] == Kind.BYE:
            one.leaving = True
        self._hear(one, record)

    def _bury(self, one: Participant) -> None:
        """A participant has ended without having been killed."""
        one.process.join()
        code = one.process.exitcode
        if code != 0 or not one.leaving:
            self._outcome.violations.append(
                f"{one.role} {one.number} ended by itself, exit code {code}"
            )
        self._forget(one)

    def _forget(self, one: Participant) -> None:
        self.alive.remove(one)
        one.inbox.close()
        if hasattr(one.process, "close"):
            one.process.close()

    def _look_for_hangs(self) -> None:
        now = time.monotonic()
        loads = self._context.get_start_method() != "fork"
        begin = max(PATIENCE, BEGIN_PATIENCE) if loads else PATIENCE
        late = [
            one
            for one in self.alive
            if now - one.heard > PATIENCE and (one.records or now - one.heard > begin)
        ]
        if late:
            names = ", ".join(f"{one.role} {one.number}" for one in late)
            raise HangError(f"no progress for {PATIENCE:g} s: {names}")

    # Harm

    def kill_one(self, role: str) -> None:
        """Kill a random participant of a role, and start another in its place."""
        crowd = [one for one in self.alive if one.role == role]
        working = [one for one in crowd if one.records > 1]
        if self._chance.random() < SHARE_OF_EARLY_KILLS:
            working = crowd
        while not working:
            self.listen(0.001)
            crowd = [one for one in self.alive if one.role == role]
            if not crowd:
                raise HangError(f"every {role} has ended by itself")
            working = [one for one in crowd if one.records > 1]
        self.kill(self._chance.choice(working))
        self.roles[role].killed += 1
        self._outcome.kills += 1
        self.start(role)

    def kill_this(self, one: Participant) -> None:
        """Kill one, and start no other in its place."""
        self.kill(one)
        self.roles[one.role].killed += 1
        self._outcome.kills += 1

    def kill(self, one: Participant) -> None:
        """Kill one, and hear its last words, and those of its children.

        :raises HangError: when a child of it does not end
        """
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.join()
        while not one.inbox.ended:
            if not select.select([one.inbox], [], [], PATIENCE)[0]:
                raise HangError(f"a child of {one.role} {one.number} does not end")
            for record in one.inbox.read():
                self._take(one, record)
        self._forget(one)

    def perhaps_stop_one(self) -> None:
        """Now and then stop a random participant for a moment."""
        if self.alive and self._chance.random() < SHARE_OF_STOPS:
            one = self._chance.choice(self.alive)
            os.kill(one.process.pid, signal.SIGSTOP)
            one.stopped_until = time.monotonic() + self._chance.uniform(0, STOP_SECONDS)
            self._outcome.stops += 1

    def _wake_stopped(self, *, all_of_them: bool = False) -> None:
        now = time.monotonic()
        for one in self.alive:
            if one.stopped_until and (all_of_them or now >= one.stopped_until):
                one.stopped_until = 0.0
                os.kill(one.process.pid, signal.SIGCONT)

    def rage(
        self, kills: int, roles: list[str], pause: float, until: float, tick: Callable[[], object]
    ) -> None:
        """Kill one of each role by turns, at random instants that are `pause` apart on average."""
        for number in range(kills):
            if time.monotonic() >= until:
                break
            self.listen(self._chance.uniform(0, 2 * pause))
            self.perhaps_stop_one()
            self.kill_one(roles[number % len(roles)])
            tick()
        self._wake_stopped(all_of_them=True)

    # The end

    def tell_to_end(self, role: str) -> None:
        """Have all of a role end what they do, as soon as they can hear it (SIGUSR2)."""
        crowd = [one for one in self.alive if one.role == role]
        while any(one.records == 0 for one in crowd):
            self.listen(0.001)
            crowd = [one for one in self.alive if one.role == role]
        for one in crowd:
            os.kill(one.process.pid, signal.SIGUSR2)

    def wait_for_end(self, role: str) -> None:
        """Listen until all of a role have ended."""
        while any(one.role == role for one in self.alive):
            self.listen(0.001)

    def dump(self) -> str:
        """Where every participant is."""
        for one in self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.process.pid, signal.SIGUSR1)
        time.sleep(0.5)
        texts = [
            f"--- {one.role} {one.number}, pid {one.process.pid}, silent for "
            f"{time.monotonic() - one.heard:.1f} s, {_kernel_state(one.process.pid)}\n"
            + (one.dump.read_text(errors="replace") if one.dump.exists() else "")
            for one in self.alive
        ]
        return "\n".join(texts)

    def complaints(self) -> list[str]:
        """What participants have written to their standard error, where nothing is to be."""
        found = []
        for path in sorted(self.folder.glob("*.err")):
            if text := path.read_text(errors="replace").strip():
                lines = text.splitlines()
                more = ["..."] if len(lines) > ERROR_LINES else []
                shown = "\n".join([*lines[:ERROR_LINES], *more])
                found.append(f"{path.name.partition('.')[0]} complained:\n{shown}")
        more_of_them = len(found) - MOST_ERRORS
        if more_of_them > 0:
            found[MOST_ERRORS:] = [f"{more_of_them} more complained"]
        return found

    def close(self) -> None:
        """End all that are left, and tell what any of them has complained about."""
        for one in list(self.alive):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.process.pid, signal.SIGKILL)
            one.process.join()
            self._forget(one)
        self.roles.clear()  # and what was passed to those who had them
        self._outcome.violations += self.complaints()
        self._folder.cleanup()


def _kernel_state(pid: int) -> str:
    """What the kernel says of a process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        where = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return "gone"
    return f"state {stat[stat.rindex(')') + 2]}, waiting in {where or '?'}"


@contextlib.contextmanager
def deadline(seconds: float, what: str) -> Iterator[None]:
    """Raise HangError in the supervisor when something that it does itself takes too long."""

    def too_long(*_: object) -> None:
        raise HangError(f"{what}: the supervisor itself hangs")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


@dataclass(frozen=True)
class Surroundings:
    """What this process has: descriptors by what they lead to, and children."""

    descriptors: int
    children: frozenset[int] = field(default_factory=frozenset)
    links: Counter[str] = field(default_factory=Counter)
    """What the descriptors lead to."""

    def leaks(self, before: Surroundings) -> list[str]:
        """What is there now and was not before."""
        found = []
        if self.descriptors > before.descriptors:
            new_links = ", ".join((self.links - before.links).elements())
            found.append(
                f"{self.descriptors - before.descriptors} descriptors were left open"
                + (f": {new_links}" if new_links else "")
            )
        if new := self.children - before.children:
            found.append(f"children were left: {sorted(new)}")
        return found


def surroundings() -> Surroundings:
    """Look at this process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    links = descriptors_of(os.getpid())
    return Surroundings(links.total(), frozenset(map(int, children)), links)


def descriptors_of(pid: int) -> Counter[str]:
    """What the descriptors of a process lead to."""
    found: Counter[str] = Counter()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one of this folder itself
            found[str(path.readlink())] += 1
    return found
