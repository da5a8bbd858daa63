"""Owns the programs that have a pool: one whose workers are harmed while threads call it, one that
is killed itself, and one that is interrupted. Each is a process of its own, started by pool_chaos.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import faulthandler
import gc
import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

from pool_actors import (
    ACTS,
    RUNS,
    WITHOUT_LIMITS_OF_THEIR_OWN,
    Caller,
    answer,
    call_until,
    compute,
    read_runs,
    wait,
    work,
)
from pool_ledger import End, Tally
from processing_core import Process
from processing_pool import Pool

__all__ = ["descendants", "main"]

PROCESSES = 4
CALLERS = 4
PAUSE = 0.05
"""The average time between two workers that are harmed."""

PATIENCE = 30.0
"""Seconds within which every call is to come to its end."""

LIMIT = 0.5
"""The time limit of tasks where workers are stopped."""

SHARE_OF_EARLY_KILLS = 0.05
SHARE_OF_CONTINUED = 0.5
MOST_CHILDREN = 3


class Program:
    """A pool, the threads that call it, and who harms its workers."""

    def __init__(self, kind: str, method: str, seed: int, pool: Any = None) -> None:
        self.kind = kind
        self.method = method
        self.chance = random.Random(seed)
        self.tally = Tally()
        self.pool: Any = pool
        self.ending = threading.Event()
        self.callers: list[Caller] = []
        self.threads: list[threading.Thread] = []
        self.hung = False
        self.kills = self.stops = 0
        self._stopped: dict[int, float] = {}

    def start(self) -> None:
        """Have the pool, and threads call it."""
        if self.pool is None:
            limit = LIMIT if self.kind == "stopped" else None
            self.pool = Pool(PROCESSES, context=self.method, timeout=limit)
        acts = WITHOUT_LIMITS_OF_THEIR_OWN if self.kind == "stopped" else ACTS
        for _ in range(CALLERS):
            caller = Caller(self.pool, self.tally, random.Random(self.chance.random()))
            thread = threading.Thread(
                target=call_until, args=(caller, self.ending, acts), daemon=True
            )
            self.callers.append(caller)
            self.threads.append(thread)
            thread.start()

    def rage(self, kills: int, until: float) -> None:
        """Harm one worker after the other, at random instants."""
        while self.kills + self.stops < kills and time.monotonic() < until and not self.hung:
            time.sleep(self.chance.uniform(0, 2 * PAUSE))
            if self.kind == "stopped":
                self._continue(time.monotonic())
                self._stop_one()
            else:
                if self.kind == "resized" and self.chance.random() < 0.5:
                    self.pool.resize(self.chance.randint(1, 6))
                self._kill_one()
            self._look_for_hangs()

    def _choose(self) -> int | None:
        workers = [one for one in self.pool.stats().workers if one.pid not in self._stopped]
        working = [one for one in workers if one.tasks]
        if self.kind != "stopped" and self.chance.random() < SHARE_OF_EARLY_KILLS:
            working = workers
        return self.chance.choice(working).pid if working else None

    def _kill_one(self) -> None:
        pid = self._choose()
        if pid is not None and _send(pid, signal.SIGKILL):
            self.kills += 1
            tell("k")

    def _stop_one(self) -> None:
        pid = self._choose()
        if pid is not None and _send(pid, signal.SIGSTOP):
            self.stops += 1
            tell("s")
            stays = self.chance.random() >= SHARE_OF_CONTINUED
            seconds = float("inf") if stays else self.chance.uniform(0, LIMIT)
            self._stopped[pid] = time.monotonic() + seconds

    def _continue(self, now: float) -> None:
        """Wake those that were stopped until now; those that are gone are not stopped any more."""
        there = {one.pid for one in self.pool.stats().workers}
        for pid, until in list(self._stopped.items()):
            if pid not in there:
                del self._stopped[pid]
            elif now >= until:
                _send(pid, signal.SIGCONT)
                del self._stopped[pid]

    def _look_for_hangs(self) -> None:
        now = time.monotonic()
        for caller in self.callers:
            at = caller.at
            if at is not None and now - at[1] > PATIENCE and not self.hung:
                self.hung = True
                self.tally.say(f"hang: {at[0]} has taken {now - at[1]:.1f} s; {self._state()}")
                faulthandler.dump_traceback(all_threads=True)

    def _state(self) -> str:
        return f"{self.pool!r}, {self.pool.stats()}"

    def finish(self) -> None:
        """Let the threads come to their end, and the pool."""
        self.ending.set()
        while any(thread.is_alive() for thread in self.threads) and not self.hung:
            time.sleep(0.01)
            if self.kind == "stopped":
                self._continue(time.monotonic())
            self._look_for_hangs()
        if self.hung:
            return
        if self.kind == "resized":
            self._see_size(PROCESSES)
        # Who is stopped and has nothing to do is nobody's business; but it cannot end like this.
        self._continue(float("inf"))
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        self.pool.close()
        self.pool.join()
        faulthandler.cancel_dump_traceback_later()
        self.threads.clear()
        self.callers.clear()
        self.pool = None

    def _see_size(self, size: int) -> None:
        self.pool.resize(size)
        limit = time.monotonic() + PATIENCE
        while (found := len(self.pool.stats().workers)) != size:
            if time.monotonic() > limit:
                self.tally.say(f"resize: {found} workers, not {size}")
                return
            time.sleep(0.01)


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def tell(text: str) -> None:
    """Say something to who has started this program."""
    os.write(1, text.encode())


# What is left


def descendants(pid: int) -> set[int]:
    """All processes that come from a process, but for those that have ended."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                children.setdefault(int(parent), []).append(int(path.name))
    found: set[int] = set()
    todo = [pid]
    while todo:
        new = children.get(todo.pop(), [])
        found.update(new)
        todo += new
    return found


def belongings() -> dict[str, set[Any]]:
    """Descriptors, threads and processes of this process."""
    descriptors: set[Any] = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            descriptors.add(f"{path.name} ({path.readlink()})")
        except OSError:
            continue  # the one that lists them
    threads = set(threading.enumerate())
    return {
        "descriptors": descriptors,
        "threads": threads,
        "processes": descendants(os.getpid()),
    }


def leaks(before: dict[str, set[Any]]) -> list[str]:
    """What there is more than before, after a moment in which it may go."""
    limit = time.monotonic() + 5
    while True:
        gc.collect()
        now = belongings()
        found = [
            f"{len(now[what]) - len(before[what])} {what} were left: {now[what] - before[what]}"
            for what in before
            if len(now[what]) > len(before[what])
        ]
        if not found or time.monotonic() > limit:
            return found
        time.sleep(0.01)


def warm_up(method: str) -> None:
    """Have what stays by design, such as the fork server, there before anything is counted."""
    with Pool(1, context=method) as pool:
        pool.apply(int)
        pool.apply_async(int).get()


def harmed(kind: str, method: str, seed: int, kills: int, path: str) -> None:
    """The program whose workers are harmed. Writes down what was wrong."""
    warm_up(method)
    before = belongings()
    program = Program(kind, method, seed)
    program.start()
    program.rage(kills, time.monotonic() + kills * PAUSE)
    program.finish()
    violations = program.tally.violations(read_runs(os.environ[RUNS]))
    if not program.hung:
        violations += leaks(before)
    result = {
        "kills": program.kills,
        "stops": program.stops,
        "tasks": len(program.tally) - program.tally.count(End.DROPPED),
        "ends": {how.name.lower(): program.tally.count(how) for how in End},
        "violations": violations,
        "hung": program.hung,
    }
    Path(path).write_text(json.dumps(result))
    if program.hung:
        os._exit(1)


# Programs that are ended from outside

_children: list[Any] = []


def beget(number: int) -> int:
    """A task that leaves a child running."""
    if len(_children) < MOST_CHILDREN:
        child: Any = Process(target=time.sleep, args=(600,))
        child.start()
        _children.append(child)
    return answer(number)


def killed(method: str, seed: int) -> None:
    """A program at work whose workers have children, until it is killed."""
    program = Program("parent", method, seed)
    program.start()
    program.pool.map(beget, range(PROCESSES * MOST_CHILDREN), 1)
    tell("r")
    while True:
        program.pool.map(beget, range(PROCESSES), 1)


def interrupted(method: str, seed: int) -> None:
    """A program that maps until it is interrupted."""
    chance = random.Random(seed)
    with Pool(PROCESSES, context=method) as pool:
        pool.map(abs, range(100), 1)
        tell("r")
        while True:
            pool.map(compute, range(chance.choice((1, 100, 3000))), chance.choice((None, 1, 20)))
            pool.map(work, range(chance.choice((1, 10))), 1)
            pool.starmap(wait, [(1, chance.choice((0.0, 0.03)))] * 8, 1)
            for number in range(chance.choice((0, 30))):
                pool.apply(compute, (number,))


def main() -> None:
    """Be the program that the arguments name."""
    which, *arguments = json.loads(sys.argv[1])
    programs: dict[str, Any] = {"harmed": harmed, "killed": killed, "interrupted": interrupted}
    programs[which](*arguments)
